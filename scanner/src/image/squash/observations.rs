//! What is wrong with the image's files: facts of visible files, and what layers hold whether it is visible or not.
//!
//! Bytes of lower layers can be downloaded by everybody who may pull the image, so a secret that a later layer
//! overwrites or deletes is as exposed as a visible one; what became of it is said.

use hashbrown::{HashMap, HashSet};
use shared::model::layer::LayerIndex;
use shared::model::observation::{Observation, ObservationKind, ObservationPlace, Visibility};
use shared::model::report::Severity;

use super::attribution::Versions;
use super::sightings::{Sighting, Sightings, Standing};
use super::{Applied, numbered, ownership};
use crate::analyzers::FoundObservation;
use crate::image::analysis::Entry;
use crate::image::tree::{FileNode, Place, Tree};

/// Everything that was observed in files, in no order.
pub(super) fn collect(
    tree: &Tree,
    layers: &[Option<Applied<'_>>],
    sightings: &Sightings<'_>,
    versions: &Versions,
    owners: &ownership::Owners,
    paths: &Observed,
) -> Vec<Observation> {
    let mut observations = of_visible_files(sightings);
    let visible = visible_places(tree, paths);
    let nodes: HashSet<FileNode> = visible.values().copied().collect();
    let owned = ownership::owned_files(tree, sightings, owners, &nodes, &sums(layers));
    let mut seen = HashSet::new();
    for (layer, applied) in numbered(layers) {
        for observed in &applied.analysis.observations {
            let place = Place { layer, entry: observed.entry };
            let Some(path) = paths.path(place) else { continue };
            let mut observation = at(&observed.found, path, layer);
            match visible.get(&place) {
                Some(file) if owned.contains(&file.node) => lower(&mut observation),
                Some(_) => {}
                None => observation.visibility = versions.fate(place),
            }
            let same = (observation.rule.clone(), observation.fingerprint.clone(), observation.place.clone());
            if seen.insert(same) {
                observations.push(observation);
            }
        }
    }
    observations
}

fn sums<'a>(layers: &[Option<Applied<'a>>]) -> ownership::Sums<'a> {
    let all = numbered(layers).flat_map(|(layer, applied)| {
        let sums = applied.analysis.sums.iter();
        sums.map(move |file| (Place { layer, entry: file.entry }, &file.checksums))
    });
    all.collect()
}

fn of_visible_files(sightings: &Sightings<'_>) -> Vec<Observation> {
    let visible = sightings.visible.iter().filter(|sighting| sighting.standing == Standing::Counted);
    let found = |sighting: &Sighting<'_>| {
        let path = String::from_utf8_lossy(&sighting.path).into_owned();
        let layer = sighting.file.made_by.layer;
        let readings = sighting.readings.iter().flat_map(|reading| &reading.found.observations);
        readings.map(|found| at(found, &path, layer)).collect::<Vec<_>>()
    };
    visible.flat_map(found).collect()
}

/// By the observed entry that holds the bytes: one of the files that show them.
fn visible_places(tree: &Tree, observed: &Observed) -> HashMap<Place, FileNode> {
    let shown = tree.watched_nodes().filter_map(|file| Some((file.content?, file)));
    let shown = shown.filter(|(content, _)| observed.path(*content).is_some());
    let mut shown: Vec<_> = shown.map(|(content, file)| (tree.path(file.node), content, file)).collect();
    shown.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    shown.into_iter().map(|(_, content, file)| (content, file)).collect()
}

/// Entries in which something was observed, and their paths as far as they went by.
pub(super) struct Observed {
    /// In the order in which entries go by.
    places: Vec<Place>,
    passed: usize,
    paths: HashMap<Place, String>,
}

impl Observed {
    /// Those of these layers; no path is known yet.
    pub(super) fn of(layers: &[Option<Applied<'_>>]) -> Self {
        let observed = numbered(layers).flat_map(|(layer, applied)| {
            let observed = applied.analysis.observations.iter();
            observed.map(move |observed| Place { layer, entry: observed.entry })
        });
        let mut places: Vec<Place> = observed.collect();
        places.sort_unstable();
        places.dedup();
        Self { places, passed: 0, paths: HashMap::new() }
    }

    /// Takes the path of an entry that is one of them. Entries come in the order of their places.
    pub(super) fn note(&mut self, entry: &Entry, place: Place) {
        while self.places.get(self.passed).is_some_and(|next| *next < place) {
            self.passed += 1;
        }
        if self.places.get(self.passed) == Some(&place) {
            self.paths.insert(place, String::from_utf8_lossy(&entry.path).into_owned());
        }
    }

    fn path(&self, place: Place) -> Option<&str> {
        self.paths.get(&place).map(String::as_str)
    }
}

fn at(found: &FoundObservation, path: &str, layer: u16) -> Observation {
    let path = match &found.inner_path {
        Some(inner) => format!("{path}!/{inner}"),
        None => path.to_owned(),
    };
    Observation {
        rule: found.rule.clone(),
        kind: found.kind,
        severity: found.severity,
        title: found.title.clone(),
        remediation: found.remediation.clone(),
        place: ObservationPlace {
            path: Some(path),
            line: found.line,
            layer: Some(LayerIndex(layer)),
            config: None,
            created_by: None,
        },
        visibility: Visibility::Visible,
        masked: found.masked.clone(),
        fingerprint: found.fingerprint.clone(),
        controls: found.controls.clone(),
    }
}

/// What a distribution ships to everybody is nobody's secret; that it is there is still said. A token that can be
/// nothing else stays what it is: a site's own packages are owned as well.
fn lower(observation: &mut Observation) {
    let is_certain = observation.severity == Severity::Critical;
    if observation.kind == ObservationKind::Secret && observation.severity > Severity::Low && !is_certain {
        observation.severity = Severity::Low;
        observation.title.push_str(", in a file that an OS package installed");
    }
}
