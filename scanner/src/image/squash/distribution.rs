//! Which distribution a root is, and where its packages come from: the first of the well-known files that says so, through
//! symlinks.

use std::collections::BTreeSet;

use shared::model::report::Distribution;

use super::roots::{RootId, lies_in};
use super::sightings::{Sightings, Standing};
use crate::image::tree::Tree;

/// In the order in which they are believed: os-release(5) and where it lives, then what was there before it.
const FILES: [&str; 10] = [
    "etc/os-release",
    "usr/lib/os-release",
    "etc/alpine-release",
    "etc/debian_version",
    "etc/lsb-release",
    "etc/oracle-release",
    "etc/centos-release",
    "etc/redhat-release",
    "etc/system-release",
    "etc/photon-release",
];

/// So many repositories of a root are kept.
const MOST_REPOSITORIES: usize = 1000;

/// The distribution of a root, as the first readable file states it. `root` is empty for the image's own; what a link
/// of another root shows outside of that root is none of its files.
pub(super) fn find(tree: &Tree, sightings: &Sightings<'_>, root: &[u8]) -> Option<Distribution> {
    FILES.iter().find_map(|path| {
        let path =
            if root.is_empty() { path.as_bytes().to_vec() } else { [root, b"/", path.as_bytes()].concat() };
        let file = tree.file(&path).filter(|file| lies_in(&tree.path(file.node), root))?;
        let at = sightings.visible.iter().filter(|sighting| Some(sighting.content) == file.content);
        let mut readings = at.flat_map(|sighting| &sighting.readings);
        readings.find_map(|reading| reading.found.distribution.clone())
    })
}

/// Everything that visible files of a root say about the repositories of its packages, sorted.
pub(super) fn repositories(sightings: &Sightings<'_>, root: Option<RootId>) -> Vec<String> {
    let of_root = sightings.visible.iter();
    let of_root = of_root.filter(|sighting| sighting.standing == Standing::Counted && sighting.root == root);
    let readings = of_root.flat_map(|sighting| &sighting.readings);
    let stated: BTreeSet<&String> = readings.flat_map(|reading| &reading.found.repositories).collect();
    stated.into_iter().take(MOST_REPOSITORIES).cloned().collect()
}
