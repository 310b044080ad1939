//! What layers contain, in the file, and the order in which it is forgotten.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::EmbeddedStore;
use crate::model::digest::Digest;
use crate::model::report::Revision;
use crate::store::measure::Backend;
use crate::store::{Layers, StoreError, check_layer};

/// Layer, 0, revision → when it is forgotten in milliseconds, big-endian, then the bytes.
pub(super) const LAYERS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("layers");
/// When it is forgotten in milliseconds, big-endian, and the key → the key.
pub(super) const EXPIRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("layer-expiries");

/// How long a layer is kept after it was last of use.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// A use is written down only if so much of that is over: reading stays reading.
const WRITTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How many forgotten layers a new one takes along: more than one, so that they cannot pile up.
const TAKEN_ALONG: usize = 8;

#[async_trait]
impl Layers for EmbeddedStore {
    async fn load_layer(&self, layer: &Digest, revision: &Revision) -> Result<Option<Vec<u8>>, StoreError> {
        let loaded = async {
            let wanted = key(layer, revision);
            let now = Timestamp::now();
            let name = wanted.clone();
            let found = self.read(move |file| file.read(|transaction| load(transaction, &name, now))).await?;
            let Some((until, bytes)) = found else { return Ok(None) };
            if until < milliseconds(after(now, KEPT - WRITTEN_AFTER)) {
                let kept = bytes.clone();
                self.write(move |file| {
                    file.write(|transaction| save(transaction, &wanted, &kept, after(now, KEPT), now))
                })
                .await?;
            }
            Ok(Some(bytes))
        };
        Backend::Embedded.measured("load_layer", loaded).await
    }

    async fn save_layer(&self, layer: &Digest, revision: &Revision, bytes: &[u8]) -> Result<(), StoreError> {
        let saved = async {
            check_layer(bytes, self.file.place())?;
            let (key, bytes) = (key(layer, revision), bytes.to_vec());
            self.write(move |file| {
                let now = Timestamp::now();
                file.write(|transaction| save(transaction, &key, &bytes, after(now, KEPT), now))
            })
            .await
        };
        Backend::Embedded.measured("save_layer", saved).await
    }
}

fn key(layer: &Digest, revision: &Revision) -> Vec<u8> {
    [layer.as_str().as_bytes(), &[0], revision.as_str().as_bytes()].concat()
}

/// Until when, and what.
type Stored = ([u8; 8], Vec<u8>);

/// What is kept under a key now.
fn load(transaction: &ReadTransaction, key: &[u8], now: Timestamp) -> Result<Option<Stored>, redb::Error> {
    let layers = transaction.open_table(LAYERS)?;
    let Some(stored) = layers.get(key)? else { return Ok(None) };
    let Some((until, bytes)) = stored.value().split_first_chunk::<8>() else { return Ok(None) };
    Ok((milliseconds(now) < *until).then(|| (*until, bytes.to_vec())))
}

fn save(
    transaction: &WriteTransaction,
    key: &[u8],
    bytes: &[u8],
    until: Timestamp,
    now: Timestamp,
) -> Result<(), redb::Error> {
    let mut layers = transaction.open_table(LAYERS)?;
    let mut expiries = transaction.open_table(EXPIRIES)?;
    for _ in 0..TAKEN_ALONG {
        let first = expiries.first()?.map(|(order, key)| (order.value().to_vec(), key.value().to_vec()));
        match first {
            Some((order, forgotten)) if order.as_slice() < milliseconds(now).as_slice() => {
                expiries.remove(order.as_slice())?;
                layers.remove(forgotten.as_slice())?;
            }
            Some(_) | None => break,
        }
    }
    let until = milliseconds(until);
    let before = layers.insert(key, [&until[..], bytes].concat().as_slice())?;
    let before = before.and_then(|stored| stored.value().first_chunk::<8>().copied());
    if let Some(before) = before {
        expiries.remove([&before[..], key].concat().as_slice())?;
    }
    expiries.insert([&until[..], key].concat().as_slice(), key)?;
    Ok(())
}

/// Sorts as the times do; before 1970 everything had already been forgotten.
fn milliseconds(time: Timestamp) -> [u8; 8] {
    u64::try_from(time.as_millisecond()).unwrap_or(0).to_be_bytes()
}

fn after(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_layer_that_is_of_no_use_is_forgotten_and_one_that_is_used_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&folder.path().join("store")).unwrap();
        let (revision, start) = (Revision::new("r"), Timestamp::now());
        let [old, used, new] = [&b"old"[..], b"used", b"new"].map(Digest::of);
        let put = |layer: &Digest, bytes: &'static [u8], until, now| {
            let key = key(layer, &revision);
            store.file.write(|transaction| save(transaction, &key, bytes, until, now)).unwrap();
        };
        put(&old, b"old", after(start, Duration::from_secs(60)), start);
        put(&used, b"used", after(start, Duration::from_secs(60)), start);
        assert_eq!(store.load_layer(&used, &revision).await.unwrap(), Some(b"used".to_vec()));
        let later = after(start, Duration::from_secs(120));
        put(&new, b"new", after(later, KEPT), later);
        assert_eq!(store.load_layer(&old, &revision).await.unwrap(), None);
        assert_eq!(store.load_layer(&used, &revision).await.unwrap(), Some(b"used".to_vec()));
        assert_eq!(store.load_layer(&new, &revision).await.unwrap(), Some(b"new".to_vec()));
    }
}
