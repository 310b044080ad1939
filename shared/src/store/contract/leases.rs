//! Promises about leases, and about what a lost one is still good for.

use std::time::Duration;

use futures_util::future::join_all;

use super::{LONG, Stores, eventually, fresh_digest, hold, hold_for, known, pending_for, verdict_of};
use crate::model::sample;
use crate::model::verdict::{Lookup, Outcome};
use crate::store::{Acquired, StoreError};

const SHORT: Duration = Duration::from_millis(150);

pub(in crate::store) async fn one_of_many_gets_the_lease(stores: &Stores) {
    let digest = fresh_digest();
    let ttl = Duration::from_secs(30);
    let attempts = (0..32).map(|number| {
        let store = if number % 2 == 0 { &stores.one } else { &stores.other };
        store.acquire(&digest, ttl)
    });
    let mut holders = 0;
    for attempt in join_all(attempts).await {
        match attempt.unwrap() {
            Acquired::Held(lease) => {
                assert_eq!(lease.digest, digest);
                holders += 1;
            }
            Acquired::Busy { remaining } => assert!(remaining > Duration::ZERO && remaining <= ttl),
        }
    }
    assert_eq!(holders, 1);
    hold(&*stores.other, &fresh_digest()).await;
}

pub(in crate::store) async fn a_lease_that_ran_out_goes_to_the_next_and_the_late_holder_changes_nothing(
    stores: &Stores,
) {
    let digest = fresh_digest();
    let marker = pending_for(60_000);
    stores.one.mark_pending(&digest, marker).await.unwrap();
    let late = hold_for(&*stores.one, &digest, SHORT).await;
    let next =
        eventually("a free lease", async || match stores.other.acquire(&digest, LONG).await.unwrap() {
            Acquired::Held(lease) => Some(lease),
            Acquired::Busy { remaining } => {
                assert!(remaining <= SHORT, "{remaining:?}");
                None
            }
        })
        .await;
    assert!(next.fence > late.fence, "{} after {}", next.fence, late.fence);

    let report = sample::report(&digest);
    let verdict = [sample::verdict(&report, "default", Outcome::Pass)];
    let lost = stores.one.store(&report, &verdict, &late).await;
    assert!(matches!(&lost, Err(StoreError::LeaseLost(whose)) if *whose == digest), "{lost:?}");
    assert_eq!(known(&*stores.one, &digest, "default").await, Lookup::Pending(marker));
    assert_eq!(stores.one.report(&digest).await.unwrap(), None);
    let lost = stores.one.renew(&late, LONG).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
    stores.one.release(late).await.unwrap();

    stores.other.renew(&next, LONG).await.expect("the late holder took nothing away");
    stores.other.store(&report, &verdict, &next).await.unwrap();
    assert_eq!(verdict_of(&*stores.one, &digest, "default").await, verdict[0]);
}

pub(in crate::store) async fn renewing_holds_a_lease_for_longer(stores: &Stores) {
    let digest = fresh_digest();
    let lease = hold_for(&*stores.one, &digest, Duration::from_secs(5)).await;
    stores.one.renew(&lease, Duration::from_secs(3600)).await.unwrap();
    match stores.other.acquire(&digest, LONG).await.unwrap() {
        Acquired::Busy { remaining } => assert!(remaining > Duration::from_secs(60), "{remaining:?}"),
        Acquired::Held(_) => panic!("it is held"),
    }
}

pub(in crate::store) async fn a_lease_that_was_given_back_is_free_at_once(stores: &Stores) {
    let digest = fresh_digest();
    let first = hold(&*stores.one, &digest).await;
    let fence = first.fence;
    stores.one.release(first).await.unwrap();
    let second = hold(&*stores.other, &digest).await;
    assert!(second.fence > fence);
}

pub(in crate::store) async fn a_lease_is_worth_nothing_for_another_digest(stores: &Stores) {
    let (mine, theirs) = (fresh_digest(), fresh_digest());
    let lease = hold(&*stores.one, &mine).await;
    let _held = hold(&*stores.other, &theirs).await;
    let report = sample::report(&theirs);
    let verdict = sample::verdict(&report, "default", Outcome::Pass);
    let lost = stores.one.store(&report, &[verdict], &lease).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
    assert_eq!(known(&*stores.one, &theirs, "default").await, Lookup::Unknown);
}

/// It ran out, but the work is done and nobody else has begun: throwing it away would help nobody.
pub(in crate::store) async fn a_holder_that_nobody_replaced_may_still_store(stores: &Stores) {
    let digest = fresh_digest();
    let lease = hold_for(&*stores.one, &digest, Duration::from_millis(1)).await;
    let report = sample::report(&digest);
    let verdict = [sample::verdict(&report, "default", Outcome::Pass)];
    tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>())
        .await
        .expect_err("time passes");
    stores.one.store(&report, &verdict, &lease).await.unwrap();
    stores.one.renew(&lease, LONG).await.unwrap();
    assert!(matches!(stores.other.acquire(&digest, LONG).await, Ok(Acquired::Busy { .. })));
}
