//! What differs between two databases: the packages whose judgement could change.

use super::{Database, DatabaseError};
use crate::advisories::tables;

/// What must be judged again when one database takes the place of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPackages {
    /// Ecosystem and package, sorted: a record about it is new, changed or gone, or its rating changed.
    pub packages: Vec<(String, String)>,
    /// Ecosystems that came or went, sorted: coverage changed.
    pub ecosystems: Vec<String>,
}

/// Walks both tables side by side and compares fingerprints; nothing is inflated.
pub(super) fn between(older: &Database, newer: &Database) -> Result<ChangedPackages, DatabaseError> {
    let mut changed = ChangedPackages::default();
    if older.revision() == newer.revision() {
        return Ok(changed);
    }
    let mut before = Rows::new(older)?;
    let mut after = Rows::new(newer)?;
    let (mut old, mut new) = (before.next()?, after.next()?);
    loop {
        let (step_old, step_new) = match (&old, &new) {
            (None, None) => break,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(old), Some(new)) => (old.0 <= new.0, new.0 <= old.0),
        };
        if !(step_old && step_new) || old != new {
            let row = if step_old { &old } else { &new };
            let package = row.as_ref().and_then(|(key, _)| split(key));
            changed.packages.extend(package);
        }
        if step_old {
            old = before.next()?;
        }
        if step_new {
            new = after.next()?;
        }
    }
    let came = newer.ecosystems().iter().filter(|row| !older.has_ecosystem(&row.name));
    let went = older.ecosystems().iter().filter(|row| !newer.has_ecosystem(&row.name));
    changed.ecosystems = came.chain(went).map(|row| row.name.clone()).collect();
    changed.ecosystems.sort_unstable();
    Ok(changed)
}

/// A key and its fingerprint.
type Row = (Vec<u8>, Vec<u8>);

/// Keys with their fingerprints, in order.
struct Rows<'d> {
    database: &'d Database,
    rows: redb::Range<'static, &'static [u8], &'static [u8]>,
}

impl<'d> Rows<'d> {
    fn new(database: &'d Database) -> Result<Self, DatabaseError> {
        let table = database.reader()?.table(&tables::AFFECTED)?;
        let rows = table.range::<&[u8]>(..).map_err(|error| database.opened.read_error(error))?;
        Ok(Self { database, rows })
    }

    fn next(&mut self) -> Result<Option<Row>, DatabaseError> {
        let Some(row) = self.rows.next() else {
            return Ok(None);
        };
        let (key, value) = row.map_err(|error| self.database.opened.read_error(error))?;
        let value = value.value();
        let fingerprint = value[..tables::FINGERPRINT_BYTES.min(value.len())].to_vec();
        Ok(Some((key.value().to_vec(), fingerprint)))
    }
}

fn split(key: &[u8]) -> Option<(String, String)> {
    let (ecosystem, package) = std::str::from_utf8(key).ok()?.split_once('\0')?;
    Some((ecosystem.to_owned(), package.to_owned()))
}
