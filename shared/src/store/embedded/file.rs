//! The file: tables, transactions, and what redb's errors mean.
//!
//! | table | key → value |
//! |---|---|
//! | `reports` | digest → head of the report, as `record` describes it |
//! | `parts`, `part-uses` | see `parts` |
//! | `verdicts` | digest, 0, policy name → verdict; digest, 0, `@revisions` → those of the report behind them |
//! | `history`, `announced`, `feed` | see `history` |
//! | `pending`, `pending-expiries` | see `pending` |
//! | `sightings` | digest → see `sightings` |
//! | `notes`, `note-expiries` | see `notes` |
//! | `layers`, `layer-expiries` | see `layers` |
//! | `about` | `format` → version of this layout |
//!
//! Keys and values are bytes: redb's own encodings of richer types may change between its versions.
//! Everything here blocks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError, Table,
    TableDefinition, WriteTransaction,
};

use super::{history, layers, notes, parts, pending, sightings};
use crate::model::change::Change;
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::verdict::{Lookup, Pending, PolicyName, Verdict};
use crate::store::measure::passed_over;
use crate::store::record::report::{Head, cut_report};
use crate::store::{KnownPage, Sighting, StoreError, record};

const REPORTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("reports");
const VERDICTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("verdicts");
const ABOUT: TableDefinition<'_, &[u8], u64> = TableDefinition::new("about");

/// Every table of bytes. A table that an older version did not have is made when the file is opened.
const EVERY_TABLE: [TableDefinition<'_, &[u8], &[u8]>; 14] = [
    REPORTS,
    parts::PARTS,
    parts::USES,
    VERDICTS,
    sightings::SIGHTINGS,
    pending::PENDING,
    pending::EXPIRIES,
    notes::NOTES,
    notes::EXPIRIES,
    history::HISTORY,
    history::ANNOUNCED,
    history::FEED,
    layers::LAYERS,
    layers::EXPIRIES,
];

/// The layout that this build reads and writes.
const FORMAT: u64 = 1;
/// Stands where a policy name would; none has an `@`.
const REVISIONS: &str = "@revisions";
/// How much of the file is kept in memory.
const CACHE_BYTES: usize = 64 << 20;

