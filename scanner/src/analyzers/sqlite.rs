//! SQLite files without SQL: the rows of tables out of bytes, for package databases that are kept so.
//!
//! Reading order: `btree` (pages → rows), `record` (row → values), `wal` (what was committed but not yet
//! written into the file). Format: SQLite, "Database File Format".

mod btree;
mod record;
pub mod wal;

pub(in crate::analyzers) use btree::{Btrees, SqliteDamage};
pub(in crate::analyzers) use record::column;

/// A table.
#[derive(Clone, Copy, Debug)]
pub(in crate::analyzers) struct Table {
    /// The page in which its rows begin.
    pub(in crate::analyzers) root: u32,
}

/// The tables of these names, out of the schema, whose b-tree begins in page 1. Damage goes to `report`.
///
/// A row of the schema is type, name, name of the table, root page, SQL.
pub(in crate::analyzers) fn tables<const N: usize>(
    btrees: &mut Btrees<'_>,
    names: [&str; N],
    report: &mut dyn FnMut(SqliteDamage),
) -> [Option<Table>; N] {
    let mut tables = [None; N];
    btrees.rows(1, &mut |row| {
        match row.and_then(|row| enter(&row, &names, &mut tables)) {
            Ok(()) => {}
            Err(damage) => report(damage),
        }
        false
    });
    tables
}

fn enter(row: &[u8], names: &[&str], tables: &mut [Option<Table>]) -> Result<(), SqliteDamage> {
    if column(row, 0)?.bytes != b"table" {
        return Ok(());
    }
    let name = column(row, 1)?.bytes;
    let Some(index) = names.iter().position(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes())) else {
        return Ok(());
    };
    match tables[index].replace(Table { root: column(row, 3)?.page()? }) {
        Some(_) => Err(SqliteDamage::TableTwice),
        None => Ok(()),
    }
}
