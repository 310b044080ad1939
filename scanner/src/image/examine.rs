//! From a digest to what it is and contains: document → config → layers in parallel → squash.
//!
//! Whatever may go better later is an error and leaves no examination; whatever is wrong with the image
//! itself is a problem in it, and everything else is examined all the same (I4).

mod config;
mod layers;
mod lazy;
mod logs;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use shared::model::digest::Digest;
use shared::model::document::{Document, DocumentError, Manifest};
use shared::model::layer::Layer;
use shared::model::observation::{Observation, ObservationPlace};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{Inventory, Revision, Severity, Subject};
use shared::telemetry::traces;
use tokio::task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::analysis::{Evidence, LayerAnalysis};
use super::classify::ManifestKind;
use super::engine::{Engine, Progress, Standing};
use super::halt::Halt;
use super::index::examine_index;
use super::layer::Request;
use super::squash::{Applied, Joined, Squashed, Unread, squash};
use crate::source::{ImageSource, SourceError};
use layers::Outcome;

/// What a digest is, and what stands between that and the whole truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// What was examined.
    pub digest: Digest,
    /// What it turned out to be.
    pub subject: Subject,
    /// What is wrong with the image itself; worst first.
    pub observations: Vec<Observation>,
    /// What could not be fetched, verified or parsed; sorted, without repetitions.
    pub problems: Vec<Problem>,
    /// What decided about all of it (I6). Of its own where files were not searched that may be searched next time:
    /// nobody shall take it for what the engine would find.
    pub analyzer: Revision,
}

/// Why there is no examination.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The digest does not exist there.
    #[error("there is nothing to examine")]
    Missing {
        /// What the source said.
        #[source]
        source: SourceError,
    },
    /// It may work later.
    #[error("the image cannot be read now")]
    Retryable {
        /// What the source said.
        #[source]
        source: SourceError,
    },
    /// It will not work before somebody changes access or configuration.
    #[error("the image may not be read")]
    Refused {
        /// What the source said.
        #[source]
        source: SourceError,
    },
    /// The examination itself broke down. Always a defect here, never the image's right.
    #[error("examining {digest} broke down")]
    BrokeDown {
        /// What was examined.
        digest: Digest,
        /// How it ended.
        #[source]
        source: task::JoinError,
    },
}

impl ExamineError {
    /// Whether the same examination may succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Retryable { .. } => true,
            Self::Missing { .. } | Self::Refused { .. } | Self::BrokeDown { .. } => false,
        }
    }
}

/// One examination on its way.
struct Case<'a> {
    engine: &'a Engine,
    source: Arc<dyn ImageSource>,
    progress: Arc<dyn Progress>,
    standing: Standing,
    digest: &'a Digest,
    deadline: Instant,
    /// Cancelled when the examination ends in whatever way, so that no thread reads on for nobody.
    cancelled: CancellationToken,
}

impl Engine {
    /// Examines the manifest or index with this digest. Of an index only the list of runnable children is
    /// made; each of them has an examination of its own.
    ///
    /// Dropping the future stops the threads that read layers.
    pub async fn examine(
        &self,
        source: Arc<dyn ImageSource>,
        digest: &Digest,
        progress: Arc<dyn Progress>,
    ) -> Result<Examination, ExamineError> {
        let cancelled = CancellationToken::new();
        let _stops_threads = cancelled.clone().drop_guard();
        self.look_again().await;
        let case = Case {
            engine: self,
            standing: self.kit.standing(),
            source,
            progress,
            digest,
            deadline: Instant::now() + self.limits().image_time,
            cancelled,
        };
        let Found { subject, mut observations, mut problems } = case.examine().await?;
        observations.sort_by(|one, other| worst_first(one).cmp(&worst_first(other)));
        problems.sort();
        problems.dedup();
        let mut analyzer = case.standing.revision;
        if problems.iter().any(|problem| problem.kind == ProblemKind::MalwareNotSearched) {
            analyzer = Revision::of(format!("{analyzer} in part").as_bytes());
        }
        Ok(Examination { digest: digest.clone(), subject, observations, problems, analyzer })
    }
}

/// What an examination comes to, in no order.
struct Found {
    subject: Subject,
    observations: Vec<Observation>,
    problems: Vec<Problem>,
}

impl Found {
    /// Of what is no image, only what it is can be said.
    fn only(subject: Subject, problems: Vec<Problem>) -> Self {
        Self { subject, observations: Vec::new(), problems }
    }
}

