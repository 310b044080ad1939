//! Announcing: whatever became of a verdict is told, at least once, whoever stored it.
//!
//! The store records a change in the step that stores the verdict. Announcing it is a step of its own: on the
//! topic exchange, as one durable job for each endpoint that wants it, and in the feed, which comes last and
//! marks it as announced. Whoever is killed in between is made up for: by the job's redelivery, by the process
//! that found the claim taken, or by the pass that slowly goes through everything known. A change may then be
//! told twice, always under the same id.
//!
//! Reading order: [`Announcer`] here; `describe` (change → event), `interest` (who wants what), `routing` (keys
//! of the topic exchange), `proof` (what is attached to the image), `rounds` (what is done later, and the pass).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use url::Url;

use crate::config::{AttestConfig, NotifyConfig};
use crate::model::change::Recorded;
use crate::model::digest::Digest;
use crate::model::event::{EndpointName, STRUCTURED, VerdictEvent};
use crate::model::image::ImageName;
use crate::model::job::Job;
use crate::queue::rabbitmq::{Notice, Topic};
use crate::queue::{self, JobQueue, QueueError};
use crate::store::{self, History, Known, NoteName, Notes, StoreError};
use crate::telemetry::{Throttle, chain};

mod describe;
mod interest;
mod proof;
mod rounds;
mod routing;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use describe::Describer;
pub use interest::{Interest, Transition, TransitionError};
use proof::Proof;
pub use rounds::Rounds;
pub use routing::routing_keys;

/// How long a change belongs to whoever began to announce it.
const CLAIM: Duration = Duration::from_secs(10);

/// The most changes of one digest that are read at a time; the history of a digest has not many more.
const PAGE: usize = 64;

/// How many digests may wait to be announced later. What finds no room is found by the pass.
const WAITING: usize = 4096;

/// Tells everybody what became of verdicts.
pub struct Announcer {
    history: Arc<dyn History>,
    notes: Arc<dyn Notes>,
    known: Arc<dyn Known>,
    jobs: Arc<dyn JobQueue>,
    topic: Option<Arc<Topic>>,
    endpoints: Vec<(EndpointName, Interest)>,
    proof: Proof,
    describer: Arc<Describer>,
    later: mpsc::Sender<Owed>,
}

/// A digest whose changes may be unannounced, and where it is thought to live.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owed {
    digest: Digest,
    image: Option<ImageName>,
}

/// What came of announcing a digest's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// So many were announced; everything is.
    All(usize),
    /// Somebody else has begun with one and should be done with it before long.
    Elsewhere,
}

