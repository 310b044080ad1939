//! Everything that one layer contributes to an image, and nothing that depends on other layers.
//!
//! A pure function of the layer's bytes and the analyzer revision, so it can be cached by layer digest and
//! shared by every image that has the layer. What of it is visible, only the squash knows.

mod encoding;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::model::digest::Digest;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::Revision;

pub use super::decompress::Compression;
pub use super::entries::{Entries, Entry, EntryKind, EntryTable};
pub use super::toc::chunked::TablePlace;
use crate::analyzers::{Checksum, Found, FoundObservation};

/// What one pass over a layer found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerAnalysis {
    /// Digest of the stored bytes, verified.
    pub layer: Digest,
    /// What decided about the findings (I6).
    pub analyzer: Revision,
    /// How the stored bytes are compressed; whether they are labelled so, each manifest has to answer for.
    pub compression: Compression,
    /// SHA-256 of the uncompressed tar; `None` if it could not be decoded to its end.
    pub diff_id: Option<Digest>,
    /// Stored size in bytes.
    pub size_bytes: u64,
    /// Uncompressed size in bytes, as far as it was decoded.
    pub inflated_bytes: u64,
    /// Every entry, in the order of the tar.
    pub entries: EntryTable,
    /// Whiteouts and opaque markers; they hide what lower layers have, whatever their place in the tar.
    pub removals: EntryTable,
    /// What analyzers made of which file, in the order of the tar.
    pub evidence: Vec<Evidence>,
    /// Hard links with names that analyzers want; the squash finds the content that they share.
    pub links: Vec<WantedLink>,
    /// Package databases below another root than the image's: positions of their entries.
    pub nested_databases: Vec<u32>,
    /// What was found in the bytes of files, whether a later layer hides them or not: secrets, malware.
    pub observations: Vec<LayerObservation>,
    /// What files with secrets hash to that a package may have put where people change them, in the order of the tar.
    pub sums: Vec<FileSums>,
    /// Tables of contents for lazy runtimes that show what the tar shows, where the layer has such by position.
    pub tables: Vec<TablePlace>,
    /// What went wrong with the layer itself.
    pub problems: Vec<Problem>,
}

/// An observation that holds for whoever can download the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerObservation {
    /// Position of the file in [`LayerAnalysis::entries`].
    pub entry: u32,
    /// What was found in it.
    pub found: FoundObservation,
}

/// What a file hashes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSums {
    /// Position of the file in [`LayerAnalysis::entries`].
    pub entry: u32,
    /// Its digests.
    pub checksums: Checksums,
}

/// A file that analyzers wanted, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Position in [`LayerAnalysis::entries`].
    pub entry: u32,
    /// Under another path than the entry's own, which a link in some image led to.
    pub read_as: Option<String>,
    /// What each analyzer found that read it.
    pub readings: Vec<Reading>,
    /// What the content hashes to, if a language package depends on it.
    pub checksums: Option<Checksums>,
    /// Why it could not be read, or not by everybody.
    pub problems: Vec<Problem>,
}

/// What one analyzer found in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The analyzer's name.
    pub analyzer: String,
    /// Its findings, possibly none.
    pub found: Found,
}

/// A hard link whose path says that analyzers want the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedLink {
    /// Position in [`LayerAnalysis::entries`].
    pub entry: u32,
    /// Names of the analyzers.
    pub analyzers: Vec<String>,
}

/// Digests of a file's content, of the kinds that package databases state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    md5: [u8; 16],
    sha1: [u8; 20],
    sha256: [u8; 32],
}

impl Checksums {
    /// The digests of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut summing = Summing::default();
        summing.update(content);
        summing.finish()
    }

    /// Whether the content is what a package database says.
    pub fn match_stated(&self, stated: &Checksum) -> bool {
        match stated {
            Checksum::Md5(md5) => *md5 == self.md5,
            Checksum::Sha1(sha1) => *sha1 == self.sha1,
            Checksum::Sha256(sha256) => *sha256 == self.sha256,
        }
    }
}

/// [`Checksums`] of content that comes in pieces.
#[derive(Clone, Default)]
pub(super) struct Summing {
    md5: md5::Md5,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
}

impl Summing {
    /// Counts further bytes in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }

    /// The digests of all that was counted in.
    pub(super) fn finish(self) -> Checksums {
        use sha2::Digest as _;
        Checksums {
            md5: self.md5.finalize().into(),
            sha1: self.sha1.finalize().into(),
            sha256: self.sha256.finalize().into(),
        }
    }
}

impl LayerAnalysis {
    /// Whether reading the same bytes again under the same revision would find the same.
    pub(super) fn is_lasting(&self) -> bool {
        self.problems.iter().all(|problem| problem.kind != ProblemKind::MalwareNotSearched)
    }
}

/// How many problems of one kind are kept; the rest is counted.
const KEPT_OF_A_KIND: usize = 100;

/// Problems as they come: a hostile layer cannot make millions of them.
#[derive(Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    counts: BTreeMap<ProblemKind, usize>,
}

impl Problems {
    /// Adds one.
    pub(super) fn push(&mut self, problem: Problem) {
        let count = self.counts.entry(problem.kind).or_default();
        *count += 1;
        if *count <= KEPT_OF_A_KIND {
            self.kept.push(problem);
        }
    }

    /// Adds several.
    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }

    /// All that were kept, and for each kind of which there were more, how many more.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for (kind, count) in self.counts {
            if count > KEPT_OF_A_KIND {
                let more = count - KEPT_OF_A_KIND;
                self.kept.push(Problem::new(kind, format!("{more} more of this kind")));
            }
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_a_flood_of_problems_is_kept_in_part_and_counted() {
        let mut problems = Problems::default();
        problems.extend((0..1000).map(|n| Problem::new(ProblemKind::PathTraversal, format!("{n}"))));
        problems.push(Problem::new(ProblemKind::TrailingData, "once"));
        let kept = problems.finish();
        assert_eq!(kept.len(), KEPT_OF_A_KIND + 2);
        assert!(kept.iter().any(|problem| problem.detail == "900 more of this kind"));
    }
}
