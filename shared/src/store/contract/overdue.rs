//! Promises about digests that wait for too long.

use std::time::Duration;

use jiff::Timestamp;

use super::{Store, Stores, eventually, fresh_digest, know, pending_for};
use crate::model::digest::Digest;

/// More than what other tests have left behind.
const ALL: usize = 100_000;

async fn is_overdue(store: &dyn Store, digest: &Digest) -> bool {
    store.overdue(Timestamp::now(), ALL).await.unwrap().contains(digest)
}

pub(in crate::store) async fn i3_a_digest_whose_marker_ran_out_is_overdue_until_it_is_marked_again(
    stores: &Stores,
) {
    let digest = fresh_digest();
    stores.one.mark_pending(&digest, pending_for(300)).await.unwrap();
    assert!(!is_overdue(&*stores.other, &digest).await, "it still has time");
    eventually("it is overdue", async || is_overdue(&*stores.other, &digest).await.then_some(())).await;
    assert!(is_overdue(&*stores.other, &digest).await, "looking changes nothing");

    stores.other.mark_pending(&digest, pending_for(60_000)).await.unwrap();
    assert!(!is_overdue(&*stores.one, &digest).await, "it has time again");
    stores.one.mark_pending(&digest, pending_for(10)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!is_overdue(&*stores.one, &digest).await, "the later end counts");
    let later = Timestamp::now() + Duration::from_secs(61);
    assert!(stores.one.overdue(later, ALL).await.unwrap().contains(&digest));

    for _ in 0..3 {
        stores.one.mark_pending(&fresh_digest(), pending_for(-1_000)).await.unwrap();
    }
    assert_eq!(stores.one.overdue(Timestamp::now(), 2).await.unwrap().len(), 2, "no more than asked for");
}

pub(in crate::store) async fn i3_what_was_judged_or_given_up_is_not_overdue(stores: &Stores) {
    let [judged, hopeless] = [fresh_digest(), fresh_digest()];
    for digest in [&judged, &hopeless] {
        stores.one.mark_pending(digest, pending_for(-1_000)).await.unwrap();
        assert!(is_overdue(&*stores.other, digest).await);
    }
    know(&*stores.one, &judged, &["default"]).await;
    stores.other.give_up(&hopeless).await.unwrap();
    stores.other.give_up(&fresh_digest()).await.unwrap();
    for digest in [&judged, &hopeless] {
        assert!(!is_overdue(&*stores.one, digest).await);
    }
}
