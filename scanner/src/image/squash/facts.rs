//! Which of the files that have a trait are visible in the end, for the checks of misconfiguration.

use hashbrown::HashSet;

use super::sightings::Sightings;
use super::{Applied, ownership};
use crate::image::analysis::EntryKind;
use crate::image::entries::Listed;
use crate::image::tree::{FileNode, NodeId, Place, Places, Tree};
use crate::misconfig::Trait;
use crate::misconfig::facts::{Facts, Group, Kept, KeptKind, Program};

/// So many files of a trait are looked at; nobody installs more on purpose.
const MOST: usize = 100_000;

/// Entries with traits, visible or not.
pub(super) struct Candidates {
    by_trait: [Vec<Candidate>; Trait::ALL.len()],
    cut: [bool; Trait::ALL.len()],
    executable: Places,
}

struct Candidate {
    place: Place,
    kept: Kept,
    path: Vec<u8>,
}

impl Candidates {
    /// None yet, of layers of so many entries.
    pub(super) fn of(entries: impl Iterator<Item = u32>) -> Self {
        Self { by_trait: Default::default(), cut: Default::default(), executable: Places::new(entries) }
    }

    pub(super) fn note(&mut self, listed: Listed<'_>, place: Place) {
        let entry = listed.entry;
        if entry.mode & 0o111 != 0 {
            self.executable.insert(place);
        }
        if !listed.is_notable {
            return;
        }
        for one in Trait::of(entry) {
            let candidates = &mut self.by_trait[one as usize];
            if candidates.len() >= MOST {
                self.cut[one as usize] = true;
                continue;
            }
            let (kind, size) = match entry.kind {
                EntryKind::File { size } => (KeptKind::File, size),
                EntryKind::Directory => (KeptKind::Directory, 0),
                EntryKind::Hardlink { .. }
                | EntryKind::Symlink { .. }
                | EntryKind::Special
                | EntryKind::Whiteout
                | EntryKind::Opaque => (KeptKind::File, 0),
            };
            let kept = Kept { path: String::new(), layer: place.layer, mode: entry.mode, size, kind };
            candidates.push(Candidate { place, kept, path: entry.path.clone() });
        }
    }

    /// The facts of the tree after all layers. `program` is what the config starts.
    pub(super) fn settle(
        self,
        tree: &Tree,
        layers: &[Option<Applied<'_>>],
        sightings: &Sightings<'_>,
        owners: &ownership::Owners,
        program: Option<&str>,
    ) -> Facts {
        let accounts = sightings.visible.iter().filter(|sighting| sighting.path == b"etc/passwd");
        let accounts = accounts.flat_map(|sighting| &sighting.readings);
        let accounts: Vec<_> = accounts.flat_map(|reading| reading.found.accounts.iter().cloned()).collect();
        let mut facts = Facts {
            accounts_cut: accounts.len() >= crate::analyzers::MOST_ACCOUNTS,
            accounts,
            program: program.map_or(Program::Missing, |program| self.program(tree, program)),
            is_complete: layers.iter().all(Option::is_some) && !tree.is_exhausted(),
            groups: Default::default(),
        };
        for (one, candidates) in Trait::ALL.into_iter().zip(self.by_trait) {
            let visible = candidates.into_iter().filter_map(|candidate| {
                let node = tree.link(&candidate.path)?;
                let is_visible = tree.made_by(node) == Some(candidate.place);
                is_visible.then(|| {
                    (
                        node,
                        Kept {
                            path: String::from_utf8_lossy(&tree.path(node)).into_owned(),
                            ..candidate.kept
                        },
                    )
                })
            });
            let mut visible: Vec<(NodeId, Kept)> = visible.collect();
            if one == Trait::Unowned {
                visible = without_owned(visible, tree, sightings, owners);
            }
            let mut kept: Vec<Kept> = visible.into_iter().map(|(_, kept)| kept).collect();
            kept.sort_unstable();
            kept.dedup();
            facts.groups[one as usize] = Group { kept, is_cut: self.cut[one as usize] };
        }
        facts
    }

    fn program(&self, tree: &Tree, program: &str) -> Program {
        match tree.file(program.as_bytes()).and_then(|file| file.content) {
            None => Program::Missing,
            Some(content) if self.executable.contains(content) => Program::Executable,
            Some(_) => Program::NotExecutable,
        }
    }
}

/// Without a package database, or where it lists no files, nothing can be said about ownership.
fn without_owned(
    visible: Vec<(NodeId, Kept)>,
    tree: &Tree,
    sightings: &Sightings<'_>,
    owners: &ownership::Owners,
) -> Vec<(NodeId, Kept)> {
    let mut readings = sightings.visible.iter().flat_map(|sighting| &sighting.readings);
    if owners.is_empty() || !readings.any(|reading| !reading.found.owned.is_empty()) {
        return Vec::new();
    }
    let files: HashSet<FileNode> = visible.iter().filter_map(|(node, _)| tree.file_node(*node)).collect();
    let owned = ownership::owned_files(tree, sightings, owners, &files, &ownership::Sums::new());
    visible.into_iter().filter(|(node, _)| !owned.contains(node)).collect()
}
