//! Pending markers in the file, and the order in which they expire.
//!
//! Besides the markers by digest there is a table ordered by expiry: those that ran out stay until somebody has dealt
//! with their digests, and are found there without looking for them.

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::model::digest::Digest;
use crate::model::verdict::Pending;
use crate::store::record;

/// Digest → marker.
pub(super) const PENDING: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pending");
/// `until` in milliseconds, big-endian, and digest → digest.
pub(super) const EXPIRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pending-expiries");

/// The marker of a digest, if it has not run out.
pub(super) fn decode(bytes: &[u8], now: Timestamp) -> Result<Option<Pending>, record::RecordError> {
    record::decode_pending(bytes).map(|pending| (now < pending.until).then_some(pending))
}

/// Writes a marker, or extends the one that is there.
pub(super) fn mark(
    transaction: &WriteTransaction,
    digest: &Digest,
    pending: Pending,
    now: Timestamp,
) -> Result<(), redb::Error> {
    let mut markers = transaction.open_table(PENDING)?;
    let mut expiries = transaction.open_table(EXPIRIES)?;
    let earlier =
        markers.get(digest.as_str().as_bytes())?.and_then(|bytes| record::decode_pending(bytes.value()).ok());
    let mut marker = pending;
    if let Some(earlier) = earlier {
        expiries.remove(expiry_key(earlier.until, digest).as_slice())?;
        if now < earlier.until {
            marker = Pending { since: earlier.since, until: earlier.until.max(pending.until) };
        }
    }
    let name = digest.as_str().as_bytes();
    markers.insert(name, record::encode_pending(marker).as_slice())?;
    expiries.insert(expiry_key(marker.until, digest).as_slice(), name)?;
    Ok(())
}

/// Removes the marker of a digest.
pub(super) fn clear(transaction: &WriteTransaction, digest: &Digest) -> Result<(), redb::Error> {
    let mut markers = transaction.open_table(PENDING)?;
    let Some(bytes) = markers.remove(digest.as_str().as_bytes())? else {
        return Ok(());
    };
    if let Ok(pending) = record::decode_pending(bytes.value()) {
        let mut expiries = transaction.open_table(EXPIRIES)?;
        expiries.remove(expiry_key(pending.until, digest).as_slice())?;
    }
    Ok(())
}

/// The digests whose markers ran out before `now`, the longest first, at most `limit`.
pub(super) fn overdue(
    transaction: &ReadTransaction,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Digest>, redb::Error> {
    let expiries = transaction.open_table(EXPIRIES)?;
    let mut digests = Vec::new();
    for entry in expiries.range::<&[u8]>(..milliseconds(now).as_slice())?.take(limit) {
        let (_, name) = entry?;
        digests.extend(std::str::from_utf8(name.value()).ok().and_then(|text| text.parse::<Digest>().ok()));
    }
    Ok(digests)
}

fn expiry_key(until: Timestamp, digest: &Digest) -> Vec<u8> {
    let mut key = milliseconds(until).to_vec();
    key.extend_from_slice(digest.as_str().as_bytes());
    key
}

/// Sorts as the times do; before 1970 everything had already expired.
fn milliseconds(time: Timestamp) -> [u8; 8] {
    u64::try_from(time.as_millisecond()).unwrap_or(0).to_be_bytes()
}
