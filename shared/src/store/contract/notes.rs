//! Promises about notes.

use std::time::Duration;

use futures_util::future::join_all;

use super::{LONG, Stores, eventually};
use crate::store::{NoteName, StoreError};

/// A name that no other test uses.
fn fresh_name() -> NoteName {
    NoteName::new("test", &uuid::Uuid::now_v7().to_string())
}

pub(in crate::store) async fn a_note_is_read_by_everybody_until_it_is_forgotten(stores: &Stores) {
    let name = fresh_name();
    assert_eq!(stores.one.read(&name).await.unwrap(), None);
    stores.one.keep(&name, b"first", LONG).await.unwrap();
    assert_eq!(stores.other.read(&name).await.unwrap(), Some(b"first".to_vec()));
    stores.other.keep(&name, b"\x00\xff", LONG).await.unwrap();
    assert_eq!(stores.one.read(&name).await.unwrap(), Some(b"\x00\xff".to_vec()), "any bytes");
    stores.one.keep(&name, b"", LONG).await.unwrap();
    assert_eq!(stores.one.read(&name).await.unwrap(), Some(Vec::new()), "even none");
    assert_eq!(stores.one.read(&fresh_name()).await.unwrap(), None);

    stores.one.forget(&name).await.unwrap();
    assert_eq!(stores.other.read(&name).await.unwrap(), None);
    stores.one.forget(&name).await.unwrap();
}

pub(in crate::store) async fn one_of_many_claims_a_note(stores: &Stores) {
    let name = fresh_name();
    let claims = (0..32_u8).map(|number| {
        let (store, name) = (if number % 2 == 0 { &stores.one } else { &stores.other }, &name);
        // Several with the same value: a claim is its claimant's, whatever it says.
        async move { store.claim(name, &[number / 4], LONG).await.map(|got| (number / 4, got)) }
    });
    let claimed: Vec<(u8, bool)> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<u8> = claimed.into_iter().filter_map(|(value, got)| got.then_some(value)).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(stores.other.read(&name).await.unwrap(), Some(winners.clone()));

    assert!(!stores.one.claim(&name, &winners, LONG).await.unwrap(), "a later claim is another one");
    stores.one.forget(&name).await.unwrap();
    assert!(stores.other.claim(&name, b"next", LONG).await.unwrap());
}

pub(in crate::store) async fn a_note_ends_by_itself(stores: &Stores) {
    let (kept, claimed, shortened) = (fresh_name(), fresh_name(), fresh_name());
    let short = Duration::from_millis(200);
    stores.one.keep(&kept, b"kept", short).await.unwrap();
    assert!(stores.one.claim(&claimed, b"claimed", short).await.unwrap());
    stores.one.keep(&shortened, b"long", LONG).await.unwrap();
    stores.one.keep(&shortened, b"short", short).await.unwrap();
    for name in [&kept, &claimed, &shortened] {
        eventually("the end of a note", async || {
            stores.other.read(name).await.unwrap().is_none().then_some(())
        })
        .await;
        assert!(stores.other.claim(name, b"next", LONG).await.unwrap());
        assert_eq!(stores.one.read(name).await.unwrap(), Some(b"next".to_vec()));
    }
}

pub(in crate::store) async fn a_note_that_is_no_note_is_refused(stores: &Stores) {
    let name = fresh_name();
    let largest = vec![7; NoteName::LARGEST_VALUE];
    stores.one.keep(&name, &largest, LONG).await.unwrap();
    assert_eq!(stores.other.read(&name).await.unwrap(), Some(largest.clone()));
    let larger = [&largest[..], &[7]].concat();
    let kept = stores.one.keep(&name, &larger, LONG).await;
    assert!(matches!(kept, Err(StoreError::TooLarge { .. })), "{kept:?}");
    let claimed = stores.one.claim(&fresh_name(), &larger, LONG).await;
    assert!(matches!(claimed, Err(StoreError::TooLarge { .. })), "{claimed:?}");
}
