//! Jobs as they lie in the queue. Older builds wrote some of them: nothing here changes its name or its meaning.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::{Job, JobDecodeError, JobId, Lane, Task};
use crate::model::digest::Digest;
use crate::model::event::{EndpointName, VerdictEvent};
use crate::model::image::{ImageName, Tag};
use crate::model::report::Revision;
use crate::model::sweep::Sweep;

impl Job {
    /// The job as JSON, version 1.
    pub fn to_json(&self) -> Vec<u8> {
        let wire = WireJob {
            version: VERSION,
            id: self.id,
            lane: self.lane,
            image: self.image().cloned(),
            task: match self.task.clone() {
                Task::Scan { image: _, digest, tag } => WireTask::Scan { digest, tag },
                Task::Resolve { image: _, tag } => WireTask::Resolve { tag },
                Task::Notify { endpoint, event } => WireTask::Notify { endpoint, event },
                Task::Rejudge { policies, after } => WireTask::Rejudge { policies, after },
                Task::Sweep(sweep) => WireTask::Sweep { sweep },
                Task::Attest { image: _, digest } => WireTask::Attest { digest },
                Task::Attachments { image: _, digest } => WireTask::Attachments { digest },
            },
            enqueued_at: self.enqueued_at,
        };
        serde_json::to_vec(&wire).expect("a job has only strings and numbers")
    }

    /// Reads what [`Job::to_json`] wrote.
    pub fn from_json(bytes: &[u8]) -> Result<Self, JobDecodeError> {
        let WireVersion { version } = serde_json::from_slice(bytes)?;
        if version != VERSION {
            return Err(JobDecodeError::Version(version));
        }
        let WireHead { task: WireKind { kind } } = serde_json::from_slice(bytes)?;
        if !KINDS.contains(&kind.as_str()) {
            return Err(JobDecodeError::Kind(kind));
        }
        let wire: WireJob = serde_json::from_slice(bytes)?;
        let image = || wire.image.clone().ok_or_else(|| serde_json::Error::missing_field("image"));
        Ok(Self {
            id: wire.id,
            lane: wire.lane,
            task: match wire.task {
                WireTask::Scan { digest, tag } => Task::Scan { image: image()?, digest, tag },
                WireTask::Resolve { tag } => Task::Resolve { image: image()?, tag },
                WireTask::Notify { endpoint, event } => Task::Notify { endpoint, event },
                WireTask::Rejudge { policies, after } => Task::Rejudge { policies, after },
                WireTask::Sweep { sweep } => Task::Sweep(sweep),
                WireTask::Attest { digest } => Task::Attest { image: image()?, digest },
                WireTask::Attachments { digest } => Task::Attachments { image: image()?, digest },
            },
            enqueued_at: wire.enqueued_at,
        })
    }
}

const VERSION: u32 = 1;

#[derive(Deserialize)]
struct WireVersion {
    version: u32,
}

/// Every kind of [`WireTask`]. Another one is a newer build's, and its job waits for a worker that knows it.
pub(super) const KINDS: [&str; 7] = ["scan", "resolve", "notify", "rejudge", "sweep", "attest", "signatures"];

#[derive(Deserialize)]
struct WireHead {
    task: WireKind,
}

#[derive(Deserialize)]
struct WireKind {
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct WireJob {
    version: u32,
    id: JobId,
    lane: Lane,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<ImageName>,
    task: WireTask,
    enqueued_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum WireTask {
    Scan {
        digest: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<Tag>,
    },
    Resolve {
        tag: Tag,
    },
    Notify {
        endpoint: EndpointName,
        event: Box<VerdictEvent>,
    },
    Rejudge {
        policies: Revision,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Digest>,
    },
    Sweep {
        sweep: Box<Sweep>,
    },
    Attest {
        digest: Digest,
    },
    /// Named by what it once looked at alone.
    #[serde(rename = "signatures")]
    Attachments {
        digest: Digest,
    },
}
