//! How advisories lie in the database file: postcard, then zstd with the database's own dictionary.
//!
//! The values here are bytes at rest: any change of a field, its type or its order needs a new [`FORMAT`],
//! and a file of another format is refused, never misread.

use serde::{Deserialize, Serialize};
use shared::model::functions::FunctionHash;
use shared::model::report::{FindingKind, Score, Severity};

use super::osv::Urgency;

/// The format of the database file that this program writes and reads.
pub const FORMAT: u32 = 3;

/// Position of an advisory in the database, in the order of ids.
pub type RecordNumber = u32;

/// All that advisories say about one package of one ecosystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPackage<'a> {
    /// In the order of record numbers.
    #[serde(borrow)]
    pub entries: Vec<StoredEntry<'a>>,
}

/// One `affected` entry of an advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry<'a> {
    /// Whose entry it is.
    pub record: RecordNumber,
    /// Its ranges, in the form that evaluation wants.
    #[serde(borrow)]
    pub ranges: Vec<StoredRange<'a>>,
    /// Affected versions that none of the ranges contains.
    #[serde(borrow)]
    pub versions: Vec<&'a str>,
    /// What only some entries say.
    #[serde(borrow)]
    pub remarks: Option<StoredRemarks<'a>>,
}

/// What only some entries say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRemarks<'a> {
    /// A rating of this package that overrides the record's.
    pub rating: Option<StoredRating>,
    /// Debian's urgency.
    pub urgency: Option<StoredUrgency>,
    /// The binary packages that carry the flaw.
    #[serde(borrow)]
    pub binaries: Vec<&'a str>,
    /// The only systems concerned.
    #[serde(borrow)]
    pub systems: Vec<&'a str>,
    /// The only architectures concerned.
    #[serde(borrow)]
    pub architectures: Vec<&'a str>,
    /// The functions that carry the flaw, and the packages that do as a whole; empty if nobody says.
    pub functions: Vec<FunctionHash>,
}

/// A range whose events are sorted by version, ends before beginnings where versions are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRange<'a> {
    /// Ordered as Semantic Versioning wants it, whatever the ecosystem.
    pub semver: bool,
    /// Every version can be ordered; otherwise the events stand as they were found.
    pub decidable: bool,
    /// The events, without limits.
    #[serde(borrow)]
    pub events: Vec<StoredEvent<'a>>,
    /// Versions must be below one of these; empty means no limit.
    #[serde(borrow)]
    pub limits: Vec<&'a str>,
    /// From here on an end of the range was stated ambiguously.
    #[serde(borrow)]
    pub doubtful_from: Option<&'a str>,
}

/// An event of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredEvent<'a> {
    /// Affected from the very first version on.
    Always,
    /// Affected from here on.
    Introduced(&'a str),
    /// Not affected from here on.
    Fixed(&'a str),
    /// Affected up to and with this version.
    LastAffected(&'a str),
}

/// What an advisory says beside its packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAdvisory {
    /// The id.
    pub id: String,
    /// Seconds since 1970.
    pub modified: i64,
    /// Seconds since 1970.
    pub published: Option<i64>,
    /// Taken back.
    pub withdrawn: bool,
    /// What kind of trouble it is.
    pub kind: FindingKind,
    /// The CVEs that it speaks about, sorted. More than one: it speaks about several flaws.
    pub cves: Vec<String>,
    /// All names of the one flaw that it speaks about, sorted, with those that other records add; with its own id.
    /// Empty if it speaks about several.
    pub names: Vec<String>,
    /// Its own CVSS.
    pub rating: Option<StoredRating>,
    /// The distribution's word.
    pub distribution_word: Option<Severity>,
    /// The advisory database's word.
    pub database_word: Option<Severity>,
    /// One line about it.
    pub summary: Option<String>,
}

/// What all records together know about one flaw; for records that do not say it themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFlaw {
    /// The best CVSS that any record of just this flaw gives.
    pub rating: Option<StoredRating>,
    /// The worst word, where there is no CVSS.
    pub word: Option<Severity>,
    /// The earliest publication, seconds since 1970.
    pub published: Option<i64>,
    /// One line about it.
    pub summary: Option<String>,
}

/// A severity that comes from a vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRating {
    /// The band.
    pub severity: Severity,
    /// The base score.
    pub score: Option<Score>,
    /// The vector.
    pub vector: Option<String>,
}

/// Debian's urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredUrgency {
    /// The binary packages are not affected.
    Unimportant,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// No longer supported.
    EndOfLife,
}

impl From<Urgency> for StoredUrgency {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Unimportant => Self::Unimportant,
            Urgency::Low => Self::Low,
            Urgency::Medium => Self::Medium,
            Urgency::High => Self::High,
            Urgency::EndOfLife => Self::EndOfLife,
        }
    }
}

/// What the database says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSummary {
    /// A digest over all of its content.
    pub revision: String,
    /// The newest change that it knows of, seconds since 1970.
    pub as_of: i64,
    /// Advisories, withdrawn ones included.
    pub advisories: u64,
    /// Withdrawn advisories among them.
    pub withdrawn: u64,
    /// Packages, counted per ecosystem.
    pub packages: u64,
    /// CVEs known to be exploited.
    pub known_exploited: u64,
    /// CVEs with an EPSS score.
    pub epss_scores: u64,
    /// Every ecosystem, sorted by name.
    pub ecosystems: Vec<EcosystemRow>,
}

/// One ecosystem of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcosystemRow {
    /// The whole string: `Debian:12`.
    pub name: String,
    /// Advisories with a package in it.
    pub advisories: u64,
    /// Their newest change, seconds since 1970.
    pub newest: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisories::codec;

    /// If this fails, a field or a variant moved: raise [`FORMAT`], then write down the new bytes.
    #[test]
    fn i6_the_bytes_of_this_format_do_not_change() {
        assert_eq!(FORMAT, 3);
        let advisory = StoredAdvisory {
            id: "A-1".to_owned(),
            modified: 3,
            published: Some(2),
            withdrawn: false,
            kind: FindingKind::Malware,
            cves: vec!["C".to_owned()],
            names: vec!["N".to_owned()],
            rating: Some(StoredRating {
                severity: Severity::Critical,
                score: Some(Score::new(9.8)),
                vector: Some("V".to_owned()),
            }),
            distribution_word: Some(Severity::Negligible),
            database_word: Some(Severity::Unknown),
            summary: Some("S".to_owned()),
        };
        let package = StoredPackage {
            entries: vec![StoredEntry {
                record: 300,
                ranges: vec![StoredRange {
                    semver: true,
                    decidable: false,
                    events: vec![StoredEvent::Always, StoredEvent::LastAffected("1")],
                    limits: vec!["2"],
                    doubtful_from: Some("3"),
                }],
                versions: vec!["4"],
                remarks: Some(StoredRemarks {
                    rating: None,
                    urgency: Some(StoredUrgency::EndOfLife),
                    binaries: vec!["b"],
                    systems: vec!["s"],
                    architectures: vec!["a"],
                    functions: vec![FunctionHash::of_package(b"p")],
                }),
            }],
        };
        let hex = |bytes: Result<Vec<u8>, codec::CodecError>| hex::encode(bytes.unwrap());
        assert_eq!(
            hex(codec::to_bytes(&advisory)),
            "03412d31060104000101014301014e0105019a9999999999234001015601010100010153"
        );
        assert_eq!(
            hex(codec::to_bytes(&package)),
            "01ac0201010002000301310101320101330101340100010401016201017301016101a3c8874b"
        );
    }
}
