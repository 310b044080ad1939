//! What is known of layers: by layer and revision, bounded.

use super::{Stores, fresh_digest};
use crate::model::report::Revision;
use crate::store::{LARGEST_LAYER, StoreError};

pub(in crate::store) async fn a_layer_is_known_to_everybody_under_its_revision_only(stores: &Stores) {
    let (layer, revision) = (fresh_digest(), Revision::new("r1"));
    assert_eq!(stores.one.load_layer(&layer, &revision).await.unwrap(), None);
    stores.one.save_layer(&layer, &revision, b"\x00\xff").await.unwrap();
    assert_eq!(stores.other.load_layer(&layer, &revision).await.unwrap(), Some(b"\x00\xff".to_vec()));
    assert_eq!(stores.other.load_layer(&layer, &Revision::new("r2")).await.unwrap(), None);
    assert_eq!(stores.other.load_layer(&fresh_digest(), &revision).await.unwrap(), None);

    stores.other.save_layer(&layer, &revision, b"again").await.unwrap();
    stores.other.save_layer(&layer, &Revision::new("r2"), b"").await.unwrap();
    assert_eq!(stores.one.load_layer(&layer, &revision).await.unwrap(), Some(b"again".to_vec()));
    assert_eq!(stores.one.load_layer(&layer, &Revision::new("r2")).await.unwrap(), Some(Vec::new()));
}

pub(in crate::store) async fn more_than_may_be_known_of_a_layer_is_refused(stores: &Stores) {
    let (layer, revision) = (fresh_digest(), Revision::new("r"));
    let mut bytes = vec![7; LARGEST_LAYER];
    stores.one.save_layer(&layer, &revision, &bytes).await.unwrap();
    assert_eq!(stores.other.load_layer(&layer, &revision).await.unwrap(), Some(bytes.clone()));
    bytes.push(7);
    let refused = stores.one.save_layer(&layer, &revision, &bytes).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}
