//! The layers of one image, each distinct one read once, several at a time.
//!
//! `async` waits for bytes and places, threads chew them. One layer that cannot be had or read is a problem;
//! the others are analysed all the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::future::try_join_all;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Manifest};
use shared::model::problem::{Problem, ProblemKind};
use shared::telemetry::traces;
use tokio::task;
use tokio::time::timeout_at;
use tracing::Span;

use super::{Case, ExamineError, lazy};
use crate::image::analysis::{Compression, Evidence, LayerAnalysis};
use crate::image::engine::{Lasting, Standing, Turn};
use crate::image::layer::{Contents, Focus, LayerError, LayerPass, Request};
use crate::image::layer_type::{self, LayerType};
use crate::image::stored::Watch;
use crate::source::SourceError;

/// What became of a layer.
pub(super) enum Outcome {
    /// It was read, or known already.
    Analysed(Arc<LayerAnalysis>, Vec<Problem>),
    /// It was not, and this is why.
    NotAnalysed(Problem),
}

/// How one attempt to read a layer ended.
pub(super) enum Attempt {
    Read(Box<LayerAnalysis>, Contents),
    Mismatch(Problem),
    Failed(Problem),
}

impl Outcome {
    pub(super) fn analysis(&self) -> Option<Arc<LayerAnalysis>> {
        match self {
            Self::Analysed(analysis, _) => Some(Arc::clone(analysis)),
            Self::NotAnalysed(_) => None,
        }
    }

    /// Of the layer as such; those of its files are known only after the squash.
    pub(super) fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Analysed(analysis, problems) => analysis.problems.iter().chain(problems).cloned().collect(),
            Self::NotAnalysed(problem) => vec![problem.clone()],
        }
    }
}

