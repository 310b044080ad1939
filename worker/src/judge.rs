//! One digest from nothing to stored verdicts, with as little work as its revisions allow.
//!
//! 1. A verdict that is current for analyzer, advisories and policies is left as it is.
//! 2. A report that is current is judged by the policies that changed; nothing is read.
//! 3. A report of the current analyzer is matched again; nothing is pulled.
//! 4. A report that we signed and attached to the image ourselves is taken back; no layer is pulled (I13).
//! 5. Only else the image is examined, under a lease, so that no two workers do it at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use scanner::advisories::{Database, DatabaseError};
use scanner::image::{Examination, ExamineError, Silent};
use scanner::report::{assemble, match_again};
use scanner::source::registry::RegistryImage;
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{IndexChild, Report, ScanRevisions, Subject};
use shared::model::verdict::{Lookup, Outcome, PolicyName, Verdict};
use shared::policy::{Circumstances, PolicySet};
use shared::registry::RegistryClient;
use shared::store::{Lease, StoreError};
use shared::telemetry::{chain, traces};

use crate::hold::{Held, under_lease};
use crate::job::Carrier;

/// Why a digest has no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeError {
    /// The image could not be examined.
    #[error("{image} could not be examined")]
    Examine {
        /// Which.
        image: String,
        /// Why.
        #[source]
        source: ExamineError,
    },
    /// The advisory database failed.
    #[error("the advisory database cannot be read")]
    Database(#[from] DatabaseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another worker held the lease and never came to an end.
    #[error("another worker has held {digest} for {} s without a result", waited.as_secs())]
    Starved {
        /// Which.
        digest: Digest,
        /// How long.
        waited: Duration,
    },
    /// Whoever tried before died of it; hostile images are the first suspects (I7).
    #[error("{0} workers took the image and none of them came to an end")]
    Deadly(u32),
    /// A blocking thread died; hostile images are the first suspects (I7).
    #[error("matching {0} panicked")]
    Panicked(Digest),
}

impl JudgeError {
    /// Whether another attempt may go better.
    pub(crate) fn prospect(&self) -> Prospect {
        match self {
            Self::Store(error) if error.is_away() => Prospect::StoreAway,
            Self::Examine { source: ExamineError::Missing { .. }, .. } => Prospect::OnceMore,
            Self::Examine { source: ExamineError::Refused { .. }, .. } => Prospect::Hopeless,
            Self::Examine {
                source: ExamineError::Retryable { .. } | ExamineError::BrokeDown { .. }, ..
            }
            | Self::Database(_)
            | Self::Store(_)
            | Self::Starved { .. }
            | Self::Deadly(_)
            | Self::Panicked(_) => Prospect::Hopeful,
        }
    }
}

/// What trying again may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// It may go better: as often as the queue allows.
    Hopeful,
    /// It will go better once the store is back; until then no attempt would say anything about the image.
    StoreAway,
    /// A replica may lag behind the push that it announced: once more, then it is an answer.
    OnceMore,
    /// Somebody has to change something first.
    Hopeless,
}

