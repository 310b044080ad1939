//! One OSV record in, one [`Advisory`] out: tolerant of what publishers really write, bounded, never guessing.
//!
//! Unknown fields, unknown range types and unknown kinds of severity are skipped; `null` reads as absent.
//! A record that cannot be read at all is an error of its own and never costs its neighbours.
//! Format: the OSV schema 1.7 (ossf.github.io/osv-schema).

mod affected;
mod wire;

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::model::functions::FunctionHash;
use shared::model::report::{FindingKind, Severity};

use super::severity::CvssType;

/// One flaw, or one announcement of fixes, as its publisher states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// The record's id, for example `GHSA-…`, `DSA-5587-1`, `ALSA-2023:0946`.
    pub id: String,
    /// When it was last changed.
    pub modified: Timestamp,
    /// When it was first published, where the publisher says so.
    pub published: Option<Timestamp>,
    /// Taken back: only the id is of interest, so that earlier findings can be closed.
    pub withdrawn: bool,
    /// Other names of the *same* flaw, sorted.
    pub aliases: Vec<String>,
    /// What the record derives from, sorted: the CVEs of a distribution's announcement.
    pub upstream: Vec<String>,
    /// What kind of trouble it is.
    pub kind: FindingKind,
    /// One line about it.
    pub summary: Option<String>,
    /// CVSS vectors of the record as a whole.
    pub vectors: Vec<Vector>,
    /// The publisher's own word for how bad it is.
    pub word: Option<Word>,
    /// Which packages it is about; empty for a withdrawn record.
    pub affected: Vec<Affected>,
}

/// A CVSS vector as written.
pub type Vector = (CvssType, String);

/// A severity that somebody put in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// By the distribution, about its own packages.
    Distribution(Severity),
    /// By an advisory database.
    Database(Severity),
}

/// One package of an advisory, and which of its versions are affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// The whole ecosystem string: `Debian:12`, `npm`; `GIT` for a source repository.
    pub ecosystem: String,
    /// The package's name, as the ecosystem compares names; the repository's address.
    pub name: String,
    /// Affected ranges; GIT ranges are left out.
    pub ranges: Vec<Range>,
    /// Affected versions by name.
    pub versions: Vec<String>,
    /// CVSS vectors for this package; they override those of the record.
    pub vectors: Vec<Vector>,
    /// Debian's own judgement.
    pub urgency: Option<Urgency>,
    /// The binary packages that carry the flaw, where the source names them; sorted.
    pub binaries: Vec<String>,
    /// The only operating systems concerned, in Go's words; empty means any. Sorted.
    pub systems: Vec<String>,
    /// The only architectures concerned, in Go's words; empty means any. Sorted.
    pub architectures: Vec<String>,
    /// The functions that carry the flaw, and the packages that do as a whole, where the source names them; sorted.
    pub functions: Vec<FunctionHash>,
}

/// A range of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// How its versions are ordered.
    pub order: RangeOrder,
    /// Its events, in the order of the file.
    pub events: Vec<Event>,
}

/// The OSV range types that are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeOrder {
    /// Semantic Versioning, whatever the ecosystem.
    Semver,
    /// As the ecosystem orders versions.
    Ecosystem,
}

/// Something that happens at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Affected from here on; `0` is below everything.
    Introduced(String),
    /// Not affected from here on.
    Fixed(String),
    /// Affected up to and with this version.
    LastAffected(String),
    /// Only versions below this one are spoken of; `*` is above everything.
    Limit(String),
}

/// Debian's urgencies that change what a match means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The source has it, the binary packages are not affected.
    Unimportant,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// The package is no longer supported in this release.
    EndOfLife,
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, or not of the shape of a record.
    #[error("record is not OSV JSON")]
    Json(#[from] serde_json::Error),
    /// There is no usable id.
    #[error("record has no id, or one that no database can hold")]
    Id,
    /// `modified` is missing or no time, so nobody can tell which of two versions is newer.
    #[error("record {id} has no usable modification time {text:?}")]
    Modified {
        /// The record.
        id: String,
        /// What stands there.
        text: String,
    },
}

/// The longest id or package name that is kept, in bytes.
pub const LONGEST_NAME: usize = 512;
/// The longest summary that is kept, in characters.
const LONGEST_SUMMARY: usize = 240;
/// The most names of one record that are kept.
const MOST_NAMES: usize = 4096;

impl Advisory {
    /// Reads one record.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: wire::Record = serde_json::from_slice(bytes)?;
        record.into_advisory()
    }

    /// The CVEs that the record speaks about, by its id, its aliases or what it derives from.
    pub fn cves(&self) -> BTreeSet<&str> {
        let names = self.aliases.iter().chain(&self.upstream);
        let names = names.map(String::as_str).chain([self.id.as_str()]);
        names.filter_map(cve_in).collect()
    }
}

/// The CVE that an id is or contains: `CVE-2024-1`, `DEBIAN-CVE-2024-1`.
pub fn cve_in(id: &str) -> Option<&str> {
    let start = id.rfind("CVE-")?;
    if start > 0 && !id[..start].ends_with('-') {
        return None;
    }
    let cve = &id[start..];
    let (year, number) = cve["CVE-".len()..].split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let plausible = year.len() == 4 && (1..=19).contains(&number.len()) && digits(year) && digits(number);
    plausible.then_some(cve)
}

/// Whether the id belongs to a distribution's announcement of fixes that are not always security fixes.
fn is_bugfix_notice(id: &str) -> bool {
    let notices = ["ALBA-", "ALEA-", "RHBA-", "RHEA-", "RLBA-", "RLEA-"];
    let suse = ["SUSE-RU-", "SUSE-FU-", "openSUSE-RU-", "openSUSE-FU-"];
    notices.iter().chain(&suse).any(|prefix| id.starts_with(prefix))
}

/// Whether the publisher states the CVEs of an announcement only as `related`.
fn states_cves_as_related(id: &str) -> bool {
    ["ALSA-", "ALBA-", "ALEA-", "RLSA-", "RLBA-", "RLEA-", "RXSA-", "ROOT-"]
        .iter()
        .any(|prefix| id.starts_with(prefix))
}

#[cfg(test)]
mod tests;
