//! From the events of a delivery to durable jobs, and every other event counted by its reason.

use jiff::Timestamp;
use shared::model::job::{Job, Lane};

use super::{DeliveryAnswer, EventNote};
use crate::error::ApiError;
use crate::intake::{Admission, Intake};
use crate::webhooks::{Event, Refusal, WebhookSource};

/// So many rejected events of a delivery are told in the log one by one; the answer lists all.
const MOST_LOGGED: usize = 10;

/// Counts one event.
pub(super) fn count(source: &dyn WebhookSource, what: &'static str) {
    metrics::counter!("tidewaiter_events_total", "source" => source.name(), "event" => what).increment(1);
}

/// Makes pushes durable. Where nothing can be taken, something is wrong and a person reads the answer, it is
/// refused.
pub(super) async fn admit(
    source: &dyn WebhookSource,
    events: Vec<Event>,
    intake: &Intake,
) -> Result<DeliveryAnswer, ApiError> {
    let (jobs, mut answer) = sort(source, events, intake);
    for note in answer.rejected.iter().take(MOST_LOGGED) {
        tracing::warn!(
            webhook.source = source.name(),
            webhook.event = note.event,
            error = note.reason,
            "event rejected"
        );
    }
    if answer.rejected.len() > MOST_LOGGED {
        let others = answer.rejected.len() - MOST_LOGGED;
        tracing::warn!(
            webhook.source = source.name(),
            webhook.events = others,
            "more events of this delivery rejected"
        );
    }
    if jobs.is_empty()
        && source.refusal() == Refusal::Helps
        && let Some(note) = answer.rejected.first()
    {
        return Err(ApiError::Invalid(note.reason.clone()));
    }
    let wanted: Vec<_> = jobs.iter().map(|job| (job.id, job.subject())).collect();
    answer.jobs = intake.enqueue(jobs).await.map_err(ApiError::Queue)?;
    // Only now: a log that says so of what the queue refused sends people looking for a job that never was.
    for (id, subject) in wanted {
        tracing::info!(webhook.source = source.name(), job.id = %id, image.name = subject, "push accepted");
    }
    for _ in &answer.jobs {
        count(source, "accepted");
    }
    Ok(answer)
}

fn sort(source: &dyn WebhookSource, events: Vec<Event>, intake: &Intake) -> (Vec<Job>, DeliveryAnswer) {
    let now = Timestamp::now();
    let mut answer = DeliveryAnswer::default();
    let mut jobs = Vec::new();
    for (at, event) in events.into_iter().enumerate() {
        let admission = match event {
            Event::Push(event) => intake.admit(event, Lane::Push, now),
            Event::Ignored(reason) => {
                count(source, reason);
                answer.ignored.push(EventNote::new(at, reason));
                continue;
            }
            Event::Rejected(reason) => {
                count(source, "malformed");
                answer.rejected.push(EventNote::new(at, reason));
                continue;
            }
        };
        match admission {
            Admission::Job(job) => jobs.push(*job),
            Admission::ArtifactTag => {
                count(source, "artifact-tag");
                answer.ignored.push(EventNote::new(at, "artifact-tag"));
            }
            Admission::NotConfigured(registry) => {
                count(source, "registry-not-configured");
                let reason = ApiError::RegistryNotConfigured(registry).to_string();
                answer.rejected.push(EventNote::new(at, reason));
            }
        }
    }
    (jobs, answer)
}
