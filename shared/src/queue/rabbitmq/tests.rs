//! The contract on a real broker, and what only a broker promises.

use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicGetOptions, BasicPublishOptions, BasicRejectOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Channel, Connect as _, Connection, ConnectionProperties};

use super::message::Message;
use super::topology::{self, Names};
use super::{RabbitmqConfig, RabbitmqQueue};
use crate::model::job::{JobId, Lane};
use crate::queue::contract::{self, Ground};
use crate::queue::{QueueError, RetryRules, Settlement, SharedQueue};

mod severed;
mod stream;
mod topic;

contract::promises!(Site::new());

/// A prefix of its own on the test broker.
struct Site {
    url: String,
    prefix: String,
}

impl Site {
    fn new() -> Self {
        let url = std::env::var("TIDEWAITER_TEST_AMQP_URL").expect(
            "TIDEWAITER_TEST_AMQP_URL must name a RabbitMQ for tests, as in \
             amqp://guest:guest@127.0.0.1:5672; `make test` starts one and sets it",
        );
        Self { url, prefix: format!("test-{}", JobId::new()) }
    }

    fn config(&self, retry: RetryRules) -> RabbitmqConfig {
        RabbitmqConfig { prefix: self.prefix.clone(), retry, ..RabbitmqConfig::new(self.url.clone().into()) }
    }

    fn names(&self) -> Names {
        Names::new(&self.prefix).unwrap()
    }

    /// A plain channel beside the queue's own.
    async fn channel(&self) -> (Connection, Channel) {
        let runtime = lapin::runtime::default_runtime().unwrap();
        let dialled = self.url.as_str().connect_with_config(
            ConnectionProperties::default(),
            lapin::tcp::OwnedTLSConfig::default(),
            runtime,
        );
        let connection = dialled.await.expect("the test broker answers");
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }
}

#[async_trait]
impl Ground for Site {
    async fn open(&self, rules: RetryRules) -> SharedQueue {
        let queue = RabbitmqQueue::connect(self.config(rules)).await;
        std::sync::Arc::new(queue.expect("the test broker answers"))
    }

    async fn inject(&self, lane: Lane, body: Vec<u8>) {
        drop(self.open(contract::quick(3)).await);
        let (_connection, channel) = self.channel().await;
        let sent = channel.basic_publish(
            self.names().jobs,
            lane.name().into(),
            BasicPublishOptions::default(),
            &body,
            BasicProperties::default(),
        );
        sent.await.unwrap().await.unwrap();
        // Closing waits until the broker has seen everything before it.
        channel.close(200, "done".into()).await.unwrap();
    }

