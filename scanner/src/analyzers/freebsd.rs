//! FreeBSD's package database `var/db/pkg/local.sqlite`: the rows of its table `packages`.
//!
//! Columns are found by name, because releases of pkg have added some. Format: pkg(8), `PRAGMA user_version` 24 to 38.

use shared::model::package::{Evidence, Package, PackageKind};

use super::ledger::{Ledger, text};
use super::sqlite::{Btrees, SqliteDamage, column, tables, wal};
use super::{Analyzer, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// Reads the database of FreeBSD's pkg.
#[derive(Debug)]
pub struct FreeBsd;

impl Analyzer for FreeBsd {
    fn name(&self) -> &'static str {
        "freebsd"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Path("var/db/pkg/local.sqlite"), Trigger::Path("var/db/pkg/local.sqlite-wal")]
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        if file.path.ends_with("-wal") {
            wal::note(file.content, "local.sqlite", &mut ledger);
        } else if let Err(damage) = read(file.content, &mut ledger) {
            report(damage, &mut ledger);
        }
        ledger.close()
    }
}

fn report(damage: SqliteDamage, ledger: &mut Ledger<'_>) {
    ledger.damage(format_args!("package database: {damage}"));
}

/// Positions of the columns that are read.
struct Columns {
    name: usize,
    version: usize,
    architecture: usize,
    maintainer: usize,
}

fn read(content: &[u8], ledger: &mut Ledger<'_>) -> Result<(), SqliteDamage> {
    let mut btrees = Btrees::open(content)?;
    if let Err(damage) = btrees.is_complete() {
        report(damage, ledger);
    }
    let [packages] = tables(&mut btrees, ["packages"], &mut |damage| report(damage, ledger));
    let packages = packages.ok_or(SqliteDamage::NoTable)?;
    let columns = Columns {
        name: packages.position("name")?,
        version: packages.position("version")?,
        architecture: packages.position("arch")?,
        maintainer: packages.position("maintainer")?,
    };
    btrees.rows(packages.root, &mut |row| {
        match row.and_then(|row| package(&row, &columns)) {
            Ok(package) => ledger.package(package),
            Err(damage) => report(damage, ledger),
        }
        ledger.is_full()
    });
    Ok(())
}

fn package(row: &[u8], columns: &Columns) -> Result<Package, SqliteDamage> {
    let value = |position| column(row, position).map(|column| text(column.bytes));
    let required = |position| match value(position)? {
        empty if empty.is_empty() => Err(SqliteDamage::Record),
        stated => Ok(stated),
    };
    let stated = |position| value(position).map(|value| Some(value).filter(|value| !value.is_empty()));
    Ok(Package {
        architecture: stated(columns.architecture)?,
        vendor: stated(columns.maintainer)?,
        ..Package::new(
            PackageKind::FreeBsd,
            required(columns.name)?,
            required(columns.version)?,
            Evidence::Installed,
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "var/db/pkg/local.sqlite";

    /// pkg's own schema of the table, filled by sqlite3 with three rows.
    fn database() -> Vec<u8> {
        let mut content = Vec::new();
        let gzip = &include_bytes!("../../fixtures/freebsd/local.sqlite.gz")[..];
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut content).unwrap();
        content
    }

    fn names(found: &Found) -> Vec<String> {
        let packages = found.packages.iter().map(|found| &found.package);
        packages.map(|package| format!("{} {}", package.name, package.version)).collect()
    }

    #[test]
    fn every_row_is_an_installed_package() {
        let found = analyze(&FreeBsd, PATH, &database());
        assert_eq!(found.problems, []);
        assert_eq!(names(&found), ["pkg 1.21.3", "curl 8.7.1", "py311-pip 23.3.2"]);
        let package = &found.packages[1].package;
        assert_eq!(package.architecture.as_deref(), Some("freebsd:14:x86:64"));
        assert_eq!(package.vendor.as_deref(), Some("sunpoet@FreeBSD.org"));
    }

    #[test]
    fn i4_what_may_hide_a_package_is_a_blocking_problem() {
        check(&FreeBsd, PATH, "", &["database-unreadable"]);
        let content = database();
        for end in (0..content.len()).step_by(509) {
            assert_ne!(analyze(&FreeBsd, PATH, &content[..end]).problems, [], "{end}");
        }
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            for path in [PATH, "var/db/pkg/local.sqlite-wal"] {
                analyze(&FreeBsd, path, &content);
            }
        }

        #[test]
        fn i7_no_flipped_database_panics(at: prop::sample::Index, bits in 1_u8..) {
            let mut content = database();
            let at = at.index(content.len());
            content[at] ^= bits;
            analyze(&FreeBsd, PATH, &content);
        }
    }
}
