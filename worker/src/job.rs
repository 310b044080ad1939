//! What a job asks for: resolve a tag, scan a digest, derive verdicts again, tell an endpoint, or do a piece of
//! a sweep.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Tag};
use shared::model::job::{Job, Lane, Task};
use shared::telemetry::chain;

use crate::Parts;
use crate::attachments::Look;
use crate::judge::{JudgeError, Prospect};
use crate::notify::Tries;

/// How long a scan waits for a store that is away, from when it was asked for, before its attempts count.
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
            Self::Postponed { .. } => "postponed",
            Self::HandedBack => "handed_back",
        }
    }
}

impl Carrier {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    pub(crate) async fn carry_out(&self, job: &Job, attempt: u32, postponed: u32) -> Carried {
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
                Err(error) => self.give_up(job, digest, attempt, &error).await,
            },
            Task::Attest { image, digest } => self.attest(image, digest).await,
            Task::Attachments { image, digest } => match self.look_at_attachments(image, digest).await {
                // Whoever had it before may have died before the attestation was queued.
                Ok(Look::Same) if attempt <= 1 => Carried::Done,
                Ok(Look::Same | Look::Changed) => self.attest_next(image, digest).await,
                Err(error) if error.is_retryable() => Carried::Failed { error: chain(&error) },
                Err(error) => Carried::Hopeless { error: chain(&error) },
            },
            Task::Notify { endpoint, event } => {
                let tries = Tries::of(job, postponed, Timestamp::now());
                self.parts.endpoints.tell(self.parts.notes.as_ref(), endpoint, event, tries).await
            }
            Task::Rejudge { policies, after } => self.rejudge(policies, after.as_ref()).await,
            Task::Sweep(sweep) => self.sweep(sweep, attempt).await,
        }
    }

    /// Has an SBOM that was pushed count for what it is attached to.
    async fn describe(&self, image: &ImageName, artifact: &Digest) -> Carried {
        match self.look_at_described(image, artifact).await {
            Ok(Some(subject)) => self.attest_next(image, &subject).await,
            Ok(None) => Carried::Done,
            Err(error) if error.is_retryable() => Carried::Failed { error: chain(&error) },
            Err(error) => Carried::Hopeless { error: chain(&error) },
        }
    }

    /// Asks the registry once what the tag points at, and queues that digest before this job is settled (I12).
    async fn resolve(&self, image: &ImageName, tag: &Tag, lane: Lane) -> Carried {
        let digest = match self.parts.registries.resolve(image, tag).await {
            Ok(digest) => digest,
            Err(error) if error.is_retryable() => return Carried::Failed { error: chain(&error) },
            Err(error) => return Carried::Hopeless { error: chain(&error) },
        };
        tracing::info!(image.digest = %digest, "tag resolved");
        let next = Job::scan(image.clone(), digest, Some(tag.clone()), lane, Timestamp::now());
        match self.parts.queue.publish(&next).await {
            Ok(()) => Carried::Done,
            Err(error) => Carried::Failed { error: chain(&error) },
        }
    }

    /// Says what becomes of a job that failed, and leaves a terminal verdict when nobody tries again (I3).
    async fn give_up(&self, job: &Job, digest: &Digest, attempt: u32, error: &JudgeError) -> Carried {
        let text = chain(error);
        let age = Timestamp::now().duration_since(job.enqueued_at);
        let carried = match error.prospect() {
            Prospect::StoreAway if age < LONGEST_OUTAGE => {
                return Carried::Postponed { wait: Duration::ZERO, error: text };
            }
            Prospect::OnceMore if attempt > 1 => Carried::Done,
            Prospect::OnceMore | Prospect::Hopeful | Prospect::StoreAway => {
                Carried::Failed { error: text.clone() }
            }
            Prospect::Hopeless => Carried::Hopeless { error: text.clone() },
        };
        let again = matches!(carried, Carried::Failed { .. }) && attempt < self.parts.attempts;
        if !again && let Err(unstored) = self.state_failure(digest, error).await {
            return Carried::Failed {
                error: format!("{text}; and no verdict could be stored: {}", chain(&unstored)),
            };
        }
        carried
    }
}
