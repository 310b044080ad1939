//! The queue on RabbitMQ, for many processes.
//!
//! Quorum queues with publisher confirms, mandatory routing, a delivery limit and at-least-once dead
//! lettering; RabbitMQ 3.10 or later. `topology` names what is kept on the broker, `message` what a
//! message carries, `broker` keeps the connection, `line` publishes, `taker` consumes, `dead` is for
//! operators, `topic` tells whoever binds a queue to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};
use secrecy::SecretString;
use tokio::time::timeout;

use super::{
    Consumer, DeadJob, DeadSelection, JobQueue, LaneStatus, QueueError, QueueStatus, RetryRules, meters,
};
use crate::model::job::{Job, Lane};
use crate::telemetry::traces::{self, Place};
use answered::answered;

pub use topic::{Notice, Topic};

mod answered;
mod broker;
mod dead;
mod line;
mod message;
mod post;
mod receipt;
mod taker;
mod topic;
mod topology;

#[cfg(test)]
mod tests;

/// How long a question about readiness may take.
const PING_TIMEOUT: Duration = Duration::from_millis(1500);

/// How to reach a broker, and the rules that its queues follow.
#[derive(Clone, Debug)]
pub struct RabbitmqConfig {
    /// `amqp://user:password@host:5672/vhost` or `amqps://…` (RabbitMQ URI specification). `?heartbeat=`
    /// sets the heartbeat in seconds, 10 otherwise.
    pub url: SecretString,
    /// Further nodes of the same cluster, as URLs: each is tried in turn when the connection is to be made. Default none.
    pub cluster: Vec<SecretString>,
    /// What all names on the broker begin with: `<prefix>.jobs` and so on. 1 to 100 letters, digits,
    /// dots, dashes, underscores. Default `tidewaiter`.
    pub prefix: String,
    /// How long a publish may take, breaks of the connection included. Default 5 s.
    pub publish_timeout: Duration,
    /// How often the broker itself redelivers a job of one attempt before it moves it to the dead letters.
    ///
    /// A backstop only: a taker buries a job first, as soon as attempts and redeliveries together are
    /// more than [`RetryRules::attempts`]. It must not be smaller than those. Default 20. Changing it
    /// needs the lane queues to be deleted and declared anew.
    pub delivery_limit: u32,
    /// When and how often a failed job is tried again.
    pub retry: RetryRules,
    /// PEM files of certificate authorities to trust besides the system's. Default none.
    pub ca_certificates: Vec<PathBuf>,
}

impl RabbitmqConfig {
    /// The defaults, for the broker at `url`.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            cluster: Vec::new(),
            prefix: "tidewaiter".to_owned(),
            publish_timeout: Duration::from_secs(5),
            delivery_limit: 20,
            retry: RetryRules::default(),
            ca_certificates: Vec::new(),
        }
    }
}

/// Jobs on a broker.
pub struct RabbitmqQueue {
    post: Arc<post::Post>,
    dead: dead::DeadLetters,
    publish_timeout: Duration,
}

impl RabbitmqQueue {
    /// Connects and declares exchanges and queues. Must be called within a Tokio runtime.
    ///
    /// Fails when the broker cannot be reached now, when the configuration cannot work, or when something
    /// on the broker has our names and other settings. Once connected, the queue recovers by itself from
    /// whatever happens to the connection.
    pub async fn connect(config: RabbitmqConfig) -> Result<Self, QueueError> {
        if config.delivery_limit < config.retry.attempts {
            return Err(QueueError::Unusable {
                place: "the configuration".to_owned(),
                reason: format!(
                    "the delivery limit {} must not be below the {} attempts of a job",
                    config.delivery_limit, config.retry.attempts
                ),
            });
        }
        let broker = broker::Broker::connect(&config).await?;
        tracing::info!(queue.place = broker.place, "connected to the broker");
        let post = Arc::new(post::Post::new(broker, config.publish_timeout));
        Ok(Self { dead: dead::DeadLetters::new(post.clone()), post, publish_timeout: config.publish_timeout })
    }

