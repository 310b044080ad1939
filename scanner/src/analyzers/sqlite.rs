//! SQLite files without SQL: the rows of tables out of bytes, for package databases that are kept so.
//!
//! Reading order: `btree` (pages → rows), `record` (row → values), `wal` (what was committed but not yet
//! written into the file). Format: SQLite, "Database File Format".

mod btree;
mod record;
pub mod wal;

pub(in crate::analyzers) use btree::{Btrees, SqliteDamage};
pub(in crate::analyzers) use record::column;

/// Most of the columns of a table whose names are read.
const MOST_COLUMNS: usize = 256;

/// A table: where its rows begin, and the statement that made it.
#[derive(Debug)]
pub(in crate::analyzers) struct Table {
    /// The page of its root.
    pub(in crate::analyzers) root: u32,
    sql: String,
}

/// The tables of these names, out of the schema, whose b-tree begins in page 1. Damage goes to `report`.
///
/// A row of the schema is type, name, name of the table, root page, SQL.
pub(in crate::analyzers) fn tables<const N: usize>(
    btrees: &mut Btrees<'_>,
    names: [&str; N],
    report: &mut dyn FnMut(SqliteDamage),
) -> [Option<Table>; N] {
    let mut tables = [const { None }; N];
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
    let sql = String::from_utf8_lossy(column(row, 4)?.bytes).into_owned();
    match tables[index].replace(Table { root: column(row, 3)?.page()?, sql }) {
        Some(_) => Err(SqliteDamage::TableTwice),
        None => Ok(()),
    }
}

impl Table {
    /// The position of a column in every row, from the names in `CREATE TABLE name (a TEXT, b TEXT)`.
    pub(in crate::analyzers) fn position(&self, name: &str) -> Result<usize, SqliteDamage> {
        let columns = self.sql.split_once('(').map_or("", |(_, columns)| columns);
        let mut depth = 0_usize;
        // Commas inside parentheses belong to one column: `CHECK (x IN (1, 2))`.
        let columns = columns.split(move |symbol| {
            match symbol {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            symbol == ',' && depth == 0
        });
        let first_word = |column: &str| {
            let word =
                column.trim_start().split(|symbol: char| symbol.is_whitespace() || symbol == ')').next();
            word.unwrap_or_default().trim_matches(['"', '`', '[', ']', '\'']).to_ascii_lowercase()
        };
        let position = columns.take(MOST_COLUMNS).position(|column| first_word(column) == name);
        position.ok_or(SqliteDamage::NoColumn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_the_statement_that_made_the_table() {
        let position = |sql: &str, name| Table { root: 2, sql: sql.to_owned() }.position(name);
        let sql = "CREATE TABLE packages (id INTEGER PRIMARY KEY,origin TEXT CHECK (origin IN ('a', 'b')),\n\
            \t\"name\" TEXT NOT NULL, VERSION TEXT)";
        assert_eq!(position(sql, "origin"), Ok(1));
        assert_eq!(position(sql, "name"), Ok(2));
        assert_eq!(position(sql, "version"), Ok(3));
        assert_eq!(position(sql, "a"), Err(SqliteDamage::NoColumn));
        assert_eq!(position("", "a"), Err(SqliteDamage::NoColumn));
        assert_eq!(position("CREATE TABLE t (a)", "a"), Ok(0));
    }
}
