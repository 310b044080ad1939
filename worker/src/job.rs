//! What a job asks for: resolve a tag, scan a digest, derive verdicts again, tell an endpoint, or do a piece of
//! a sweep.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Tag};
use shared::model::job::{Job, Lane, Task};
use shared::queue::{Delivery, QueueError};
use shared::store::{Sighting, StoreError};
use shared::telemetry::{Throttle, chain, traces};

use crate::Parts;
use crate::attachments::Look;
use crate::hold::Held;
use crate::judge::{JudgeError, Prospect};
use crate::notify::Tries;
use crate::overdue::pending;

/// How long a job waits for a store or queue that is away, from when it was asked for, before its attempts count.
const LONGEST_OUTAGE: SignedDuration = SignedDuration::from_hours(24);

/// Carries out jobs.
pub(crate) struct Carrier {
    pub(crate) parts: Parts,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// What it asked for is stored.
    Done,
    /// Not this time.
    Failed {
        /// Why.
        error: String,
    },
    /// Never.
    Hopeless {
        /// Why.
        error: String,
    },
    /// Somebody else is not ready for it.
    Postponed {
        /// The least wait.
        wait: Duration,
        /// What it waits for.
        error: String,
    },
    /// The store or the queue is away: no attempt would say anything about the job itself.
    Away {
        /// What became of the question.
        error: String,
    },
    /// The process ends; another worker does it.
    HandedBack,
}

impl Carried {
    /// The metric label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Hopeless { .. } => "hopeless",
            Self::Postponed { .. } | Self::Away { .. } => "postponed",
            Self::HandedBack => "handed_back",
        }
    }

    /// After a failure of the store.
    pub(crate) fn after_store(error: &StoreError) -> Self {
        Self::after(error.is_away(), chain(error))
    }

    /// After a failure of the queue.
    pub(crate) fn after_queue(error: &QueueError) -> Self {
        Self::after(error.is_away(), chain(error))
    }

    fn after(is_away: bool, error: String) -> Self {
        if is_away { Self::Away { error } } else { Self::Failed { error } }
    }
}

/// What the queue knows of a job's earlier attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// Which attempt this is, from 1.
    attempt: u32,
    /// How often it was put off.
    postponed: u32,
    /// What the last attempt failed with, if whoever made it lived to say so.
    last_error: Option<String>,
}

impl Past {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let last_error = delivery.last_error.clone();
        Self { attempt: delivery.attempt, postponed: delivery.postponed, last_error }
    }

    /// Whether this is the last attempt, and nobody has survived one so far.
    fn is_deadly(&self, attempts: u32) -> bool {
        self.attempt > 1 && self.attempt >= attempts && self.last_error.is_none()
    }
}

impl Carrier {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    pub(crate) async fn carry_out(&self, job: &Job, past: &Past) -> Carried {
        let age = Timestamp::now().duration_since(job.enqueued_at);
        match self.attempt(job, past).await {
            Carried::Away { error } if age >= LONGEST_OUTAGE => Carried::Failed { error },
            carried => carried,
        }
    }

    async fn attempt(&self, job: &Job, past: &Past) -> Carried {
        if let Task::Scan { digest, .. } = &job.task
            && past.is_deadly(self.parts.attempts)
            && let Err(error) = self.warn_of(digest, past.attempt - 1).await
        {
            return self.give_up(job, digest, past.attempt, &error).await;
        }
        match &job.task {
            Task::Resolve { image, tag } => self.resolve(image, tag, job.lane).await,
            Task::Scan { image, digest, .. } => match self.judge(image, digest).await {
                Ok(()) => {
                    let described = self.describe(image, digest).await;
                    self.give_back(image, digest).await;
                    match described {
                        Carried::Done => self.attest_next(image, digest).await,
                        other => other,
                    }
                }
                Err(error) => self.give_up(job, digest, past.attempt, &error).await,
            },
            Task::Attest { image, digest } => self.attest(image, digest).await,
            Task::Attachments { image, digest } => match self.look_at_attachments(image, digest).await {
                // Whoever had it before may have died before the attestation was queued.
                Ok(Look::Same) if past.attempt <= 1 => Carried::Done,
                Ok(Look::Same | Look::Changed) => self.attest_next(image, digest).await,
                Err(error) => error.carried(),
            },
            Task::Notify { endpoint, event } => {
                let tries = Tries::of(job, past.postponed, Timestamp::now());
                self.parts.endpoints.tell(self.parts.notes.as_ref(), endpoint, event, tries).await
            }
            Task::Rejudge { policies, after } => self.rejudge(policies, after.as_ref()).await,
            Task::Sweep(sweep) => self.sweep(sweep, past.attempt).await,
        }
    }

