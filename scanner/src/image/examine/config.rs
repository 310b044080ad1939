//! The image's config: what it is built for, what its layers must be, and which commands made them.
//!
//! OCI image-spec config.md. Everything in it is the image author's claim; `diff_ids` are checked, the
//! history is only shown.

use std::sync::Arc;

use shared::model::document::{ImageConfig, Manifest};
use shared::model::image::Platform;
use shared::model::problem::{Problem, ProblemKind};

use super::{Case, ExamineError, with_cause};
use crate::image::analysis::LayerAnalysis;
use crate::source::SourceError;

/// The longest command that is kept, in characters.
const LONGEST_COMMAND: usize = 2000;

/// A config, or nothing where none can be used; then nothing is known and the problems say why.
pub(super) struct Config(Option<ImageConfig>);

impl Case<'_> {
    /// Fetches and checks the config. Wrong bytes are fetched once more.
    pub(super) async fn config(
        &self,
        manifest: &Manifest,
        problems: &mut Vec<Problem>,
    ) -> Result<Config, ExamineError> {
        let limit = self.engine.limits().config_bytes;
        let mut answer = self.source.small_blob(&manifest.config, limit).await;
        if let Err(SourceError::DigestMismatch { .. }) = answer {
            answer = self.source.small_blob(&manifest.config, limit).await;
        }
        let bytes = match answer {
            Ok(bytes) => bytes,
            Err(error) => {
                let kind = match &error {
                    SourceError::Unavailable { .. } => return Err(ExamineError::Retryable { source: error }),
                    SourceError::Refused { .. } => return Err(ExamineError::Refused { source: error }),
                    SourceError::DigestMismatch { .. } => ProblemKind::DigestMismatch,
                    SourceError::TooLarge { .. } => ProblemKind::LimitExceeded,
                    SourceError::NotFound { .. } | SourceError::Malformed { .. } => {
                        ProblemKind::MalformedManifest
                    }
                };
                problems.push(Problem::new(kind, format!("config: {}", with_cause(&error))));
                return Ok(Config(None));
            }
        };
        let config = match serde_json::from_slice::<ImageConfig>(&bytes) {
            Ok(config) => config,
            Err(error) => {
                let detail = format!("the image config is malformed: {error}");
                problems.push(Problem::new(ProblemKind::MalformedManifest, detail));
                return Ok(Config(None));
            }
        };
        check(&config, manifest, problems);
        Ok(Config(Some(config)))
    }
}

fn check(config: &ImageConfig, manifest: &Manifest, problems: &mut Vec<Problem>) {
    if config.rootfs.kind != "layers" {
        let detail = format!("the config's rootfs is of type {:?}, not layers", config.rootfs.kind);
        problems.push(Problem::new(ProblemKind::MalformedManifest, detail));
    }
    let (diff_ids, layers) = (config.rootfs.diff_ids.len(), manifest.layers.len());
    if diff_ids != layers {
        let detail = format!("the config lists {diff_ids} layers, the manifest {layers}");
        problems.push(Problem::new(ProblemKind::MalformedManifest, detail));
    }
    if config.os.eq_ignore_ascii_case("windows") {
        let detail = "packages of Windows itself cannot be inventoried";
        problems.push(Problem::new(ProblemKind::OsInventoryUnsupported, detail));
    }
}

impl Config {
    /// Compares what was decoded with what the config says that it must be (I5), also for known layers.
    pub(super) fn check_diff_ids(&self, analyses: &[Option<Arc<LayerAnalysis>>]) -> Vec<Problem> {
        let stated = self.0.iter().flat_map(|config| &config.rootfs.diff_ids);
        let pairs = stated.zip(analyses.iter());
        let wrong = pairs.filter_map(|(stated, analysis)| {
            let analysis = analysis.as_ref()?;
            // A layer that cannot be decoded has a problem of its own.
            let actual = analysis.diff_id.as_ref()?;
            (stated != actual).then(|| {
                let detail = format!("the config says {stated}, the layer decodes to {actual}");
                Problem::new(ProblemKind::DiffidMismatch, detail).in_layer(&analysis.layer)
            })
        });
        wrong.collect()
    }

    /// What the image is built for.
    pub(super) fn platform(&self) -> Option<Platform> {
        let config = self.0.as_ref()?;
        let variant = config.variant.as_ref().filter(|variant| !variant.is_empty());
        let text = match variant {
            Some(variant) => format!("{}/{}/{variant}", config.os, config.architecture),
            None => format!("{}/{}", config.os, config.architecture),
        };
        text.parse().ok()
    }

    /// The command that made each layer; none at all where history and layers do not line up.
    pub(super) fn commands(&self, layers: usize, problems: &mut Vec<Problem>) -> Vec<Option<String>> {
        let history = self.0.iter().flat_map(|config| &config.history);
        let commands: Vec<Option<String>> = history
            .filter(|line| !line.empty_layer)
            .map(|line| line.created_by.as_deref().map(shortened))
            .collect();
        if commands.len() == layers {
            return commands;
        }
        if !commands.is_empty() {
            let detail = format!("the history has {} layers, the manifest {layers}", commands.len());
            problems.push(Problem::new(ProblemKind::HistoryMismatch, detail));
        }
        vec![None; layers]
    }
}

fn shortened(command: &str) -> String {
    command.chars().take(LONGEST_COMMAND).collect()
}
