//! What lock files declare counts only where nothing shows what was really installed.
//!
//! A lock file is often the input of a build whose outcome is in the image as well; then the outcome decides,
//! and every package would be counted twice besides. A project is the directory of its lock file.

use std::collections::{HashMap, HashSet};

use shared::model::package::{Evidence, PackageKind};

use super::Located;

/// The list that npm keeps of what it installed; each package in it has a file of its own as well.
const NPM_LIST: &[u8] = b"/.package-lock.json";

/// Drops declared packages of every project below which an installed package of the same kind lies, and
/// entries of npm's own list whose packages were seen themselves.
pub(super) fn settle(located: &mut Vec<Located<'_, '_>>) {
    let installed = Installed::of(located);
    located.retain(|located| {
        let package = &located.package;
        let directory = parent(&located.sighting.path);
        match package.package.evidence {
            Evidence::Declared => !installed.is_below(package.package.kind, directory),
            Evidence::Installed if is_listed(located) => {
                !installed.seen.contains(&(located.identity().to_owned(), directory.to_vec()))
            }
            Evidence::Installed
            | Evidence::Inferred
            | Evidence::Embedded
            | Evidence::Unmatched
            | Evidence::Claimed
            | Evidence::Recognised
            | Evidence::ArchiveNotInstalled => true,
        }
    });
}

/// Where installed packages lie.
#[derive(Default)]
struct Installed {
    /// Every directory above an installed package, by kind.
    above: HashMap<PackageKind, HashSet<Vec<u8>>>,
    /// npm packages with a file of their own, by identity, with each `node_modules` above it.
    seen: HashSet<(String, Vec<u8>)>,
}

impl Installed {
    fn of(located: &[Located<'_, '_>]) -> Self {
        let kinds = located.iter().filter(|located| located.package.package.evidence == Evidence::Declared);
        let kinds: HashSet<PackageKind> = kinds.map(|located| located.package.package.kind).collect();
        let listed = located.iter().filter(|located| is_listed(located));
        let lists: HashSet<&[u8]> = listed.map(|located| parent(&located.sighting.path)).collect();
        let mut installed = Self::default();
        for located in located {
            let package = &located.package;
            let is_proof = matches!(
                package.package.evidence,
                Evidence::Installed | Evidence::Inferred | Evidence::Embedded
            );
            let is_asked = kinds.contains(&package.package.kind) || !lists.is_empty();
            if !is_proof || !is_asked {
                continue;
            }
            let above = installed.above.entry(package.package.kind).or_default();
            for directory in ancestors(&located.sighting.path) {
                if lists.contains(directory) && !is_listed(located) {
                    installed.seen.insert((located.identity().to_owned(), directory.to_vec()));
                }
                above.insert(directory.to_vec());
            }
        }
        installed
    }

    /// Whether a package of a kind is installed below a directory.
    fn is_below(&self, kind: PackageKind, directory: &[u8]) -> bool {
        self.above.get(&kind).is_some_and(|above| above.contains(directory))
    }
}

/// Whether a package is an entry of npm's own list.
pub(super) fn is_listed(located: &Located<'_, '_>) -> bool {
    located.package.package.kind == PackageKind::Npm && located.sighting.path.ends_with(NPM_LIST)
}

fn parent(path: &[u8]) -> &[u8] {
    crate::image::matcher::split(path).0
}

/// Directories whose packages belong to the system or to a program of its own, not to a project at the root.
const SYSTEM: [&[u8]; 4] = [b"usr/", b"opt/", b"lib/", b"lib64/"];

/// Every directory above a file whose project it can belong to, the root last.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_of_system = SYSTEM.iter().any(|system| path.starts_with(system));
    let all = std::iter::successors(Some(parent(path)), |directory| {
        (!directory.is_empty()).then(|| parent(directory))
    });
    all.filter(move |directory| !directory.is_empty() || !is_of_system)
}
