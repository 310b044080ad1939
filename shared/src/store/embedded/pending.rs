//! Pending markers in the file, and the order in which they expire.
//!
//! Besides the markers by digest there is a table ordered by expiry, so that whoever writes a marker can
//! remove a few that ran out without looking for them.

use jiff::Timestamp;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use crate::model::digest::Digest;
use crate::model::verdict::Pending;
use crate::store::record;

/// Digest → marker.
pub(super) const PENDING: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pending");
/// `until` in milliseconds, big-endian, and digest → digest.
pub(super) const EXPIRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pending-expiries");

/// How many expired markers a new one takes along: more than one, so that they cannot pile up.
const TAKEN_ALONG: usize = 8;

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
    remove_expired(transaction, now)?;
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

/// Removes some of the markers that ran out.
fn remove_expired(transaction: &WriteTransaction, now: Timestamp) -> Result<(), redb::Error> {
    let mut markers = transaction.open_table(PENDING)?;
    let mut expiries = transaction.open_table(EXPIRIES)?;
    for _ in 0..TAKEN_ALONG {
        let Some((key, digest)) =
            expiries.first()?.map(|(key, digest)| (key.value().to_vec(), digest.value().to_vec()))
        else {
            break;
        };
        if key.as_slice() >= milliseconds(now).as_slice() {
            break;
        }
        expiries.remove(key.as_slice())?;
        markers.remove(digest.as_slice())?;
    }
    Ok(())
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
