//! What is wrong with the image's files: facts of visible files, and what layers hold whether it is visible or not.
//!
//! Bytes of lower layers can be downloaded by everybody who may pull the image, so a secret that a later layer
//! overwrites or deletes is as exposed as a visible one; what became of it is said.

use std::collections::{HashMap, HashSet};

use shared::model::layer::LayerIndex;
use shared::model::observation::{Observation, ObservationKind, ObservationPlace, Visibility};
use shared::model::report::Severity;

use super::attribution::Versions;
use super::sightings::{Sighting, Sightings, Standing};
use super::{Applied, numbered, ownership};
use crate::analyzers::FoundObservation;
use crate::image::tree::{FileNode, Place, Tree};

/// Everything that was observed in files, in no order.
pub(super) fn collect(
    tree: &Tree,
    layers: &[Option<Applied<'_>>],
    sightings: &Sightings<'_>,
    versions: &Versions,
    owners: &ownership::Owners,
) -> Vec<Observation> {
    let mut observations = of_visible_files(sightings);
    let visible = visible_places(tree);
    let nodes: HashSet<FileNode> = visible.values().copied().collect();
    let owned = ownership::owned_files(tree, sightings, owners, &nodes);
    let mut seen = HashSet::new();
    for (layer, applied) in numbered(layers) {
        if applied.analysis.observations.is_empty() {
            continue;
        }
        let paths = paths(applied);
        for observed in &applied.analysis.observations {
            let place = Place { layer, entry: observed.entry };
            let Some(path) = paths.get(&observed.entry) else { continue };
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

/// By the entry that holds the bytes: one of the files that show them.
fn visible_places(tree: &Tree) -> HashMap<Place, FileNode> {
    let files = tree.watched_files().into_iter().filter_map(|(_, file)| Some((file.content?, file)));
    files.collect()
}

/// The paths of a layer's entries with observations.
fn paths(applied: &Applied<'_>) -> HashMap<u32, String> {
    let wanted: HashSet<u32> = applied.analysis.observations.iter().map(|observed| observed.entry).collect();
    let entries = (0_u32..).zip(applied.analysis.entries.iter());
    let named = entries.filter_map(|(position, entry)| {
        let entry = entry.ok().filter(|_| wanted.contains(&position))?;
        Some((position, String::from_utf8_lossy(&entry.path).into_owned()))
    });
    named.collect()
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
