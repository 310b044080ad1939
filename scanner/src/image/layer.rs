//! One pass over one layer: verify → inflate → tar → analyzers, in bounded memory.
//!
//! In: the stored bytes and their descriptor. Out: a [`LayerAnalysis`], or the reason why there is none
//! that could be kept. Bytes that are what their digest says always give an analysis: whatever is wrong
//! with them is a problem in it. OCI image-spec layer.md.

mod head;
mod lazy;
mod offer;

use std::io::{self, Read};

use shared::model::digest::Digest;
use shared::model::document::Descriptor;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::Revision;

use super::analysis::{
    Entry, EntryKind, Evidence, FileSums, LayerAnalysis, LayerObservation, Problems, WantedLink,
};
use super::decompress::{Compression, Decoder, Digests, Inflated};
use super::engine::Kit;
use super::entries::EntryWriter;
use super::halt::Halt;
use super::matcher::split;
use super::stored::{Stored, Watch};
use super::tar::{Ambiguity, Archive, Member, MemberKind, PathRefusal, Tail, TarLimits, canonical};
use super::toc::Views;
use super::toc::chunked::{TablePlace, Tables};
use crate::malware::Sessions;
use crate::secrets;
pub(super) use offer::{Contents, Focus, Request};

/// The longest GNU long name: more than any path may have, less than could hurt.
const LONG_NAME_BYTES: u64 = 64 << 10;

/// Why a layer's bytes gave no analysis.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The source broke off; it may work later.
    #[error("cannot read layer {layer} to its end")]
    Read {
        /// Which layer.
        layer: Digest,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// The bytes are not what the descriptor says (I5).
    #[error(
        "layer {layer} has {bytes} bytes that hash to {actual}; its descriptor says {expected_bytes} bytes"
    )]
    DigestMismatch {
        /// Which layer.
        layer: Digest,
        /// What they hash to.
        actual: Digest,
        /// How many there are, at most one more than expected.
        bytes: u64,
        /// How many there should be.
        expected_bytes: u64,
    },
    /// The time for one layer is used up.
    #[error("layer {layer} took longer than {} seconds", limit.as_secs())]
    TimedOut {
        /// Which layer.
        layer: Digest,
        /// The limit.
        limit: std::time::Duration,
    },
    /// Nobody wants the result any more.
    #[error("reading layer {layer} was cancelled")]
    Cancelled {
        /// Which layer.
        layer: Digest,
    },
}

/// Memory that serves one file after the other: there are many, and most are small.
#[derive(Default)]
struct Memory {
    file: Vec<u8>,
    search: secrets::Memory,
}

/// One pass on the way.
pub(super) struct LayerPass<'a> {
    kit: &'a Kit,
    descriptor: &'a Descriptor,
    focus: Focus,
    revision: Revision,
    /// Whoever searches for malware, at work on this layer.
    malware: Sessions<'a>,
    entries: EntryWriter,
    entry_count: u64,
    removals: EntryWriter,
    evidence: Vec<Evidence>,
    links: Vec<WantedLink>,
    nested_databases: Vec<u32>,
    package_count: usize,
    observations: Vec<LayerObservation>,
    sums: Vec<FileSums>,
    /// What one file after the other is held in.
    memory: Memory,
    contents: Contents,
    compression: Compression,
    views: Views,
    tables: Vec<TablePlace>,
    problems: Problems,
}

impl<'a> LayerPass<'a> {
    /// A pass that has not begun.
    pub(super) fn new(kit: &'a Kit, descriptor: &'a Descriptor, focus: Focus, revision: Revision) -> Self {
        let malware = match focus {
            Focus::Everything => kit.malware.sessions(),
            // An earlier pass over the layer has searched it.
            Focus::Linked(_) | Focus::Contents(_) => Sessions::default(),
        };
        Self {
            kit,
            descriptor,
            revision,
            malware,
            focus,
            entries: EntryWriter::default(),
            entry_count: 0,
            removals: EntryWriter::default(),
            evidence: Vec::new(),
            links: Vec::new(),
            nested_databases: Vec::new(),
            package_count: 0,
            observations: Vec::new(),
            sums: Vec::new(),
            memory: Memory::default(),
            contents: Contents::new(),
            compression: Compression::Plain,
            views: Views::default(),
            tables: Vec::new(),
            problems: Problems::default(),
        }
    }

    /// Reads `source` to its end. The contents are those that a [`Focus::Contents`] asked for.
    pub(super) fn run(
        mut self,
        source: Box<dyn Read + Send>,
        watch: &Watch,
    ) -> Result<(LayerAnalysis, Contents), LayerError> {
        let stored = Stored::new(source, self.descriptor, watch.clone());
        let digests = match Decoder::open(stored, &self.kit.limits) {
            Ok(decoder) => self.read(decoder, watch),
            Err((halt, stored)) => self.read_undecodable(halt, *stored),
        };
        let digests = digests.map_err(|halt| self.error(halt))?;
        let expected = self.descriptor;
        if digests.stored != expected.digest || digests.stored_bytes != expected.size {
            return Err(LayerError::DigestMismatch {
                layer: expected.digest.clone(),
                actual: digests.stored,
                bytes: digests.stored_bytes,
                expected_bytes: expected.size,
            });
        }
        self.compare_views(&digests);
        let contents = std::mem::take(&mut self.contents);
        Ok((self.finish(digests)?, contents))
    }

