//! Images that lazy runtimes would see otherwise than everybody else; see `toc`.

use shared::model::document::{Descriptor, Manifest};
use shared::model::layer::LayerIndex;
use shared::model::observation::{Observation, ObservationKind, ObservationPlace, Visibility};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::Severity;

use crate::image::analysis::LayerAnalysis;
use crate::image::toc::chunked;

/// A manifest that leads runtimes to another table of contents than one that agrees with the tar.
pub(super) fn led_astray(layer: &Descriptor, analysis: &LayerAnalysis) -> Option<Problem> {
    let detail =
        "the manifest leads lazy runtimes to a table of contents that does not show the files of the tar";
    chunked::is_led_astray(layer, &analysis.tables)
        .then(|| Problem::new(ProblemKind::LazyTocMismatch, detail).in_layer(&layer.digest))
}

/// The same for people who do not read problems.
pub(super) fn observations(manifest: &Manifest, problems: &[Problem]) -> Vec<Observation> {
    let mismatches = problems.iter().filter(|problem| problem.kind == ProblemKind::LazyTocMismatch);
    let observation = |problem: &Problem| Observation {
        rule: "TW-IMG-TOC".to_owned(),
        kind: ObservationKind::Evasion,
        severity: Severity::Critical,
        title: problem.detail.clone(),
        remediation: "Do not run this image; rebuild it with a tool that writes one view only.".to_owned(),
        place: ObservationPlace { layer: index_of(manifest, problem), ..ObservationPlace::default() },
        visibility: Visibility::Visible,
        masked: None,
        fingerprint: None,
        controls: Vec::new(),
    };
    mismatches.map(observation).collect()
}

fn index_of(manifest: &Manifest, problem: &Problem) -> Option<LayerIndex> {
    let position = manifest.layers.iter().position(|layer| problem.layer.as_ref() == Some(&layer.digest))?;
    u16::try_from(position).ok().map(LayerIndex)
}
