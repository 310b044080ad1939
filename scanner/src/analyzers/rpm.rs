//! rpm's package database, in every form that images carry: packages and the files they own.
//!
//! `rpmdb.sqlite`, `Packages.db` (NDB) or `Packages` (Berkeley DB) in one of three directories hold one header
//! blob a package; images without rpm have the text file `container-manifest-2`. Where several exist, which one
//! counts is decided where all of them are visible. Reading order: `header` (the blob), `package` (blob →
//! package), then the containers: `sqlite`, `ndb`, `bdb`, `manifest`.
//!
//! A write-ahead log belongs to the database beside it, and an analyzer sees one file: a log with committed
//! pages says so ([`Found::log_of`]), and both are joined where both are visible.

mod archive;
mod bdb;
mod header;
mod manifest;
mod ndb;
mod package;
mod sqlite;

pub(super) use self::archive::read_archive;
use super::ledger::Ledger;
use super::sqlite::wal;
use super::{Analyzer, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// The name of a database in SQLite's format.
const DATABASE: &str = "rpmdb.sqlite";

/// Reads rpm's database.
#[derive(Debug)]
pub struct Rpm;

impl Analyzer for Rpm {
    fn name(&self) -> &'static str {
        "rpm"
    }

    fn version(&self) -> u32 {
        4
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path("var/lib/rpm/rpmdb.sqlite"),
            Trigger::Path("var/lib/rpm/rpmdb.sqlite-wal"),
            Trigger::Path("var/lib/rpm/Packages.db"),
            Trigger::Path("var/lib/rpm/Packages"),
            Trigger::Path("usr/lib/sysimage/rpm/rpmdb.sqlite"),
            Trigger::Path("usr/lib/sysimage/rpm/rpmdb.sqlite-wal"),
            Trigger::Path("usr/lib/sysimage/rpm/Packages.db"),
            Trigger::Path("usr/lib/sysimage/rpm/Packages"),
            Trigger::Path("usr/share/rpm/rpmdb.sqlite"),
            Trigger::Path("usr/share/rpm/rpmdb.sqlite-wal"),
            Trigger::Path("usr/share/rpm/Packages.db"),
            Trigger::Path("usr/share/rpm/Packages"),
            Trigger::Path("var/lib/rpmmanifest/container-manifest-2"),
        ]
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        match file.path.rsplit('/').next().unwrap_or(file.path) {
            "container-manifest-2" => manifest::read(file.content, &mut ledger),
            "rpmdb.sqlite-wal" => wal::note(file.content, DATABASE, &mut ledger),
            DATABASE => sqlite::read(file.content, &mut Headers::new(file, &mut ledger)),
            "Packages.db" => ndb::read(file.content, &mut Headers::new(file, &mut ledger)),
            _ => bdb::read(file.content, &mut Headers::new(file, &mut ledger)),
        }
        ledger.close()
    }
}

/// Where the containers deliver the header blobs that they find.
struct Headers<'l, 'a> {
    ledger: &'l mut Ledger<'a>,
    /// How many blobs came, readable or not.
    count: usize,
    /// How many bytes may still come. A sound database does not hold more than its own size.
    room: usize,
    /// Whether more came.
    is_over: bool,
}

impl<'l, 'a> Headers<'l, 'a> {
    fn new(file: &CapturedFile<'_>, ledger: &'l mut Ledger<'a>) -> Self {
        Self { ledger, count: 0, room: file.content.len(), is_over: false }
    }

    fn blob(&mut self, blob: &[u8]) {
        self.count += 1;
        match self.room.checked_sub(blob.len()) {
            Some(room) => {
                self.room = room;
                package::enter(blob, self.ledger);
            }
            None => {
                self.is_over = true;
                self.damage("its headers lie on top of each other");
            }
        }
    }

    fn damage(&mut self, what: impl std::fmt::Display) {
        self.ledger.damage(format_args!("rpm database: {what}"));
    }

    /// Whether reading on is pointless.
    fn is_full(&self) -> bool {
        self.is_over || self.ledger.is_full()
    }
}

#[cfg(test)]
mod tests;
