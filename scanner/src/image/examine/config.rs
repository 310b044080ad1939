//! The image's config: what it is built for, what its layers must be, and which commands made them.
//!
//! OCI image-spec config.md. Everything in it is the image author's claim; `diff_ids` are checked, the
//! history is only shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::document::{ImageConfig, Manifest};
use shared::model::image::Platform;
use shared::model::observation::Observation;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::settings::{BaseImage, LONGEST_TEXT, MOST_ENTRIES, Settings};

use super::{Case, ExamineError, with_cause};
use crate::image::analysis::LayerAnalysis;
use crate::misconfig::{self, Facts};
use crate::secrets::Secrets;
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

    /// What is secret in it, and in the annotations beside it.
    pub(super) fn secrets(&self, manifest: &Manifest, secrets: &Secrets) -> Vec<Observation> {
        let mut observations = secrets.in_annotations(&manifest.annotations);
        let layers = manifest.layers.len();
        observations.extend(self.0.iter().flat_map(|config| secrets.in_settings(config, layers)));
        observations
    }

    /// The program that it starts, if it is a path.
    pub(super) fn program(&self) -> Option<&str> {
        let runtime = &self.0.as_ref()?.config;
        let first = runtime.entrypoint.first().or_else(|| runtime.cmd.first())?;
        first.starts_with('/').then_some(first)
    }

    /// What is wrong with the way in which the image was built and would be run.
    pub(super) fn misconfiguration(
        &self,
        facts: &Facts,
        manifest: &Manifest,
        secrets: &Secrets,
    ) -> Vec<Observation> {
        let image = self
            .0
            .as_ref()
            .map(|config| misconfig::Image::new(config, manifest.layers.len(), facts, secrets));
        image.map(|image| image.judge()).unwrap_or_default()
    }

    /// The command that made each layer, without the secrets in it; none at all where history and layers do not line up.
    pub(super) fn commands(
        &self,
        layers: usize,
        secrets: &Secrets,
        problems: &mut Vec<Problem>,
    ) -> Vec<Option<String>> {
        let history = self.0.iter().flat_map(|config| &config.history);
        let commands: Vec<Option<String>> = history
            .filter(|line| !line.empty_layer)
            .map(|line| {
                line.created_by.as_deref().map(|command| shortened(&secrets.without_secrets(command)))
            })
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

fn without_secrets(labels: &BTreeMap<String, String>, secrets: &Secrets) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.clone(), secrets.without_secrets(value))).collect()
}

impl Config {
    /// What a runtime would do, within bounds. Values of environment variables are not kept.
    /// Secrets in labels are masked: a report never has one.
    pub(super) fn settings(&self, secrets: &Secrets) -> Option<Settings> {
        let config = self.0.as_ref()?;
        let runtime = &config.config;
        let mut bounds = Bounds::default();
        let test = runtime.healthcheck.test.first().map(String::as_str);
        let names = runtime.env.iter().map(|entry| entry.split('=').next().unwrap_or_default());
        let settings = Settings {
            created: config.created.as_deref().and_then(|text| text.parse().ok()),
            user: bounds.text(&runtime.user),
            exposed_ports: bounds.list(runtime.exposed_ports.keys().map(String::as_str)),
            labels: bounds.table(&without_secrets(&runtime.labels, secrets)),
            environment: bounds.list(names),
            healthcheck: test.is_some_and(|test| test != "NONE"),
            shortened: false,
        };
        Some(Settings { shortened: bounds.exceeded, ..settings })
    }

    /// The image that this one was built on, as annotations of the manifest or labels say. Which layers are
    /// its own only buildpacks say, by the diff ID of the topmost one.
    pub(super) fn base(
        &self,
        manifest: &Manifest,
        analyses: &[Option<Arc<LayerAnalysis>>],
    ) -> Option<BaseImage> {
        let labels = self.0.as_ref().map(|config| &config.config.labels);
        let said = |key: &str| {
            let text = manifest.annotations.get(key).or_else(|| labels?.get(key))?;
            (!text.is_empty()).then(|| Bounds::default().text(text))
        };
        let top = labels.and_then(|labels| labels.get(BUILDPACKS)).and_then(|text| top_of_run_image(text));
        let is_top = |analysis: &Option<Arc<LayerAnalysis>>| {
            top.is_some() && analysis.as_ref().and_then(|analysis| analysis.diff_id.as_ref()) == top.as_ref()
        };
        let layers = analyses.iter().position(is_top).and_then(|at| u16::try_from(at + 1).ok());
        let base = BaseImage {
            name: said("org.opencontainers.image.base.name"),
            digest: said("org.opencontainers.image.base.digest"),
            layers,
            guessed_layers: if layers.is_none() { self.guessed_base(analyses.len()) } else { None },
        };
        (base != BaseImage::default()).then_some(base)
    }
}

impl Config {
    /// How many layers lie below the last command that says what to run and that other layers follow: images end
    /// with such a command, so another image's end is probably there.
    fn guessed_base(&self, layers: usize) -> Option<u16> {
        let (mut below, mut end) = (0_usize, None);
        for line in &self.0.as_ref()?.history {
            if line.empty_layer {
                let ends = line.created_by.as_deref().is_some_and(says_what_to_run);
                end = if ends { Some(below) } else { end }.filter(|end| *end > 0);
            } else {
                below += 1;
            }
            // What ends the image itself is nobody else's end.
            if below == layers {
                break;
            }
        }
        let end = end.filter(|end| below == layers && *end < layers)?;
        u16::try_from(end).ok()
    }
}

/// Whether a history line is a `CMD` or an `ENTRYPOINT`, as BuildKit and the builder before it write them.
fn says_what_to_run(command: &str) -> bool {
    let command = command.strip_prefix("/bin/sh -c #(nop)").unwrap_or(command);
    matches!(command.split_whitespace().next(), Some("CMD" | "ENTRYPOINT"))
}

/// The label in which buildpacks say how they built an image.
const BUILDPACKS: &str = "io.buildpacks.lifecycle.metadata";

/// Buildpacks platform specification, "io.buildpacks.lifecycle.metadata (JSON)": `runImage.topLayer`.
fn top_of_run_image(text: &str) -> Option<Digest> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct RunImage {
        top_layer: Digest,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lifecycle {
        run_image: RunImage,
    }
    let lifecycle: Lifecycle = serde_json::from_str(text).ok()?;
    Some(lifecycle.run_image.top_layer)
}

/// Keeps to the bounds of [`Settings`], and remembers whether anything was beyond them.
#[derive(Default)]
struct Bounds {
    exceeded: bool,
}

impl Bounds {
    fn text(&mut self, text: &str) -> String {
        self.exceeded |= text.chars().nth(LONGEST_TEXT).is_some();
        text.chars().take(LONGEST_TEXT).collect()
    }

    fn list<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) -> Vec<String> {
        self.exceeded |= texts.len() > MOST_ENTRIES;
        texts.take(MOST_ENTRIES).map(|text| self.text(text)).collect()
    }

    fn table(&mut self, table: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        self.exceeded |= table.len() > MOST_ENTRIES;
        table.iter().take(MOST_ENTRIES).map(|(key, value)| (self.text(key), self.text(value))).collect()
    }
}

fn shortened(command: &str) -> String {
    command.chars().take(LONGEST_COMMAND).collect()
}
