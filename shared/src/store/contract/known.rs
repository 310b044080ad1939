//! Promises about paging through everything that is known.

use std::collections::BTreeSet;

use super::{Stores, fresh_digest, know, pending_for};
use crate::model::digest::Digest;

/// Pages through everything, with something to do after each page.
async fn pages(stores: &Stores, limit: usize, mut between: impl AsyncFnMut()) -> Vec<Digest> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = stores.other.known_after(after.as_ref(), limit).await.unwrap();
        assert!(page.digests.len() <= limit);
        all.extend(page.digests);
        between().await;
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

pub(in crate::store) async fn every_digest_with_a_report_is_on_one_page(stores: &Stores) {
    let mut expected = BTreeSet::new();
    for _ in 0..40 {
        let digest = fresh_digest();
        know(&*stores.one, &digest, &["default"]).await;
        know(&*stores.one, &digest, &["default"]).await;
        expected.insert(digest);
    }
    let waiting = fresh_digest();
    stores.one.mark_pending(&waiting, pending_for(60_000)).await.unwrap();
    for limit in [1, 7, 40, 1000] {
        let all = pages(stores, limit, async || {}).await;
        let ours: Vec<&Digest> = all.iter().filter(|digest| expected.contains(*digest)).collect();
        assert_eq!(ours.len(), expected.len(), "each once, by {limit}");
        assert!(!all.contains(&waiting), "it has no report yet");
    }
    stores.one.known_after(None, 0).await.unwrap();
}

pub(in crate::store) async fn whatever_is_stored_meanwhile_skips_nothing(stores: &Stores) {
    let mut before = BTreeSet::new();
    for _ in 0..30 {
        let digest = fresh_digest();
        know(&*stores.one, &digest, &["default"]).await;
        before.insert(digest);
    }
    let all = pages(stores, 3, async || {
        know(&*stores.one, &fresh_digest(), &["default"]).await;
    })
    .await;
    let found: BTreeSet<Digest> = all.into_iter().collect();
    assert!(found.is_superset(&before));
}
