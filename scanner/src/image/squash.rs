//! Layers squashed: analyses in, what is visible in the image out. Pure, and the same on warm and cold caches.
//!
//! A package counts if the file that proves it is, in the squashed tree, the very entry that an analyzer
//! read. What was overwritten, whited out or lost with its directory is thus gone by construction, also
//! where nothing of interest took its place. OCI image-spec layer.md, "Applying Changesets".

mod attribution;
mod claims;
mod declared;
mod distribution;
mod facts;
mod observations;
mod origin;
mod ownership;
mod roots;
mod sightings;
mod stores;
mod superseded;

use hashbrown::{HashMap, HashSet};
use shared::model::layer::LayerIndex;
use shared::model::observation::Observation;
use shared::model::package::{self, Level, Package, PackageKind, Purl, PurlDistribution};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{Distribution, InstalledPackage, LinkedProgram, NestedRoot};

use super::analysis::{Evidence, LayerAnalysis, Problems, Reading};
use super::engine::Kit;
use super::halt::Halt;
use super::layer::Request;
use super::tree::{Place, Places, Tree};
use crate::advisories::ecosystems;
use crate::analyzers::{elf_note, kernel};
use crate::misconfig::Facts;
use attribution::Versions;
use roots::Identity;
use sightings::{Sighting, Sightings, Standing};

/// How many entries are applied between two looks at the clock.
const ENTRIES_A_LOOK: u32 = 4096;
/// The most entries of one image.
const MOST_ENTRIES: u32 = 4_000_000;

/// A layer at its place in an image.
#[derive(Clone, Copy)]
pub(super) struct Applied<'a> {
    /// What it contributes.
    pub(super) analysis: &'a LayerAnalysis,
    /// What was read in it besides, because links in this image lead there.
    pub(super) linked: &'a [Evidence],
}

/// What is visible in an image.
#[derive(Debug, Default)]
pub(super) struct Squashed {
    /// Of the root.
    pub(super) distribution: Option<Distribution>,
    /// Of the root, sorted.
    pub(super) repositories: Vec<String>,
    /// Sorted by path.
    pub(super) nested_roots: Vec<NestedRoot>,
    /// Sorted by purl, then path.
    pub(super) packages: Vec<InstalledPackage>,
    /// Sorted by path.
    pub(super) programs: Vec<LinkedProgram>,
    /// What is wrong with the image itself, in no order.
    pub(super) observations: Vec<Observation>,
    /// What checks of misconfiguration want to know.
    pub(super) facts: Facts,
    /// Of visible files, and of the squash itself.
    pub(super) problems: Vec<Problem>,
    /// Files that only a link makes interesting, and that nobody has read yet.
    pub(super) unread: Vec<Unread>,
    /// Databases that nobody has read together with their logs yet.
    pub(super) unjoined: Vec<Logged>,
}

/// A file that must be read under another path than its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unread {
    pub(super) place: Place,
    pub(super) request: Request,
}

/// An SQLite database and the write-ahead log beside it: only both together are what its owner would see.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Logged {
    pub(super) database: Place,
    pub(super) log: Place,
    /// Who reads the database, and where it lies.
    pub(super) request: Request,
}

/// What analyzers made of databases together with their logs.
pub(super) type Joined = HashMap<Logged, Reading>;

/// Everything that analyzers made of the files of an image, by the entry that holds the bytes.
type EvidenceAt<'a> = HashMap<Place, Vec<&'a Evidence>>;