impl Case<'_> {
    /// Every distinct layer of a manifest.
    pub(super) async fn layers(
        &self,
        manifest: &Manifest,
    ) -> Result<BTreeMap<Digest, Outcome>, ExamineError> {
        let mut distinct: BTreeMap<&Digest, &Descriptor> = BTreeMap::new();
        let (mut total, limit) = (0_u64, self.engine.limits().image_bytes);
        let mut outcomes = BTreeMap::new();
        for layer in &manifest.layers {
            if distinct.contains_key(&layer.digest) {
                continue;
            }
            total = total.saturating_add(layer.size);
            if total > limit {
                let detail = format!("the layers of the image have more than {limit} bytes");
                let problem = Problem::new(ProblemKind::LimitExceeded, detail).in_layer(&layer.digest);
                outcomes.insert(layer.digest.clone(), Outcome::NotAnalysed(problem));
            } else {
                distinct.insert(&layer.digest, layer);
            }
        }
        let work = distinct.into_values().map(|layer| async move {
            let span = traces::stage("layer");
            span.set("oci.layer.digest", layer.digest.to_string());
            span.set("oci.layer.size", i64::try_from(layer.size).unwrap_or(i64::MAX));
            let outcome = span.around(self.layer(layer)).await;
            span.outcome(&outcome, "not_read");
            drop(span);
            let outcome = outcome?;
            self.progress.layer_done(&layer.digest);
            Ok((layer.digest.clone(), outcome))
        });
        outcomes.extend(try_join_all(work).await?);
        Ok(outcomes)
    }

    /// Reads files again that links lead to; each layer once.
    pub(super) async fn linked(
        &self,
        manifest: &Manifest,
        wanted: BTreeMap<Digest, HashMap<u32, Vec<Request>>>,
    ) -> Result<(HashMap<Digest, Vec<Evidence>>, Vec<Problem>), ExamineError> {
        let work = wanted.into_iter().filter_map(|(digest, requests)| {
            let layer = manifest.layers.iter().find(|layer| layer.digest == digest)?;
            Some(async move { Ok((digest, self.read(layer, &Focus::Linked(requests)).await?)) })
        });
        let (mut linked, mut problems) = (HashMap::new(), Vec::new());
        for (digest, attempt) in try_join_all(work).await? {
            match attempt {
                Attempt::Read(analysis, _) => {
                    linked.insert(digest, analysis.evidence);
                }
                Attempt::Mismatch(problem) | Attempt::Failed(problem) => problems.push(problem),
            }
        }
        Ok((linked, problems))
    }

    async fn layer(&self, layer: &Descriptor) -> Result<Outcome, ExamineError> {
        let layer_type = LayerType::of(&layer.media_type);
        if layer_type == LayerType::Encrypted {
            let problem = Problem::new(ProblemKind::EncryptedLayer, "the layer is encrypted");
            return Ok(Outcome::NotAnalysed(problem.in_layer(&layer.digest)));
        }
        let analysis = match self.remembered_or_read(layer).await? {
            Ok(analysis) => analysis,
            Err(problem) => return Ok(Outcome::NotAnalysed(problem)),
        };
        Ok(match layer_type {
            LayerType::Tar | LayerType::Foreign | LayerType::Encrypted => {
                let mislabelled = mislabelled(layer, analysis.compression);
                let problems = mislabelled.into_iter().chain(lazy::led_astray(layer, &analysis)).collect();
                Outcome::Analysed(analysis, problems)
            }
            LayerType::Artifact | LayerType::Unknown => sniffed(layer, analysis),
        })
    }

    /// Reads a layer that is not known, unless somebody else is about to have read it.
    async fn remembered_or_read(
        &self,
        layer: &Descriptor,
    ) -> Result<Result<Arc<LayerAnalysis>, Problem>, ExamineError> {
        let Standing { revision, lasting } = &self.standing;
        let cache = self.engine.cache.as_ref().filter(|_| *lasting == Lasting::Kept);
        let mut turn = None;
        if let Some(cache) = cache {
            let known = timeout_at(self.deadline, cache.load(&layer.digest, revision)).await;
            if let Some(analysis) = known.ok().flatten().filter(|analysis| self.is_of(layer, analysis)) {
                return Ok(Ok(analysis));
            }
            match timeout_at(self.deadline, cache.turn(layer, revision)).await {
                Ok(Turn::Known(analysis)) if self.is_of(layer, &analysis) => return Ok(Ok(analysis)),
                Ok(Turn::Yours(held)) => turn = Some(held),
                // That time is up is for reading to notice.
                Ok(Turn::Known(_)) | Err(_) => {}
            }
        }
        let analysis: Arc<LayerAnalysis> = match self.read(layer, &Focus::Everything).await? {
            Attempt::Read(analysis, _) => Arc::from(analysis),
            Attempt::Mismatch(problem) | Attempt::Failed(problem) => return Ok(Err(problem)),
        };
        if let Some(cache) = cache.filter(|_| analysis.is_lasting()) {
            cache.save(Arc::clone(&analysis)).await;
        }
        drop(turn);
        Ok(Ok(analysis))
    }

    /// Whether an analysis is of this very layer and by these very analyzers (I6).
    fn is_of(&self, layer: &Descriptor, analysis: &LayerAnalysis) -> bool {
        analysis.layer == layer.digest
            && analysis.analyzer == self.standing.revision
            && analysis.size_bytes == layer.size
    }

    /// Reads a layer, once more if its bytes are not what its digest says, until the image's time is up.
    pub(super) async fn read(&self, layer: &Descriptor, focus: &Focus) -> Result<Attempt, ExamineError> {
        let attempts = async {
            match self.attempt(layer, focus).await? {
                Attempt::Mismatch(_) => self.attempt(layer, focus).await,
                attempt @ (Attempt::Read(..) | Attempt::Failed(_)) => Ok(attempt),
            }
        };
        match timeout_at(self.deadline, attempts).await {
            Ok(attempt) => attempt,
            Err(_elapsed) => {
                let limit = self.engine.limits().image_time.as_secs();
                let detail = format!("the image took longer than {limit} seconds");
                let problem = Problem::new(ProblemKind::LimitExceeded, detail);
                Ok(Attempt::Failed(problem.in_layer(&layer.digest)))
            }
        }
    }

    async fn attempt(&self, layer: &Descriptor, focus: &Focus) -> Result<Attempt, ExamineError> {
        let places = Arc::clone(&self.engine.places);
        let place = places.acquire_owned().await.expect("the places are never closed");
        self.progress.layer_started(layer);
        let reader = match self.source.blob(layer).await {
            Ok(reader) => reader,
            Err(error) => return unavailable(layer, error),
        };
        let cancelled = self.cancelled.child_token();
        let _stops_thread = cancelled.clone().drop_guard();
        let limit = self.engine.limits().layer_time;
        let watch = Watch::start(&layer.digest, limit, cancelled, Arc::clone(&self.progress));
        let kit = Arc::clone(&self.engine.kit);
        let (focus, descriptor, span) = (focus.clone(), layer.clone(), Span::current());
        let revision = self.standing.revision.clone();
        let pass = task::spawn_blocking(move || {
            let _held = (place, span.entered());
            LayerPass::new(&kit, &descriptor, focus, revision).run(reader, &watch)
        });
        let failed = |kind, detail: String| Problem::new(kind, detail).in_layer(&layer.digest);
        match pass.await {
            Ok(Ok((analysis, contents))) => Ok(Attempt::Read(Box::new(analysis), contents)),
            Ok(Err(LayerError::Read { source, .. })) => match source.downcast::<SourceError>() {
                // The source knows what its failure means: wrong bytes stay wrong however often they are asked for.
                Ok(error) => unavailable(layer, error),
                Err(error) => Err(ExamineError::Retryable {
                    source: SourceError::Unavailable {
                        what: format!("layer {}", layer.digest),
                        place: "the source".to_owned(),
                        source: Box::new(error),
                    },
                }),
            },
            Ok(Err(error @ LayerError::DigestMismatch { .. })) => {
                Ok(Attempt::Mismatch(failed(ProblemKind::DigestMismatch, error.to_string())))
            }
            Ok(Err(error @ (LayerError::TimedOut { .. } | LayerError::Cancelled { .. }))) => {
                Ok(Attempt::Failed(failed(ProblemKind::LimitExceeded, error.to_string())))
            }
            Err(broken) => Ok(Attempt::Failed(failed(
                ProblemKind::AnalyzerFailed,
                format!("analysing the layer broke down: {broken}"),
            ))),
        }
    }
}

