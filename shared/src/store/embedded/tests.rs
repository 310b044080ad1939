//! The contract on a file, and what only a file promises.

use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::model::report::Subject;
use crate::model::sample;
use crate::model::verdict::Outcome;
use crate::store::contract::{
    self, LONG, Stores, as_tests, eventually, every_promise, fresh_digest, hold_for, know, known, pending_for,
};
use crate::store::{NoteName, Notes, Overdue as _};

fn store_in(directory: &TempDir) -> Arc<EmbeddedStore> {
    Arc::new(EmbeddedStore::open(&directory.path().join("store.redb")).unwrap())
}

async fn open() -> Stores {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    Stores { one: store.clone(), other: store, _directory: Some(directory) }
}

every_promise!(as_tests, open);

#[tokio::test]
async fn everything_but_leases_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    let (judged, waiting) = (fresh_digest(), fresh_digest());
    let (report, verdicts) = know(&*store, &judged, &["default"]).await;
    let marker = pending_for(60_000);
    store.mark_pending(&waiting, marker).await.unwrap();
    let held = hold_for(&*store, &judged, LONG).await;
    drop(store);

    let store = store_in(&directory);
    assert_eq!(store.report(&judged).await.unwrap(), Some(report.clone()));
    assert_eq!(contract::verdict_of(&*store, &judged, "default").await, verdicts[0]);
    assert_eq!(known(&*store, &waiting, "default").await, Lookup::Pending(marker));
    let lost = store.store(&report, &verdicts, &held).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
    hold_for(&*store, &judged, LONG).await;
}

#[tokio::test]
async fn a_second_opener_is_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let _first = store_in(&directory);
    let second = EmbeddedStore::open(&directory.path().join("store.redb")).map(drop);
    let Err(StoreError::Unusable { place, reason }) = second else {
        panic!("{second:?}");
    };
    assert!(place.ends_with("store.redb"));
    assert!(reason.contains("another process has it open") && reason.contains("Redis"), "{reason}");
}

#[test]
fn what_is_no_store_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "not a store ".repeat(1000)).unwrap();
    for (path, expected) in
        [(text, "move it away"), (directory.path().join("missing/store.redb"), "create it")]
    {
        match EmbeddedStore::open(&path).map(drop) {
            Err(StoreError::Unusable { reason, .. }) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{path:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_reports_share_is_kept_once_and_as_long_as_one_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    let (one, other) = (fresh_digest(), fresh_digest());
    let (report, verdicts) = know(&*store, &one, &["default"]).await;
    assert_eq!(store.file.count_parts().unwrap(), (3, 3));
    let (same, _) = know(&*store, &other, &["default"]).await;
    assert_eq!(store.file.count_parts().unwrap(), (3, 3), "nothing new in it");

    // New advisories: other findings about the same packages.
    let mut matched = report.clone();
    matched.findings[0].summary = None;
    let of_one = hold_for(&*store, &one, LONG).await;
    store.store(&matched, &verdicts, &of_one).await.unwrap();
    assert_eq!(store.file.count_parts().unwrap(), (4, 4), "the other report still has the old ones");
    assert_eq!(store.report(&one).await.unwrap(), Some(matched.clone()));
    assert_eq!(store.report(&other).await.unwrap(), Some(same));
    let lease = hold_for(&*store, &other, LONG).await;
    store.store(&Report { digest: other.clone(), ..matched.clone() }, &verdicts, &lease).await.unwrap();
    assert_eq!(store.file.count_parts().unwrap(), (3, 3), "nobody needs the old ones");

    let nothing = Report { subject: Subject::Unreadable, findings: Vec::new(), ..matched.clone() };
    store.store(&nothing, &verdicts, &of_one).await.unwrap();
    assert_eq!(store.file.count_parts().unwrap(), (3, 3));
    assert!(store.report(&other).await.unwrap().is_some());
}

#[tokio::test]
async fn i3_expired_markers_stay_until_somebody_has_dealt_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    for _ in 0..20 {
        store.mark_pending(&fresh_digest(), pending_for(-1000)).await.unwrap();
    }
    drop(store);
    let store = store_in(&directory);
    let overdue = store.overdue(Timestamp::now(), 100).await.unwrap();
    assert_eq!(overdue.len(), 20);
    for digest in &overdue {
        store.give_up(digest).await.unwrap();
    }
    let (kept, last) = (fresh_digest(), fresh_digest());
    let marker = pending_for(60_000);
    store.mark_pending(&kept, marker).await.unwrap();
    store.mark_pending(&last, marker).await.unwrap();
    assert_eq!(store.file.count_pending().unwrap(), (2, 2));
    assert_eq!(known(&*store, &kept, "default").await, Lookup::Pending(marker));
}

#[tokio::test]
async fn expired_notes_do_not_pile_up_and_others_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    let name = |number: u32| NoteName::new("test", &number.to_string());
    for number in 0..20 {
        Notes::keep(&*store, &name(number), b"short", Duration::ZERO).await.unwrap();
    }
    eventually("the end of the short ones", async || {
        Notes::keep(&*store, &name(100), b"long", LONG).await.unwrap();
        (store.file.count_notes().unwrap() == (1, 1)).then_some(())
    })
    .await;
    drop(store);
    let store = store_in(&directory);
    assert_eq!(Notes::read(&*store, &name(100)).await.unwrap(), Some(b"long".to_vec()));
}

