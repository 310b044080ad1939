//! Promises about reports, verdicts, markers and sightings.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Stores, eventually, fresh_digest, hold, know, known, pending_for, verdict_of};
use crate::model::digest::Digest;
use crate::model::sample;
use crate::model::verdict::{Lookup, Outcome, Pending};
use crate::store::Sighting;

pub(in crate::store) async fn lookups_answer_in_the_order_asked(stores: &Stores) {
    let [unknown, waiting, judged] = [fresh_digest(), fresh_digest(), fresh_digest()];
    let (_, verdicts) = know(&*stores.one, &judged, &["default"]).await;
    let marker = pending_for(60_000);
    stores.one.mark_pending(&waiting, marker).await.unwrap();

    let asked = [judged.clone(), unknown.clone(), waiting.clone(), judged.clone(), unknown];
    let policy = sample::policy("default");
    let expected = [
        Lookup::Known(Arc::new(verdicts[0].clone())),
        Lookup::Unknown,
        Lookup::Pending(marker),
        Lookup::Known(Arc::new(verdicts[0].clone())),
        Lookup::Unknown,
    ];
    assert_eq!(stores.other.lookup(&asked, &policy).await.unwrap(), expected);

    assert_eq!(known(&*stores.other, &judged, "another-policy").await, Lookup::Unknown);
    assert_eq!(stores.other.lookup(&[], &policy).await.unwrap(), []);
}

pub(in crate::store) async fn five_hundred_digests_are_looked_up_at_once(stores: &Stores) {
    let digests: Vec<Digest> = (0..500).map(|_| fresh_digest()).collect();
    let known_at = [0, 7, 250, 499];
    for &position in &known_at {
        know(&*stores.one, &digests[position], &["default"]).await;
    }
    let lookups = stores.one.lookup(&digests, &sample::policy("default")).await.unwrap();
    assert_eq!(lookups.len(), 500);
    for (position, (digest, lookup)) in digests.iter().zip(lookups).enumerate() {
        match lookup {
            Lookup::Known(verdict) => assert!(known_at.contains(&position) && verdict.digest == *digest),
            Lookup::Unknown => assert!(!known_at.contains(&position), "{position} is known"),
            Lookup::Pending(_) => panic!("{position} was never queued"),
        }
    }
}

pub(in crate::store) async fn storing_replaces_everything_that_was_known(stores: &Stores) {
    let digest = fresh_digest();
    know(&*stores.one, &digest, &["default", "given-up"]).await;
    stores.one.mark_pending(&digest, pending_for(60_000)).await.unwrap();

    let mut report = sample::report(&digest);
    report.revisions = sample::revisions("db-2");
    let verdict = sample::verdict(&report, "default", Outcome::Pass);
    let lease = hold(&*stores.other, &digest).await;
    stores.other.store(&report, std::slice::from_ref(&verdict), &lease).await.unwrap();

    assert_eq!(verdict_of(&*stores.one, &digest, "default").await, verdict);
    assert_eq!(
        known(&*stores.one, &digest, "given-up").await,
        Lookup::Unknown,
        "verdict and marker are gone"
    );
    assert_eq!(stores.one.report(&digest).await.unwrap(), Some(report));
}

pub(in crate::store) async fn a_report_is_read_back_as_it_was_stored(stores: &Stores) {
    let digest = fresh_digest();
    assert_eq!(stores.one.report(&digest).await.unwrap(), None);
    let (report, _) = know(&*stores.one, &digest, &["default"]).await;
    assert_eq!(stores.other.report(&digest).await.unwrap(), Some(report.clone()));
    assert_eq!(stores.one.report(&digest).await.unwrap(), Some(report), "reading takes nothing away");
}

pub(in crate::store) async fn i6_only_verdicts_of_the_stored_report_are_restated(stores: &Stores) {
    let digest = fresh_digest();
    let (report, _) = know(&*stores.one, &digest, &["default", "strict"]).await;

    let fresh = sample::verdict(&report, "default", Outcome::Pass);
    let added = sample::verdict(&report, "added", Outcome::Warn);
    let mut older = sample::verdict(&report, "strict", Outcome::Pass);
    older.revisions = sample::revisions("db-0");
    let derived = [fresh.clone(), older, added.clone()];
    stores.other.restate(&digest, &derived).await.unwrap();

    assert_eq!(verdict_of(&*stores.one, &digest, "default").await, fresh);
    assert_eq!(verdict_of(&*stores.one, &digest, "added").await, added);
    assert_eq!(verdict_of(&*stores.one, &digest, "strict").await.outcome, Outcome::Fail, "older news");

    let never_stored = fresh_digest();
    let verdict = sample::verdict(&sample::report(&never_stored), "default", Outcome::Pass);
    stores.one.restate(&never_stored, &[verdict]).await.unwrap();
    assert_eq!(known(&*stores.one, &never_stored, "default").await, Lookup::Unknown);
}

