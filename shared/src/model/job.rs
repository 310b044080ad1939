//! Durable intents: what waits in the queue.
//!
//! The bytes on the wire are JSON with a `version`, so that people can read a dead letter and an older
//! worker can hand back what it does not understand.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest::Digest;
use super::event::{EndpointName, VerdictEvent};
use super::image::{ImageName, Tag};
use super::report::Revision;
use super::sweep::Sweep;

mod wire;

/// Identity of one job; time-ordered, and the `message_id` on the broker.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct JobId(Uuid);

/// How urgent a job is. Each lane has its own queue, so that none can starve another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// A deployment is waiting for the answer.
    Urgent,
    /// Somebody pushed.
    Push,
    /// Sweeps and rescans: whenever there is time.
    Background,
}

/// One thing to do, durable from the moment that the queue confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Identity, stable over retries.
    pub id: JobId,
    /// Which queue it waits in.
    pub lane: Lane,
    /// What is to be done.
    pub task: Task,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
}

/// What a [`Job`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Scan one digest. Idempotent: the same digest twice costs one scan (I2).
    Scan {
        /// Where the image lives.
        image: ImageName,
        /// The manifest or index.
        digest: Digest,
        /// A tag under which it was seen, if the event named one.
        tag: Option<Tag>,
    },
    /// Ask the registry once what a tag points at, then scan that digest (I12).
    Resolve {
        /// Where the image lives.
        image: ImageName,
        /// The tag to resolve.
        tag: Tag,
    },
    /// Post an event to one endpoint. The event travels along, so that every retry says the same; where the
    /// endpoint is and its secret are only in the configuration.
    Notify {
        /// Whom.
        endpoint: EndpointName,
        /// What.
        event: Box<VerdictEvent>,
    },
    /// Derive some of the stored verdicts again, where policies or time have changed them, and publish the
    /// rest as the next job. Nothing is pulled (I6).
    Rejudge {
        /// The revision of all policies together.
        policies: Revision,
        /// The last digest that was dealt with; nothing at the beginning.
        after: Option<Digest>,
    },
    /// Compare one piece of a registry with what is known, and queue what was never seen.
    Sweep(Box<Sweep>),
    /// Sign what is thought of a digest and attach it to the image. Idempotent: what is attached already is left as it is.
    Attest {
        /// Where the image lives.
        image: ImageName,
        /// The manifest or index.
        digest: Digest,
    },
    /// Look again at what is attached to a digest: a signature or an SBOM was pushed. Nothing of the image is pulled.
    Attachments {
        /// Where the image lives.
        image: ImageName,
        /// The manifest or index that it is attached to.
        digest: Digest,
    },
}

/// Why stored bytes are not a job that this build can do.
#[derive(Debug, thiserror::Error)]
pub enum JobDecodeError {
    /// Not our JSON at all.
    #[error("message is not a job")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer build.
    #[error("job has version {0}, this build understands 1")]
    Version(u32),
    /// Of a kind that a newer build has added.
    #[error("job is of the kind {0:?}, which this build does not know")]
    Kind(String),
}

impl JobId {
    /// A fresh identity.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for JobId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Push, Self::Background];

