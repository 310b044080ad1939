//! Promises about what became of verdicts.

use std::time::Duration;

use tokio::time::timeout;

use super::{LONG, Stores, fresh_digest, hold, know};
use crate::model::change::{Cause, ChangeId, Recorded};
use crate::model::digest::Digest;
use crate::model::sample;
use crate::model::verdict::{Outcome, Verdict};
use crate::store::record::{LONGEST_FEED, MOST_CHANGES};

async fn restate(stores: &Stores, verdict: &Verdict, outcome: Outcome) -> Verdict {
    let verdict = Verdict { outcome, ..verdict.clone() };
    stores.other.restate(&verdict.digest, std::slice::from_ref(&verdict)).await.unwrap();
    verdict
}

fn told(changes: &[Recorded]) -> Vec<(&str, Option<Outcome>, Outcome, Cause)> {
    let told = |recorded: &Recorded| {
        let change = &recorded.change;
        (change.from, change.to, change.cause)
    };
    let rows = changes.iter().map(|recorded| (recorded.change.policy.as_str(), told(recorded)));
    rows.map(|(policy, (from, to, cause))| (policy, from, to, cause)).collect()
}

pub(in crate::store) async fn every_change_of_a_verdict_is_told_with_its_cause(stores: &Stores) {
    let digest = fresh_digest();
    assert_eq!(stores.one.history(&digest, 10).await.unwrap(), []);
    let (report, verdicts) = know(&*stores.one, &digest, &["default", "strict"]).await;
    let mut derived = Verdict { outcome: Outcome::Warn, ..verdicts[0].clone() };
    derived.policy_revision = crate::model::report::Revision::new("policy-4");
    stores.other.restate(&digest, &[derived.clone()]).await.unwrap();

    let mut report = report;
    report.revisions = sample::revisions("db-2");
    let lease = hold(&*stores.one, &digest).await;
    let mut later = sample::verdict(&report, "default", Outcome::Pass);
    later.policy_revision = derived.policy_revision.clone();
    let same = sample::verdict(&report, "strict", Outcome::Fail);
    stores.one.store(&report, &[later, same], &lease).await.unwrap();

    let history = stores.other.history(&digest, 10).await.unwrap();
    let mut expected = vec![
        ("strict", None, Outcome::Fail, Cause::FirstVerdict),
        ("default", None, Outcome::Fail, Cause::FirstVerdict),
        ("default", Some(Outcome::Fail), Outcome::Warn, Cause::Policy),
        ("default", Some(Outcome::Warn), Outcome::Pass, Cause::Advisories),
    ];
    expected[..2].reverse();
    expected.reverse();
    assert_eq!(told(&history), expected, "newest first");
    assert!(history.iter().all(|recorded| recorded.change.digest == digest));
    assert!(history.is_sorted_by(|newer, older| newer.id > older.id), "places grow");
    assert_eq!(stores.one.history(&digest, 2).await.unwrap(), history[..2]);
}

pub(in crate::store) async fn what_changes_nothing_for_people_leaves_no_trace(stores: &Stores) {
    let digest = fresh_digest();
    let (_, verdicts) = know(&*stores.one, &digest, &["default"]).await;
    let lasting = restate(stores, &verdicts[0], Outcome::Warn).await;
    let mut again = lasting.clone();
    again.as_of = sample::time("2026-11-22T10:00:01Z");
    stores.one.restate(&digest, &[again]).await.unwrap();
    let mut older = verdicts[0].clone();
    older.revisions = sample::revisions("db-0");
    stores.one.restate(&digest, &[older]).await.unwrap();
    assert_eq!(stores.one.history(&digest, 10).await.unwrap().len(), 2);
}

