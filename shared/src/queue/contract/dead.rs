//! Promises about dead letters.

use super::{Ground, dead_letters, job, next, nothing, publish, quick, ready, status};
use crate::model::job::{JobId, Lane};
use crate::queue::{DeadSelection, Settlement, SharedQueue};

/// A queue with `count` buried jobs, and their identities, oldest first.
async fn with_dead(ground: &impl Ground, count: usize) -> (SharedQueue, Vec<JobId>) {
    let queue = ground.open(quick(3)).await;
    let published = publish(&queue, Lane::Push, count).await;
    let mut consumer = queue.consume(1).await.unwrap();
    for n in 0..count {
        let error = format!("error {n}");
        let delivery = next(&mut consumer).await;
        delivery.settle(Settlement::Bury { error }).await.unwrap();
    }
    consumer.stop().await;
    (queue, published)
}

async fn assert_dead(queue: &SharedQueue, expected: &[JobId]) {
    let dead = dead_letters(queue, expected.len()).await;
    let ids: Vec<_> = dead.iter().filter_map(|row| row.id).collect();
    assert_eq!(ids, expected);
}

pub(in crate::queue) async fn i3_a_buried_job_is_visible_with_its_error(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let job = job(Lane::Urgent);
    queue.publish(&job).await.unwrap();
    let mut consumer = queue.consume(1).await.unwrap();
    let error = "manifest is a picture of a cat".to_owned();
    let bury = Settlement::Bury { error: error.clone() };
    next(&mut consumer).await.settle(bury).await.unwrap();
    nothing(&mut consumer).await;
    let dead = dead_letters(&queue, 1).await.remove(0);
    assert_eq!((dead.id, dead.lane), (Some(job.id), Some(Lane::Urgent)));
    assert_eq!((dead.subject, dead.error), (job.subject(), error));
    assert_eq!(dead.attempts, 1);
    assert!(dead.died_at.is_some());
}

pub(in crate::queue) async fn an_error_of_any_length_is_accepted(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    publish(&queue, Lane::Push, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let error = "ä".repeat(300_000);
    let retry = Settlement::Retry { error: error.clone() };
    next(&mut consumer).await.settle(retry).await.unwrap();
    let bury = Settlement::Bury { error };
    next(&mut consumer).await.settle(bury).await.unwrap();
    let dead = dead_letters(&queue, 1).await.remove(0);
    assert!(dead.error.starts_with('ä') && dead.error.len() < 10_000);
}

pub(in crate::queue) async fn looking_at_dead_letters_leaves_them_in_their_order(ground: &impl Ground) {
    let (queue, published) = with_dead(ground, 5).await;
    for _ in 0..3 {
        assert_dead(&queue, &published).await;
    }
    status(&queue, |status| status.dead == 5).await;
    let oldest = queue.dead(2).await.unwrap();
    assert_eq!(oldest.len(), 2);
    assert_eq!(oldest[0].id, Some(published[0]));
    assert_eq!(oldest[1].error, "error 1");
    assert_dead(&queue, &published).await;
}

pub(in crate::queue) async fn requeued_dead_letters_start_afresh(ground: &impl Ground) {
    let (queue, published) = with_dead(ground, 3).await;
    let one = DeadSelection::One(published[1]);
    assert_eq!(queue.requeue(one.clone()).await.unwrap(), 1);
    assert_dead(&queue, &[published[0], published[2]]).await;
    assert_eq!(queue.requeue(one).await.unwrap(), 0);
    let mut consumer = queue.consume(1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!((delivery.job.id, delivery.attempt), (published[1], 1));
    delivery.settle(Settlement::Done).await.unwrap();
    status(&queue, |status| status.dead == 2).await;
    assert_eq!(queue.requeue(DeadSelection::All).await.unwrap(), 2);
    for id in [published[0], published[2]] {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.job.id, delivery.attempt), (id, 1));
        delivery.settle(Settlement::Done).await.unwrap();
    }
    assert_dead(&queue, &[]).await;
}

pub(in crate::queue) async fn discarded_dead_letters_are_forgotten(ground: &impl Ground) {
    let (queue, published) = with_dead(ground, 4).await;
    let one = DeadSelection::One(published[2]);
    assert_eq!(queue.discard(one.clone()).await.unwrap(), 1);
    assert_dead(&queue, &[published[0], published[1], published[3]]).await;
    assert_eq!(queue.discard(one).await.unwrap(), 0);
    status(&queue, |status| status.dead == 3).await;
    assert_eq!(queue.discard(DeadSelection::All).await.unwrap(), 3);
    assert_dead(&queue, &[]).await;
    status(&queue, |status| ready(status) == [0; 3] && status.retrying == 0).await;
}

pub(in crate::queue) async fn i3_a_message_that_is_no_job_is_visible_as_dead(ground: &impl Ground) {
    ground.inject(Lane::Background, b"hello, I am no job".to_vec()).await;
    let queue = ground.open(quick(3)).await;
    let published = publish(&queue, Lane::Background, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(vec![delivery.job.id], published);
    delivery.settle(Settlement::Done).await.unwrap();
    let dead = dead_letters(&queue, 1).await.remove(0);
    assert_eq!((dead.id, dead.lane), (None, Some(Lane::Background)));
    assert_eq!(dead.subject, "hello, I am no job");
    assert!(dead.error.starts_with("message is not a job"), "{}", dead.error);
    assert_eq!(queue.requeue(DeadSelection::All).await.unwrap(), 0);
    status(&queue, |status| status.dead == 1).await;
    assert_eq!(queue.discard(DeadSelection::All).await.unwrap(), 1);
    status(&queue, |status| status.dead == 0).await;
}

pub(in crate::queue) async fn i3_a_job_of_a_newer_build_is_put_off_and_not_lost(ground: &impl Ground) {
    // During a roll-out the old workers meet jobs of a version, or of a kind, that only the new ones can do.
    let version = br#"{"version":2,"something":"else"}"#.to_vec();
    let kind = br#"{"version":1,"id":"01939e2c-0000-7000-8000-000000000001","lane":"push",
        "task":{"kind":"teleport"},"enqueued_at":"2026-03-02T09:30:37Z"}"#;
    ground.inject(Lane::Push, version).await;
    ground.inject(Lane::Push, kind.to_vec()).await;
    let mut rules = quick(2);
    rules.tiers = [1, 1, 1, 600_000].map(std::time::Duration::from_millis).to_vec();
    let queue = ground.open(rules).await;
    let mut consumer = queue.consume(1).await.unwrap();
    nothing(&mut consumer).await;
    let status = status(&queue, |status| status.retrying == 2).await;
    assert_eq!((ready(&status), status.dead), ([0; 3], 0));
}
