//! Where jobs wait: durable, at least once, in lanes, with retries, a delivery limit and dead letters.
//!
//! The doc comments of [`JobQueue`] are the contract; `contract` is the same as tests, and both
//! backends run all of it. [`rabbitmq`] is for many processes, [`embedded`] for one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::QueueConfig;
use crate::model::job::{Job, JobId, Lane};
use crate::telemetry::traces::Origin;

pub mod embedded;
pub mod rabbitmq;

mod dead_letter;
mod depth;
mod meters;
mod turns;

#[cfg(test)]
mod contract;

pub use depth::show_depth;

/// A durable queue of jobs in three lanes.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Returns once the job is durable: confirmed by the broker and routed to a queue (I1).
    ///
    /// After an error the outcome is unknown; publishing the same job again is harmless, because jobs
    /// are idempotent. Waits at most the configured publish timeout. The trace within which it is called, if there
    /// is one, travels with the job, over retries and redeliveries, to every [`Delivery`].
    async fn publish(&self, job: &Job) -> Result<(), QueueError>;

    /// Starts to take jobs, at most `prefetch` unsettled at a time over all lanes together.
    ///
    /// More urgent lanes go first, without starving the others.
    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError>;

    /// How full the lanes are.
    async fn status(&self) -> Result<QueueStatus, QueueError>;

    /// The oldest dead letters, at most `limit`; they stay where they are.
    async fn dead(&self, limit: usize) -> Result<Vec<DeadJob>, QueueError>;

    /// Moves dead letters back to their lanes with a fresh count of attempts; returns how many.
    async fn requeue(&self, which: DeadSelection) -> Result<usize, QueueError>;

    /// Forgets dead letters; returns how many.
    async fn discard(&self, which: DeadSelection) -> Result<usize, QueueError>;

    /// Whether a publish would work now, within a second or two; for readiness.
    async fn ping(&self) -> Result<(), QueueError>;
}

/// One taker of jobs.
#[async_trait]
pub trait Consumer: Send {
    /// The next job, whenever there is one. Recovers by itself from a broker that went away.
    ///
    /// At least once: a delivery that is not settled comes back when its consumer is gone. `None` once
    /// [`Consumer::stop`] was called or the queue was closed for good.
    async fn next(&mut self) -> Option<Delivery>;

    /// Takes no further jobs; what was prefetched and not handed out goes back to its lane.
    async fn stop(&mut self);
}

/// A job in somebody's hands. Dropping it unsettled hands it back.
pub struct Delivery {
    /// What is to be done.
    pub job: Job,
    /// Which attempt this is, counted from 1, over retries and redeliveries.
    pub attempt: u32,
    /// How often it was put off without being counted as an attempt.
    pub postponed: u32,
    /// What the last attempt that was settled failed with. `None` on a later attempt than the first means that whoever
    /// tried it before died of it, or with it.
    pub last_error: Option<String>,
    /// Where it comes from, and in which trace.
    pub origin: Origin,
    receipt: Box<dyn Receipt>,
}

impl Delivery {
    /// Made by the backends.
    pub(crate) fn new(
        job: Job,
        attempt: u32,
        postponed: u32,
        last_error: Option<String>,
        origin: Origin,
        receipt: Box<dyn Receipt>,
    ) -> Self {
        Self { job, attempt, postponed, last_error, origin, receipt }
    }

    /// Says what became of the job; it can be said only once.
    ///
    /// An error means that the queue may deliver the job again, never that it is lost (I2).
    pub async fn settle(self, settlement: Settlement) -> Result<(), QueueError> {
        self.receipt.settle(&self.job, self.attempt, settlement).await
    }
}