/// What it means that a source gives no bytes.
fn unavailable(layer: &Descriptor, error: SourceError) -> Result<Attempt, ExamineError> {
    let is_foreign = LayerType::of(&layer.media_type) == LayerType::Foreign;
    let problem = |kind| Problem::new(kind, error.to_string()).in_layer(&layer.digest);
    Ok(match &error {
        SourceError::Unavailable { .. } => return Err(ExamineError::Retryable { source: error }),
        SourceError::Refused { .. } => return Err(ExamineError::Refused { source: error }),
        SourceError::NotFound { .. } if is_foreign => {
            Attempt::Failed(problem(ProblemKind::ForeignLayerNotScanned))
        }
        SourceError::NotFound { .. } => Attempt::Failed(problem(ProblemKind::LayerMissing)),
        SourceError::DigestMismatch { .. } | SourceError::TooLarge { .. } => {
            Attempt::Mismatch(problem(ProblemKind::DigestMismatch))
        }
        SourceError::Malformed { .. } => Attempt::Failed(problem(ProblemKind::LayerMalformed)),
    })
}

/// The label did not decide, but a wrong one is worth knowing.
fn mislabelled(layer: &Descriptor, actual: Compression) -> Option<Problem> {
    let stated = layer_type::compression(&layer.media_type).filter(|stated| *stated != actual)?;
    let detail = format!("a layer labelled {} is {}", stated.name(), actual.name());
    let problem = Problem::new(ProblemKind::LayerMediatypeMismatch, detail);
    Some(problem.in_layer(&layer.digest))
}

/// A layer of an unknown type counts if it is a tar; that nobody defined the type is a problem either way.
fn sniffed(layer: &Descriptor, analysis: Arc<LayerAnalysis>) -> Outcome {
    let is_malformed = |problem: &Problem| problem.kind == ProblemKind::LayerMalformed;
    let is_tar = !analysis.entries.is_empty() || !analysis.problems.iter().any(is_malformed);
    let found = if is_tar { "it was read as a tar" } else { "it is no tar" };
    let detail = format!("nobody defined the layer type {:?}; {found}", layer.media_type);
    let problem = Problem::new(ProblemKind::UnknownLayerType, detail).in_layer(&layer.digest);
    if is_tar { Outcome::Analysed(analysis, vec![problem]) } else { Outcome::NotAnalysed(problem) }
}
