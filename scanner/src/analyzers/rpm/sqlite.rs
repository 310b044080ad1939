//! `rpmdb.sqlite`: the header blobs of its table `Packages`, read from the bytes without SQL.
//!
//! rpm declares `Packages(hnum INTEGER PRIMARY KEY, blob BLOB)` and beside it `Name`, with one row for the
//! name of every header. The latter is counted, so that rows which went missing do not go unnoticed.

use super::Headers;
use crate::analyzers::sqlite::{Btrees, SqliteDamage, column, tables};

/// Delivers the header blob of every row of `Packages`.
pub(super) fn read(content: &[u8], headers: &mut Headers<'_, '_>) {
    let mut btrees = match Btrees::open(content) {
        Ok(btrees) => btrees,
        Err(damage) => return headers.damage(damage),
    };
    if let Err(damage) = btrees.is_complete() {
        headers.damage(damage);
    }
    let [packages, names] = tables(&mut btrees, ["Packages", "Name"], &mut |damage| headers.damage(damage));
    let Some(packages) = packages else {
        return headers.damage(SqliteDamage::NoTable);
    };
    btrees.rows(packages.root, &mut |row| {
        match row.and_then(|row| column(&row, 1).map(|column| headers.blob(column.bytes))) {
            Ok(()) => {}
            Err(damage) => headers.damage(damage),
        }
        headers.is_full()
    });
    if let Some(names) = names.filter(|_| !headers.is_full()) {
        compare_with_names(&mut btrees, names.root, headers);
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
        let count = headers.count;
        headers.damage(format_args!("it has {count} headers and {names} names of packages"));
    }
}