    async fn clear(&self) {
        let (_connection, channel) = self.channel().await;
        let names = self.names();
        let tiers = [1, 50, 600, 600_000, 3_600_000].map(Duration::from_millis).to_vec();
        let rules = RetryRules { tiers, attempts: 1 };
        topology::delete(&channel, &names, &rules).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_an_unroutable_job_is_refused_and_the_lane_mended() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let queue = site.open(contract::quick(3)).await;
        let (_connection, channel) = site.channel().await;
        let lane = site.names().lane(Lane::Push);
        channel.queue_delete(lane, QueueDeleteOptions::default()).await.unwrap();
        let job = contract::job(Lane::Push);
        let refused = queue.publish(&job).await;
        assert!(matches!(refused, Err(QueueError::Refused(_))), "{refused:?}");
        queue.publish(&job).await.unwrap();
        let mut consumer = queue.consume(1).await.unwrap();
        assert_eq!(contract::next(&mut consumer).await.job, job);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_among_many_publishes_exactly_the_unroutable_ones_are_refused() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let queue = RabbitmqQueue::connect(site.config(contract::quick(3))).await.unwrap();
        let (_connection, channel) = site.channel().await;
        let unbind = channel.queue_unbind(
            site.names().lane(Lane::Urgent),
            site.names().jobs,
            Lane::Urgent.name().into(),
            lapin::types::FieldTable::default(),
        );
        unbind.await.unwrap();
        // Hand-backs of all lanes share one line, so that routable and unroutable messages mix.
        let lanes = (0..200).map(|n| if n % 10 == 3 { Lane::Urgent } else { Lane::Push });
        let published = lanes.map(async |lane| {
            let message = Message::new(&contract::job(lane), None);
            (lane, queue.post.hand_back(message, lane).await)
        });
        let outcomes = futures_util::future::join_all(published).await;
        let confirmed = |lane| outcomes.iter().filter(|(of, outcome)| *of == lane && outcome.is_ok()).count();
        let refused = |outcome: &Result<(), QueueError>| matches!(outcome, Err(QueueError::Refused(_)));
        assert!(outcomes.iter().any(|(_, outcome)| refused(outcome)));
        assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok() || refused(outcome)));
        assert_eq!(confirmed(Lane::Push), 180);
        // After the first refusal the binding is declared again, so urgent ones of a later round pass.
        let urgent = confirmed(Lane::Urgent) as u64;
        let queue: SharedQueue = std::sync::Arc::new(queue);
        contract::status(&queue, |status| status.lanes[0].ready == urgent && status.lanes[1].ready == 180)
            .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_survives_the_deletion_of_the_lane_that_it_waits_on() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let queue = site.open(contract::quick(3)).await;
        let mut consumer = queue.consume(1).await.unwrap();
        let (_connection, channel) = site.channel().await;
        for lane in Lane::ALL {
            let name = site.names().lane(lane);
            channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
            let job = contract::job(lane);
            contract::until(async || queue.publish(&job).await.is_ok()).await;
            // Acks around the deletion may get lost, so that an earlier job comes again.
            loop {
                let delivery = contract::next(&mut consumer).await;
                let arrived = delivery.job == job;
                let settled = delivery.settle(Settlement::Done).await;
                assert!(matches!(settled, Ok(()) | Err(QueueError::Stale(_))), "{settled:?}");
                if arrived {
                    break;
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_what_the_broker_itself_buries_says_why() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let config = RabbitmqConfig { delivery_limit: 3, ..site.config(contract::quick(3)) };
        let queue = RabbitmqQueue::connect(config).await.unwrap();
        let queue: SharedQueue = std::sync::Arc::new(queue);
        let job = contract::job(Lane::Push);
        queue.publish(&job).await.unwrap();
        let (_connection, channel) = site.channel().await;
        let mut deliveries = 0;
        contract::until(async || queue.status().await.unwrap().lanes[1].ready == 1).await;
        while deliveries < 4 {
            let got = channel.basic_get(site.names().lane(Lane::Push), BasicGetOptions::default()).await;
            if let Some(message) = got.unwrap() {
                deliveries += 1;
                message.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
            }
        }
        let dead = contract::dead_letters(&queue, 1).await.remove(0);
        assert_eq!((dead.id, dead.lane, dead.attempts), (Some(job.id), Some(Lane::Push), 4));
        assert!(dead.error.contains("may have killed its worker"), "{}", dead.error);
        assert!(dead.died_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn settings_that_contradict_what_is_there_are_named() {
    let site = Site::new();
    contract::on_ground(&site, async {
        drop(site.open(contract::quick(3)).await);
        let config = RabbitmqConfig { delivery_limit: 7, ..site.config(contract::quick(3)) };
        let Err(QueueError::Unusable { reason, .. }) = RabbitmqQueue::connect(config).await else {
            panic!("other settings must be refused");
        };
        assert!(reason.contains("x-delivery-limit"), "{reason}");
        assert!(reason.contains(site.names().lane(Lane::Urgent).as_str()), "{reason}");
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_named_without_its_password() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let config = RabbitmqConfig::new(format!("amqp://guest:secret@{address}").into());
    let Err(error) = RabbitmqQueue::connect(config).await else {
        panic!("nobody listens");
    };
    assert!(matches!(error, QueueError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}