/// The order in which people want to read observations.
pub(crate) fn worst_first(observation: &Observation) -> (Reverse<Severity>, &str, &ObservationPlace) {
    (Reverse(observation.severity), &observation.rule, &observation.place)
}

impl Case<'_> {
    async fn examine(&self) -> Result<Found, ExamineError> {
        match self.document().await? {
            Ok(Document::Index(index)) => {
                let (subject, problems) = examine_index(&*self.source, &index, self.engine.limits()).await?;
                Ok(Found::only(subject, problems))
            }
            Ok(Document::Manifest(manifest)) => match ManifestKind::of(&manifest) {
                ManifestKind::Artifact { artifact_type } => {
                    Ok(Found::only(Subject::Artifact { artifact_type }, Vec::new()))
                }
                ManifestKind::Image => self.image(&manifest).await,
            },
            Err(problem) => Ok(Found::only(Subject::Unreadable, vec![problem])),
        }
    }

    /// The root document, or why it cannot be acted on. Wrong bytes are fetched once more.
    async fn document(&self) -> Result<Result<Document, Problem>, ExamineError> {
        let span = traces::stage("manifest");
        span.set("oci.manifest.digest", self.digest.to_string());
        let mut answer = span.around(self.source.document(self.digest)).await;
        if let Err(SourceError::DigestMismatch { .. }) = answer {
            answer = span.around(self.source.document(self.digest)).await;
        }
        span.outcome(&answer, "not_pulled");
        drop(span);
        let error = match answer {
            Ok(document) => return Ok(Ok(document)),
            Err(error) => error,
        };
        let kind = match &error {
            SourceError::NotFound { .. } => return Err(ExamineError::Missing { source: error }),
            SourceError::Unavailable { .. } => return Err(ExamineError::Retryable { source: error }),
            SourceError::Refused { .. } => return Err(ExamineError::Refused { source: error }),
            SourceError::DigestMismatch { .. } => ProblemKind::DigestMismatch,
            SourceError::TooLarge { .. } => ProblemKind::LimitExceeded,
            SourceError::Malformed { source, .. } => match source.downcast_ref::<DocumentError>() {
                Some(DocumentError::Schema1 | DocumentError::MediaType(_)) => {
                    ProblemKind::UnsupportedManifest
                }
                Some(
                    DocumentError::Json(_)
                    | DocumentError::Contradiction { .. }
                    | DocumentError::Ambiguous
                    | DocumentError::TooMany { .. },
                )
                | None => ProblemKind::MalformedManifest,
            },
        };
        Ok(Err(Problem::new(kind, with_cause(&error))))
    }

    async fn image(&self, manifest: &Manifest) -> Result<Found, ExamineError> {
        let mut problems = Vec::new();
        let config = self.config(manifest, &mut problems).await?;
        let outcomes = self.layers(manifest).await?;
        let analyses: Vec<Option<Arc<LayerAnalysis>>> = manifest
            .layers
            .iter()
            .map(|layer| outcomes.get(&layer.digest).and_then(Outcome::analysis))
            .collect();
        for outcome in outcomes.values() {
            problems.extend(outcome.problems());
        }
        problems.extend(config.check_diff_ids(&analyses));
        let squashed = self.squash(manifest, &analyses, config.program()).await?;
        problems.extend(squashed.problems);
        let commands = config.commands(manifest.layers.len(), &self.engine.kit.secrets, &mut problems);
        let mut observations = squashed.observations;
        observations.extend(lazy::observations(manifest, &problems));
        observations.extend(config.secrets(manifest, &self.engine.kit.secrets));
        observations.extend(config.misconfiguration(&squashed.facts, manifest, &self.engine.kit.secrets));
        for observation in &mut observations {
            if observation.place.created_by.is_some() {
                continue;
            }
            let layer = observation.place.layer.map(|layer| usize::from(layer.0));
            if let Some(command) = layer.and_then(|layer| commands.get(layer)) {
                observation.place.created_by.clone_from(command);
            }
        }
        let layers = manifest.layers.iter().zip(&analyses).zip(commands);
        let inventory = Inventory {
            platform: config.platform(),
            distribution: squashed.distribution,
            repositories: squashed.repositories,
            nested_roots: squashed.nested_roots,
            layers: layers
                .map(|((descriptor, analysis), created_by)| Layer {
                    digest: descriptor.digest.clone(),
                    diff_id: analysis.as_ref().and_then(|analysis| analysis.diff_id.clone()),
                    size_bytes: descriptor.size,
                    created_by,
                })
                .collect(),
            packages: squashed.packages,
            programs: squashed.programs,
            settings: config.settings(&self.engine.kit.secrets),
            base: config.base(manifest, analyses.as_slice()),
        };
        Ok(Found { subject: Subject::Image(Box::new(inventory)), observations, problems })
    }

    /// Squashes; where links lead to files that nobody has read, or databases have logs, reads those and
    /// squashes again.
    async fn squash(
        &self,
        manifest: &Manifest,
        analyses: &[Option<Arc<LayerAnalysis>>],
        program: Option<&str>,
    ) -> Result<Squashed, ExamineError> {
        let mut besides = Besides::default();
        let mut problems = Vec::new();
        let mut squashed = self.squash_once(analyses, program, besides.clone()).await?;
        if !squashed.unread.is_empty() {
            let wanted = by_layer(manifest, std::mem::take(&mut squashed.unread));
            let (linked, unreadable) = self.linked(manifest, wanted).await?;
            besides.linked = Arc::new(linked);
            problems.extend(unreadable);
            squashed = self.squash_once(analyses, program, besides.clone()).await?;
            for unread in std::mem::take(&mut squashed.unread) {
                let detail =
                    format!("{} could not read a file that a link leads to", unread.request.analyzer);
                let problem = Problem::new(ProblemKind::DatabaseUnreadable, detail);
                problems.push(problem.at(&unread.request.path));
            }
        }
        if !squashed.unjoined.is_empty() {
            besides.joined = Arc::new(self.joined(manifest, std::mem::take(&mut squashed.unjoined)).await?);
            squashed = self.squash_once(analyses, program, besides).await?;
        }
        squashed.problems.extend(problems);
        Ok(squashed)
    }

    async fn squash_once(
        &self,
        analyses: &[Option<Arc<LayerAnalysis>>],
        program: Option<&str>,
        besides: Besides,
    ) -> Result<Squashed, ExamineError> {
        let kit = Arc::clone(&self.engine.kit);
        let analyses = analyses.to_vec();
        let program = program.map(str::to_owned);
        let cancelled = self.cancelled.clone();
        let deadline = self.deadline;
        let work = move || {
            let check = || match cancelled.is_cancelled() {
                true => Err(Halt::Cancelled),
                false if Instant::now() >= deadline => Err(Halt::TimedOut { limit: kit.limits.image_time }),
                false => Ok(()),
            };
            let none = Vec::new();
            let applied: Vec<Option<Applied<'_>>> = analyses
                .iter()
                .map(|analysis| {
                    let analysis = analysis.as_deref()?;
                    Some(Applied { analysis, linked: besides.linked.get(&analysis.layer).unwrap_or(&none) })
                })
                .collect();
            squash(&applied, &besides.joined, &kit, program.as_deref(), &check)
        };
        let squashed = task::spawn_blocking(work).await;
        let squashed =
            squashed.map_err(|source| ExamineError::BrokeDown { digest: self.digest.clone(), source })?;
        Ok(squashed.unwrap_or_else(|halt| Squashed {
            problems: vec![Problem::new(ProblemKind::LimitExceeded, format!("squashing: {halt}"))],
            ..Squashed::default()
        }))
    }
}

/// What was read of an image's layers besides their analyses, because only the image shows that it counts.
#[derive(Clone, Default)]
struct Besides {
    /// Of each layer, the files that links lead to.
    linked: Arc<HashMap<Digest, Vec<Evidence>>>,
    /// Databases together with their logs.
    joined: Arc<Joined>,
}

/// What is to be read in which layer, by the positions of entries.
fn by_layer(manifest: &Manifest, unread: Vec<Unread>) -> BTreeMap<Digest, HashMap<u32, Vec<Request>>> {
    let mut wanted: BTreeMap<Digest, HashMap<u32, Vec<Request>>> = BTreeMap::new();
    for unread in unread {
        let layer = &manifest.layers[usize::from(unread.place.layer)].digest;
        let requests = wanted.entry(layer.clone()).or_default().entry(unread.place.entry).or_default();
        if !requests.contains(&unread.request) {
            requests.push(unread.request);
        }
    }
    wanted
}

/// An error with the first of its causes, for people.
fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod malware;
#[cfg(test)]
mod tests;