/// A file that is open, and is opened again after the disk failed: redb itself stays closed from then on.
pub(super) struct File {
    /// `None` while the disk does not even let it be opened.
    database: RwLock<Option<Database>>,
    path: PathBuf,
    place: String,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let place = path.display().to_string();
        let database = database_at(path).map_err(|error| unusable(&place, &error))?;
        let file = Self { database: RwLock::new(Some(database)), path: path.to_owned(), place };
        let format = file.write(|transaction| {
            let mut about = transaction.open_table(ABOUT)?;
            let found = about.get(&b"format"[..])?.map(|format| format.value());
            if found.is_none() {
                about.insert(&b"format"[..], FORMAT)?;
            }
            // Readers find every table, even if nothing was ever written.
            for table in EVERY_TABLE {
                transaction.open_table(table)?;
            }
            Ok(found.unwrap_or(FORMAT))
        })?;
        if format == FORMAT {
            Ok(file)
        } else {
            Err(StoreError::Unusable {
                place: file.place,
                reason: format!(
                    "it has layout {format} and this version reads layout {FORMAT}; start the version that \
                     wrote it, or move the file away: what was in it will be scanned again"
                ),
            })
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn lookup(
        &self,
        digests: &[Digest],
        policy: &PolicyName,
        now: Timestamp,
    ) -> Result<Vec<Lookup>, StoreError> {
        self.read(|transaction| {
            let verdicts = transaction.open_table(VERDICTS)?;
            let markers = transaction.open_table(pending::PENDING)?;
            let mut lookups = Vec::with_capacity(digests.len());
            for digest in digests {
                if let Some(bytes) = verdicts.get(verdict_key(digest, policy.as_str()).as_slice())? {
                    match record::decode_verdict(digest, bytes.value()) {
                        Ok(verdict) => {
                            lookups.push(Lookup::Known(Arc::new(verdict)));
                            continue;
                        }
                        Err(error) => passed_over("verdict", digest, &error),
                    }
                }
                let marker = markers.get(digest.as_str().as_bytes())?;
                let marker = marker.map(|bytes| pending::decode(bytes.value(), now));
                lookups.push(match marker.transpose() {
                    Ok(marker) => marker.flatten().map_or(Lookup::Unknown, Lookup::Pending),
                    Err(error) => {
                        passed_over("pending", digest, &error);
                        Lookup::Unknown
                    }
                });
            }
            Ok(lookups)
        })
    }

    pub(super) fn restore(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
    ) -> Result<(), StoreError> {
        let digest = &report.digest;
        let cut = cut_report(report).map_err(|error| self.too_large(&error.to_string()))?;
        let encoded = self.encoded(verdicts)?;
        let revisions = record::revisions_text(&report.revisions);
        self.write(|transaction| {
            let name = digest.as_str().as_bytes();
            let mut reports = transaction.open_table(REPORTS)?;
            let replaced = reports.insert(name, cut.head.as_slice())?;
            let replaced = replaced.and_then(|head| Head::decode(digest, head.value()).ok());
            parts::replace(transaction, &replaced.map(|head| head.parts()).unwrap_or_default(), &cut.parts)?;
            let mut table = transaction.open_table(VERDICTS)?;
            let changes = changes(&table, digest, verdicts.iter(), stood)?;
            let (first, end) = (verdict_key(digest, ""), [name, &[1]].concat());
            table.retain_in::<&[u8], _>(first.as_slice()..end.as_slice(), |_, _| false)?;
            table.insert(verdict_key(digest, REVISIONS).as_slice(), revisions.as_bytes())?;
            for (verdict, bytes) in verdicts.iter().zip(&encoded) {
                table.insert(verdict_key(digest, verdict.policy.as_str()).as_slice(), bytes.as_slice())?;
            }
            history::record(transaction, digest, &changes)?;
            pending::clear(transaction, digest)
        })
    }

    /// Answers how many verdicts were replaced.
    pub(super) fn restate(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<usize, StoreError> {
        let encoded = self.encoded(verdicts)?;
        self.write(|transaction| {
            let mut table = transaction.open_table(VERDICTS)?;
            let stored = revisions(&table, digest)?;
            let is_news = |verdict: &Verdict| {
                let theirs = record::revisions_text(&verdict.revisions).into_bytes();
                stored.as_ref() == Some(&theirs)
            };
            let news: Vec<_> =
                verdicts.iter().zip(&encoded).filter(|(verdict, _)| is_news(verdict)).collect();
            let changes = changes(&table, digest, news.iter().map(|(verdict, _)| *verdict), &[])?;
            for (verdict, bytes) in &news {
                table.insert(verdict_key(digest, verdict.policy.as_str()).as_slice(), bytes.as_slice())?;
            }
            history::record(transaction, digest, &changes)?;
            Ok(news.len())
        })
    }

    pub(super) fn report(&self, digest: &Digest) -> Result<Option<Report>, StoreError> {
        let stored = self.read(|transaction| {
            let reports = transaction.open_table(REPORTS)?;
            let Some(bytes) = reports.get(digest.as_str().as_bytes())? else { return Ok(None) };
            let head = match Head::decode(digest, bytes.value()) {
                Ok(head) => head,
                Err(error) => return Ok(Some(Err(error))),
            };
            let parts = parts::read(transaction, &head.parts())?;
            Ok(Some(Ok((head, parts))))
        })?;
        let joined = stored.map(|stored| stored.and_then(|(head, parts)| head.join(parts)));
        joined.transpose().map_err(|error| error.unreadable("report", digest))
    }

    pub(super) fn mark_pending(
        &self,
        digest: &Digest,
        marker: Pending,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|transaction| pending::mark(transaction, digest, marker, now))
    }

    pub(super) fn record_sighting(
        &self,
        digest: &Digest,
        place: String,
        seen_us: i64,
    ) -> Result<(), StoreError> {
        self.write(|transaction| sightings::note(transaction, digest, place, seen_us))
    }

    /// A marker and a sighting in one transaction: it is the commit that costs.
    pub(super) fn note_push(
        &self,
        digest: &Digest,
        marker: Pending,
        (place, seen_us): (String, i64),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            pending::mark(transaction, digest, marker, now)?;
            sightings::note(transaction, digest, place, seen_us)
        })
    }

    pub(super) fn sightings(&self, digest: &Digest) -> Result<Vec<Sighting>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(sightings::SIGHTINGS)?;
            let bytes = table.get(digest.as_str().as_bytes())?;
            let seen = bytes.map(|bytes| sightings::decode(bytes.value()));
            let seen = seen.unwrap_or_default().into_iter();
            Ok(seen.filter_map(|(place, seen_us)| record::decode_place(&place, seen_us)).collect())
        })
    }

    /// The digests after one that have a report, in their own order.
    pub(super) fn known_after(&self, after: Option<&Digest>, limit: usize) -> Result<KnownPage, StoreError> {
        use std::ops::Bound;
        self.read(|transaction| {
            let reports = transaction.open_table(REPORTS)?;
            let start = match after {
                Some(after) => Bound::Excluded(after.as_str().as_bytes()),
                None => Bound::Unbounded,
            };
            let mut digests = Vec::new();
            for entry in reports.range::<&[u8]>((start, Bound::Unbounded))?.take(limit) {
                let (name, _) = entry?;
                let digest = std::str::from_utf8(name.value()).ok().and_then(|text| text.parse().ok());
                digests.extend(digest);
            }
            let next = if digests.len() < limit { None } else { digests.last().cloned() };
            Ok(KnownPage { digests, next })
        })
    }

    /// The digests whose markers ran out.
    pub(super) fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Digest>, StoreError> {
        self.read(|transaction| pending::overdue(transaction, now, limit))
    }

    /// Removes the marker of a digest.
    pub(super) fn give_up(&self, digest: &Digest) -> Result<(), StoreError> {
        self.write(|transaction| pending::clear(transaction, digest))
    }

    pub(super) fn ping(&self) -> Result<(), StoreError> {
        self.read(|transaction| transaction.open_table(ABOUT).map(drop).map_err(redb::Error::from))
    }

    /// How many markers there are, and how many entries in the order of their expiry.
    #[cfg(test)]
    pub(super) fn count_pending(&self) -> Result<(u64, u64), StoreError> {
        use redb::ReadableTableMetadata as _;
        self.read(|transaction| {
            let markers = transaction.open_table(pending::PENDING)?.len()?;
            Ok((markers, transaction.open_table(pending::EXPIRIES)?.len()?))
        })
    }

    /// How many parts of reports there are, and of how many it is known who needs them.
    #[cfg(test)]
    pub(super) fn count_parts(&self) -> Result<(u64, u64), StoreError> {
        use redb::ReadableTableMetadata as _;
        self.read(|transaction| {
            let parts = transaction.open_table(parts::PARTS)?.len()?;
            Ok((parts, transaction.open_table(parts::USES)?.len()?))
        })
    }

    /// How many notes there are, and how many entries in the order of their expiry.
    #[cfg(test)]
    pub(super) fn count_notes(&self) -> Result<(u64, u64), StoreError> {
        use redb::ReadableTableMetadata as _;
        self.read(|transaction| {
            let kept = transaction.open_table(notes::NOTES)?.len()?;
            Ok((kept, transaction.open_table(notes::EXPIRIES)?.len()?))
        })
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.with(|database| work(&database.begin_read()?))
    }

    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            // Costs a little at each commit; without it the first start after a crash reads the whole file.
            transaction.set_quick_repair(true);
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let done = match &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            Some(database) => work(database),
            None => Err(redb::Error::DatabaseClosed),
        };
        done.map_err(|error| {
            if is_disk_failure(&error) {
                self.open_again();
            }
            self.failed(error)
        })
    }

    /// For the next operation: this one has failed.
    fn open_again(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The lock on the file must be given back before it can be taken again.
        *database = None;
        match database_at(&self.path) {
            Ok(opened) => *database = Some(opened),
            Err(error) => tracing::error!(place = self.place, %error, "store cannot be opened again"),
        }
    }

    fn encoded(&self, verdicts: &[Verdict]) -> Result<Vec<Vec<u8>>, StoreError> {
        let encoded = verdicts.iter().map(record::encode_verdict);
        encoded.collect::<Result<_, _>>().map_err(|error| self.too_large(&error.to_string()))
    }

    fn too_large(&self, reason: &str) -> StoreError {
        StoreError::TooLarge { place: self.place.clone(), reason: reason.to_owned() }
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::Io(error) if is_no_room(&error) => StoreError::Refused {
                place: self.place.clone(),
                reason: format!("no room on the disk: {error}"),
            },
            error => StoreError::Unavailable { place: self.place.clone(), source: Box::new(error) },
        }
    }
}

