//! Collects records in their stored form while the inputs are read: the newest of each id, in the order of ids.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde::Serialize;
use shared::model::report::{Probability, Severity};

use super::{BuildError, BuildOptions, BuildSummary, Skipped};
use crate::advisories::codec::{self, CodecError};
use crate::advisories::exploitation::Exploitation;
use crate::advisories::matching::ranges::{self, Answer};
use crate::advisories::osv::{Advisory, Affected, Vector, Word};
use crate::advisories::record::{StoredAdvisory, StoredRating, StoredRemarks};
use crate::advisories::severity;
use crate::advisories::versions::Scheme;

/// What was read so far.
#[derive(Default)]
pub(super) struct Gathered {
    /// By id.
    pub(super) advisories: BTreeMap<String, Kept>,
    /// By CVE.
    pub(super) exploitation: BTreeMap<String, Exploitation>,
    /// Inputs that could not be used.
    pub(super) skipped: BTreeSet<Skipped>,
    pub(super) skipped_count: usize,
    pub(super) repeated: usize,
}

/// One advisory as it will be stored.
pub(super) struct Kept {
    pub(super) head: StoredAdvisory,
    pub(super) entries: Vec<KeptEntry>,
}

/// One `affected` entry: its key, and its stored form without the record number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeptEntry {
    /// `ecosystem \0 package`.
    pub(super) key: Box<str>,
    pub(super) bytes: Box<[u8]>,
}

impl Gathered {
    /// Takes a record in, unless a newer one of the same id is there.
    pub(super) fn add_record(
        &mut self,
        name: &str,
        bytes: &[u8],
        options: &BuildOptions,
    ) -> Result<(), BuildError> {
        let advisory = match Advisory::parse(bytes) {
            Ok(advisory) => advisory,
            Err(error) => {
                self.skip(name.to_owned(), with_causes(&error));
                return Ok(());
            }
        };
        let kept = Kept::from_advisory(&advisory)?;
        match self.advisories.get(&advisory.id) {
            Some(known) => {
                self.repeated += 1;
                if kept.is_newer_than(known) {
                    self.advisories.insert(advisory.id, kept);
                }
            }
            None if self.advisories.len() >= options.records => {
                return Err(BuildError::TooMany { limit: options.records });
            }
            None => {
                self.advisories.insert(advisory.id, kept);
            }
        }
        Ok(())
    }

    /// Notes an input that could not be used.
    pub(super) fn skip(&mut self, name: String, reason: String) {
        self.skipped_count += 1;
        self.skipped.insert(Skipped { name, reason });
        if self.skipped.len() > BuildSummary::MOST_SKIPPED {
            self.skipped.pop_last();
        }
    }

    /// Notes CVEs that are known to be exploited.
    pub(super) fn add_exploited<'a>(&mut self, cves: impl Iterator<Item = &'a str>) {
        for cve in cves {
            self.exploitation.entry(cve.to_owned()).or_default().known_exploited = true;
        }
    }

    /// Notes a score; of two for the same CVE the greater one stays.
    pub(super) fn add_score(&mut self, cve: &str, probability: Probability) {
        let entry = self.exploitation.entry(cve.to_owned()).or_default();
        entry.epss = entry.epss.max(Some(probability));
    }
}

impl Kept {
    fn from_advisory(advisory: &Advisory) -> Result<Self, CodecError> {
        let affected = advisory.affected.iter();
        let entries = affected.map(KeptEntry::from_affected).collect::<Result<_, _>>()?;
        Ok(Self { head: head(advisory), entries })
    }

    /// Later changes win; of two versions from the same second one wins that does not depend on the order.
    fn is_newer_than(&self, other: &Self) -> bool {
        let rank = |kept: &Self| (kept.head.modified, kept.head.withdrawn, kept.entries.len());
        let content = |kept: &Self| codec::to_bytes(&kept.head).unwrap_or_default();
        let order = rank(self).cmp(&rank(other));
        let order = order.then_with(|| self.entries.cmp(&other.entries));
        order.then_with(|| content(self).cmp(&content(other))).is_gt()
    }
}

