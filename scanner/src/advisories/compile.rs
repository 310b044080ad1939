//! Compiles OSV dumps into one database file: deterministic, small, written beside its place and renamed.
//!
//! In: `all.zip` dumps, single records, CISA's KEV and FIRST's EPSS, in any order. Out: a redb file whose bytes
//! depend on nothing but the records. Only one record's JSON is in memory at a time; what is kept of it is its
//! stored form.

mod flaws;
mod gather;
mod sources;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use shared::model::report::Revision;

use super::codec::CodecError;
use super::enrichment::EnrichmentError;

pub(super) use flaws::canonical;
pub(super) use write::RevisionDigest;

/// How much one input may cost, and what cannot be read from the inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// The newest moment that the data know of; `None` takes the newest change of any record.
    pub as_of: Option<Timestamp>,
    /// The largest single record, in bytes of JSON. Larger ones are skipped and listed.
    pub record_bytes: u64,
    /// The most records of all inputs together.
    pub records: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { as_of: None, record_bytes: 16 << 20, records: 5_000_000 }
    }
}

/// What went into a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildSummary {
    /// The database's revision.
    pub revision: Revision,
    /// The newest change that it knows of.
    pub as_of: Timestamp,
    /// Advisories, withdrawn ones included.
    pub advisories: usize,
    /// Withdrawn advisories among them.
    pub withdrawn: usize,
    /// Packages that advisories speak about, counted per ecosystem.
    pub packages: usize,
    /// Ecosystems, releases counted apart.
    pub ecosystems: usize,
    /// CVEs that are known to be exploited.
    pub known_exploited: usize,
    /// CVEs with an EPSS score.
    pub epss_scores: usize,
    /// Records that came more than once; the newest was taken.
    pub repeated: usize,
    /// Inputs that could not be used, sorted; the first [`BuildSummary::MOST_SKIPPED`] of them.
    pub skipped: Vec<Skipped>,
    /// How many inputs could not be used.
    pub skipped_count: usize,
    /// Size of the file in bytes.
    pub file_bytes: u64,
}

impl BuildSummary {
    /// The most skipped inputs that are listed one by one.
    pub const MOST_SKIPPED: usize = 1000;
}

/// An input that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Which: a file, or a member of a dump after `!/`.
    pub name: String,
    /// Why, with all causes.
    pub reason: String,
}

/// Why no database was built. No file is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An input cannot be read.
    #[error("cannot read {path}")]
    Input {
        /// The input.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// A dump is no zip archive, or a broken one.
    #[error("cannot read the archive {path}")]
    Archive {
        /// The dump.
        path: PathBuf,
        /// What happened.
        #[source]
        source: zip::result::ZipError,
    },
    /// A KEV or EPSS file cannot be used.
    #[error("cannot use {path}")]
    List {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: EnrichmentError,
    },
    /// An input was named that is none of those that can be read.
    #[error("{path} is none of *.zip, <ID>.json, kev.json, epss.csv, epss.csv.gz")]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to compile: an empty database would call everything clean.
    #[error("the inputs hold no advisory; expected <Ecosystem>/all.zip dumps or <ID>.json records")]
    Empty,
    /// More records than any real set has.
    #[error("the inputs hold more than {limit} records")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The output cannot be written.
    #[error("cannot write {path}")]
    Output {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// The embedded store refuses.
    #[error("cannot write the tables of {path}")]
    Tables {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: Box<redb::Error>,
    },
    /// A value cannot be stored.
    #[error("cannot store a value")]
    Value(#[from] CodecError),
}

/// Builds a database at `output` from dumps, folders and lists.
///
/// Inputs may be `all.zip` files, single `<ID>.json` records, `kev.json`, `epss.csv` or `epss.csv.gz`, and folders
/// that hold any of them, at most three levels deep. The same records give the same bytes, whatever the order.
/// A record that cannot be used is skipped and listed; an input that cannot be read fails the build.
pub fn build(inputs: &[PathBuf], output: &Path, options: &BuildOptions) -> Result<BuildSummary, BuildError> {
    let mut gathered = gather::Gathered::default();
    for source in sources::find(inputs)? {
        sources::read(&source, options, &mut gathered)?;
    }
    if gathered.advisories.is_empty() {
        return Err(BuildError::Empty);
    }
    let flaws = flaws::resolve(&mut gathered.advisories);
    write::write(gathered, &flaws, output, options)
}

#[cfg(test)]
mod tests;