/// The backend's half of a [`Delivery`].
#[async_trait]
pub(crate) trait Receipt: Send + Sync {
    /// Carries out `settlement`: moves first, confirmed, and acks last.
    async fn settle(
        self: Box<Self>,
        job: &Job,
        attempt: u32,
        settlement: Settlement,
    ) -> Result<(), QueueError>;
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Its verdict is stored; the queue may forget it.
    Done,
    /// It failed for now: try again after the retry tier that fits the attempt, or bury it when the
    /// attempts are used up.
    Retry {
        /// What went wrong, for whoever reads the dead letter.
        error: String,
    },
    /// Somebody else is not ready for it: again after about `wait`, or after the retry tier that fits how
    /// often it was put off, whichever is longer, but never later than after the longest tier. Spread a
    /// little, and not counted as an attempt: whoever postpones decides when it has been enough.
    Postpone {
        /// The least wait, as far as the tiers reach.
        wait: Duration,
        /// What it waits for, for whoever reads the dead letter.
        error: String,
    },
    /// It cannot ever work.
    Bury {
        /// What is wrong with it.
        error: String,
    },
    /// Not begun, or not finished, through no fault of its own: back to its lane, uncounted.
    HandBack,
}

/// A job that nobody could do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DeadJob {
    /// Identity of the job, or `None` if the message was no job at all.
    pub id: Option<JobId>,
    /// Its lane, if known.
    pub lane: Option<Lane>,
    /// What it was about: `registry/repo@digest`, or the start of the message that is no job.
    pub subject: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The last error.
    pub error: String,
    /// When it died.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub died_at: Option<Timestamp>,
}

/// Which dead letters an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadSelection {
    /// All of them.
    All,
    /// One.
    One(JobId),
}

/// How full a queue is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QueueStatus {
    /// One row a lane, most urgent first.
    pub lanes: Vec<LaneStatus>,
    /// Jobs that wait for their next attempt.
    pub retrying: u64,
    /// Dead letters.
    pub dead: u64,
}

/// How full one lane is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LaneStatus {
    /// Which lane.
    pub lane: Lane,
    /// Jobs that wait.
    pub ready: u64,
    /// Jobs in somebody's hands, where the backend can tell.
    pub unsettled: Option<u64>,
    /// How many consumers take from it, where the backend can tell.
    pub consumers: Option<u64>,
}

/// When and how often a failed job is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRules {
    /// The wait before the second, third … attempt; the last one repeats.
    pub tiers: Vec<Duration>,
    /// How often a job is tried in all before it is buried; deliveries that died with their consumer count.
    pub attempts: u32,
}

impl RetryRules {
    /// The wait before the attempt that follows `attempt`, or `None` when the attempts are used up.
    pub fn after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let tier = (attempt.saturating_sub(1) as usize).min(self.tiers.len().checked_sub(1)?);
        Some(self.tiers[tier])
    }

    /// When a job comes back that was put off `times` before and has to wait for `wait`: through which tier,
    /// and after how long exactly. `dice` (0 to 1) spreads what would otherwise come back all at once.
    /// `None` where there are no tiers.
    pub(crate) fn postponed(&self, times: u32, wait: Duration, dice: f64) -> Option<Postponement> {
        let usual = *self.tiers.get(times as usize).or(self.tiers.last())?;
        let least = usual.max(wait);
        let longest = *self.tiers.iter().max()?;
        let tier = self.tiers.iter().copied().filter(|tier| *tier >= least).min().unwrap_or(longest);
        let floor = tier.mul_f64(0.75).max(wait).min(tier);
        Some(Postponement { tier, wait: floor + (tier - floor).mul_f64(dice.clamp(0.0, 1.0)) })
    }
}

/// When a job that was put off comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Postponement {
    /// The retry tier through which it goes.
    pub(crate) tier: Duration,
    /// How long it waits there; not longer than the tier.
    pub(crate) wait: Duration,
}