pub(in crate::store) async fn i10_a_known_digest_stays_known_while_it_is_queued(stores: &Stores) {
    let digest = fresh_digest();
    let (_, verdicts) = know(&*stores.one, &digest, &["default"]).await;
    stores.other.mark_pending(&digest, pending_for(60_000)).await.unwrap();
    assert_eq!(verdict_of(&*stores.one, &digest, "default").await, verdicts[0]);
    assert!(stores.one.report(&digest).await.unwrap().is_some());
}

pub(in crate::store) async fn a_pending_marker_keeps_its_beginning_and_its_latest_end(stores: &Stores) {
    let digest = fresh_digest();
    let first = pending_for(60_000);
    stores.one.mark_pending(&digest, first).await.unwrap();

    let later = Pending {
        since: first.since + std::time::Duration::from_secs(10),
        until: first.until + std::time::Duration::from_secs(10),
    };
    stores.other.mark_pending(&digest, later).await.unwrap();
    let extended = Pending { since: first.since, until: later.until };
    assert_eq!(known(&*stores.one, &digest, "default").await, Lookup::Pending(extended));

    stores.one.mark_pending(&digest, first).await.unwrap();
    assert_eq!(known(&*stores.one, &digest, "default").await, Lookup::Pending(extended), "never shortened");
}

pub(in crate::store) async fn i3_a_pending_marker_ends_by_itself(stores: &Stores) {
    let digest = fresh_digest();
    stores.one.mark_pending(&digest, pending_for(300)).await.unwrap();
    eventually("the end of the marker", async || {
        (known(&*stores.one, &digest, "default").await == Lookup::Unknown).then_some(())
    })
    .await;
    let again = pending_for(60_000);
    stores.one.mark_pending(&digest, again).await.unwrap();
    assert_eq!(known(&*stores.one, &digest, "default").await, Lookup::Pending(again), "begins anew");
}

pub(in crate::store) async fn sightings_are_bounded_and_newest_first(stores: &Stores) {
    let digest = fresh_digest();
    assert_eq!(stores.one.sightings(&digest).await.unwrap(), []);
    let sighting = |number: i64, tag: Option<&str>| Sighting {
        image: format!("registry.example:5000/team/app-{number}").parse().unwrap(),
        tag: tag.map(|tag| tag.parse().unwrap()),
        seen_at: Timestamp::from_microsecond(1_790_000_000_000_001 + number).unwrap(),
    };
    for number in 0..70 {
        let seen = sighting(number, Some("1.0"));
        stores.one.record_sighting(&digest, &seen).await.unwrap();
    }
    // The same place again, later and then belatedly earlier; and the same image without a tag.
    let mut again = sighting(40, Some("1.0"));
    again.seen_at = sighting(100, None).seen_at;
    stores.other.record_sighting(&digest, &again).await.unwrap();
    stores.other.record_sighting(&digest, &sighting(40, Some("1.0"))).await.unwrap();
    let untagged = sighting(101, None);
    stores.other.record_sighting(&digest, &untagged).await.unwrap();

    let mut expected = vec![untagged, again];
    expected.extend((0..70).rev().filter(|number| *number != 40).map(|number| sighting(number, Some("1.0"))));
    expected.truncate(64);
    assert_eq!(stores.one.sightings(&digest).await.unwrap(), expected);
}

pub(in crate::store) async fn a_push_is_noted_as_its_marker_and_its_sighting_are(stores: &Stores) {
    let [pushed, judged] = [fresh_digest(), fresh_digest()];
    let sighting = |number: i64| Sighting {
        image: format!("registry.example:5000/team/app-{number}").parse().unwrap(),
        tag: Some("1.0".parse().unwrap()),
        seen_at: Timestamp::from_microsecond(1_790_000_000_000_001 + number).unwrap(),
    };
    let first = pending_for(60_000);
    let later = Pending {
        since: first.since + std::time::Duration::from_secs(10),
        until: first.until + std::time::Duration::from_secs(10),
    };
    stores.one.note_push(&pushed, first, &sighting(0)).await.unwrap();
    stores.other.note_push(&pushed, later, &sighting(1)).await.unwrap();
    stores.one.note_push(&pushed, first, &sighting(0)).await.unwrap();
    let extended = Pending { since: first.since, until: later.until };
    assert_eq!(known(&*stores.one, &pushed, "default").await, Lookup::Pending(extended));
    assert_eq!(stores.other.sightings(&pushed).await.unwrap(), [sighting(1), sighting(0)]);
    for number in 2..70 {
        stores.one.note_push(&pushed, first, &sighting(number)).await.unwrap();
    }
    let newest: Vec<_> = (0..70).rev().map(sighting).take(64).collect();
    assert_eq!(stores.other.sightings(&pushed).await.unwrap(), newest);

    let (_, verdicts) = know(&*stores.one, &judged, &["default"]).await;
    stores.other.note_push(&judged, first, &sighting(0)).await.unwrap();
    assert_eq!(verdict_of(&*stores.one, &judged, "default").await, verdicts[0], "known stays known (I10)");
}

pub(in crate::store) async fn a_store_that_answers_says_so(stores: &Stores) {
    stores.one.ping().await.unwrap();
}