/// The advisory without its packages.
fn head(advisory: &Advisory) -> StoredAdvisory {
    let cves = advisory.cves();
    let names = if cves.len() > 1 { Vec::new() } else { names(advisory, &cves) };
    let (distribution_word, database_word) = match advisory.word {
        Some(Word::Distribution(word)) => (Some(word), None),
        Some(Word::Database(word)) => (None, Some(word)),
        None => (None, None),
    };
    let of_packages = || advisory.affected.iter().find_map(|entry| rating(&entry.vectors));
    StoredAdvisory {
        id: advisory.id.clone(),
        modified: advisory.modified.as_second(),
        published: advisory.published.map(jiff::Timestamp::as_second),
        withdrawn: advisory.withdrawn,
        kind: advisory.kind,
        cves: cves.into_iter().map(str::to_owned).collect(),
        names,
        rating: rating(&advisory.vectors).or_else(of_packages),
        distribution_word,
        database_word,
        summary: advisory.summary.clone(),
    }
}

/// The names of the one flaw that a record speaks about.
///
/// A record that derives from another (a distribution's) is an announcement *about* the flaw, so its own id is a
/// name of the flaw only where nothing else is.
fn names(advisory: &Advisory, cves: &BTreeSet<&str>) -> Vec<String> {
    let mut names: BTreeSet<&str> = advisory.aliases.iter().map(String::as_str).collect();
    names.extend(cves);
    let mut ghsas = advisory.upstream.iter().filter(|id| id.starts_with("GHSA-"));
    if let (true, Some(only), None) = (cves.is_empty(), ghsas.next(), ghsas.next()) {
        names.insert(only);
    }
    if advisory.upstream.is_empty() || names.is_empty() {
        names.insert(&advisory.id);
    }
    names.into_iter().map(str::to_owned).collect()
}

/// The stored form of the best vector.
fn rating(vectors: &[Vector]) -> Option<StoredRating> {
    let vectors: Vec<_> = vectors.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    let rating = severity::from_cvss(&vectors)?;
    // A base score of zero is a vector that says "no impact", which is a statement: negligible, not unknown.
    let severity = match rating.severity {
        Severity::Unknown => Severity::Negligible,
        rated => rated,
    };
    Some(StoredRating { severity, score: rating.score, vector: rating.vector })
}

impl KeptEntry {
    fn from_affected(affected: &Affected) -> Result<Self, CodecError> {
        let scheme = Scheme::of_ecosystem(&affected.ecosystem);
        let ranges: Vec<_> =
            affected.ranges.iter().filter_map(|range| ranges::prepare(range, scheme)).collect();
        // A version that a range contains anyway need not be listed; in some dumps nine tenths of all bytes.
        let contained = |version: &str| {
            let mut answers = ranges.iter().map(|range| ranges::range_contains(range, version, scheme));
            answers.any(|answer| answer == Answer::Affected)
        };
        let listed = affected.versions.iter().map(String::as_str);
        let mut versions: Vec<&str> = listed.filter(|version| !contained(version)).collect();
        versions.sort_unstable();
        versions.dedup();
        let remarks = remarks(affected);
        Ok(Self {
            key: format!("{}\0{}", affected.ecosystem, affected.name).into_boxed_str(),
            bytes: entry_bytes(&(ranges, versions, remarks))?,
        })
    }
}

/// The stored form of everything in an entry that follows its record number.
fn entry_bytes(fields: &impl Serialize) -> Result<Box<[u8]>, CodecError> {
    Ok(codec::to_bytes(fields)?.into_boxed_slice())
}

fn remarks(affected: &Affected) -> Option<StoredRemarks<'_>> {
    let remarks = StoredRemarks {
        rating: rating(&affected.vectors),
        urgency: affected.urgency.map(Into::into),
        binaries: affected.binaries.iter().map(String::as_str).collect(),
        systems: affected.systems.iter().map(String::as_str).collect(),
        architectures: affected.architectures.iter().map(String::as_str).collect(),
        functions: affected.functions.clone(),
    };
    (remarks != StoredRemarks::default()).then_some(remarks)
}

/// An error and all of its causes in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