    /// Has an SBOM that was pushed count for what it is attached to.
    async fn describe(&self, image: &ImageName, artifact: &Digest) -> Carried {
        match self.look_at_described(image, artifact).await {
            Ok(Some(subject)) => self.attest_next(image, &subject).await,
            Ok(None) => Carried::Done,
            Err(error) => error.carried(),
        }
    }

    /// Asks the registry once what the tag points at, and queues that digest before this job is settled (I12).
    async fn resolve(&self, image: &ImageName, tag: &Tag, lane: Lane) -> Carried {
        let span = traces::stage("resolve");
        let resolved = span.around(self.parts.registries.resolve(image, tag)).await;
        span.outcome(&resolved, "not_resolved");
        drop(span);
        let digest = match resolved {
            Ok(digest) => digest,
            Err(error) if error.is_retryable() => return Carried::Failed { error: chain(&error) },
            Err(error) => return Carried::Hopeless { error: chain(&error) },
        };
        tracing::info!(image.digest = %digest, "tag resolved");
        let next = Job::scan(image.clone(), digest.clone(), Some(tag.clone()), lane, Timestamp::now());
        if let Err(error) = self.parts.queue.publish(&next).await {
            return Carried::after_queue(&error);
        }
        self.note_push(image, &digest, tag, next.enqueued_at).await;
        Carried::Done
    }

    /// Notes that a digest is pending and where it was seen, as the api does for pushes that name one. The scan is safe
    /// in the queue already, so a store that is away costs only that note (I13).
    async fn note_push(&self, image: &ImageName, digest: &Digest, tag: &Tag, now: Timestamp) {
        let sighting = Sighting { image: image.clone(), tag: Some(tag.clone()), seen_at: now };
        let pending = pending(now, self.parts.pending_ttl);
        if let Err(error) = self.parts.store.note_push(digest, pending, &sighting).await {
            static UNNOTED: Throttle = Throttle::new();
            if let Some(others) = UNNOTED.pass() {
                tracing::warn!(image.digest = %digest, others, error = %chain(&error), "push not noted in store");
            }
        }
    }

    /// Leaves a terminal verdict before the last attempt, which may end like those before it (I3, I7). A verdict that
    /// comes of it after all takes its place.
    async fn warn_of(&self, digest: &Digest, died: u32) -> Result<(), JudgeError> {
        // Whoever died last still holds the lease for a while.
        while let Held::Busy { remaining } = self.state_failure(digest, &JudgeError::Deadly(died)).await? {
            tokio::time::sleep(remaining.max(Duration::from_millis(50))).await;
        }
        Ok(())
    }

    /// Says what becomes of a job that failed, and leaves a terminal verdict when nobody tries again (I3).
    async fn give_up(&self, job: &Job, digest: &Digest, attempt: u32, error: &JudgeError) -> Carried {
        let text = chain(error);
        let age = Timestamp::now().duration_since(job.enqueued_at);
        let carried = match error.prospect() {
            Prospect::StoreAway if age < LONGEST_OUTAGE => return Carried::Away { error: text },
            Prospect::OnceMore if attempt > 1 => Carried::Done,
            Prospect::OnceMore | Prospect::Hopeful | Prospect::StoreAway => {
                Carried::Failed { error: text.clone() }
            }
            Prospect::Hopeless => Carried::Hopeless { error: text.clone() },
        };
        let again = matches!(carried, Carried::Failed { .. }) && attempt < self.parts.attempts;
        if !again && let Err(unstored) = self.state_failure(digest, error).await {
            if unstored.prospect() == Prospect::StoreAway && age < LONGEST_OUTAGE {
                return Carried::Away { error: text };
            }
            return Carried::Failed {
                error: format!("{text}; and no verdict could be stored: {}", chain(&unstored)),
            };
        }
        carried
    }
}
