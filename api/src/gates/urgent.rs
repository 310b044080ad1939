//! Unknown digests go to the urgent lane at once: a deployment that waits overtakes pushes and sweeps.
//!
//! A job twice costs one scan, but while that scan runs the second one takes a worker's turn to wait for it. So
//! what this process has queued is not queued again for a while: it is durable (I1), and nothing is stuck (I3).

use std::collections::HashMap;
use std::time::Duration;

use actix_web::web;
use futures_util::future::join_all;
use jiff::Timestamp;
use moka::future::Cache;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Tag};
use shared::model::job::{Job, Lane};
use shared::queue::QueueError;
use shared::telemetry::chain;
use tokio::time::{Instant, timeout_at};

use crate::intake::Intake;

/// Queues what somebody waits for.
pub(super) struct Urgent {
    intake: web::Data<Intake>,
    queued: Cache<Digest, ()>,
}

/// What to scan.
pub(super) struct Wanted {
    pub(super) image: ImageName,
    pub(super) digest: Digest,
    pub(super) tag: Option<Tag>,
}

/// How long what was queued is not queued again.
const REST: Duration = Duration::from_secs(60);
const MOST_QUEUED: u64 = 10_000;

impl Urgent {
    pub(super) fn new(intake: web::Data<Intake>) -> Self {
        Self { intake, queued: Cache::builder().max_capacity(MOST_QUEUED).time_to_live(REST).build() }
    }

    /// Makes the jobs durable by `deadline`. Returns the digests that could not be queued, and why not.
    pub(super) async fn enqueue(&self, wanted: Vec<Wanted>, deadline: Instant) -> HashMap<Digest, String> {
        let queueing = wanted.into_iter().map(|one| async move {
            let digest = one.digest.clone();
            let queued = self.queued.try_get_with(digest.clone(), self.publish(one));
            let reason = match timeout_at(deadline, queued).await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => chain(error.as_ref()),
                Err(_) => "the queue did not take it in time".to_owned(),
            };
            Some((digest, reason))
        });
        join_all(queueing).await.into_iter().flatten().collect()
    }

    async fn publish(&self, wanted: Wanted) -> Result<(), QueueError> {
        let Wanted { image, digest, tag } = wanted;
        let job = Job::scan(image, digest, tag, Lane::Urgent, Timestamp::now());
        self.intake.enqueue(vec![job]).await.map(|_| ())
    }
}