/// How long one job waits for another worker that scans the same digest.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Carrier {
    /// Sees to it that current verdicts about `digest` are stored.
    pub(crate) async fn judge(&self, image: &ImageName, digest: &Digest) -> Result<(), JudgeError> {
        let client = self.client_for(image, digest).await;
        self.judge_through(&client, image, digest).await
    }

    async fn judge_through(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        digest: &Digest,
    ) -> Result<(), JudgeError> {
        let began = Instant::now();
        self.parts.engine.look_again().await;
        loop {
            if self.is_judged(digest).await? {
                metrics::counter!("tidewaiter_scans_total", "work" => "none").increment(1);
                // Whoever stored it may have died before it was announced.
                self.parts.announcer.announce(digest, Some(image)).await;
                return Ok(());
            }
            // Watched before the lease is asked for, so that no result falls between.
            let mut watch = self.parts.store.watch(digest).await?;
            let work = |lease| self.judge_holding(client, image, digest, lease);
            match under_lease(&self.parts.leases, digest, self.parts.lease, work).await? {
                Held::Done(()) => {
                    self.parts.announcer.announce(digest, Some(image)).await;
                    return Ok(());
                }
                Held::Busy { .. } if began.elapsed() > PATIENCE => {
                    return Err(JudgeError::Starved { digest: digest.clone(), waited: began.elapsed() });
                }
                Held::Busy { remaining } => watch.changed(remaining.max(Duration::from_millis(50))).await,
            }
        }
    }

    /// Whether every policy has a verdict that is current in every way.
    async fn is_judged(&self, digest: &Digest) -> Result<bool, JudgeError> {
        let policies = self.parts.policies.load_full();
        let wanted = self.revisions();
        let now = Timestamp::now();
        for policy in policies.iter() {
            let found = self.parts.store.lookup(std::slice::from_ref(digest), &policy.name).await?;
            let current = matches!(found.as_slice(), [Lookup::Known(verdict)]
                if verdict.revisions == wanted
                    && verdict.is_current(&policy.revision, now)
                    && verdict.outcome != Outcome::Error);
            if !current {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn revisions(&self) -> ScanRevisions {
        let database = self.parts.database.load();
        ScanRevisions {
            analyzer: self.parts.engine.revision(),
            database: database.revision().clone(),
            database_as_of: database.as_of(),
        }
    }

    async fn judge_holding(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        digest: &Digest,
        lease: Arc<Lease>,
    ) -> Result<(), JudgeError> {
        let database = self.parts.database.load_full();
        let known = self.known_report(digest).await?;
        let restored = match known {
            Some(_) => None,
            None => self.restored(client, image, digest).await,
        };
        let (mut report, work) = match known {
            Some(report) if report.revisions == self.revisions() => (report, "policy"),
            Some(report) => (self.matched_again(report, database).await?, "match"),
            None => match &restored {
                Some(restored) => {
                    let mut report = restored.report.clone();
                    if report.revisions != self.revisions() {
                        report = self.matched_again(report, Arc::clone(&database)).await?;
                    }
                    (self.with_attachments(client, image, report, database).await?, "restore")
                }
                None => {
                    let report = self.examined(client, image, digest, Arc::clone(&database)).await?;
                    (self.with_attachments(client, image, report, database).await?, "scan")
                }
            },
        };
        self.parts.bases.recognise(&mut report).await?;
        let children = match &report.subject {
            Subject::Index { children } => self.judge_children(client, image, digest, children).await?,
            Subject::Image(_) | Subject::Artifact { .. } | Subject::Unreadable => Vec::new(),
        };
        let policies = self.parts.policies.load_full();
        let stage = Stage::begin("judge");
        let verdicts = verdicts(&policies, &report, &children, Timestamp::now());
        stage.span.set("tidewaiter.verdicts", verdict_words(&verdicts));
        stage.end();
        let stood = restored.map(|restored| restored.stood(&policies, &children)).unwrap_or_default();
        let stage = Stage::begin("store");
        let stored = stage.span.around(self.parts.store.restore(&report, &verdicts, &stood, &lease)).await;
        stage.span.outcome(&stored, "not_stored");
        stage.end();
        stored?;
        self.parts.bases.remember(image, &report).await?;
        metrics::counter!("tidewaiter_scans_total", "work" => work).increment(1);
        for verdict in &verdicts {
            let outcome = verdict.outcome.name();
            metrics::counter!("tidewaiter_verdicts_total", "outcome" => outcome).increment(1);
            tracing::info!(
                policy.name = %verdict.policy,
                verdict.outcome = outcome,
                verdict.findings = verdict.counts.total(),
                "verdict stored"
            );
        }
        Ok(())
    }

    /// The stored report, if its facts about the image's bytes still hold.
    async fn known_report(&self, digest: &Digest) -> Result<Option<Report>, JudgeError> {
        let report = match self.parts.store.report(digest).await {
            // Not readable by this build: scanning again replaces it.
            Err(StoreError::Unreadable { .. }) => None,
            other => other?,
        };
        let usable = |report: &Report| {
            report.revisions.analyzer == self.parts.engine.revision() && report.subject != Subject::Unreadable
        };
        Ok(report.filter(usable))
    }

    async fn matched_again(&self, report: Report, database: Arc<Database>) -> Result<Report, JudgeError> {
        let (digest, stage) = (report.digest.clone(), Stage::begin("match"));
        let again = tokio::task::spawn_blocking(move || match_again(report, &database, Timestamp::now()));
        let report = again.await.map_err(|_| JudgeError::Panicked(digest))??;
        stage.end();
        Ok(report)
    }

    async fn examined(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        digest: &Digest,
        database: Arc<Database>,
    ) -> Result<Report, JudgeError> {
        let stage = Stage::begin("examine");
        tracing::info!(image.digest = %digest, "examining");
        let source = Arc::new(RegistryImage::new(client.clone(), image.clone()));
        let examine = self.parts.engine.examine(source, digest, Arc::new(Silent));
        let examined = stage.span.around(examine).await;
        stage.span.outcome(&examined, "not_examined");
        let examination: Examination =
            examined.map_err(|source| JudgeError::Examine { image: image.at(digest), source })?;
        let took = stage.end();
        let problems = examination.problems.len();
        tracing::info!(image.digest = %digest, problems, duration_ms = took.as_millis(), "image examined");
        let stage = Stage::begin("match");
        let assembled =
            tokio::task::spawn_blocking(move || assemble(examination, &database, Timestamp::now()));
        let report = assembled.await.map_err(|_| JudgeError::Panicked(digest.clone()))??;
        stage.end();
        Ok(report)
    }

    /// Judges each child by its own digest, and returns what every policy thinks of each.
    async fn judge_children(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        index: &Digest,
        children: &[IndexChild],
    ) -> Result<Vec<Verdict>, JudgeError> {
        for child in children {
            // Children are manifests, never indexes: the recursion is one deep.
            match Box::pin(self.judge_through(client, image, &child.digest)).await {
                Ok(()) => {}
                Err(error) if matches!(error.prospect(), Prospect::Hopeful | Prospect::StoreAway) => {
                    return Err(error);
                }
                // Whoever is busy with it will say more than this.
                Err(error) => {
                    self.state_failure(&child.digest, &error).await?;
                }
            }
        }
        self.claim_of_children(client, image, index, children).await?;
        let policies = self.parts.policies.load_full();
        let mut verdicts = Vec::new();
        for child in children {
            for policy in policies.iter() {
                let found =
                    self.parts.store.lookup(std::slice::from_ref(&child.digest), &policy.name).await?;
                verdicts.extend(found.into_iter().filter_map(known));
            }
        }
        Ok(verdicts)
    }

    /// Stores an `error` verdict for a digest that nobody will try again, unless more is known already (I3, I10), or
    /// somebody is busy with it.
    pub(crate) async fn state_failure(
        &self,
        digest: &Digest,
        error: &JudgeError,
    ) -> Result<Held<()>, JudgeError> {
        let default = PolicyName::default_policy();
        let found = self.parts.store.lookup(std::slice::from_ref(digest), &default).await?;
        let has_facts =
            |lookup: &Lookup| matches!(lookup, Lookup::Known(verdict) if verdict.outcome != Outcome::Error);
        if found.iter().any(has_facts) {
            return Ok(Held::Done(()));
        }
        let kind = match error {
            JudgeError::Examine { source, .. } => problem_of(source),
            JudgeError::Database(_)
            | JudgeError::Store(_)
            | JudgeError::Starved { .. }
            | JudgeError::Deadly(_)
            | JudgeError::Panicked(_) => ProblemKind::AnalyzerFailed,
        };
        let report = Report {
            digest: digest.clone(),
            subject: Subject::Unreadable,
            revisions: self.revisions(),
            scanned_at: Timestamp::now(),
            findings: Vec::new(),
            problems: vec![Problem::new(kind, chain(error))],
            coverage: Vec::new(),
            support_ends: None,
            observations: Vec::new(),
            signatures: Vec::new(),
            sboms: Vec::new(),
        };
        let policies = self.parts.policies.load_full();
        let verdicts = verdicts(&policies, &report, &[], Timestamp::now());
        let store = |lease: Arc<Lease>| async move {
            self.parts.store.store(&report, &verdicts, &lease).await.map_err(JudgeError::from)
        };
        let stated = under_lease(&self.parts.leases, digest, self.parts.lease, store).await?;
        if let Held::Done(()) = stated {
            self.parts.announcer.announce(digest, None).await;
        }
        Ok(stated)
    }
}

/// A stage of judging, measured and traced.
struct Stage {
    name: &'static str,
    span: traces::Span,
    began: Instant,
}

impl Stage {
    fn begin(name: &'static str) -> Self {
        Self { name, span: traces::stage(name), began: Instant::now() }
    }

    /// It came to an end; how long that took. One that is dropped instead failed, and is in the trace alone.
    fn end(self) -> Duration {
        let took = self.began.elapsed();
        metrics::histogram!("tidewaiter_scan_stage_seconds", "stage" => self.name).record(took.as_secs_f64());
        took
    }
}

/// `default=fail, strict=pass`.
fn verdict_words(verdicts: &[Verdict]) -> String {
    let words = verdicts.iter().map(|verdict| format!("{}={}", verdict.policy, verdict.outcome.name()));
    words.collect::<Vec<_>>().join(", ")
}

/// What a failed examination means for whoever asks about the digest.
fn problem_of(error: &ExamineError) -> ProblemKind {
    match error {
        ExamineError::Missing { .. } => ProblemKind::ImageMissing,
        ExamineError::Retryable { .. } | ExamineError::Refused { .. } => ProblemKind::RegistryUnavailable,
        ExamineError::BrokeDown { .. } => ProblemKind::AnalyzerFailed,
    }
}

pub(crate) fn known(lookup: Lookup) -> Option<Verdict> {
    match lookup {
        Lookup::Known(verdict) => Some(Arc::unwrap_or_clone(verdict)),
        Lookup::Unknown | Lookup::Pending(_) => None,
    }
}

/// What every policy thinks of a report; each sees only the children's verdicts under itself.
pub(crate) fn verdicts(
    policies: &PolicySet,
    report: &Report,
    children: &[Verdict],
    now: Timestamp,
) -> Vec<Verdict> {
    policies
        .iter()
        .map(|policy| policy.judge(report, &of_policy(children, &policy.name), &Circumstances::anywhere(now)))
        .collect()
}

/// The verdicts of one policy.
pub(crate) fn of_policy(verdicts: &[Verdict], policy: &PolicyName) -> Vec<Verdict> {
    verdicts.iter().filter(|verdict| verdict.policy == *policy).cloned().collect()
}