/// Why a change is not announced yet.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The store failed.
    #[error("cannot read or mark what is to be announced")]
    Store(#[from] StoreError),
    /// The queue or its exchange failed.
    #[error("cannot announce")]
    Queue(#[from] QueueError),
}

/// What cannot be told now is tried again and again, for each image; people are told of it once in a while.
fn not_yet(digest: &Digest, error: &AnnounceError) {
    static OWED: Throttle = Throttle::new();
    if let Some(others) = OWED.pass() {
        tracing::warn!(image.digest = %digest, others, error = %chain(error), "change not announced yet");
    }
}

impl Announcer {
    /// Over the given seams, for the endpoints and attestations of the configuration. The rounds are to be run for as
    /// long as the process lives.
    pub fn new(
        store: &store::Opened,
        queue: &queue::Opened,
        notify: &NotifyConfig,
        attest: &AttestConfig,
        public_url: &Url,
    ) -> (Arc<Self>, Rounds) {
        let (later, owed) = mpsc::channel(WAITING);
        let endpoints = notify.endpoints.iter();
        let announcer = Arc::new(Self {
            history: Arc::clone(&store.history),
            notes: Arc::clone(&store.notes),
            known: Arc::clone(&store.known),
            jobs: Arc::clone(&queue.jobs),
            topic: queue.topic.clone(),
            endpoints: endpoints.map(|(name, endpoint)| (name.clone(), endpoint.interest.clone())).collect(),
            proof: Proof::new(attest),
            describer: Arc::new(Describer::new(Arc::clone(&store.verdicts), public_url)),
            later,
        });
        let rounds = Rounds::new(Arc::clone(&announcer), owed);
        (announcer, rounds)
    }

    /// How a change is described.
    pub fn describer(&self) -> Arc<Describer> {
        Arc::clone(&self.describer)
    }

    /// Announces what is unannounced about `digest`, which lives at `image` if nothing else is known. What
    /// cannot be announced now is announced later: nobody has to try again.
    pub async fn announce(&self, digest: &Digest, image: Option<&ImageName>) {
        match self.try_announce(digest, image, Timestamp::MAX).await {
            Ok(Announced::All(_)) => {}
            Ok(Announced::Elsewhere) => self.soon(digest, image),
            Err(error) => {
                not_yet(digest, &error);
                self.soon(digest, image);
            }
        }
    }

    /// The same, without waiting for it: for those who have an answer to give.
    pub fn soon(&self, digest: &Digest, image: Option<&ImageName>) {
        let owed = Owed { digest: digest.clone(), image: image.cloned() };
        if self.later.try_send(owed).is_err() {
            tracing::debug!(image.digest = %digest, "left to the next pass");
        }
    }

    /// Announces what became of `digest` until `before`.
    async fn try_announce(
        &self,
        digest: &Digest,
        image: Option<&ImageName>,
        before: Timestamp,
    ) -> Result<Announced, AnnounceError> {
        let mut announced = 0;
        loop {
            let changes = self.history.unannounced(digest, PAGE).await?;
            let due = changes.iter().take_while(|recorded| recorded.change.at <= before);
            let mut done = 0;
            for recorded in due {
                if !self.claim(recorded).await? {
                    return Ok(Announced::Elsewhere);
                }
                self.tell(recorded, image).await?;
                done += 1;
            }
            announced += done;
            if done < PAGE {
                return Ok(Announced::All(announced));
            }
        }
    }

    /// Whether this change is ours to announce: exactly one of several who found it may.
    async fn claim(&self, recorded: &Recorded) -> Result<bool, StoreError> {
        let about = format!("{} {}", recorded.change.digest, recorded.id);
        self.notes.claim(&NoteName::new("announce", &about), b"", CLAIM).await
    }

    /// Tells one change on every way; the feed is last, and settles it.
    async fn tell(&self, recorded: &Recorded, image: Option<&ImageName>) -> Result<(), AnnounceError> {
        let event = self.describer.describe(&recorded.change, image).await?;
        if let Some(topic) = &self.topic {
            counted("topic", topic.publish(&notice(&event)).await)?;
        }
        for (endpoint, interest) in &self.endpoints {
            if interest.includes(&event) {
                let job = Job::notify(endpoint.clone(), Box::new(event.clone()), Timestamp::now());
                counted("webhook", self.jobs.publish(&job).await)?;
            }
        }
        // A worker at the image attaches by itself; a verdict that was only derived again needs a job for it.
        if image.is_none()
            && let Some(job) = self.proof.job(&event)
        {
            counted("proof", self.jobs.publish(&job).await)?;
        }
        counted("feed", self.history.announce(std::slice::from_ref(recorded)).await)?;
        tracing::info!(
            image.digest = %recorded.change.digest,
            policy.name = %recorded.change.policy,
            verdict.outcome = recorded.change.to.name(),
            event.id = event.id,
            "change announced"
        );
        Ok(())
    }
}

fn notice(event: &VerdictEvent) -> Notice {
    Notice {
        id: event.id.clone(),
        keys: routing_keys(event),
        media_type: STRUCTURED,
        at: event.time,
        body: event.to_json(),
    }
}

fn counted<T, E>(way: &'static str, outcome: Result<T, E>) -> Result<T, E> {
    let result = if outcome.is_ok() { "told" } else { "failed" };
    metrics::counter!("tidewaiter_announcements_total", "way" => way, "result" => result).increment(1);
    outcome
}
