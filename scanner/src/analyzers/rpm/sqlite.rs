//! `rpmdb.sqlite`: the header blobs of its table `Packages`, read from the bytes without SQL.
//!
//! rpm declares `Packages(hnum INTEGER PRIMARY KEY, blob BLOB)` and beside it `Name`, with one row for the
//! name of every header. The latter is counted, so that rows which went missing do not go unnoticed.

mod btree;
mod record;

use self::btree::{Btrees, SqliteDamage};
use super::Headers;

/// Delivers the header blob of every row of `Packages`.
pub(super) fn read(content: &[u8], headers: &mut Headers<'_, '_>) {
    let mut btrees = match Btrees::open(content) {
        Ok(btrees) => btrees,
        Err(damage) => return headers.damage(damage),
    };
    if let Err(damage) = btrees.is_complete() {
        headers.damage(damage);
    }
    let tables = Tables::find(&mut btrees, headers);
    let Some(packages) = tables.packages else {
        return headers.damage(SqliteDamage::NoTable);
    };
    btrees.rows(packages, &mut |row| {
        match row.and_then(|row| record::column(&row, 1).map(|column| headers.blob(column.bytes))) {
            Ok(()) => {}
            Err(damage) => headers.damage(damage),
        }
        headers.is_full()
    });
    if let Some(names) = tables.names.filter(|_| !headers.is_full()) {
        compare_with_names(&mut btrees, names, headers);
    }
}

/// Where the tables begin.
#[derive(Debug, Default)]
struct Tables {
    packages: Option<u32>,
    names: Option<u32>,
}

impl Tables {
    /// Reads the schema: type, name, table name, root page, SQL; its b-tree begins in page 1.
    fn find(btrees: &mut Btrees<'_>, headers: &mut Headers<'_, '_>) -> Self {
        let mut tables = Self::default();
        btrees.rows(1, &mut |row| {
            match row.and_then(|row| tables.enter(&row)) {
                Ok(()) => {}
                Err(damage) => headers.damage(damage),
            }
            false
        });
        tables
    }

    fn enter(&mut self, row: &[u8]) -> Result<(), SqliteDamage> {
        if record::column(row, 0)?.bytes != b"table" {
            return Ok(());
        }
        let name = record::column(row, 1)?.bytes;
        let root = if name.eq_ignore_ascii_case(b"Packages") {
            &mut self.packages
        } else if name.eq_ignore_ascii_case(b"Name") {
            &mut self.names
        } else {
            return Ok(());
        };
        match root.replace(record::column(row, 3)?.page()?) {
            Some(_) => Err(SqliteDamage::TableTwice),
            None => Ok(()),
        }
    }
}

/// Every header has one name, and rpm keeps one row for it.
fn compare_with_names(btrees: &mut Btrees<'_>, root: u32, headers: &mut Headers<'_, '_>) {
    let mut names = 0_usize;
    btrees.rows(root, &mut |row| {
        match row {
            Ok(_) => names += 1,
            Err(damage) => headers.damage(damage),
        }
        false
    });
    if names != headers.count {
        headers.damage(SqliteDamage::Count { names, headers: headers.count });
    }
}