pub(in crate::store) async fn what_is_restored_as_it_stood_is_no_change(stores: &Stores) {
    let digest = fresh_digest();
    let report = sample::report(&digest);
    let verdict = |policy, outcome| sample::verdict(&report, policy, outcome);
    // People knew of two policies; of those one says something else today, and a third is new.
    let stood = [verdict("default", Outcome::Fail), verdict("strict", Outcome::Pass)];
    let now =
        [verdict("default", Outcome::Fail), verdict("strict", Outcome::Fail), verdict("new", Outcome::Warn)];
    let lease = hold(&*stores.one, &digest).await;
    stores.one.restore(&report, &now, &stood, &lease).await.unwrap();
    let mut history = stores.other.history(&digest, 10).await.unwrap();
    history.reverse();
    let changed = [("strict", Some(Outcome::Pass), Outcome::Fail), ("new", None, Outcome::Warn)];
    let told_of = |changes: &[Recorded]| -> Vec<(String, Option<Outcome>, Outcome)> {
        told(changes).into_iter().map(|(policy, from, to, _)| (policy.to_owned(), from, to)).collect()
    };
    assert_eq!(told_of(&history), changed.map(|(policy, from, to)| (policy.to_owned(), from, to)));
    assert_eq!(stores.one.unannounced(&digest, 10).await.unwrap().len(), 2);

    // What stands here counts for more than what anybody remembers.
    let again = [verdict("default", Outcome::Fail), verdict("strict", Outcome::Fail)];
    stores.one.restore(&report, &again, &stood, &lease).await.unwrap();
    assert_eq!(stores.other.history(&digest, 10).await.unwrap().len(), 2);
    stores.one.release(lease).await.unwrap();
}

pub(in crate::store) async fn changes_by_many_at_once_follow_from_one_another(stores: &Stores) {
    let digest = fresh_digest();
    let (_, verdicts) = know(&*stores.one, &digest, &["default"]).await;
    let outcomes = [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Pass, Outcome::Warn, Outcome::Fail];
    let restated = outcomes.iter().map(|outcome| restate(stores, &verdicts[0], *outcome));
    futures_util::future::join_all(restated).await;
    let mut history = stores.one.history(&digest, 100).await.unwrap();
    history.reverse();
    for pair in history.windows(2) {
        assert_eq!(pair[1].change.from, Some(pair[0].change.to), "{history:#?}");
    }
    let last = super::verdict_of(&*stores.one, &digest, "default").await;
    assert_eq!(history.last().unwrap().change.to, last.outcome);
}

pub(in crate::store) async fn a_history_is_bounded_and_keeps_the_newest(stores: &Stores) {
    let digest = fresh_digest();
    let (_, verdicts) = know(&*stores.one, &digest, &["default"]).await;
    // Many policies, so that few steps make many changes.
    let batch = |outcome: Outcome| -> Vec<Verdict> {
        let of = |number: usize| Verdict {
            policy: sample::policy(&format!("p-{number}")),
            outcome,
            ..verdicts[0].clone()
        };
        (0..MOST_CHANGES / 2).map(of).collect()
    };
    for outcome in [Outcome::Pass, Outcome::Warn, Outcome::Fail] {
        stores.one.restate(&digest, &batch(outcome)).await.unwrap();
    }
    let history = stores.other.history(&digest, usize::MAX / 2).await.unwrap();
    assert_eq!(history.len(), MOST_CHANGES);
    assert_eq!(history[0].change.to, Outcome::Fail);
    assert_eq!(history.last().unwrap().change.to, Outcome::Warn);
}