/// Squashes `layers`, bottom first; a layer that could not be analysed is `None` and changes nothing.
///
/// `program` is the path that the config starts; `check` is asked now and then whether to go on.
pub(super) fn squash(
    layers: &[Option<Applied<'_>>],
    joined: &Joined,
    kit: &Kit,
    program: Option<&str>,
    check: &dyn Fn() -> Result<(), Halt>,
) -> Result<Squashed, Halt> {
    let mut problems = Problems::default();
    let evidence = evidence_of(layers);
    let mut tree = Tree::new(watched(layers, &evidence));
    let mut notes = Notes::of(layers);
    let versions = fold(layers, &mut tree, &mut notes, &mut problems, check)?;
    let sightings = Sightings::find(&tree, layers, &evidence, joined, kit);
    let distribution = distribution::find(&tree, &sightings, b"");
    let nested_roots = sightings.roots.identify(&tree, &sightings);
    roots::report(&sightings.roots, &nested_roots, &mut problems);
    report_databases(&sightings, distribution.as_ref(), &mut problems);
    for sighting in &sightings.visible {
        problems.extend(sighting.problems(layers));
    }
    let identity = Identity { own: distribution.as_ref(), nested: &nested_roots };
    let mut located = locate(&sightings, &versions, &evidence, &identity, kit, &mut problems);
    origin::settle_listed(&mut located);
    declared::settle(&mut located);
    origin::settle(&mut located);
    let owners = ownership::Owners::of(&located);
    ownership::mark(&tree, &sightings, &owners, &mut located);
    let foreign = ownership::foreign_owners(&located, &identity);
    located.retain(|located| !located.is_told_by_owner(&foreign));
    claims::settle(&mut located);
    claims::settle_runtimes(&mut located);
    claims::settle_assemblies(&mut located);
    let observations = observations::collect(&tree, layers, &sightings, &versions, &owners, &notes.observed);
    let facts = notes.candidates.settle(&tree, layers, &sightings, &owners, program);
    let mut packages: Vec<InstalledPackage> = located.into_iter().map(|located| located.package).collect();
    packages.extend(stores::packages(&tree, kit.limits.packages.saturating_sub(packages.len())));
    packages.sort_by(|one, other| (&one.purl, &one.path).cmp(&(&other.purl, &other.path)));
    packages.dedup_by(|one, other| {
        one.purl == other.purl
            && one.nested_root == other.nested_root
            && (one.path == other.path || superseded::is_stated_twice(one.package.kind))
    });
    Ok(Squashed {
        distribution,
        repositories: distribution::repositories(&sightings, None),
        nested_roots,
        packages,
        programs: programs(&sightings),
        observations,
        facts,
        problems: problems.finish(),
        unread: sightings.unread,
        unjoined: sightings.unjoined,
    })
}

/// Whether a package shows that there is a distribution.
fn is_of_distribution(package: &Package) -> bool {
    belongs_to_distribution(package.kind) && package.evidence == package::Evidence::Installed
}

/// Whether a package only means something together with a distribution. Nix and FreeBSD's pkg are the same on every
/// system.
fn belongs_to_distribution(kind: PackageKind) -> bool {
    kind.level() == Level::Os && !matches!(kind, PackageKind::Nix | PackageKind::FreeBsd)
}

/// A package, and the sighting that it came from.
struct Located<'s, 'a> {
    package: InstalledPackage,
    sighting: &'s Sighting<'a>,
}

impl Located<'_, '_> {
    /// Which package of which version it is, whatever qualifiers tell besides.
    fn identity(&self) -> &str {
        self.package.purl.without_qualifiers()
    }

    /// Whether it is what a program says in a note that it belongs to.
    fn is_noted(&self) -> bool {
        self.package.package.evidence == package::Evidence::Claimed && self.is_read_by(elf_note::NAME)
    }

    /// A program's own version says nothing about the patches of the distribution that built it; its package does. So
    /// it does about what the program claims to belong to. Of what somebody else built the distribution's advisories say
    /// nothing: there the program tells.
    fn is_told_by_owner(&self, foreign: &HashSet<Purl>) -> bool {
        let Some(owner) = &self.package.owned_by else { return false };
        self.is_recognised() && !foreign.contains(owner) || self.is_noted() || self.is_read_by(kernel::NAME)
    }

    fn is_read_by(&self, analyzer: &str) -> bool {
        self.sighting.readings.iter().any(|reading| reading.analyzer == analyzer)
    }

    fn is_recognised(&self) -> bool {
        self.package.package.evidence == package::Evidence::Recognised
    }
}

fn evidence_of<'a>(layers: &[Option<Applied<'a>>]) -> EvidenceAt<'a> {
    let mut at = EvidenceAt::new();
    for (layer, applied) in numbered(layers) {
        for evidence in applied.analysis.evidence.iter().chain(applied.linked) {
            let entry = evidence.entry;
            at.entry(Place { layer, entry }).or_default().push(evidence);
        }
    }
    at
}