    /// Where changed verdicts are told, over the same connection.
    pub fn topic(&self) -> Topic {
        Topic::new(self.post.broker.clone(), self.publish_timeout)
    }

    /// How many messages wait in each of `queues`, and how many consume from each.
    async fn counts(&self, queues: Vec<ShortString>) -> Result<Vec<(u64, u64)>, QueueError> {
        let broker = &self.post.broker;
        let channel = broker.channel().await?;
        let mut counts = Vec::with_capacity(queues.len());
        for queue in queues {
            let passive = QueueDeclareOptions::durable().passive();
            let declared = channel.queue_declare(queue, passive, FieldTable::default());
            let declared = answered(&channel, declared).await;
            let queue = declared.map_err(|source| {
                broker.suspect();
                broker.failed(source)
            })?;
            counts.push((queue.message_count().into(), queue.consumer_count().into()));
        }
        Ok(counts)
    }
}

#[async_trait]
impl JobQueue for RabbitmqQueue {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        let begun = Instant::now();
        let exchange = &self.post.broker.names.jobs;
        let destination = || format!("{exchange}:{}", job.lane);
        let span = traces::publish(job, || Place { system: topology::SYSTEM, destination: destination() });
        let message = message::Message::new(job, span.context().as_ref());
        let outcome = span.around(self.post.accept(message, job.lane)).await;
        span.outcome(&outcome, "not_queued");
        meters::published(job.lane, begun.elapsed(), &outcome);
        outcome
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        Ok(Box::new(taker::RabbitmqConsumer::start(self.post.clone(), prefetch)))
    }

    async fn status(&self) -> Result<QueueStatus, QueueError> {
        let names = &self.post.broker.names;
        let mut queues = vec![names.consumers.clone(), names.dead.clone()];
        queues.extend(Lane::ALL.map(|lane| names.lane(lane)));
        let retries = topology::delays(&self.post.broker.rules);
        queues.extend(retries.into_iter().map(|delay| names.retry(delay)));
        let counts = timeout(self.publish_timeout, self.counts(queues))
            .await
            .map_err(|_| self.post.broker.late(self.publish_timeout))??;
        let waiting = |(ready, _): &(u64, u64)| *ready;
        let lanes = Lane::ALL.into_iter().zip(&counts[2..5]);
        Ok(QueueStatus {
            lanes: lanes
                .map(|(lane, count)| LaneStatus {
                    lane,
                    ready: waiting(count),
                    unsettled: None,
                    consumers: Some(counts[0].1),
                })
                .collect(),
            retrying: counts[5..].iter().map(waiting).sum(),
            dead: waiting(&counts[1]),
        })
    }

    async fn dead(&self, limit: usize) -> Result<Vec<DeadJob>, QueueError> {
        self.dead.list(limit).await
    }

    async fn requeue(&self, which: DeadSelection) -> Result<usize, QueueError> {
        self.dead.requeue(&which).await
    }

    async fn discard(&self, which: DeadSelection) -> Result<usize, QueueError> {
        self.dead.discard(&which).await
    }

    async fn ping(&self) -> Result<(), QueueError> {
        let broker = &self.post.broker;
        if broker.blocked() {
            let reason = "the broker takes no messages: it is short of memory or disk";
            return Err(broker::unavailable(&broker.place, reason));
        }
        // A queue without a majority of its nodes still says how long it is, so nothing that is asked here would show it.
        if self.post.is_refused() {
            let reason = "it did not take the last job: is the queue full, or do most of its nodes not run?";
            return Err(broker::unavailable(&broker.place, reason));
        }
        let lanes = Lane::ALL.map(|lane| broker.names.lane(lane)).to_vec();
        timeout(PING_TIMEOUT, self.counts(lanes)).await.map_err(|_| broker.late(PING_TIMEOUT))?.map(|_| ())
    }
}
