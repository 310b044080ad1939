//! Promises about what becomes of a job.

use std::time::Duration;

use tokio::time::Instant;

use super::{Ground, dead_letters, job, next, nothing, publish, quick, status};
use crate::model::job::Lane;
use crate::queue::{DeadSelection, Settlement};
use crate::telemetry::traces;

fn failed(error: &str) -> Settlement {
    Settlement::Retry { error: error.to_owned() }
}

pub(in crate::queue) async fn a_job_that_is_done_never_comes_again(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    publish(&queue, Lane::Push, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let delivery = next(&mut consumer).await;
    delivery.settle(Settlement::Done).await.unwrap();
    nothing(&mut consumer).await;
    consumer.stop().await;
    drop((consumer, queue));
    let queue = ground.open(quick(3)).await;
    let mut consumer = queue.consume(1).await.unwrap();
    nothing(&mut consumer).await;
    let status = queue.status().await.unwrap();
    assert_eq!((status.retrying, status.dead), (0, 0));
}

pub(in crate::queue) async fn i2_a_dropped_delivery_comes_back_and_counts(ground: &impl Ground) {
    let queue = ground.open(quick(5)).await;
    publish(&queue, Lane::Push, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    for attempt in 1..=3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.attempt, attempt);
        drop(delivery);
    }
    let delivery = next(&mut consumer).await;
    delivery.settle(failed("now it spoke")).await.unwrap();
    assert_eq!(next(&mut consumer).await.attempt, 5);
}

pub(in crate::queue) async fn i7_a_job_that_is_never_settled_ends_dead(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let published = publish(&queue, Lane::Urgent, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    for attempt in 1..=3 {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.attempt, &delivery.last_error), (attempt, &None));
    }
    nothing(&mut consumer).await;
    let dead = dead_letters(&queue, 1).await.remove(0);
    assert_eq!(dead.id, published.first().copied());
    assert_eq!((dead.lane, dead.attempts), (Some(Lane::Urgent), 3));
    assert_eq!(dead.error, "delivered 3 times and never settled: it may have killed its worker");
}

pub(in crate::queue) async fn i3_a_failed_job_comes_back_and_dies_after_its_attempts(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let published = publish(&queue, Lane::Background, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    for attempt in 1..=3 {
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.job.id, delivery.attempt), (published[0], attempt));
        assert_eq!(delivery.job.lane, Lane::Background);
        let before = (attempt > 1).then(|| format!("failure {}", attempt - 1));
        assert_eq!(delivery.last_error, before);
        delivery.settle(failed(&format!("failure {attempt}"))).await.unwrap();
    }
    nothing(&mut consumer).await;
    let dead = dead_letters(&queue, 1).await.remove(0);
    assert_eq!((dead.id, dead.lane), (Some(published[0]), Some(Lane::Background)));
    assert_eq!((dead.attempts, dead.error.as_str()), (3, "failure 3"));
    assert!(dead.died_at.is_some());
}

pub(in crate::queue) async fn a_failed_job_waits_for_its_tier(ground: &impl Ground) {
    let mut rules = quick(4);
    rules.tiers = [1, 600].map(Duration::from_millis).to_vec();
    let queue = ground.open(rules).await;
    publish(&queue, Lane::Push, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    next(&mut consumer).await.settle(failed("one")).await.unwrap();
    let second = next(&mut consumer).await;
    let begun = Instant::now();
    second.settle(failed("two")).await.unwrap();
    status(&queue, |status| status.retrying == 1).await;
    let third = next(&mut consumer).await;
    assert_eq!(third.attempt, 3);
    // Brokers and clocks round to milliseconds.
    assert!(begun.elapsed() >= Duration::from_millis(590), "{:?}", begun.elapsed());
}

pub(in crate::queue) async fn a_job_handed_back_is_not_counted(ground: &impl Ground) {
    let queue = ground.open(quick(2)).await;
    publish(&queue, Lane::Push, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    next(&mut consumer).await.settle(failed("once")).await.unwrap();
    for _ in 0..5 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.attempt, 2);
        delivery.settle(Settlement::HandBack).await.unwrap();
    }
    assert_eq!(next(&mut consumer).await.attempt, 2);
}

pub(in crate::queue) async fn a_postponed_job_comes_back_uncounted_and_not_before_its_time(
    ground: &impl Ground,
) {
    let mut rules = quick(2);
    rules.tiers = [50, 600].map(Duration::from_millis).to_vec();
    let queue = ground.open(rules).await;
    let published = publish(&queue, Lane::Background, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let postpone = |wait| Settlement::Postpone { wait, error: "the endpoint rests".to_owned() };
    let began = Instant::now();
    let delivery = next(&mut consumer).await;
    assert_eq!((delivery.attempt, delivery.postponed), (1, 0));
    delivery.settle(postpone(Duration::from_millis(300))).await.unwrap();
    for postponed in 1..=3 {
        let delivery = next(&mut consumer).await;
        assert!(began.elapsed() >= Duration::from_millis(300), "it came too early");
        assert_eq!((delivery.job.id, delivery.attempt, delivery.postponed), (published[0], 1, postponed));
        delivery.settle(postpone(Duration::ZERO)).await.unwrap();
    }
    let delivery = next(&mut consumer).await;
    delivery.settle(Settlement::Bury { error: "too old".to_owned() }).await.unwrap();
    let dead = dead_letters(&queue, 1).await.remove(0);
    assert_eq!((dead.id, dead.error.as_str()), (Some(published[0]), "too old"));
}

pub(in crate::queue) async fn the_trace_of_a_publish_comes_with_every_delivery(ground: &impl Ground) {
    traces::collect();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let queue = ground.open(quick(3)).await;
    let job = job(Lane::Push);
    let webhook = traces::request("POST", "/webhooks/{source}", |name| match name {
        traces::TRACEPARENT => Some(parent),
        traces::TRACESTATE => Some("vendor=1"),
        _ => None,
    });
    webhook.around(queue.publish(&job)).await.unwrap();
    drop(webhook);
    let mut consumer = queue.consume(1).await.unwrap();
    let first = next(&mut consumer).await;
    let published = first.origin.trace.clone().expect("it was published within a trace");
    let headers = published.headers();
    let (of_first, state) = (&headers[traces::TRACEPARENT], &headers[traces::TRACESTATE]);
    assert!(of_first.starts_with(&parent[..36]) && of_first != parent, "a child of the webhook: {of_first}");
    assert_eq!(state, "vendor=1");
    first.settle(failed("no")).await.unwrap();
    let second = next(&mut consumer).await;
    assert_eq!((second.attempt, second.origin.trace.as_ref()), (2, Some(&published)));
    drop(second);
    let third = next(&mut consumer).await;
    assert_eq!((third.attempt, third.origin.trace.as_ref()), (3, Some(&published)));
    third.settle(failed("no")).await.unwrap();
    // Counted, not listed: a broker takes a moment to have back what was looked at.
    status(&queue, |status| status.dead == 1).await;
    assert_eq!(queue.requeue(DeadSelection::One(job.id)).await.unwrap(), 1);
    let again = next(&mut consumer).await;
    assert_eq!((again.attempt, again.origin.trace.as_ref()), (1, Some(&published)));
    again.settle(Settlement::Done).await.unwrap();
}