    fn read(&mut self, decoder: Decoder, watch: &Watch) -> Result<Digests, Halt> {
        self.compression = decoder.compression();
        // Taken before any capture permit and by all layers in this order, so that nobody waits in a circle.
        let _window = match decoder.extraordinary_window() {
            Some(bytes) => Some(self.kit.windows.acquire(bytes, watch)?),
            None => None,
        };
        let limits = TarLimits {
            header_bytes: self.kit.limits.header_bytes,
            name_bytes: LONG_NAME_BYTES.min(self.kit.limits.header_bytes),
            hole_bytes: self.kit.limits.layer_bytes,
        };
        let mut archive = Archive::new(Inflated::start(decoder)?, limits);
        let walked = self.walk(&mut archive, watch);
        let walked_to_the_end = walked.is_ok();
        self.outlive(walked)?;
        if let Some(ambiguity) = archive.ambiguity() {
            self.problem(ProblemKind::LayerMalformed, ambiguity.describe());
        }
        match archive.drain().map_err(Halt::of) {
            Ok(Tail::NonZero) if walked_to_the_end => self.problem(
                ProblemKind::DataAfterTarEnd,
                "data follows the end of the tar; some tools would show it",
            ),
            Ok(Tail::NonZero | Tail::Clean) => {}
            Err(halt) if walked_to_the_end => self.outlive(Err(halt))?,
            Err(halt) => drop(halt.survivable()?),
        }
        let digests = archive.into_inner().finish()?;
        if digests.has_trailing_bytes {
            self.problem(
                ProblemKind::TrailingData,
                format!("data follows the last {} member", self.compression.name()),
            );
        }
        Ok(digests)
    }

    /// A layer whose first bytes cannot be decoded is still read, so that its digest is known.
    fn read_undecodable(&mut self, halt: Halt, mut stored: Stored) -> Result<Digests, Halt> {
        self.outlive(Err(halt))?;
        stored.drain().map_err(Halt::of)?;
        let (stored, stored_bytes) = stored.finish();
        Ok(Digests {
            stored,
            stored_bytes,
            inflated: None,
            inflated_bytes: 0,
            tail: Vec::new(),
            tables: Tables::default(),
            has_trailing_bytes: false,
        })
    }

    fn walk(&mut self, archive: &mut Archive<Inflated>, watch: &Watch) -> Result<(), Halt> {
        let most = self.kit.limits.layer_entries.min(u64::from(u32::MAX));
        while let Some(member) = archive.next_member()? {
            self.entry_count += 1;
            if self.entry_count > most {
                return Err(Halt::Limit { what: "the number of entries", limit: most });
            }
            let Some(path) = self.canonical(&member.name) else {
                continue;
            };
            if path.is_empty() {
                continue;
            }
            let lazy = self.begin_lazy(&path, &member, archive, watch)?;
            if !self.remove(&path)? {
                self.add(path, member, archive, watch)?;
            }
            self.end_lazy(lazy, archive)?;
        }
        Ok(())
    }

    /// The canonical form of a name; a name that is refused becomes a problem.
    fn canonical(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let refusal = match canonical(name, self.kit.limits.path_bytes) {
            Ok(path) => return Some(path),
            Err(refusal) => refusal,
        };
        let (kind, detail) = match refusal {
            PathRefusal::Traversal => (ProblemKind::PathTraversal, "an entry outside the root was ignored"),
            PathRefusal::TooLong => {
                (ProblemKind::LimitExceeded, "an entry with a path beyond the limits was ignored")
            }
        };
        let shown = String::from_utf8_lossy(&name[..name.len().min(1024)]);
        self.problems.push(Problem::new(kind, detail).at(shown).in_layer(&self.descriptor.digest));
        None
    }

    /// Takes a whiteout; `false` if the path is none.
    fn remove(&mut self, path: &[u8]) -> Result<bool, Halt> {
        let (parent, name) = split(path);
        if path.split(|byte| *byte == b'/').any(|part| part.starts_with(b".wh..wh."))
            && name != b".wh..wh..opq"
        {
            return Ok(true);
        }
        let Some(hidden) = name.strip_prefix(b".wh.") else {
            return Ok(false);
        };
        let (path, kind) = match hidden {
            b".wh..opq" => (parent.to_vec(), EntryKind::Opaque),
            b"" | b"." | b".." => {
                self.problem(ProblemKind::LayerMalformed, "a whiteout has no name");
                return Ok(true);
            }
            hidden if parent.is_empty() => (hidden.to_vec(), EntryKind::Whiteout),
            hidden => ([parent, b"/", hidden].concat(), EntryKind::Whiteout),
        };
        let entry = Entry { path, kind, mode: 0, uid: 0, gid: 0, capability: false };
        self.removals.push(&entry).map_err(Halt::of)?;
        Ok(true)
    }

