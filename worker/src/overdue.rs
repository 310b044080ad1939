//! What waits for too long is queued again (I3): its job was lost with its queue, or with whoever held it.
//!
//! Of all workers one looks at a time. A digest that has a verdict by now waits for nothing; of the others each gets a new
//! job, which costs a look-up if the old one was only slow. A queue that is slow for long must not grow by that, so the
//! second wait of a digest is twice the first, and so on.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::model::digest::Digest;
use shared::model::job::{Job, Lane};
use shared::model::verdict::{Lookup, Pending, PolicyName};
use shared::queue::{JobQueue, QueueError};
use shared::store::{NoteName, Notes, Overdue, StoreError, VerdictStore};
use shared::telemetry::chain;

use crate::Parts;

/// How often one of all workers looks.
const TURN: Duration = Duration::from_secs(5);
/// How many digests are dealt with in a turn.
const PAGE: usize = 500;
/// The longest that a digest waits before it is queued once more.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long it is remembered how long a digest has waited.
const MEMORY: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Why a turn broke off; the next one goes on.
#[derive(Debug, thiserror::Error)]
enum ReapError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what is overdue could not be queued")]
    Queue(#[from] QueueError),
}

/// Looks for what waits too long.
pub(crate) struct Reaper {
    queue: Arc<dyn JobQueue>,
    store: Arc<dyn VerdictStore>,
    overdue: Arc<dyn Overdue>,
    notes: Arc<dyn Notes>,
    patience: Duration,
}

impl Reaper {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            queue: Arc::clone(&parts.queue),
            store: Arc::clone(&parts.store),
            overdue: Arc::clone(&parts.overdue),
            notes: Arc::clone(&parts.notes),
            patience: parts.pending_ttl,
        }
    }

    /// Looks for ever.
    pub(crate) async fn run(self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(TURN).await;
            let turned = self.turn().await;
            if let Err(error) = &turned
                && !failing
            {
                // Told once, not at each turn.
                tracing::warn!(error = %chain(error), "cannot look for what waits too long");
            }
            failing = turned.is_err();
        }
    }

    async fn turn(&self) -> Result<(), ReapError> {
        let turn = NoteName::new("overdue", "turn");
        if !self.notes.claim(&turn, b"", TURN.mul_f64(0.9)).await? {
            return Ok(());
        }
        let digests = self.overdue.overdue(Timestamp::now(), PAGE).await?;
        let found = self.store.lookup(&digests, &PolicyName::default_policy()).await?;
        for (digest, lookup) in digests.iter().zip(found) {
            match lookup {
                Lookup::Known(_) => self.overdue.give_up(digest).await?,
                Lookup::Unknown => self.queue_again(digest).await?,
                // Marked again since it was found.
                Lookup::Pending(_) => {}
            }
        }
        Ok(())
    }

    async fn queue_again(&self, digest: &Digest) -> Result<(), ReapError> {
        let sightings = self.store.sightings(digest).await?;
        let Some(seen) = sightings.into_iter().next() else {
            // Forgotten by the store: the next sweep finds it, or whoever asks for it.
            tracing::warn!(image.digest = %digest, "waited for in vain, and nobody knows where it is");
            return Ok(self.overdue.give_up(digest).await?);
        };
        let now = Timestamp::now();
        tracing::warn!(image.digest = %digest, image.name = %seen.image, "waited for in vain: queued again");
        // Queued before it is marked: whoever is killed in between has it queued twice, never not at all.
        self.queue.publish(&Job::scan(seen.image, digest.clone(), seen.tag, Lane::Push, now)).await?;
        let wait = self.next_wait(digest).await?;
        self.store.mark_pending(digest, pending(now, wait)).await?;
        metrics::counter!("tidewaiter_overdue_total").increment(1);
        Ok(())
    }

    /// Twice the last wait of this digest.
    async fn next_wait(&self, digest: &Digest) -> Result<Duration, StoreError> {
        let name = NoteName::new("overdue-wait", digest.as_str());
        let last = self.notes.read(&name).await?.and_then(|bytes| bytes.try_into().ok());
        let last = last.map_or(self.patience, |bytes| Duration::from_millis(u64::from_be_bytes(bytes)));
        let wait = last.saturating_mul(2).min(LONGEST).max(self.patience);
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.notes.keep(&name, &millis.to_be_bytes(), MEMORY).await?;
        Ok(wait)
    }
}

/// A marker that lasts from now on for so long.
pub(crate) fn pending(now: Timestamp, patience: Duration) -> Pending {
    let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    Pending { since: now, until: now.saturating_add(patience).unwrap_or(Timestamp::MAX) }
}
