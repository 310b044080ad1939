//! What became of verdicts, in the file: by digest, and the feed of all.

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata as _, TableDefinition, WriteTransaction};

use crate::model::change::{Change, ChangeId, Recorded};
use crate::model::digest::Digest;
use crate::store::record::{self, LONGEST_FEED, MOST_CHANGES};

/// Digest, 0, place of the change → change.
pub(super) const HISTORY: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("history");
/// Digest → place of the last change that was announced.
pub(super) const ANNOUNCED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("announced");
/// Place in the feed → change.
pub(super) const FEED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("feed");

const LAST_PLACE: ChangeId = ChangeId::new(u64::MAX, u64::MAX);

/// Appends changes of one digest; the oldest make room.
pub(super) fn record(
    transaction: &WriteTransaction,
    digest: &Digest,
    changes: &[Change],
) -> Result<(), redb::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(HISTORY)?;
    let (first, end) = (key(digest, ChangeId::default()), key(digest, LAST_PLACE));
    let whole = || first.as_slice()..=end.as_slice();
    let newest = table.range::<&[u8]>(whole())?.next_back().transpose()?;
    let mut id = newest.and_then(|(key, _)| place(key.value())).unwrap_or_default();
    for change in changes {
        id = id.next(Timestamp::now());
        table.insert(key(digest, id).as_slice(), record::encode_change(change).as_slice())?;
    }
    let surplus = table.range::<&[u8]>(whole())?.count().saturating_sub(MOST_CHANGES);
    let oldest = table.range::<&[u8]>(whole())?.take(surplus);
    let oldest = oldest.map(|entry| Ok(entry?.0.value().to_vec()));
    for key in oldest.collect::<Result<Vec<_>, redb::Error>>()? {
        table.remove(key.as_slice())?;
    }
    Ok(())
}

/// The newest changes of a digest, newest first.
pub(super) fn newest(
    transaction: &ReadTransaction,
    digest: &Digest,
    limit: usize,
) -> Result<Vec<Recorded>, redb::Error> {
    let table = transaction.open_table(HISTORY)?;
    let (first, end) = (key(digest, ChangeId::default()), key(digest, LAST_PLACE));
    let entries = table.range::<&[u8]>(first.as_slice()..=end.as_slice())?.rev().take(limit);
    let mut found = Vec::new();
    for entry in entries {
        let (key, bytes) = entry?;
        found.extend(recorded(key.value(), bytes.value()));
    }
    Ok(found)
}

/// The changes of a digest after the last one that was announced, oldest first.
pub(super) fn unannounced(
    transaction: &ReadTransaction,
    digest: &Digest,
    limit: usize,
) -> Result<Vec<Recorded>, redb::Error> {
    let last = transaction.open_table(ANNOUNCED)?.get(digest.as_str().as_bytes())?;
    let last = last.and_then(|bytes| place(bytes.value())).unwrap_or_default();
    after(&transaction.open_table(HISTORY)?, &key(digest, last), &key(digest, LAST_PLACE), limit)
}

/// Appends changes to the feed, and remembers for their digests up to where they were announced.
pub(super) fn announce(
    transaction: &WriteTransaction,
    changes: &[Recorded],
    now: Timestamp,
) -> Result<(), redb::Error> {
    let mut feed = transaction.open_table(FEED)?;
    let mut announced = transaction.open_table(ANNOUNCED)?;
    for Recorded { id, change } in changes {
        let place_in_feed = end_of(&feed)?.unwrap_or_default().next(now);
        feed.insert(&place_in_feed.to_bytes()[..], record::encode_change(change).as_slice())?;
        let name = change.digest.as_str().as_bytes();
        let before = announced.get(name)?.and_then(|bytes| place(bytes.value()));
        if before.is_none_or(|before| before < *id) {
            announced.insert(name, &id.to_bytes()[..])?;
        }
    }
    while feed.len()? > LONGEST_FEED as u64 {
        feed.pop_first()?;
    }
    Ok(())
}

/// What the feed has after a place.
pub(super) fn feed_after(
    transaction: &ReadTransaction,
    after_place: Option<ChangeId>,
    limit: usize,
) -> Result<Vec<Recorded>, redb::Error> {
    let start = after_place.unwrap_or_default().to_bytes();
    after(&transaction.open_table(FEED)?, &start, &LAST_PLACE.to_bytes(), limit)
}

/// The place of the newest change in the feed.
pub(super) fn feed_end(transaction: &ReadTransaction) -> Result<Option<ChangeId>, redb::Error> {
    end_of(&transaction.open_table(FEED)?)
}

fn end_of(feed: &impl ReadableTable<&'static [u8], &'static [u8]>) -> Result<Option<ChangeId>, redb::Error> {
    Ok(feed.last()?.and_then(|(key, _)| place(key.value())))
}

fn after(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    start: &[u8],
    end: &[u8],
    limit: usize,
) -> Result<Vec<Recorded>, redb::Error> {
    use std::ops::Bound::{Excluded, Included};
    let mut found = Vec::new();
    for entry in table.range::<&[u8]>((Excluded(start), Included(end)))?.take(limit) {
        let (key, bytes) = entry?;
        found.extend(recorded(key.value(), bytes.value()));
    }
    Ok(found)
}

/// `None` for what no build of ours wrote.
fn recorded(key: &[u8], bytes: &[u8]) -> Option<Recorded> {
    Some(Recorded { id: place(key)?, change: record::decode_change(bytes).ok()? })
}

/// The place that a key or value ends with.
fn place(bytes: &[u8]) -> Option<ChangeId> {
    bytes.last_chunk::<16>().map(|bytes| ChangeId::from_bytes(*bytes))
}

fn key(digest: &Digest, id: ChangeId) -> Vec<u8> {
    [digest.as_str().as_bytes(), &[0], &id.to_bytes()].concat()
}
