//! From event to durable job: the only way into the queue.
//!
//! An event is a hint (I8): its registry has to be configured, its tag has to be one of an image. What
//! passes becomes a job, and only when the queue has confirmed it does anybody say "accepted" (I1).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::config::Registries;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Tag};
use shared::model::job::{Job, JobId, Lane, Task};
use shared::model::push::{PushEvent, Pushed};
use shared::model::verdict::Pending;
use shared::queue::{JobQueue, QueueError};
use shared::store::{Sighting, VerdictStore};
use shared::telemetry::{Throttle, chain};

/// Turns events into jobs.
pub struct Intake {
    queue: Arc<dyn JobQueue>,
    store: Arc<dyn VerdictStore>,
    registries: Registries,
    pending_ttl: Duration,
}

/// A job that is durable now.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AcceptedJob {
    /// Its identity, also in logs and in the queue.
    pub id: JobId,
    /// Registry and repository.
    pub image: ImageName,
    /// What will be scanned, unless only a tag is known yet.
    pub digest: Option<Digest>,
    /// The tag of the push.
    pub tag: Option<Tag>,
}

/// What becomes of one event before anything is queued.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It becomes this job.
    Job(Box<Job>),
    /// It is about a list of referrers, known by its tag.
    ArtifactTag,
    /// Its registry is not configured: refused, never fetched (I8).
    NotConfigured(String),
}

impl Intake {
    /// An intake that serves these registries.
    pub fn new(
        queue: Arc<dyn JobQueue>,
        store: Arc<dyn VerdictStore>,
        registries: Registries,
        pending_ttl: Duration,
    ) -> Self {
        Self { queue, store, registries, pending_ttl }
    }

    /// Decides what an event becomes. Pure but for the job's identity.
    pub fn admit(&self, event: PushEvent, lane: Lane, now: Timestamp) -> Admission {
        let Some(image) = self.registries.canonical(&event.image) else {
            return Admission::NotConfigured(event.image.registry.to_string());
        };
        let tag = match &event.pushed {
            Pushed::Digest { tag, .. } => tag.as_ref(),
            Pushed::Tag(tag) => Some(tag),
        };
        if let Some(digest) = tag.and_then(attached_to) {
            return Admission::Job(Box::new(Job::new(Task::Attachments { image, digest }, lane, now)));
        }
        if tag.is_some_and(Tag::names_artifact) {
            return Admission::ArtifactTag;
        }
        Admission::Job(Box::new(match event.pushed {
            Pushed::Digest { digest, tag } => Job::scan(image, digest, tag, lane, now),
            Pushed::Tag(tag) => Job::resolve(image, tag, lane, now),
        }))
    }

    /// Makes the jobs durable, all of them or an error. One digest, or one tag, of one repository is queued
    /// once a delivery.
    ///
    /// After an error some may be queued: the sender sends them again, and a job twice costs one scan.
    ///
    /// Jobs to resolve a tag are never merged over deliveries, although Docker Hub fires up to six alike for
    /// one push: a later delivery may tell of a later push to the same tag, and the job of the earlier one
    /// may be asking the registry at this moment. Merged into it, the later digest would be lost, and nobody
    /// here can tell the two cases apart. Within one delivery all events were there before the first job
    /// was, so one question answers them all. A question too many costs one `HEAD`; the digests that come
    /// out are the same, and scanned once.
    pub async fn enqueue(&self, jobs: Vec<Job>) -> Result<Vec<AcceptedJob>, QueueError> {
        let mut seen = HashSet::new();
        let jobs: Vec<Job> = jobs.into_iter().filter(|job| seen.insert(job.subject())).collect();
        for published in join_all(jobs.iter().map(|job| self.queue.publish(job))).await {
            published?;
        }
        join_all(jobs.iter().map(|job| self.note(job))).await;
        Ok(jobs.into_iter().filter_map(AcceptedJob::of).collect())
    }

    /// Notes that a digest is pending and where it was seen. The push is safe in the queue already, so
    /// a store that is away costs only that note (I13).
    async fn note(&self, job: &Job) {
        let Task::Scan { image, digest, tag } = &job.task else { return };
        let now = job.enqueued_at;
        let ttl = SignedDuration::try_from(self.pending_ttl).unwrap_or(SignedDuration::MAX);
        let pending = Pending { since: now, until: now.saturating_add(ttl).unwrap_or(Timestamp::MAX) };
        let sighting = Sighting { image: image.clone(), tag: tag.clone(), seen_at: now };
        if let Err(error) = self.store.note_push(digest, pending, &sighting).await {
            metrics::counter!("tidewaiter_intake_notes_lost_total").increment(1);
            static UNNOTED: Throttle = Throttle::new();
            if let Some(others) = UNNOTED.pass() {
                tracing::warn!(job.id = %job.id, image.digest = %digest, others, error = %chain(&error), "push not noted in store");
            }
        }
    }
}

impl AcceptedJob {
    /// What is said of a job to whoever asked for it; `None` if it is about no image.
    fn of(job: Job) -> Option<Self> {
        let (image, digest, tag) = match job.task {
            Task::Scan { image, digest, tag } => (image, Some(digest), tag),
            Task::Resolve { image, tag } => (image, None, Some(tag)),
            Task::Attest { image, digest } | Task::Attachments { image, digest } => {
                (image, Some(digest), None)
            }
            Task::Notify { .. } | Task::Rejudge { .. } | Task::Sweep(_) => return None,
        };
        Some(Self { id: job.id, image, digest, tag })
    }
}

/// The digest that a signature, an SBOM or an attestation was pushed for, by cosign's tags `sha256-<64 hex>.sig` and the
/// like. The referrers tag is not among them: of each referrer there is an event of its own.
fn attached_to(tag: &Tag) -> Option<Digest> {
    let rest = tag.as_str().strip_prefix("sha256-")?;
    let hex = [".sig", ".sbom", ".att"].iter().find_map(|suffix| rest.strip_suffix(suffix))?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_attachment_names_what_it_is_attached_to() {
        let digest = Digest::of(b"image");
        let tag = |suffix: &str| format!("sha256-{}{suffix}", digest.encoded()).parse().unwrap();
        for suffix in [".sig", ".sbom", ".att"] {
            assert_eq!(attached_to(&tag(suffix)), Some(digest.clone()), "{suffix}");
        }
        for other in [tag(""), tag(".x"), "sha256-abc.sig".parse().unwrap(), "latest".parse().unwrap()] {
            assert_eq!(attached_to(&other), None, "{other}");
        }
    }
}
