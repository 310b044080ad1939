//! What every store promises, as tests: each sentence of the traits' documentation, run on every backend.
//!
//! A backend's tests say how to open it, by two handles that share what is stored, and name the rest with
//! [`every_promise!`].

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Acquired, History, Known, Layers, Lease, Leases, Notes, Overdue, VerdictStore};
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::sample;
use crate::model::verdict::{Lookup, Outcome, Pending, Verdict};

pub(super) mod history;
pub(super) mod known;
pub(super) mod layers;
pub(super) mod leases;
pub(super) mod notes;
pub(super) mod overdue;
pub(super) mod verdicts;
pub(super) mod watching;

/// All seams, as one backend implements them.
pub(super) trait Store: VerdictStore + Leases + Notes + History + Known + Overdue + Layers {}

impl<T: VerdictStore + Leases + Notes + History + Known + Overdue + Layers> Store for T {}

/// One store, seen through two handles, as two processes would see it.
pub(super) struct Stores {
    pub(super) one: Arc<dyn Store>,
    pub(super) other: Arc<dyn Store>,
    /// Where an embedded one lives; gone when the handles are.
    pub(super) _directory: Option<TempDir>,
}

/// Calls `$with!` with every promise, preceded by what else it was given.
macro_rules! every_promise {
    ($with:ident, $($given:tt)*) => {
        $with! { ($($given)*)
            verdicts::lookups_answer_in_the_order_asked,
            verdicts::five_hundred_digests_are_looked_up_at_once,
            verdicts::storing_replaces_everything_that_was_known,
            verdicts::a_report_is_read_back_as_it_was_stored,
            verdicts::i6_only_verdicts_of_the_stored_report_are_restated,
            verdicts::i10_a_known_digest_stays_known_while_it_is_queued,
            verdicts::a_pending_marker_keeps_its_beginning_and_its_latest_end,
            verdicts::i3_a_pending_marker_ends_by_itself,
            verdicts::sightings_are_bounded_and_newest_first,
            verdicts::a_push_is_noted_as_its_marker_and_its_sighting_are,
            verdicts::a_store_that_answers_says_so,
            leases::one_of_many_gets_the_lease,
            leases::a_lease_that_ran_out_goes_to_the_next_and_the_late_holder_changes_nothing,
            leases::renewing_holds_a_lease_for_longer,
            leases::a_lease_that_was_given_back_is_free_at_once,
            leases::a_lease_is_worth_nothing_for_another_digest,
            leases::a_holder_that_nobody_replaced_may_still_store,
            notes::a_note_is_read_by_everybody_until_it_is_forgotten,
            notes::one_of_many_claims_a_note,
            notes::a_note_ends_by_itself,
            notes::a_note_that_is_no_note_is_refused,
            history::every_change_of_a_verdict_is_told_with_its_cause,
            history::what_changes_nothing_for_people_leaves_no_trace,
            history::what_is_restored_as_it_stood_is_no_change,
            history::changes_by_many_at_once_follow_from_one_another,
            history::a_history_is_bounded_and_keeps_the_newest,
            history::changes_are_unannounced_until_somebody_announces_them,
            history::the_feed_is_read_on_from_any_place,
            history::the_feed_is_bounded_and_keeps_the_newest,
            history::news_in_the_feed_wakes_whoever_watches_it,
            known::every_digest_with_a_report_is_on_one_page,
            known::whatever_is_stored_meanwhile_skips_nothing,
            overdue::i3_a_digest_whose_marker_ran_out_is_overdue_until_it_is_marked_again,
            overdue::i3_what_was_judged_or_given_up_is_not_overdue,
            layers::a_layer_is_known_to_everybody_under_its_revision_only,
            layers::more_than_may_be_known_of_a_layer_is_refused,
            watching::news_from_another_handle_completes_a_watch,
            watching::a_watch_begun_before_the_news_completes_after_it,
            watching::a_watch_without_news_ends_at_its_limit,
        }
    };
}

/// One test for each promise: `every_promise!(as_tests, open)`, where `open` is an async fn → [`Stores`].
macro_rules! as_tests {
    (($open:path) $($room:ident::$promise:ident,)*) => {
        $(#[tokio::test]
        async fn $promise() {
            let stores = $open().await;
            $crate::store::contract::$room::$promise(&stores).await;
        })*
    };
}

/// All promises one after another on one backend: `every_promise!(in_turn, stores)`.
macro_rules! in_turn {
    (($stores:expr) $($room:ident::$promise:ident,)*) => {
        $($crate::store::contract::$room::$promise($stores).await;)*
    };
}

pub(super) use {as_tests, every_promise, in_turn};

/// Longer than anything that is waited for may take.
pub(super) const LONG: Duration = Duration::from_secs(20);

/// A digest that no other test uses.
pub(super) fn fresh_digest() -> Digest {
    Digest::of(uuid::Uuid::now_v7().as_bytes())
}

/// A marker that lasts from a minute ago for so many more milliseconds.
pub(super) fn pending_for(milliseconds: i64) -> Pending {
    let now = Timestamp::now();
    Pending {
        since: now - Duration::from_secs(60),
        until: Timestamp::from_millisecond(now.as_millisecond() + milliseconds).unwrap(),
    }
}

/// Takes a lease that must be free.
pub(super) async fn hold(store: &dyn Store, digest: &Digest) -> Lease {
    hold_for(store, digest, LONG).await
}

/// The same for a while only.
pub(super) async fn hold_for(store: &dyn Store, digest: &Digest, ttl: Duration) -> Lease {
    match store.acquire(digest, ttl).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy { remaining } => panic!("somebody holds {digest} for {remaining:?}"),
    }
}

/// Stores the sample report of `digest` with one verdict for each of these policies.
pub(super) async fn know(store: &dyn Store, digest: &Digest, policies: &[&str]) -> (Report, Vec<Verdict>) {
    let report = sample::report(digest);
    let verdicts: Vec<Verdict> =
        policies.iter().map(|policy| sample::verdict(&report, policy, Outcome::Fail)).collect();
    let lease = hold(store, digest).await;
    store.store(&report, &verdicts, &lease).await.unwrap();
    store.release(lease).await.unwrap();
    (report, verdicts)
}

/// What is known of one digest.
pub(super) async fn known(store: &dyn Store, digest: &Digest, policy: &str) -> Lookup {
    let digests = std::slice::from_ref(digest);
    let mut lookups = store.lookup(digests, &sample::policy(policy)).await.unwrap();
    assert_eq!(lookups.len(), 1);
    lookups.remove(0)
}

/// The verdict that must be known of one digest.
pub(super) async fn verdict_of(store: &dyn Store, digest: &Digest, policy: &str) -> Verdict {
    match known(store, digest, policy).await {
        Lookup::Known(verdict) => Arc::unwrap_or_clone(verdict),
        other @ (Lookup::Unknown | Lookup::Pending(_)) => panic!("{digest} has no verdict: {other:?}"),
    }
}

/// Tries until it answers, and fails the test when it takes too long.
pub(super) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let tried = tokio::time::timeout(LONG, async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    tried.await.unwrap_or_else(|_| panic!("{what} did not happen within {LONG:?}"))
}
