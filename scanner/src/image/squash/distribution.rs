//! Which distribution the image's root is: the first of the well-known files that says so, through symlinks.

use shared::model::report::Distribution;

use super::sightings::Sightings;
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

/// The distribution, as the first readable file states it.
pub(super) fn find(tree: &Tree, sightings: &Sightings<'_>) -> Option<Distribution> {
    FILES.iter().find_map(|path| {
        let file = tree.file(path.as_bytes())?;
        let at = sightings.visible.iter().filter(|sighting| Some(sighting.content) == file.content);
        let mut readings = at.flat_map(|sighting| &sighting.readings);
        readings.find_map(|reading| reading.found.distribution.clone())
    })
}
