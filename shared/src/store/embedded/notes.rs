//! Notes in the file, and the order in which they expire, as `pending` does it.

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use crate::store::NoteName;

/// Name → when it expires in milliseconds, big-endian, then the value.
pub(super) const NOTES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("notes");
/// When it expires in milliseconds, big-endian, and name → name.
pub(super) const EXPIRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("note-expiries");

/// How many expired notes a new one takes along: more than one, so that they cannot pile up.
const TAKEN_ALONG: usize = 8;

/// What is kept under a name now.
pub(super) fn read(
    transaction: &ReadTransaction,
    name: &NoteName,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, redb::Error> {
    let notes = transaction.open_table(NOTES)?;
    let kept = notes.get(name.as_str().as_bytes())?;
    Ok(kept.and_then(|bytes| alive(bytes.value(), now).map(<[u8]>::to_vec)))
}

/// Keeps a value in the place of what was there.
pub(super) fn keep(
    transaction: &WriteTransaction,
    name: &NoteName,
    value: &[u8],
    until: Timestamp,
    now: Timestamp,
) -> Result<(), redb::Error> {
    remove_expired(transaction, now)?;
    forget(transaction, name)?;
    let until = milliseconds(until);
    let name = name.as_str().as_bytes();
    transaction.open_table(NOTES)?.insert(name, [&until[..], value].concat().as_slice())?;
    transaction.open_table(EXPIRIES)?.insert([&until[..], name].concat().as_slice(), name)?;
    Ok(())
}

/// Keeps a value only where nothing is kept; answers whether it was.
pub(super) fn claim(
    transaction: &WriteTransaction,
    name: &NoteName,
    value: &[u8],
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, redb::Error> {
    let taken = {
        let notes = transaction.open_table(NOTES)?;
        let kept = notes.get(name.as_str().as_bytes())?;
        kept.is_some_and(|bytes| alive(bytes.value(), now).is_some())
    };
    if !taken {
        keep(transaction, name, value, until, now)?;
    }
    Ok(!taken)
}

/// Forgets what is kept under a name.
pub(super) fn forget(transaction: &WriteTransaction, name: &NoteName) -> Result<(), redb::Error> {
    let name = name.as_str().as_bytes();
    let mut notes = transaction.open_table(NOTES)?;
    let Some(bytes) = notes.remove(name)? else { return Ok(()) };
    if let Some((until, _)) = bytes.value().split_first_chunk::<8>() {
        transaction.open_table(EXPIRIES)?.remove([&until[..], name].concat().as_slice())?;
    }
    Ok(())
}

/// The value of a note whose time is not over.
fn alive(bytes: &[u8], now: Timestamp) -> Option<&[u8]> {
    let (until, value) = bytes.split_first_chunk::<8>()?;
    (milliseconds(now) < *until).then_some(value)
}

fn remove_expired(transaction: &WriteTransaction, now: Timestamp) -> Result<(), redb::Error> {
    let mut notes = transaction.open_table(NOTES)?;
    let mut expiries = transaction.open_table(EXPIRIES)?;
    for _ in 0..TAKEN_ALONG {
        let Some((key, name)) =
            expiries.first()?.map(|(key, name)| (key.value().to_vec(), name.value().to_vec()))
        else {
            break;
        };
        if key.as_slice() >= milliseconds(now).as_slice() {
            break;
        }
        expiries.remove(key.as_slice())?;
        notes.remove(name.as_slice())?;
    }
    Ok(())
}

/// Sorts as the times do; before 1970 everything had already expired.
fn milliseconds(time: Timestamp) -> [u8; 8] {
    u64::try_from(time.as_millisecond()).unwrap_or(0).to_be_bytes()
}
