//! Which OS package owns a language package's evidence file, unchanged.
//!
//! A distribution repairs its copies of language packages without changing their versions, so its own
//! advisories must decide about them. Owned means: listed by the OS package, both paths made canonical in
//! the tree, and still what the package installed: the stated checksum, or, where none is stated, a file
//! that comes from no later layer than the package.

use hashbrown::{HashMap, HashSet};
use shared::model::package::{Evidence, Level, Purl};

use super::Located;
use super::roots::{Identity, RootId};
use super::sightings::{Sightings, Standing};
use crate::advisories::ecosystems;
use crate::analyzers::{Checksum, OwnedFiles};
use crate::image::analysis::Checksums;
use crate::image::matcher::split;
use crate::image::tree::{FileNode, NodeId, Place, Tree};

/// Sets `owned_by` of every language package, and of what a program claims to belong to, whose evidence file an OS
/// package owns.
pub(super) fn mark(tree: &Tree, sightings: &Sightings<'_>, owners: &Owners, located: &mut [Located<'_, '_>]) {
    let candidates = Candidates::of(located);
    let claims = claims(tree, sightings, owners, &candidates);
    for package in located.iter_mut() {
        let claims = claims.get(&package.sighting.node()).map_or(&[][..], Vec::as_slice);
        if may_be_owned(package) {
            package.package.owned_by = owner_of(package, claims).cloned();
        }
    }
}

fn may_be_owned(located: &Located<'_, '_>) -> bool {
    located.package.package.kind.level() == Level::Language || located.is_noted()
}

/// Of the OS packages that own a recognised program those that somebody else than the distribution of their root built.
pub(super) fn foreign_owners(located: &[Located<'_, '_>], identity: &Identity<'_>) -> HashSet<Purl> {
    let programs = located.iter().filter(|located| located.is_recognised());
    let owners: HashSet<&Purl> = programs.filter_map(|located| located.package.owned_by.as_ref()).collect();
    let is_foreign = |located: &&Located<'_, '_>| {
        let distribution = identity.of(located.sighting.root);
        let ecosystems = distribution.and_then(|distribution| ecosystems::of_root(distribution, &[]));
        ecosystems.is_some_and(|ecosystems| ecosystems.is_foreign(&located.package.package))
    };
    let owning = located.iter().filter(|located| owners.contains(&located.package.purl));
    owning.filter(is_foreign).map(|located| located.package.purl.clone()).collect()
}

/// What files hash to, as far as that is known, by the entry that holds the bytes.
pub(super) type Sums<'a> = HashMap<Place, &'a Checksums>;

/// Those of `files` that an OS package lists and that are as it installed them: by the stated checksum where both are
/// known, else where they come from no later layer than it.
pub(super) fn owned_files(
    tree: &Tree,
    sightings: &Sightings<'_>,
    owners: &Owners,
    files: &HashSet<FileNode>,
    sums: &Sums<'_>,
) -> HashSet<NodeId> {
    let candidates = Candidates {
        nodes: files.iter().map(|file| file.node).collect(),
        names: files.iter().map(|file| split(&tree.path(file.node)).1.to_vec()).collect(),
    };
    let claims = claims(tree, sightings, owners, &candidates);
    let is_owned = |file: &&FileNode| {
        let claims = claims.get(&file.node).map_or(&[][..], Vec::as_slice);
        let actual = file.content.and_then(|content| sums.get(&content));
        claims.iter().any(|claim| {
            let mut stated = claim.stated_by_owner(claims).peekable();
            match (stated.peek().is_some(), actual) {
                (true, Some(actual)) => stated.any(|stated| actual.match_stated(stated)),
                (true, None) | (false, _) => file.made_by.layer <= claim.owner.introduced_in,
            }
        })
    };
    files.iter().filter(is_owned).map(|file| file.node).collect()
}

