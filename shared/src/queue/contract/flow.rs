//! Promises about publishing and taking.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Ground, QUIET, job, next, nothing, publish, quick, ready, status};
use crate::model::job::Lane;
use crate::queue::Settlement;

pub(in crate::queue) async fn i1_a_published_job_survives_a_restart(ground: &impl Ground) {
    let job = job(Lane::Push);
    let queue = ground.open(quick(3)).await;
    queue.publish(&job).await.unwrap();
    drop(queue);
    let queue = ground.open(quick(3)).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!((&delivery.job, delivery.attempt), (&job, 1));
    delivery.settle(Settlement::Done).await.unwrap();
}

pub(in crate::queue) async fn i1_five_hundred_concurrent_publishes_all_arrive(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let jobs: Vec<_> = (0..500).map(|n| job(Lane::ALL[n % 3])).collect();
    for published in join_all(jobs.iter().map(|job| queue.publish(job))).await {
        published.unwrap();
    }
    let mut consumer = queue.consume(50).await.unwrap();
    let mut arrived = BTreeSet::new();
    for _ in 0..500 {
        let delivery = next(&mut consumer).await;
        arrived.insert(delivery.job.id);
        delivery.settle(Settlement::Done).await.unwrap();
    }
    assert_eq!(arrived, jobs.iter().map(|job| job.id).collect());
    nothing(&mut consumer).await;
}

pub(in crate::queue) async fn jobs_of_one_lane_come_in_their_order(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let published = publish(&queue, Lane::Push, 20).await;
    let mut consumer = queue.consume(4).await.unwrap();
    for id in published {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.job.id, id);
        delivery.settle(Settlement::Done).await.unwrap();
    }
}

pub(in crate::queue) async fn urgent_jobs_overtake_and_background_work_is_not_starved(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    for lane in [Lane::Background, Lane::Push, Lane::Urgent] {
        publish(&queue, lane, 20).await;
    }
    let mut consumer = queue.consume(1).await.unwrap();
    let mut lanes = Vec::new();
    for _ in 0..20 {
        let delivery = next(&mut consumer).await;
        lanes.push(delivery.job.lane);
        delivery.settle(Settlement::Done).await.unwrap();
    }
    let count = |lane| lanes.iter().filter(|taken| **taken == lane).count();
    assert_eq!(lanes[0], Lane::Urgent);
    assert!(count(Lane::Urgent) > count(Lane::Push), "{lanes:?}");
    assert!(count(Lane::Push) > count(Lane::Background), "{lanes:?}");
    assert!(count(Lane::Background) > 0, "{lanes:?}");
}

pub(in crate::queue) async fn a_waiting_consumer_gets_what_is_published(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let mut consumer = queue.consume(2).await.unwrap();
    nothing(&mut consumer).await;
    for lane in [Lane::Background, Lane::Urgent, Lane::Push] {
        let (published, delivery) = tokio::join!(publish(&queue, lane, 1), next(&mut consumer));
        assert_eq!(vec![delivery.job.id], published);
        delivery.settle(Settlement::Done).await.unwrap();
    }
}

pub(in crate::queue) async fn no_more_than_the_prefetch_are_unsettled(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    for lane in Lane::ALL {
        publish(&queue, lane, 2).await;
    }
    let mut consumer = queue.consume(2).await.unwrap();
    let first = next(&mut consumer).await;
    let _second = next(&mut consumer).await;
    nothing(&mut consumer).await;
    let status = queue.status().await.unwrap();
    assert_eq!(ready(&status).iter().sum::<u64>(), 4, "{status:?}");
    first.settle(Settlement::Done).await.unwrap();
    let _third = next(&mut consumer).await;
    nothing(&mut consumer).await;
}

pub(in crate::queue) async fn an_abandoned_wait_loses_nothing(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let mut consumer = queue.consume(1).await.unwrap();
    for _ in 0..20 {
        let waited = timeout(std::time::Duration::from_millis(1), consumer.next()).await;
        assert!(waited.is_err());
    }
    let published = publish(&queue, Lane::Push, 1).await;
    let delivery = next(&mut consumer).await;
    assert_eq!((vec![delivery.job.id], delivery.attempt), (published, 1));
}

pub(in crate::queue) async fn consumers_share_the_jobs(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let mut one = queue.consume(1).await.unwrap();
    let mut other = queue.consume(1).await.unwrap();
    let published = publish(&queue, Lane::Push, 2).await;
    let (first, second) = tokio::join!(next(&mut one), next(&mut other));
    let taken = BTreeSet::from([first.job.id, second.job.id]);
    assert_eq!(taken, published.into_iter().collect());
    let status = status(&queue, |status| ready(status) == [0; 3]).await;
    assert!(status.lanes.iter().all(|lane| lane.consumers == Some(2)), "{status:?}");
}

pub(in crate::queue) async fn stopping_hands_back_what_was_not_handed_out(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    let published = publish(&queue, Lane::Push, 5).await;
    let mut consumer = queue.consume(5).await.unwrap();
    let held = next(&mut consumer).await;
    // Gives the consumer the time to prefetch, if that is what it does.
    assert!(timeout(QUIET, std::future::pending::<()>()).await.is_err());
    consumer.stop().await;
    assert!(consumer.next().await.is_none());
    held.settle(Settlement::Done).await.unwrap();
    let mut after = queue.consume(5).await.unwrap();
    let mut remaining = BTreeSet::new();
    for _ in 1..5 {
        let delivery = next(&mut after).await;
        assert_eq!(delivery.attempt, 1);
        remaining.insert(delivery.job.id);
        delivery.settle(Settlement::Done).await.unwrap();
    }
    assert_eq!(remaining, published[1..].iter().copied().collect());
    nothing(&mut after).await;
}

pub(in crate::queue) async fn a_delivery_outlives_its_consumer_s_stop(ground: &impl Ground) {
    let queue = ground.open(quick(3)).await;
    publish(&queue, Lane::Urgent, 1).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let held = next(&mut consumer).await;
    consumer.stop().await;
    drop(consumer);
    let mut other = queue.consume(1).await.unwrap();
    nothing(&mut other).await;
    held.settle(Settlement::Done).await.unwrap();
    nothing(&mut other).await;
}

pub(in crate::queue) async fn status_counts_lanes_retries_and_dead_letters(ground: &impl Ground) {
    let mut rules = quick(3);
    rules.tiers = vec![std::time::Duration::from_secs(3600)];
    let queue = ground.open(rules).await;
    queue.ping().await.unwrap();
    for (lane, count) in [(Lane::Urgent, 1), (Lane::Push, 2), (Lane::Background, 3)] {
        publish(&queue, lane, count).await;
    }
    let before = status(&queue, |status| ready(status) == [1, 2, 3]).await;
    assert_eq!((before.retrying, before.dead), (0, 0));
    assert!(before.lanes.iter().all(|lane| lane.consumers == Some(0)));
    let mut consumer = queue.consume(3).await.unwrap();
    let error = "x".to_owned();
    let retry = Settlement::Retry { error: error.clone() };
    next(&mut consumer).await.settle(retry).await.unwrap();
    next(&mut consumer).await.settle(Settlement::Bury { error }).await.unwrap();
    status(&queue, |status| (status.retrying, status.dead) == (1, 1)).await;
    consumer.stop().await;
    drop(consumer);
    status(&queue, |status| {
        ready(status).iter().sum::<u64>() == 4 && status.lanes.iter().all(|lane| lane.consumers == Some(0))
    })
    .await;
}
