//! Parts of reports in the file, each once, and how many reports need it: with the last one it goes.

use std::collections::BTreeSet;

use redb::{ReadTransaction, ReadableTable as _, Table, TableDefinition, WriteTransaction};

use crate::model::digest::Digest;
use crate::store::record::report::Part;

/// Digest of its JSON → part, as `record` describes it.
pub(super) const PARTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("parts");
/// Digest → how many reports need it, big-endian.
pub(super) const USES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("part-uses");

/// The parts in the order of their names, up to the first that is not there.
pub(super) fn read(transaction: &ReadTransaction, names: &[Digest]) -> Result<Vec<Vec<u8>>, redb::Error> {
    let table = transaction.open_table(PARTS)?;
    let mut parts = Vec::with_capacity(names.len());
    for name in names {
        let Some(part) = table.get(name.as_str().as_bytes())? else { break };
        parts.push(part.value().to_vec());
    }
    Ok(parts)
}

/// One report no longer needs `before`, but `now`.
pub(super) fn replace(
    transaction: &WriteTransaction,
    before: &[Digest],
    now: &[Part],
) -> Result<(), redb::Error> {
    let mut parts = transaction.open_table(PARTS)?;
    let mut uses = transaction.open_table(USES)?;
    let before: BTreeSet<&Digest> = before.iter().collect();
    let after: BTreeSet<&Digest> = now.iter().map(|part| &part.name).collect();
    for name in after.difference(&before) {
        let key = name.as_str().as_bytes();
        let more = count(&uses, key)? + 1;
        uses.insert(key, more.to_be_bytes().as_slice())?;
    }
    for part in now {
        let key = part.name.as_str().as_bytes();
        if parts.get(key)?.is_none() {
            parts.insert(key, part.compressed()?.as_slice())?;
        }
    }
    for name in before.difference(&after) {
        let key = name.as_str().as_bytes();
        let left = count(&uses, key)?.saturating_sub(1);
        if left > 0 {
            uses.insert(key, left.to_be_bytes().as_slice())?;
        } else {
            uses.remove(key)?;
            parts.remove(key)?;
        }
    }
    Ok(())
}

fn count(uses: &Table<'_, &[u8], &[u8]>, key: &[u8]) -> Result<u64, redb::Error> {
    let stored = uses.get(key)?;
    let bytes = stored.and_then(|bytes| bytes.value().try_into().ok());
    Ok(bytes.map_or(0, u64::from_be_bytes))
}
