//! The contract on a real broker, and what only a broker promises.

use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, QueueDeleteOptions};
use lapin::{BasicProperties, Channel, Connect as _, Connection, ConnectionProperties};

use super::topology::{self, Names};
use super::{RabbitmqConfig, RabbitmqQueue};
use crate::model::job::{JobId, Lane};
use crate::queue::contract::{self, Ground};
use crate::queue::{JobQueue as _, QueueError, RetryRules, Settlement, SharedQueue};

mod severed;

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
async fn i1_one_unroutable_job_among_many_is_the_one_refused() {
    let site = Site::new();
    contract::on_ground(&site, async {
        let queue = site.open(contract::quick(3)).await;
        let (_connection, channel) = site.channel().await;
        let unbind = channel.queue_unbind(
            site.names().lane(Lane::Urgent),
            site.names().jobs,
            Lane::Urgent.name().into(),
            lapin::types::FieldTable::default(),
        );
        unbind.await.unwrap();
        // All over one line, as moves are: settled jobs of the urgent lane cannot be handed back.
        let post = &queue_of(&site).await.post;
        let messages = (0..200).map(|n| {
            let lane = if n % 10 == 3 { Lane::Urgent } else { Lane::Push };
            let message = super::message::Message::new(&contract::job(lane));
            async move { (lane, post.hand_back(message, lane).await) }
        });
        drop(queue);
        unbind_again(&channel, &site).await;
        for (lane, outcome) in futures_util::future::join_all(messages).await {
            match lane {
                Lane::Urgent => assert!(matches!(outcome, Err(QueueError::Refused(_))), "{outcome:?}"),
                Lane::Push | Lane::Background => outcome.unwrap(),
            }
        }
    })
    .await;
}

async fn queue_of(site: &Site) -> RabbitmqQueue {
    RabbitmqQueue::connect(site.config(contract::quick(3))).await.unwrap()
}

async fn unbind_again(channel: &Channel, site: &Site) {
    let unbind = channel.queue_unbind(
        site.names().lane(Lane::Urgent),
        site.names().jobs,
        Lane::Urgent.name().into(),
        lapin::types::FieldTable::default(),
    );
    unbind.await.unwrap();
}