pub(in crate::store) async fn changes_are_unannounced_until_somebody_announces_them(stores: &Stores) {
    let digest = fresh_digest();
    assert_eq!(stores.one.unannounced(&digest, 10).await.unwrap(), []);
    let (_, verdicts) = know(&*stores.one, &digest, &["default"]).await;
    restate(stores, &verdicts[0], Outcome::Pass).await;
    let waiting = stores.other.unannounced(&digest, 10).await.unwrap();
    assert_eq!(
        told(&waiting),
        [
            ("default", None, Outcome::Fail, Cause::FirstVerdict),
            ("default", Some(Outcome::Fail), Outcome::Pass, Cause::Time),
        ],
        "oldest first"
    );
    assert_eq!(stores.one.unannounced(&digest, 1).await.unwrap(), waiting[..1]);

    stores.one.announce(&waiting[..1]).await.unwrap();
    assert_eq!(stores.other.unannounced(&digest, 10).await.unwrap(), waiting[1..]);
    stores.other.announce(&waiting[1..]).await.unwrap();
    stores.one.announce(&waiting[..1]).await.unwrap();
    assert_eq!(stores.one.unannounced(&digest, 10).await.unwrap(), [], "and it never goes back");
    stores.one.announce(&[]).await.unwrap();

    restate(stores, &verdicts[0], Outcome::Warn).await;
    assert_eq!(stores.one.unannounced(&digest, 10).await.unwrap().len(), 1);
}

/// Announces so many changes of a new digest, each in a call of its own.
async fn announce(stores: &Stores, count: usize) -> Digest {
    let digest = fresh_digest();
    let (_, verdicts) = know(&*stores.one, &digest, &["default"]).await;
    for number in 1..count {
        let outcome = if number % 2 == 0 { Outcome::Fail } else { Outcome::Pass };
        restate(stores, &verdicts[0], outcome).await;
    }
    for change in stores.one.unannounced(&digest, count).await.unwrap() {
        stores.one.announce(&[change]).await.unwrap();
    }
    digest
}

pub(in crate::store) async fn the_feed_is_read_on_from_any_place(stores: &Stores) {
    assert_eq!(stores.other.feed_after(Some(ChangeId::new(u64::MAX, 0)), 10).await.unwrap(), []);
    let first = announce(stores, 1).await;
    let place = stores.other.feed_end().await.unwrap().expect("the feed has something");
    assert_eq!(stores.one.feed_after(Some(place), 10).await.unwrap(), []);
    let newest = stores.one.feed_after(None, LONGEST_FEED).await.unwrap();
    let newest = newest.last().unwrap();
    assert_eq!((newest.id, &newest.change.digest), (place, &first));

    let second = announce(stores, 3).await;
    let news = stores.other.feed_after(Some(place), 10).await.unwrap();
    assert!(news.iter().all(|recorded| recorded.change.digest == second));
    let outcomes: Vec<Outcome> = news.iter().map(|recorded| recorded.change.to).collect();
    assert_eq!(outcomes, [Outcome::Fail, Outcome::Pass, Outcome::Fail]);
    assert_eq!(stores.one.feed_after(Some(place), 2).await.unwrap(), news[..2]);
    assert_eq!(stores.one.feed_after(Some(news[1].id), 10).await.unwrap(), news[2..]);
}

pub(in crate::store) async fn the_feed_is_bounded_and_keeps_the_newest(stores: &Stores) {
    announce(stores, 1).await;
    let first = stores.one.feed_after(None, 1).await.unwrap();
    let many = vec![first[0].clone(); 2500];
    for _ in 0..5 {
        stores.one.announce(&many).await.unwrap();
    }
    let feed = stores.other.feed_after(None, LONGEST_FEED * 2).await.unwrap();
    assert_eq!(feed.len(), LONGEST_FEED);
    assert!(feed[0].id > first[0].id);
    assert_eq!(feed.last().map(|newest| newest.id), stores.one.feed_end().await.unwrap());
}

pub(in crate::store) async fn news_in_the_feed_wakes_whoever_watches_it(stores: &Stores) {
    let mut watch = stores.one.watch_feed().await.unwrap();
    let before = stores.one.feed_end().await.unwrap();
    let waiting = timeout(LONG, async {
        while stores.one.feed_end().await.unwrap() == before {
            watch.changed(Duration::from_secs(3600)).await;
        }
    });
    let (waited, _) = tokio::join!(waiting, async {
        let digest = fresh_digest();
        know(&*stores.other, &digest, &["default"]).await;
        let changes = stores.other.unannounced(&digest, 10).await.unwrap();
        stores.other.announce(&changes).await.unwrap();
    });
    waited.expect("the news completes the watch");
}
