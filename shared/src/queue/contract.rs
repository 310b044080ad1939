//! What every queue must do: the doc comments of [`JobQueue`](super::JobQueue) as tests.
//!
//! A backend brings a [`Ground`], a place of its own for one test, and runs [`promises`] on it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::{Consumer, DeadJob, Delivery, QueueStatus, RetryRules, SharedQueue};
use crate::model::digest::Digest;
use crate::model::job::{Job, JobId, Lane};

mod dead;
mod flow;
mod settling;

pub(super) use dead::*;
pub(super) use flow::*;
pub(super) use settling::*;

/// How long something may take that must happen.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// How long nothing must happen where nothing may.
const QUIET: Duration = Duration::from_millis(250);

/// A place where one test can open its queue, close it by dropping it, and open it again.
#[async_trait]
pub(super) trait Ground: Send + Sync {
    /// Opens the queue, empty at first.
    async fn open(&self, rules: RetryRules) -> SharedQueue;

    /// Puts a message into a lane that [`JobQueue::publish`](super::JobQueue::publish) would not make.
    /// The queue must not be open.
    async fn inject(&self, lane: Lane, body: Vec<u8>);

    /// Leaves no trace.
    async fn clear(&self);
}

/// Runs one promise and clears the ground, whether it was kept or not.
pub(super) async fn on_ground(ground: &impl Ground, promise: impl Future<Output = ()>) {
    let kept = AssertUnwindSafe(promise).catch_unwind().await;
    ground.clear().await;
    if let Err(panic) = kept {
        resume_unwind(panic);
    }
}

/// One test for each promise, on a ground made by the given expression.
macro_rules! promises {
    ($ground:expr) => {
        $crate::queue::contract::promises! { $ground =>
            i1_a_published_job_survives_a_restart
            i1_five_hundred_concurrent_publishes_all_arrive
            jobs_of_one_lane_come_in_their_order
            urgent_jobs_overtake_and_background_work_is_not_starved
            a_waiting_consumer_gets_what_is_published
            no_more_than_the_prefetch_are_unsettled
            an_abandoned_wait_loses_nothing
            consumers_share_the_jobs
            stopping_hands_back_what_was_not_handed_out
            a_delivery_outlives_its_consumer_s_stop
            status_counts_lanes_retries_and_dead_letters
            a_job_that_is_done_never_comes_again
            i2_a_dropped_delivery_comes_back_and_counts
            i7_a_job_that_is_never_settled_ends_dead
            i3_a_failed_job_comes_back_and_dies_after_its_attempts
            a_failed_job_waits_for_its_tier
            the_trace_of_a_publish_comes_with_every_delivery
            a_job_handed_back_is_not_counted
            a_postponed_job_comes_back_uncounted_and_not_before_its_time
            i3_a_buried_job_is_visible_with_its_error
            an_error_of_any_length_is_accepted
            looking_at_dead_letters_leaves_them_in_their_order
            requeued_dead_letters_start_afresh
            discarded_dead_letters_are_forgotten
            i3_a_message_that_is_no_job_is_visible_as_dead
            i3_a_job_of_a_newer_build_is_put_off_and_not_lost
        }
    };
    ($ground:expr => $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let ground = $ground;
                let promise = $crate::queue::contract::$promise(&ground);
                $crate::queue::contract::on_ground(&ground, promise).await;
            }
        )+
    };
}
pub(super) use promises;

/// Rules with retries quick enough for a test.
pub(super) fn quick(attempts: u32) -> RetryRules {
    RetryRules { tiers: vec![Duration::from_millis(50)], attempts }
}

/// A new job in `lane`, unlike all others.
pub(super) fn job(lane: Lane) -> Job {
    let image = "registry.example.com/team/app".parse().expect("a valid name");
    let digest = Digest::of(JobId::new().to_string().as_bytes());
    Job::scan(image, digest, None, lane, Timestamp::now())
}

/// Publishes `count` new jobs, one after the other.
async fn publish(queue: &SharedQueue, lane: Lane, count: usize) -> Vec<JobId> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        let job = job(lane);
        queue.publish(&job).await.unwrap();
        ids.push(job.id);
    }
    ids
}

/// The next delivery, which must come.
pub(super) async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    let next = timeout(SOON, consumer.next()).await;
    next.expect("a delivery should have come").expect("the queue is open")
}

/// No delivery may come now.
pub(super) async fn nothing(consumer: &mut Box<dyn Consumer>) {
    let next = timeout(QUIET, consumer.next()).await;
    assert!(next.is_err(), "nothing should have been delivered");
}

/// The status, once it is as expected.
pub(super) async fn status(queue: &SharedQueue, expected: impl Fn(&QueueStatus) -> bool) -> QueueStatus {
    let deadline = Instant::now() + SOON;
    loop {
        let status = queue.status().await.unwrap();
        if expected(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "not as expected in time: {status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns once `holds` does.
pub(super) async fn until(holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "not as expected in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The dead letters, once there are `count`.
pub(super) async fn dead_letters(queue: &SharedQueue, count: usize) -> Vec<DeadJob> {
    status(queue, |status| status.dead == count as u64).await;
    let dead = queue.dead(count + 1).await.unwrap();
    assert_eq!(dead.len(), count);
    dead
}

/// How many jobs wait in the lanes.
fn ready(status: &QueueStatus) -> [u64; 3] {
    Lane::ALL.map(|lane| {
        let row = status.lanes.iter().find(|row| row.lane == lane);
        row.expect("every lane has a row").ready
    })
}