/// The entries whose coming and going matters.
fn watched(layers: &[Option<Applied<'_>>], evidence: &EvidenceAt<'_>) -> Places {
    let mut watched = Places::new(entry_counts(layers));
    evidence.keys().for_each(|place| watched.insert(*place));
    for (layer, applied) in numbered(layers) {
        let links = applied.analysis.links.iter().map(|link| link.entry);
        let nested = applied.analysis.nested_databases.iter().copied();
        let observed = applied.analysis.observations.iter().map(|observed| observed.entry);
        links.chain(nested).chain(observed).for_each(|entry| watched.insert(Place { layer, entry }));
    }
    watched
}

/// The layers that there are, with their positions; a manifest lists fewer layers than `u16` counts.
fn numbered<'l, 'a>(layers: &'l [Option<Applied<'a>>]) -> impl Iterator<Item = (u16, &'l Applied<'a>)> {
    (0_u16..).zip(layers).filter_map(|(layer, applied)| Some((layer, applied.as_ref()?)))
}

/// What is noted of entries while they go by, since nobody wants to unpack them twice.
struct Notes {
    candidates: facts::Candidates,
    observed: observations::Observed,
}

impl Notes {
    fn of(layers: &[Option<Applied<'_>>]) -> Self {
        Self {
            candidates: facts::Candidates::of(entry_counts(layers)),
            observed: observations::Observed::of(layers),
        }
    }
}

/// How many entries of each layer are applied at most: a damaged table may claim any number.
fn entry_counts(layers: &[Option<Applied<'_>>]) -> impl Iterator<Item = u32> {
    layers.iter().map(|applied| applied.map_or(0, |applied| applied.analysis.entries.len().min(MOST_ENTRIES)))
}

/// Applies layer after layer; remembers what each did to watched files.
fn fold(
    layers: &[Option<Applied<'_>>],
    tree: &mut Tree,
    notes: &mut Notes,
    problems: &mut Problems,
    check: &dyn Fn() -> Result<(), Halt>,
) -> Result<Versions, Halt> {
    let mut versions = Versions::default();
    let mut left = u64::from(MOST_ENTRIES);
    for (layer, applied) in numbered(layers) {
        let analysis = applied.analysis;
        let count = u64::from(analysis.removals.len()) + u64::from(analysis.entries.len());
        let Some(remaining) = left.checked_sub(count) else {
            let detail = format!("the image has more than {MOST_ENTRIES} entries");
            problems.push(Problem::new(ProblemKind::LimitExceeded, detail).in_layer(&analysis.layer));
            break;
        };
        left = remaining;
        if let Err(halt) = apply(analysis, layer, tree, notes, check) {
            let Halt::Corrupt(detail) = halt.survivable()? else {
                continue;
            };
            problems.push(Problem::new(ProblemKind::LayerMalformed, detail).in_layer(&analysis.layer));
        }
        versions.record(layer, tree);
    }
    if tree.is_exhausted() {
        let detail = "symbolic links lead too far; some paths were not followed";
        problems.push(Problem::new(ProblemKind::LimitExceeded, detail));
    }
    Ok(versions)
}

fn apply(
    analysis: &LayerAnalysis,
    layer: u16,
    tree: &mut Tree,
    notes: &mut Notes,
    check: &dyn Fn() -> Result<(), Halt>,
) -> Result<(), Halt> {
    let damaged = |error: std::io::Error| Halt::Corrupt(format!("the stored analysis is damaged: {error}"));
    // Whiteouts mean lower layers only, so they come before anything that the layer adds.
    let mut removals = analysis.removals.iter();
    while let Some(removal) = removals.advance() {
        tree.remove(removal.map_err(damaged)?.entry);
    }
    let mut entries = analysis.entries.iter();
    let mut places = (0_u32..).map(|entry| Place { layer, entry });
    while let (Some(added), Some(place)) = (entries.advance(), places.next()) {
        if place.entry % ENTRIES_A_LOOK == 0 {
            check()?;
        }
        let added = added.map_err(damaged)?;
        notes.candidates.note(added, place);
        notes.observed.note(added.entry, place);
        tree.add(added.entry, place);
    }
    Ok(())
}

/// Says what stands between the databases that are there and a whole inventory.
fn report_databases(sightings: &Sightings<'_>, distribution: Option<&Distribution>, problems: &mut Problems) {
    for path in &sightings.broken_links {
        let detail = "a hard link leads to no file";
        problems.push(Problem::new(ProblemKind::LayerMalformed, detail).at(String::from_utf8_lossy(path)));
    }
    for path in &sightings.lone_logs {
        let detail = "a write-ahead log has no database beside it";
        problems
            .push(Problem::new(ProblemKind::DatabaseUnreadable, detail).at(String::from_utf8_lossy(path)));
    }
    if distribution.is_none()
        && let Some(path) = sightings.package_database()
    {
        let detail = "there is a package database, and no file says of which distribution";
        let problem = Problem::new(ProblemKind::UnknownDistribution, detail);
        problems.push(problem.at(String::from_utf8_lossy(path)));
    }
}

/// The programs that name their functions; sightings are sorted by path.
fn programs(sightings: &Sightings<'_>) -> Vec<LinkedProgram> {
    let counted = sightings.visible.iter().filter(|sighting| sighting.standing == Standing::Counted);
    let programs = counted.filter_map(|sighting| {
        let functions = sighting.readings.iter().find_map(|reading| reading.found.functions.clone())?;
        Some(LinkedProgram { path: String::from_utf8_lossy(&sighting.path).into_owned(), functions })
    });
    programs.collect()
}

/// How purls name a distribution.
pub(crate) fn in_purls(distribution: &Distribution) -> PurlDistribution<'_> {
    PurlDistribution {
        namespace: ecosystems::purl_namespace(distribution),
        id: &distribution.id,
        version: &distribution.version,
    }
}

/// The purl of a package in an image of this distribution.
pub(crate) fn purl(package: &Package, distribution: Option<PurlDistribution<'_>>) -> Purl {
    Purl::new(package, distribution.filter(|_| belongs_to_distribution(package.kind)))
}

/// Every package of every visible file, with the distribution of its root.
fn locate<'s, 'a>(
    sightings: &'s Sightings<'a>,
    versions: &Versions,
    evidence: &EvidenceAt<'a>,
    identity: &Identity<'_>,
    kit: &Kit,
    problems: &mut Problems,
) -> Vec<Located<'s, 'a>> {
    let mut history = attribution::History::new(versions, evidence);
    let mut located = Vec::new();
    for sighting in sightings.visible.iter().filter(|sighting| sighting.standing == Standing::Counted) {
        let distribution = identity.of(sighting.root).map(in_purls);
        let nested_root = sighting.root.map(|root| identity.path(root));
        for reading in &sighting.readings {
            let introduced = history.introduced(sighting, reading);
            for (found, layer) in reading.found.packages.iter().zip(introduced) {
                if located.len() >= kit.limits.packages {
                    let detail = format!("the image has more than {} packages", kit.limits.packages);
                    problems.push(Problem::new(ProblemKind::LimitExceeded, detail));
                    return located;
                }
                let package = found.package.clone();
                let purl = purl(&package, distribution);
                let mut path = String::from_utf8_lossy(&sighting.path).into_owned();
                if let Some(inner) = &found.inner_path {
                    path.push_str("!/");
                    path.push_str(inner);
                }
                let package = InstalledPackage {
                    package,
                    purl,
                    path,
                    introduced_in: LayerIndex(layer),
                    owned_by: None,
                    nested_root: nested_root.map(str::to_owned),
                };
                located.push(Located { package, sighting });
            }
        }
    }
    located
}

#[cfg(test)]
mod tests;