fn database_at(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

/// After these redb refuses every further transaction, whether or not the disk has recovered.
fn is_disk_failure(error: &redb::Error) -> bool {
    matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed)
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn verdict_key(digest: &Digest, policy: &str) -> Vec<u8> {
    [digest.as_str().as_bytes(), &[0], policy.as_bytes()].concat()
}

fn revisions(table: &Table<'_, &[u8], &[u8]>, digest: &Digest) -> Result<Option<Vec<u8>>, redb::Error> {
    let stored = table.get(verdict_key(digest, REVISIONS).as_slice())?;
    Ok(stored.map(|bytes| bytes.value().to_vec()))
}

/// What verdicts change for people, where others stood before.
fn changes<'a>(
    table: &Table<'_, &[u8], &[u8]>,
    digest: &Digest,
    verdicts: impl Iterator<Item = &'a Verdict>,
    stood: &[Verdict],
) -> Result<Vec<Change>, redb::Error> {
    let mut changes = Vec::new();
    for verdict in verdicts {
        let before = table.get(verdict_key(digest, verdict.policy.as_str()).as_slice())?;
        let before = before.as_ref().map(redb::AccessGuard::value);
        changes.extend(record::changes(digest, std::iter::once((verdict, before)), stood));
    }
    Ok(changes)
}

fn unusable(place: &str, error: &DatabaseError) -> StoreError {
    let reason = match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            "another process has it open; stop that one, give each its own data directory, or let both use Redis"
                .to_owned()
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            "its directory does not exist; create it or choose another data directory".to_owned()
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            "this user may not read and write it; change its owner or choose another data directory".to_owned()
        }
        other => format!(
            "{other}; if it is damaged, move it away: it is a cache, and what was in it will be scanned again"
        ),
    };
    StoreError::Unusable { place: place.to_owned(), reason }
}