    fn add(
        &mut self,
        path: Vec<u8>,
        member: Member,
        archive: &mut Archive<Inflated>,
        watch: &Watch,
    ) -> Result<(), Halt> {
        let kind = match member.kind {
            MemberKind::File => EntryKind::File { size: member.size },
            MemberKind::Hardlink { target } => match self.canonical(&target) {
                Some(target) => EntryKind::Hardlink { target },
                None => return Ok(()),
            },
            MemberKind::Symlink { target } if target.len() <= self.kit.limits.path_bytes => {
                EntryKind::Symlink { target }
            }
            MemberKind::Symlink { .. } => {
                self.problem(
                    ProblemKind::LimitExceeded,
                    "the target of a symbolic link is beyond the limits",
                );
                EntryKind::Special
            }
            MemberKind::Directory => EntryKind::Directory,
            MemberKind::Special => EntryKind::Special,
            MemberKind::Unknown { flag } => {
                self.skip_unknown(&path, flag);
                return Ok(());
            }
        };
        let entry = Entry {
            path,
            kind,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            capability: member.capability,
        };
        let position = self.entries.push(&entry).map_err(Halt::of)?;
        match entry.kind {
            EntryKind::File { size } => self.offer(position, &entry, size, archive, watch),
            EntryKind::Hardlink { .. } => {
                self.note_link(position, &entry.path);
                Ok(())
            }
            EntryKind::Symlink { .. }
            | EntryKind::Directory
            | EntryKind::Special
            | EntryKind::Whiteout
            | EntryKind::Opaque => Ok(()),
        }
    }

    fn skip_unknown(&mut self, path: &[u8], flag: u8) {
        let matched = self.kit.matcher.by_path(path);
        if !matched.wanted.is_empty() || matched.nested.is_some_and(|nested| nested.is_database) {
            let detail = format!("an entry of unknown type {flag:#04x} was skipped");
            let problem = Problem::new(ProblemKind::AnalyzerFailed, detail);
            let problem = problem.at(String::from_utf8_lossy(path));
            self.problems.push(problem.in_layer(&self.descriptor.digest));
        }
    }

    /// Turns what stops the layer but not the image into a problem.
    fn outlive(&mut self, result: Result<(), Halt>) -> Result<(), Halt> {
        let Err(halt) = result else { return Ok(()) };
        let halt = halt.survivable()?;
        let kind = match halt {
            Halt::Limit { .. } => ProblemKind::LimitExceeded,
            Halt::Corrupt(_) | Halt::Source(_) | Halt::Cancelled | Halt::TimedOut { .. } => {
                ProblemKind::LayerMalformed
            }
        };
        self.problem(kind, halt.to_string());
        Ok(())
    }

    fn problem(&mut self, kind: ProblemKind, detail: impl AsRef<str>) {
        self.problems.push(Problem::new(kind, detail).in_layer(&self.descriptor.digest));
    }

    fn error(&self, halt: Halt) -> LayerError {
        let layer = self.descriptor.digest.clone();
        match halt {
            Halt::Source(source) => LayerError::Read { layer, source },
            Halt::TimedOut { limit } => LayerError::TimedOut { layer, limit },
            Halt::Cancelled => LayerError::Cancelled { layer },
            Halt::Limit { .. } | Halt::Corrupt(_) => LayerError::Read { layer, source: halt.into() },
        }
    }

    fn finish(self, digests: Digests) -> Result<LayerAnalysis, LayerError> {
        let layer = self.descriptor.digest.clone();
        let unpackable = |source| LayerError::Read { layer: layer.clone(), source };
        Ok(LayerAnalysis {
            analyzer: self.revision,
            compression: self.compression,
            diff_id: digests.inflated,
            size_bytes: digests.stored_bytes,
            inflated_bytes: digests.inflated_bytes,
            entries: self.entries.finish().map_err(unpackable)?,
            removals: self.removals.finish().map_err(unpackable)?,
            evidence: self.evidence,
            links: self.links,
            nested_databases: self.nested_databases,
            observations: self.observations,
            sums: self.sums,
            tables: self.tables,
            problems: self.problems.finish(),
            layer,
        })
    }
}

impl Ambiguity {
    fn describe(self) -> &'static str {
        match self {
            Self::SteeringGlobal => "a global pax header names a path or size; readers disagree about it",
            Self::TwoNames => "an entry has two different long names; readers disagree about it",
        }
    }
}

#[cfg(test)]
mod tests;
