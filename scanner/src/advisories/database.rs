//! The opened database: one immutable file, read in place, shared by everybody who asks.
//!
//! Opening reads the file once, to see that it is whole (`sealed.rs`), then a few pages of it. The revision is a digest
//! over all of its content that was computed when it was built and stands in it; [`Database::verify`] computes it again.

mod changes;
mod reader;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use redb::{ReadOnlyDatabase, ReadableDatabase};
use shared::model::report::Revision;
use zstd::dict::DecoderDictionary;

pub use changes::ChangedPackages;
pub(super) use reader::{Artifact, Reader};

use super::codec::{self, CodecError};
use super::record::{FORMAT, StoredAdvisory, StoredSummary};
use super::sealed::{SealError, Sealed};
use super::tables;

/// How much of the file is kept in memory, in bytes.
const CACHE_BYTES: usize = 16 << 20;

/// An advisory database that is open for reading. Cheap to clone and to share between threads.
#[derive(Clone)]
pub struct Database {
    opened: Arc<Opened>,
}

struct Opened {
    path: PathBuf,
    store: ReadOnlyDatabase,
    dictionary: DecoderDictionary<'static>,
    summary: DatabaseSummary,
}

/// What a database says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSummary {
    /// A digest over all of its content, 64 hex digits.
    pub revision: Revision,
    /// The newest change that it knows of.
    pub as_of: Timestamp,
    /// Advisories, withdrawn ones included.
    pub advisories: u64,
    /// Withdrawn advisories among them.
    pub withdrawn: u64,
    /// Packages that advisories speak about, counted per ecosystem.
    pub packages: u64,
    /// CVEs known to be exploited.
    pub known_exploited: u64,
    /// CVEs with an EPSS score.
    pub epss_scores: u64,
    /// Every ecosystem, sorted by name.
    pub ecosystems: Vec<Ecosystem>,
}

/// One ecosystem of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecosystem {
    /// The whole string: `Debian:12`, `npm`.
    pub name: String,
    /// How many advisories name a package of it.
    pub advisories: u64,
    /// The newest change among them.
    pub newest: Timestamp,
}

/// Why a database does not answer.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be opened.
    #[error("cannot open the advisory database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file is of another format: another version of this program wrote it.
    #[error(
        "advisory database {path} has format {found}, this program reads format {FORMAT}; build or pull it again"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that it states.
        found: u32,
    },
    /// The file has no seal: another version of this program wrote it, or another program, or a part is missing.
    #[error("{path} is no advisory database of this version, or not whole; build or pull it again")]
    Unsealed {
        /// The file.
        path: PathBuf,
    },
    /// The file is a store, but none of ours.
    #[error("{path} is no advisory database: {missing} is missing")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        missing: &'static str,
    },
    /// A page or a table cannot be read.
    #[error("cannot read the advisory database {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: Box<redb::Error>,
    },
    /// A value is broken.
    #[error("the advisory database {path} holds a broken value")]
    Value {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: CodecError,
    },
    /// Something has altered the file: its seal is broken, or a page makes no sense.
    #[error("the advisory database {path} is damaged; build or pull it again")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The content is not what the revision says (I6).
    #[error("the advisory database {path} calls itself {stated}, its content is {computed}")]
    Altered {
        /// The file.
        path: PathBuf,
        /// The revision that it states.
        stated: Revision,
        /// The revision of what is in it.
        computed: Revision,
    },
}