/// What the two tests below run in a process of its own; by itself it does nothing.
#[tokio::test]
async fn stores_in_another_process() {
    let Some(path) = std::env::var_os("TIDEWAITER_TEST_STORE_IN") else {
        return;
    };
    let store = EmbeddedStore::open(Path::new(&path)).unwrap();
    for number in 0_u32.. {
        let digest = Digest::of(&number.to_be_bytes());
        let lease = hold_for(&store, &digest, LONG).await;
        let report = sample::report(&digest);
        let verdict = sample::verdict(&report, "default", Outcome::Pass);
        match store.store(&report, &[verdict], &lease).await {
            Ok(()) => println!("stored {number}"),
            Err(error) => return works_again_with_room(&store, number, &error).await,
        }
    }
}

/// Lifts the limit that the test set and expects the same store to go on.
async fn works_again_with_room(store: &EmbeddedStore, stored: u32, error: &StoreError) {
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    let pid = std::process::id().to_string();
    let lifted = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status();
    assert!(lifted.unwrap().success());
    let again = fresh_digest();
    eventually("a store that goes on", async || store.mark_pending(&again, pending_for(60_000)).await.ok())
        .await;
    assert_stored(store, stored).await;
    know(store, &again, &["default"]).await;
    println!("went on after {stored}");
}

async fn assert_stored(store: &EmbeddedStore, count: u32) {
    let digests: Vec<Digest> = (0..count).map(|number| Digest::of(&number.to_be_bytes())).collect();
    let lookups = store.lookup(&digests, &sample::policy("default")).await.unwrap();
    let known = lookups.iter().filter(|lookup| matches!(lookup, Lookup::Known(_))).count();
    assert_eq!(known, digests.len());
}

/// A process that stores in `path`, started by a shell after `preparation`.
fn storing_process(path: &Path, preparation: &str) -> std::process::Child {
    let this = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{preparation} exec \"$0\" \"$@\"")])
        .arg(this)
        .args(["--exact", "store::embedded::tests::stores_in_another_process", "--nocapture"])
        .env("TIDEWAITER_TEST_STORE_IN", path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn what_was_stored_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let mut writer = storing_process(&path, "");
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let number = |line: String| {
        let (_, number) = line.rsplit_once("stored ")?;
        number.parse::<u32>().ok()
    };
    let mut said = lines.by_ref().map_while(Result::ok).filter_map(number);
    let twentieth = said.find(|number| *number == 20).expect("it stores");
    writer.kill().unwrap();
    writer.wait().unwrap();
    // What it said before the signal arrived counts too.
    let last = lines.map_while(Result::ok).filter_map(number).last();

    let store = EmbeddedStore::open(&path).unwrap();
    assert_stored(&store, last.unwrap_or(twentieth) + 1).await;
}

#[tokio::test]
async fn a_full_disk_refuses_and_the_store_goes_on_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    // A limit on the file's size stands for the full disk; without the trap its signal would kill.
    let writer = storing_process(&path, "trap '' XFSZ; ulimit -S -f 4000;");
    let output = writer.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("went on after"), "{said}");
}