    /// The name as it appears in queues, metrics and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Push => "push",
            Self::Background => "background",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Job {
    /// A new job.
    pub fn new(task: Task, lane: Lane, now: Timestamp) -> Self {
        Self { id: JobId::new(), lane, task, enqueued_at: now }
    }

    /// A new job to scan one digest.
    pub fn scan(image: ImageName, digest: Digest, tag: Option<Tag>, lane: Lane, now: Timestamp) -> Self {
        Self::new(Task::Scan { image, digest, tag }, lane, now)
    }

    /// A new job to post an event to one endpoint, whenever there is time.
    pub fn notify(endpoint: EndpointName, event: Box<VerdictEvent>, now: Timestamp) -> Self {
        Self::new(Task::Notify { endpoint, event }, Lane::Background, now)
    }

    /// A new job to resolve one tag and scan what it points at.
    pub fn resolve(image: ImageName, tag: Tag, lane: Lane, now: Timestamp) -> Self {
        Self::new(Task::Resolve { image, tag }, lane, now)
    }

    /// A new job to derive stored verdicts again, whenever there is time.
    pub fn rejudge(policies: Revision, after: Option<Digest>, now: Timestamp) -> Self {
        Self::new(Task::Rejudge { policies, after }, Lane::Background, now)
    }

    /// A new job to do the next piece of a sweep, whenever there is time.
    pub fn sweep(sweep: Sweep, now: Timestamp) -> Self {
        Self::new(Task::Sweep(Box::new(sweep)), Lane::Background, now)
    }

    /// A new job to attach what is thought of a digest; there is no hurry.
    pub fn attest(image: ImageName, digest: Digest, now: Timestamp) -> Self {
        Self::new(Task::Attest { image, digest }, Lane::Background, now)
    }

    /// The image that it is about.
    pub fn image(&self) -> Option<&ImageName> {
        match &self.task {
            Task::Scan { image, .. }
            | Task::Resolve { image, .. }
            | Task::Attest { image, .. }
            | Task::Attachments { image, .. } => Some(image),
            Task::Notify { .. } | Task::Rejudge { .. } | Task::Sweep(_) => None,
        }
    }

    /// What the job is about, for people: `registry/repo@digest` to be judged, `registry/repo:tag` to be resolved, or in
    /// words. A dead letter shows nothing else, so no two kinds read alike.
    pub fn subject(&self) -> String {
        match &self.task {
            Task::Scan { image, digest, .. } => image.at(digest),
            Task::Attest { image, digest } => format!("attestation of {}", image.at(digest)),
            Task::Attachments { image, digest } => format!("attachments of {}", image.at(digest)),
            Task::Resolve { image, tag } => format!("{image}:{tag}"),
            Task::Notify { endpoint, event } => {
                let (verdict, policy) = (event.data.verdict, &event.data.policy);
                format!("{endpoint} about {}: {verdict} under {policy}", event.subject)
            }
            Task::Rejudge { policies, after: None } => format!("all verdicts under policies {policies}"),
            Task::Rejudge { policies, after: Some(after) } => {
                format!("verdicts under policies {policies} after {after}")
            }
            Task::Sweep(sweep) => sweep.subject(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wire::{KINDS, WireTask};
    use super::*;

    #[test]
    fn recorded_version_1_messages_still_decode() {
        let recorded = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000001","lane":"push",
            "image":{"registry":"registry.example.com:5000","repository":"team/app"},
            "task":{"kind":"scan","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","tag":"1.4.2"},
            "enqueued_at":"2026-03-02T09:30:37Z"}"#;
        let job = Job::from_json(recorded).unwrap();
        assert_eq!(
            job.subject(),
            "registry.example.com:5000/team/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(Job::from_json(&job.to_json()).unwrap(), job);
    }

    #[test]
    fn a_job_to_notify_carries_its_event_and_no_secret() {
        let event = Box::new(crate::announce::sample::event());
        let job = Job::notify("ops".parse().unwrap(), event, Timestamp::UNIX_EPOCH);
        assert_eq!((job.lane, job.image()), (Lane::Background, None));
        assert!(
            job.subject().starts_with("ops about registry.example.com:5000/team/app@sha256:"),
            "{}",
            job.subject()
        );
        assert_eq!(Job::from_json(&job.to_json()).unwrap(), job);
        let recorded = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000001","lane":"background",
            "task":{"kind":"notify","endpoint":"ops","event":{"specversion":"1.0","id":"1","source":"https://t.example.com",
            "type":"dev.tidewaiter.verdict.changed.v1","subject":"x","time":"2026-03-02T09:31:40Z","datacontenttype":"application/json",
            "data":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","policy":"default",
            "mode":"enforce","verdict":"pass","previous":"fail","cause":"policy","counts":{"critical":0,"high":0,"medium":0,
            "low":0,"negligible":0,"unknown":0},"reportUri":"https://t.example.com/r"}}},"enqueued_at":"2026-03-02T09:30:37Z"}"#;
        assert!(matches!(Job::from_json(recorded).unwrap().task, Task::Notify { .. }));
    }

    #[test]
    fn a_recorded_rejudgement_still_decodes() {
        let recorded = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000004","lane":"background",
            "task":{"kind":"rejudge","policies":"00c0ffee00c0ffee","after":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
            "enqueued_at":"2026-03-02T09:30:37Z"}"#;
        let job = Job::from_json(recorded).unwrap();
        assert!(job.subject().starts_with("verdicts under policies 00c0ffee00c0ffee after sha256:44136"));
        assert_eq!(Job::from_json(&job.to_json()).unwrap(), job);
        let first = Job::rejudge(Revision::new("00c0ffee00c0ffee"), None, job.enqueued_at);
        assert_eq!(Job::from_json(&first.to_json()).unwrap(), first);
        assert_eq!(first.image(), None);
    }

    #[test]
    fn a_recorded_sweep_still_decodes() {
        let recorded = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000002","lane":"background",
            "task":{"kind":"sweep","sweep":{"id":"01939e2c-0000-7000-8000-000000000003","registry":"r.io","trigger":"schedule",
            "started_at":"2026-03-02T09:30:37Z","step":7,"piece":{"kind":"tags","repository":"team/app",
            "at":{"turn":{"by":"link","with":"n=100&last=v1"},"within":"v3","pages":1,"names":100},"rest":["team/web"],
            "catalogue":{"turn":{"by":"after","with":"team/web"},"pages":1,"names":2}},
            "tally":{"repositories_seen":2,"repositories_done":0,"tags":100,"enqueued":3,"known":97,"skipped":0,"errors":[],"further_errors":0}}},
            "enqueued_at":"2026-03-02T09:30:37Z"}"#;
        let job = Job::from_json(recorded).unwrap();
        assert_eq!((job.subject().as_str(), job.image()), ("sweep of r.io/team/app", None));
        assert_eq!(Job::from_json(&job.to_json()).unwrap(), job);
    }

    #[test]
    fn an_attest_job_is_recorded_as_it_will_be_read() {
        let recorded = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000002","lane":"background",
            "image":{"registry":"registry.example.com:5000","repository":"team/app"},
            "task":{"kind":"attest","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
            "enqueued_at":"2026-03-02T09:30:37Z"}"#;
        let job = Job::from_json(recorded).unwrap();
        assert!(matches!(job.task, Task::Attest { .. }));
        assert_eq!(Job::from_json(&job.to_json()).unwrap(), job);
    }

    #[test]
    fn whoever_reads_a_dead_letter_sees_what_was_to_be_done() {
        let image: ImageName = "r.io/team/app".parse().unwrap();
        let digest = Digest::of(b"an image");
        let subject = |task| Job::new(task, Lane::Push, Timestamp::UNIX_EPOCH).subject();
        let scan = subject(Task::Scan { image: image.clone(), digest: digest.clone(), tag: None });
        let attest = subject(Task::Attest { image: image.clone(), digest: digest.clone() });
        let attachments = subject(Task::Attachments { image: image.clone(), digest: digest.clone() });
        assert_eq!(scan, image.at(&digest));
        assert_eq!(attest, format!("attestation of {scan}"));
        assert_eq!(attachments, format!("attachments of {scan}"));
    }

    #[test]
    fn what_a_newer_build_has_added_is_no_malformed_job() {
        let newer = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000001","lane":"push",
            "task":{"kind":"teleport","where":{"to":"moon"}},"enqueued_at":"2026-03-02T09:30:37Z"}"#;
        assert!(matches!(Job::from_json(newer), Err(JobDecodeError::Kind(kind)) if kind == "teleport"));
        // The list is complete: whatever it names is read as that kind, and complains of what it misses.
        for kind in KINDS {
            let empty = serde_json::from_value::<WireTask>(serde_json::json!({"kind": kind}));
            let error = empty.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("unknown variant"), "{kind}: {error}");
        }
        let unknown = serde_json::from_str::<WireTask>(r#"{"kind":""}"#).err().unwrap().to_string();
        assert_eq!(unknown.matches('`').count() / 2, KINDS.len() + 1, "each kind is in KINDS: {unknown}");
    }

    #[test]
    fn a_newer_version_is_named_not_guessed() {
        assert!(matches!(
            Job::from_json(br#"{"version":2,"other":"shape"}"#),
            Err(JobDecodeError::Version(2))
        ));
        assert!(matches!(Job::from_json(b"\xff"), Err(JobDecodeError::Malformed(_))));
    }
}
