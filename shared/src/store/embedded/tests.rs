//! The contract on a file, and what only a file promises.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::sample;
use crate::store::contract::{
    self, LONG, Stores, as_tests, every_promise, fresh_digest, hold_for, know, known, pending_for,
};

fn store_in(directory: &TempDir) -> Arc<EmbeddedStore> {
    Arc::new(EmbeddedStore::open(&directory.path().join("store.redb")).unwrap())
}

async fn open() -> Stores {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    Stores {
        one: store.clone(),
        other: store,
        ground: Box::new(directory),
    }
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
    assert_eq!(
        contract::verdict_of(&*store, &judged, "default").await,
        verdicts[0]
    );
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
    assert!(
        reason.contains("another process has it open") && reason.contains("Redis"),
        "{reason}"
    );
}

#[test]
fn what_is_no_store_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    std::fs::write(&text, "not a store ".repeat(1000)).unwrap();
    for (path, expected) in [
        (text, "move it away"),
        (directory.path().join("missing/store.redb"), "create it"),
    ] {
        match EmbeddedStore::open(&path).map(drop) {
            Err(StoreError::Unusable { reason, .. }) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{path:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn expired_markers_do_not_pile_up() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_in(&directory);
    for _ in 0..20 {
        store
            .mark_pending(&fresh_digest(), pending_for(-1000))
            .await
            .unwrap();
    }
    let (kept, last) = (fresh_digest(), fresh_digest());
    let marker = pending_for(60_000);
    store.mark_pending(&kept, marker).await.unwrap();
    store.mark_pending(&last, marker).await.unwrap();
    assert_eq!(store.file.count_pending().unwrap(), (2, 2));
    assert_eq!(known(&*store, &kept, "default").await, Lookup::Pending(marker));
}

/// Stores until it is killed; run by the test below as a process of its own.
#[tokio::test]
async fn writes_until_killed() {
    let Some(path) = std::env::var_os("TIDEWAITER_TEST_WRITE_UNTIL_KILLED") else {
        return;
    };
    let store = EmbeddedStore::open(Path::new(&path)).unwrap();
    for number in 0_u32.. {
        let digest = Digest::of(&number.to_be_bytes());
        know(&store, &digest, &["default"]).await;
        println!("stored {number}");
    }
}

#[tokio::test]
async fn what_was_stored_survives_kill_9() {
    use std::io::BufRead as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::embedded::tests::writes_until_killed",
            "--nocapture",
        ])
        .env("TIDEWAITER_TEST_WRITE_UNTIL_KILLED", &path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(writer.stdout.take().unwrap()).lines();
    let count = |line: String| {
        line.rsplit_once("stored ")
            .and_then(|(_, number)| number.parse::<u32>().ok())
    };
    let mut last = lines
        .by_ref()
        .map_while(Result::ok)
        .filter_map(count)
        .find(|number| *number == 20)
        .expect("it stores");
    writer.kill().unwrap();
    writer.wait().unwrap();
    // What it said before the signal arrived counts too.
    last = lines
        .map_while(Result::ok)
        .filter_map(count)
        .last()
        .unwrap_or(last);

    let store = EmbeddedStore::open(&path).unwrap();
    let digests: Vec<Digest> = (0..=last)
        .map(|number| Digest::of(&number.to_be_bytes()))
        .collect();
    let lookups = store.lookup(&digests, &sample::policy("default")).await.unwrap();
    assert!(
        lookups.iter().all(|lookup| matches!(lookup, Lookup::Known(_))),
        "{last}"
    );
    tokio::time::timeout(Duration::from_secs(5), store.ping())
        .await
        .unwrap()
        .unwrap();
}
