//! Root file systems below the image's own: a chroot, another container engine's storage, what an installer unpacks.
//!
//! A root is where a package database of its own is visible. What lies in it is inventoried with its own distribution,
//! and never mixed with the image's.

use std::collections::HashSet;

use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{Distribution, NestedRoot};

use super::sightings::Sightings;
use super::{Applied, distribution, numbered};
use crate::image::analysis::Problems;
use crate::image::engine::Kit;
use crate::image::tree::{Place, Tree};

/// The most roots of one image that are inventoried: even a container engine's storage has one for each layer.
const MOST_ROOTS: usize = 256;

/// A root below the image's own: its position in [`Roots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RootId(u16);

/// All of them.
#[derive(Default)]
pub(super) struct Roots {
    /// Sorted.
    paths: Vec<Vec<u8>>,
    /// So many more there are.
    beyond: usize,
}

impl Roots {
    /// Those with visible databases, and those that `others` lie in.
    pub(super) fn find(
        tree: &Tree,
        layers: &[Option<Applied<'_>>],
        others: impl Iterator<Item = Vec<u8>>,
        kit: &Kit,
    ) -> Self {
        let mut nested = HashSet::new();
        for (layer, applied) in numbered(layers) {
            let entries = applied.analysis.nested_databases.iter();
            nested.extend(entries.map(|entry| Place { layer, entry: *entry }));
        }
        let databases = tree.watched_files().into_iter();
        let databases = databases.filter(|(_, file)| nested.contains(&file.made_by)).map(|(path, _)| path);
        let mut paths: Vec<Vec<u8>> = databases.chain(others).collect();
        paths.retain_mut(|path| {
            let root = kit.matcher.other_root(path);
            path.truncate(root.unwrap_or(path.len()));
            root.is_some()
        });
        paths.sort_unstable();
        paths.dedup();
        let beyond = paths.len().saturating_sub(MOST_ROOTS);
        paths.truncate(MOST_ROOTS);
        Self { paths, beyond }
    }

    /// The innermost root that a file lies in.
    pub(super) fn of(&self, path: &[u8]) -> Option<RootId> {
        let containing = (0..).map(RootId).zip(&self.paths).filter(|(_, root)| lies_in(path, root));
        containing.max_by_key(|(_, root)| root.len()).map(|(id, _)| id)
    }

    /// Its path.
    pub(super) fn path(&self, root: RootId) -> &[u8] {
        &self.paths[usize::from(root.0)]
    }

    /// Each with its distribution, in the order of their ids.
    pub(super) fn identify(&self, tree: &Tree, sightings: &Sightings<'_>) -> Vec<NestedRoot> {
        let identified = (0..).map(RootId).zip(&self.paths).map(|(root, path)| NestedRoot {
            path: String::from_utf8_lossy(path).into_owned(),
            distribution: distribution::find(tree, sightings, path),
            repositories: distribution::repositories(sightings, Some(root)),
        });
        identified.collect()
    }
}

/// Whether a path is below a root; below the image's own, which has an empty path, is everything.
pub(super) fn lies_in(path: &[u8], root: &[u8]) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.starts_with(b"/"))
}

/// The distributions of an image.
pub(super) struct Identity<'i> {
    pub(super) own: Option<&'i Distribution>,
    pub(super) nested: &'i [NestedRoot],
}

impl<'i> Identity<'i> {
    pub(super) fn of(&self, root: Option<RootId>) -> Option<&'i Distribution> {
        match root {
            None => self.own,
            Some(RootId(position)) => self.nested[usize::from(position)].distribution.as_ref(),
        }
    }

    pub(super) fn path(&self, root: RootId) -> &'i str {
        &self.nested[usize::from(root.0)].path
    }
}

/// Says that there are other roots, and which of them cannot be judged.
pub(super) fn report(roots: &Roots, nested: &[NestedRoot], problems: &mut Problems) {
    for root in nested {
        let detail = match &root.distribution {
            Some(distribution) => {
                format!("another root file system, of {}: its packages are judged as such", distribution.name)
            }
            None => "another root file system, and no file says of which distribution: its packages are listed and not judged"
                .to_owned(),
        };
        problems.push(Problem::new(ProblemKind::NestedRoot, detail).at(&root.path));
    }
    if roots.beyond > 0 {
        let detail = format!(
            "the packages of {} more root file systems were not inventoried, the limit is {MOST_ROOTS}",
            roots.beyond
        );
        problems.push(Problem::new(ProblemKind::LimitExceeded, detail));
    }
}
