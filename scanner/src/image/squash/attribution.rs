//! Which layer brought a package: the lowest of the unbroken run, ending at the top, in which it is visible.
//!
//! A database that every layer rewrites would otherwise blame the last layer for everything; a search by
//! name in all layers would find runs that a removal broke.

use hashbrown::{HashMap, HashSet};
use shared::model::layer::LayerIndex;
use shared::model::observation::Visibility;

use super::EvidenceAt;
use super::sightings::Sighting;
use crate::analyzers::FoundPackage;
use crate::image::analysis::Reading;
use crate::image::tree::{Place, Tree};

/// For each path: what watched file was there after which layer, in order of layers; only changes.
#[derive(Default)]
pub(super) struct Versions(HashMap<Vec<u8>, Vec<Version>>);

#[derive(Clone, Copy)]
struct Version {
    layer: u16,
    content: Option<Place>,
}

impl Versions {
    /// Notes what a layer did to watched files.
    pub(super) fn record(&mut self, layer: u16, tree: &mut Tree) {
        for path in tree.take_touched() {
            let content = tree.exact_file(&path).and_then(|file| file.content);
            self.0.entry(path).or_default().push(Version { layer, content });
        }
    }
}

impl Versions {
    /// What became of bytes that are not visible any more.
    pub(super) fn fate(&self, place: Place) -> Visibility {
        for versions in self.0.values() {
            let Some(at) = versions.iter().position(|version| version.content == Some(place)) else {
                continue;
            };
            if let Some(next) = versions.get(at + 1) {
                let by = LayerIndex(next.layer);
                return if next.content.is_some() {
                    Visibility::Overwritten { by }
                } else {
                    Visibility::Deleted { by }
                };
            }
        }
        // It never got as far as the end of its own layer: the tar has the path twice.
        Visibility::Overwritten { by: LayerIndex(place.layer) }
    }
}

/// Walks back through versions; remembers the package sets it has made.
pub(super) struct History<'v, 'a> {
    versions: &'v Versions,
    evidence: &'v EvidenceAt<'a>,
    sets: HashMap<(Place, &'a str), HashSet<Key<'a>>>,
}

/// What makes two packages of one evidence file the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key<'a> {
    kind: &'static str,
    namespace: Option<&'a str>,
    name: &'a str,
    version: &'a str,
    architecture: Option<&'a str>,
    inner_path: Option<&'a str>,
}

impl<'v, 'a> History<'v, 'a> {
    pub(super) fn new(versions: &'v Versions, evidence: &'v EvidenceAt<'a>) -> Self {
        Self { versions, evidence, sets: HashMap::new() }
    }

    /// The layer of each package of a reading, in the reading's order.
    pub(super) fn introduced(&mut self, sighting: &Sighting<'a>, reading: &'a Reading) -> Vec<u16> {
        let packages: Vec<Key<'a>> = reading.found.packages.iter().map(Key::of).collect();
        let mut layers = vec![sighting.newest_layer; packages.len()];
        let versions = self.versions.0.get(&sighting.path).map_or(&[][..], Vec::as_slice);
        let mut running: Vec<usize> = (0..packages.len()).collect();
        for version in versions.iter().rev() {
            let Some(content) = version.content else { break };
            if running.is_empty() {
                break;
            }
            let set = self.set(content, &reading.analyzer);
            running.retain(|position| set.contains(&packages[*position]));
            for position in &running {
                layers[*position] = version.layer;
            }
        }
        layers
    }

    fn set(&mut self, content: Place, analyzer: &'a str) -> &HashSet<Key<'a>> {
        self.sets.entry((content, analyzer)).or_insert_with(|| {
            let evidence = self.evidence.get(&content).into_iter().flatten();
            let readings = evidence.flat_map(|evidence| &evidence.readings);
            let readings = readings.filter(|reading| reading.analyzer == analyzer);
            readings.flat_map(|reading| reading.found.packages.iter().map(Key::of)).collect()
        })
    }
}

impl<'a> Key<'a> {
    fn of(found: &'a FoundPackage) -> Self {
        let package = &found.package;
        Self {
            kind: package.kind.purl_type(),
            namespace: package.namespace.as_deref(),
            name: &package.name,
            version: &package.version,
            architecture: package.architecture.as_deref(),
            inner_path: found.inner_path.as_deref(),
        }
    }
}
