//! Telling an endpoint: one job, one event, posted until it is taken, refused for good, or too old.
//!
//! The queue keeps the event; nothing is counted as an attempt of the job, for it is the endpoint that is not
//! ready. It is put off through the retry tiers and given up after `notify.<name>.give_up_after`, as a dead letter
//! that says whose it was. An endpoint that failed rests for a while, over all workers, so that what waits for it
//! costs a look at a note instead of a timeout; and the last place of a worker is never used for posting.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::config::NotifyConfig;
use shared::model::event::{EndpointName, VerdictEvent};
use shared::model::job::Job;
use shared::store::{NoteName, Notes, StoreError};
use shared::telemetry::{chain, traces};
use tokio::sync::Semaphore;

use crate::job::Carried;

mod post;

#[cfg(test)]
mod tests;

pub use post::EndpointError;
use post::{Answer, Endpoint};

/// The least rest of an endpoint that failed.
const REST: Duration = Duration::from_secs(5);

/// The longest rest that an endpoint may ask for.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// However old an event is, it is tried more often than this: one that was taken out of the dead letters is old.
const FEWEST_TRIES: u32 = 3;

/// How long a job waits for its turn to post before it is put off.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a job waits for a worker that knows its endpoint: a configuration takes a while to reach them all.
const ROLL_OUT: Duration = Duration::from_secs(600);

/// Everybody who can be told.
pub struct Endpoints {
    known: BTreeMap<EndpointName, Endpoint>,
    turns: Semaphore,
}

impl Endpoints {
    /// The endpoints of the configuration, for a worker with so many places.
    pub fn new(config: &NotifyConfig, places: NonZeroUsize) -> Result<Self, EndpointError> {
        let known =
            config.endpoints.iter().map(|(name, config)| Ok((name.clone(), Endpoint::new(name, config)?)));
        let turns = Semaphore::new(places.get().saturating_sub(1).clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self { known: known.collect::<Result<_, _>>()?, turns })
    }

    /// Posts the event of a job, or says when to try again.
    pub(crate) async fn tell(
        &self,
        notes: &dyn Notes,
        name: &EndpointName,
        event: &VerdictEvent,
        tries: Tries,
    ) -> Carried {
        let Some(endpoint) = self.known.get(name) else {
            let error = format!(
                "notify.{name} is not configured here; configure it again and requeue this, or drop it"
            );
            count(name, "unknown");
            return tries.put_off(REST, ROLL_OUT, error);
        };
        match rest_of(notes, name).await {
            Ok(None) => {}
            Ok(Some(rest)) => {
                count(name, "resting");
                return tries.put_off(rest.left, endpoint.give_up_after, rest.error);
            }
            Err(error) => {
                tracing::debug!(endpoint.name = %name, error = %chain(&error), "cannot read whether it rests");
            }
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, self.turns.acquire()).await else {
            count(name, "crowded");
            let error = format!("notify.{name}: other events are being posted");
            return tries.put_off(Duration::ZERO, endpoint.give_up_after, error);
        };
        let began = std::time::Instant::now();
        let span = traces::stage("notify");
        span.set("tidewaiter.endpoint", name.to_string());
        let answer = span.around(endpoint.post(event, Timestamp::now())).await;
        if answer != Answer::Taken {
            span.failed(answer.label());
        }
        drop(span);
        metrics::histogram!("tidewaiter_notify_seconds").record(began.elapsed().as_secs_f64());
        count(name, answer.label());
        match answer {
            Answer::Taken => {
                tracing::info!(endpoint.name = %name, event.id = event.id, "endpoint told");
                Carried::Done
            }
            Answer::Gone => {
                let error = format!("notify.{name} answered 410: it wants no more events; remove it");
                tracing::error!(endpoint.name = %name, event.id = event.id, "endpoint is gone; remove it from the configuration");
                Carried::Hopeless { error }
            }
            Answer::Refused(error) => Carried::Hopeless { error: format!("notify.{name}: {error}") },
            Answer::NotNow { after, error } => {
                let error = format!("notify.{name}: {error}");
                let wait = after.unwrap_or_default().clamp(REST, LONGEST_REST);
                rest(notes, name, wait, &error).await;
                tries.put_off(after.unwrap_or_default(), endpoint.give_up_after, error)
            }
        }
    }
}

/// What has been tried already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tries {
    postponed: u32,
    age: Duration,
}

impl Tries {
    /// Of a job that was put off so often.
    pub(crate) fn of(job: &Job, postponed: u32, now: Timestamp) -> Self {
        let age = Duration::try_from(now.duration_since(job.enqueued_at)).unwrap_or_default();
        Self { postponed, age }
    }

    /// Another try after about `wait`, or none if the job is older than `limit`.
    fn put_off(self, wait: Duration, limit: Duration, error: String) -> Carried {
        if self.age >= limit && self.postponed >= FEWEST_TRIES {
            let age = match self.age.as_secs() {
                seconds @ 0..7200 => format!("{seconds} s"),
                seconds => format!("{} h", seconds / 3600),
            };
            return Carried::Hopeless { error: format!("{error}; given up after {age}") };
        }
        Carried::Postponed { wait, error }
    }
}

/// The rest of an endpoint that failed.
struct Rest {
    left: Duration,
    error: String,
}

fn note_of(name: &EndpointName) -> NoteName {
    NoteName::new("notify-rest", name.as_str())
}

/// Whether an endpoint rests. What is kept is the moment at which the rest ends, and what began it.
async fn rest_of(notes: &dyn Notes, name: &EndpointName) -> Result<Option<Rest>, StoreError> {
    let kept = notes.read(&note_of(name)).await?;
    let text = kept.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(text.as_deref().and_then(|text| {
        let (until, error) = text.split_once(' ')?;
        let until: Timestamp = until.parse().ok()?;
        let left = until.duration_since(Timestamp::now());
        let left = Duration::try_from(left).ok().filter(|left| !left.is_zero())?;
        Some(Rest { left, error: error.to_owned() })
    }))
}

async fn rest(notes: &dyn Notes, name: &EndpointName, wait: Duration, error: &str) {
    let until = Timestamp::now() + SignedDuration::try_from(wait).unwrap_or_default();
    let kept = notes.keep(&note_of(name), format!("{until} {error}").as_bytes(), wait).await;
    if let Err(unkept) = kept {
        tracing::debug!(endpoint.name = %name, error = %chain(&unkept), "the endpoint gets no rest");
    }
}

fn count(name: &EndpointName, result: &'static str) {
    metrics::counter!("tidewaiter_notify_attempts_total", "endpoint" => name.to_string(), "result" => result)
        .increment(1);
}