/// A number from 0 to 1, not known beforehand.
pub(crate) fn dice() -> f64 {
    // Without randomness nothing is spread, which is no reason to stop.
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

impl Default for RetryRules {
    fn default() -> Self {
        Self { tiers: [2, 15, 60, 300].map(Duration::from_secs).to_vec(), attempts: 5 }
    }
}

/// Why the queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker cannot be reached, or the connection broke.
    #[error("the queue at {place} is unavailable")]
    Unavailable {
        /// Host and port, or file; never credentials.
        place: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No confirmation within the publish timeout: the job may or may not be queued.
    #[error("the queue did not confirm within {} ms", .0.as_millis())]
    NotConfirmed(Duration),
    /// The broker took the message and had no queue for it, or refused it.
    #[error("the queue refused the job: {0}")]
    Refused(String),
    /// A delivery was no longer ours to settle: it will come again.
    #[error("the delivery of job {0} is no longer held here; it will be delivered again")]
    Stale(JobId),
    /// The file or broker holds something that this build cannot read.
    #[error("the queue at {place} cannot be used: {reason}")]
    Unusable {
        /// Host and port, or file.
        place: String,
        /// What is wrong and how to repair it.
        reason: String,
    },
}

impl QueueError {
    /// Whether it says something about the broker alone: the same will do once that is well again.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NotConfirmed(_) | Self::Refused(_) => true,
            Self::Stale(_) | Self::Unusable { .. } => false,
        }
    }
}

/// A queue that several parts of a process share.
pub type SharedQueue = Arc<dyn JobQueue>;

/// An opened queue, and what comes with it.
#[derive(Clone)]
pub struct Opened {
    /// Where jobs wait.
    pub jobs: SharedQueue,
    /// Where changed verdicts are told to anybody who binds a queue. Only a broker has one: nobody outside of
    /// this process could bind anything to an embedded queue.
    pub topic: Option<Arc<rabbitmq::Topic>>,
}

/// Opens the queue that the configuration names.
pub async fn open(config: &QueueConfig) -> Result<Opened, QueueError> {
    Ok(match config {
        QueueConfig::Rabbitmq(config) => {
            let queue = rabbitmq::RabbitmqQueue::connect(config.clone()).await?;
            let topic = Some(Arc::new(queue.topic()));
            Opened { jobs: Arc::new(queue), topic }
        }
        QueueConfig::Embedded { file, retry } => {
            make_folder(file)?;
            let queue = embedded::EmbeddedQueue::open(file, retry.clone())?;
            Opened { jobs: Arc::new(queue), topic: None }
        }
    })
}

fn make_folder(file: &Path) -> Result<(), QueueError> {
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.map_err(|source| QueueError::Unavailable {
        place: file.display().to_string(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tier_repeats_until_the_attempts_are_used_up() {
        let rules = RetryRules { tiers: [1, 5].map(Duration::from_secs).to_vec(), attempts: 4 };
        let waits: Vec<_> = (1..=5).map(|attempt| rules.after(attempt).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(5), Some(5), None, None]);
    }

    #[test]
    fn what_is_put_off_waits_as_long_as_asked_as_far_as_the_tiers_reach() {
        let seconds = Duration::from_secs;
        let rules = RetryRules { tiers: [4, 20, 100].map(seconds).to_vec(), attempts: 4 };
        for (times, wait, dice, tier, expected) in [
            (0, 0, 0.0, 4, 3),
            (0, 0, 1.0, 4, 4),
            (1, 0, 0.0, 20, 15),
            (9, 0, 1.0, 100, 100),
            (0, 18, 0.0, 20, 18),
            (0, 50, 0.0, 100, 75),
            (2, 3600, 0.0, 100, 100),
        ] {
            let found = rules.postponed(times, seconds(wait), dice);
            let expected = Postponement { tier: seconds(tier), wait: seconds(expected) };
            assert_eq!(found, Some(expected), "{times} {wait} {dice}");
        }
        assert_eq!(RetryRules { tiers: Vec::new(), attempts: 1 }.postponed(0, seconds(1), 0.5), None);
    }
}