impl Database {
    /// Opens a database file for reading, if it is whole.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let open_error =
            |error: redb::Error| DatabaseError::Open { path: path.to_owned(), source: Box::new(error) };
        let file = Sealed::open(path).map_err(|error| match error {
            SealError::Io(source) => open_error(redb::Error::Io(source)),
            SealError::Missing => DatabaseError::Unsealed { path: path.to_owned() },
            SealError::Broken => DatabaseError::Damaged { path: path.to_owned() },
        })?;
        let mut builder = redb::Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let (store, dictionary, summary) = guarded(path, || {
            let store =
                builder.open_read_only_with_backend(file).map_err(|error| open_error(error.into()))?;
            let (dictionary, summary) = read_meta(&store, path)?;
            Ok((store, dictionary, summary))
        })?;
        let opened = Opened {
            path: path.to_owned(),
            store,
            dictionary: codec::decoder_dictionary(&dictionary),
            summary: summary.into(),
        };
        Ok(Self { opened: Arc::new(opened) })
    }

    /// A digest over all of the content: equal revisions give equal answers (I6).
    pub fn revision(&self) -> &Revision {
        &self.opened.summary.revision
    }

    /// The newest change that the database knows of: how old its knowledge is.
    pub fn as_of(&self) -> Timestamp {
        self.opened.summary.as_of
    }

    /// Every ecosystem that has at least one advisory, sorted by name.
    pub fn ecosystems(&self) -> &[Ecosystem] {
        &self.opened.summary.ecosystems
    }

    /// Whether there is at least one advisory for an ecosystem.
    pub fn has_ecosystem(&self, name: &str) -> bool {
        self.ecosystems().binary_search_by(|known| known.name.as_str().cmp(name)).is_ok()
    }

    /// What the database says about itself.
    pub fn summary(&self) -> &DatabaseSummary {
        &self.opened.summary
    }

    /// An advisory by its id, withdrawn ones included; without its packages.
    pub fn advisory(&self, id: &str) -> Result<Option<StoredAdvisory>, DatabaseError> {
        self.guarded(|| {
            let mut reader = self.reader()?;
            match reader.number_of(id)? {
                Some(number) => Ok(Some(reader.advisory(number)?)),
                None => Ok(None),
            }
        })
    }

    /// The ids of all advisories that name a package, affected versions or not, sorted.
    ///
    /// `name` as the ecosystem compares names: see [`super::names::normalized`].
    pub fn lookup(&self, ecosystem: &str, name: &str) -> Result<Vec<String>, DatabaseError> {
        self.guarded(|| {
            let mut reader = self.reader()?;
            let Some(package) = reader.package(ecosystem, name)? else {
                return Ok(Vec::new());
            };
            let mut ids = Vec::new();
            for entry in reader.entries(&package)?.entries {
                ids.push(reader.advisory(entry.record)?.id);
            }
            ids.dedup();
            Ok(ids)
        })
    }

    /// Computes the revision from the content and compares it with the one that the file states.
    ///
    /// Reads all of the file: for `db status --verify`, not for every start.
    pub fn verify(&self) -> Result<(), DatabaseError> {
        let computed = self.guarded(|| self.reader()?.computed_revision(self.as_of()))?;
        if computed == *self.revision() {
            return Ok(());
        }
        Err(DatabaseError::Altered {
            path: self.opened.path.clone(),
            stated: self.revision().clone(),
            computed,
        })
    }

    /// What must be judged again when this database takes the place of `older`.
    pub fn changed_since(&self, older: &Self) -> Result<ChangedPackages, DatabaseError> {
        self.guarded(|| changes::between(older, self))
    }

    /// What `read` answers; an error where the file is so damaged that reading it breaks down (I7).
    pub(super) fn guarded<T>(
        &self,
        read: impl FnOnce() -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        guarded(&self.opened.path, read)
    }

    /// The tables opened for one line of questions.
    pub(super) fn reader(&self) -> Result<Reader<'_>, DatabaseError> {
        Reader::new(&self.opened)
    }
}

impl Opened {
    fn read_error(&self, error: impl Into<redb::Error>) -> DatabaseError {
        read_error(&self.path, error)
    }

    fn value_error(&self, source: CodecError) -> DatabaseError {
        DatabaseError::Value { path: self.path.clone(), source }
    }
}

fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    let damaged = |_| Err(DatabaseError::Damaged { path: path.to_owned() });
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(damaged)
}

fn read_error(path: &Path, error: impl Into<redb::Error>) -> DatabaseError {
    DatabaseError::Read { path: path.to_owned(), source: Box::new(error.into()) }
}

/// The dictionary and the summary, if the file is one of ours.
fn read_meta(store: &ReadOnlyDatabase, path: &Path) -> Result<(Vec<u8>, StoredSummary), DatabaseError> {
    let transaction = store.begin_read().map_err(|error| read_error(path, error))?;
    let missing = |missing| DatabaseError::NotOurs { path: path.to_owned(), missing };
    let meta = match transaction.open_table(tables::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Err(missing("the table of contents")),
        Err(error) => return Err(read_error(path, error)),
    };
    let value = |key: &[u8]| -> Result<Option<Vec<u8>>, DatabaseError> {
        let value = meta.get(key).map_err(|error| read_error(path, error))?;
        Ok(value.map(|value| value.value().to_vec()))
    };
    let format = value(tables::FORMAT_KEY)?.ok_or_else(|| missing("its format"))?;
    let found = u32::from_be_bytes(format.try_into().map_err(|_| missing("its format"))?);
    if found != FORMAT {
        return Err(DatabaseError::Format { path: path.to_owned(), found });
    }
    let dictionary = value(tables::DICTIONARY_KEY)?.ok_or_else(|| missing("its dictionary"))?;
    let summary = value(tables::SUMMARY_KEY)?.ok_or_else(|| missing("its summary"))?;
    let summary = codec::from_bytes(&summary)
        .map_err(|source| DatabaseError::Value { path: path.to_owned(), source })?;
    Ok((dictionary, summary))
}

/// Stored seconds as a time; what no calendar can hold is the epoch.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl From<StoredSummary> for DatabaseSummary {
    fn from(stored: StoredSummary) -> Self {
        let ecosystems = stored.ecosystems.into_iter().map(|row| Ecosystem {
            name: row.name,
            advisories: row.advisories,
            newest: time(row.newest),
        });
        Self {
            revision: Revision::new(stored.revision),
            as_of: time(stored.as_of),
            advisories: stored.advisories,
            withdrawn: stored.withdrawn,
            packages: stored.packages,
            known_exploited: stored.known_exploited,
            epss_scores: stored.epss_scores,
            ecosystems: ecosystems.collect(),
        }
    }
}