/// What OS packages say about the candidates.
fn claims<'a>(
    tree: &Tree,
    sightings: &Sightings<'a>,
    owners: &'a Owners,
    candidates: &Candidates,
) -> HashMap<NodeId, Vec<Claim<'a>>> {
    let mut claims: HashMap<NodeId, Vec<Claim<'a>>> = HashMap::new();
    if candidates.nodes.is_empty() {
        return claims;
    }
    let counted = sightings.visible.iter().filter(|sighting| sighting.standing == Standing::Counted);
    let lists = counted.flat_map(|sighting| {
        let lists = sighting.readings.iter().flat_map(|reading| &reading.found.owned);
        lists.map(|owned| (sighting.root, owned))
    });
    for (root, owned) in lists {
        let Some(owner) = owners.find(owned, root) else { continue };
        for file in &owned.files {
            let path = file.path.as_bytes();
            if !candidates.names.contains(split(path).1) {
                continue;
            }
            let node = match root {
                None => tree.link(path),
                Some(root) => tree.link(&[sightings.roots.path(root), b"/", path].concat()),
            };
            if let Some(node) = node.filter(|node| candidates.nodes.contains(node)) {
                let claim = Claim { owner, checksum: file.checksum.as_ref() };
                claims.entry(node).or_default().push(claim);
            }
        }
    }
    claims
}

/// An OS package says that it installed a file.
#[derive(Clone, Copy)]
struct Claim<'a> {
    owner: &'a Owner,
    checksum: Option<&'a Checksum>,
}

impl<'a> Claim<'a> {
    /// What its owner says of the file's content, in whichever of its lists.
    fn stated_by_owner(self, claims: &[Self]) -> impl Iterator<Item = &'a Checksum> {
        let of_owner = claims.iter().filter(move |other| other.owner.purl == self.owner.purl);
        of_owner.filter_map(|claim| claim.checksum)
    }
}

struct Owner {
    purl: Purl,
    architecture: Option<String>,
    introduced_in: u16,
    /// The root that it is installed in.
    root: Option<RootId>,
}

/// The owner whose claim holds. A stated checksum decides alone, whatever other lists of the owner say. No checksums are
/// taken of what only says in a note to which package it belongs: distributions write one into all that they build.
fn owner_of<'a>(package: &Located<'_, '_>, claims: &[Claim<'a>]) -> Option<&'a Purl> {
    let sighting = package.sighting;
    let holds = |claim: &&Claim<'a>| {
        let mut stated = claim.stated_by_owner(claims).peekable();
        let is_as_old = || sighting.file.made_by.layer <= claim.owner.introduced_in;
        if stated.peek().is_none() {
            return is_as_old();
        }
        match sighting.checksums {
            Some(actual) => stated.any(|stated| actual.match_stated(stated)),
            None => package.is_noted() && is_as_old(),
        }
    };
    claims.iter().find(holds).map(|claim| &claim.owner.purl)
}

/// The files that might be owned; most listed paths can be dismissed by their names.
struct Candidates {
    nodes: HashSet<NodeId>,
    names: HashSet<Vec<u8>>,
}

impl Candidates {
    fn of(located: &[Located<'_, '_>]) -> Self {
        let language = located.iter().filter(|located| may_be_owned(located)).map(|located| located.sighting);
        Self {
            nodes: language.clone().map(super::sightings::Sighting::node).collect(),
            names: language.map(|sighting| split(&sighting.path).1.to_vec()).collect(),
        }
    }
}

/// The installed OS packages, by name.
pub(super) struct Owners(HashMap<String, Vec<Owner>>);

impl Owners {
    pub(super) fn of(located: &[Located<'_, '_>]) -> Self {
        let mut owners: HashMap<String, Vec<Owner>> = HashMap::new();
        let installed = located.iter().map(|located| (&located.package, located.sighting.root));
        for (package, root) in installed.filter(|(package, _)| {
            package.package.kind.level() == Level::Os && package.package.evidence == Evidence::Installed
        }) {
            owners.entry(package.package.name.clone()).or_default().push(Owner {
                purl: package.purl.clone(),
                architecture: package.package.architecture.clone(),
                introduced_in: package.introduced_in.0,
                root,
            });
        }
        Self(owners)
    }

    /// Whether no OS package is installed in the image's own root.
    pub(super) fn is_empty(&self) -> bool {
        !self.0.values().flatten().any(|owner| owner.root.is_none())
    }

    /// The installed package that a list in a root belongs to.
    fn find(&self, owned: &OwnedFiles, root: Option<RootId>) -> Option<&Owner> {
        let named = self.0.get(&owned.package)?;
        let mut named = named.iter().filter(|owner| owner.root == root);
        let fits = |owner: &&Owner| match (&owned.architecture, &owner.architecture) {
            (Some(listed), Some(installed)) => listed == installed,
            (None, _) | (_, None) => true,
        };
        named.find(fits)
    }
}
