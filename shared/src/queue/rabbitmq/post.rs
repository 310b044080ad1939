//! Where messages go: to a lane, to a retry queue, to the dead; always confirmed.
//!
//! One [`Line`] for each lane and one for everything that moves between queues, so that a queue that has
//! lost its quorum holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lapin::types::ShortString;

use super::super::{Postponement, QueueError, meters};
use super::broker::Broker;
use super::line::{Line, Outgoing, Routing};
use super::message::Message;
use crate::model::job::Lane;

/// The outgoing side of the queue.
pub(super) struct Post {
    pub(super) broker: Arc<Broker>,
    urgent: Line,
    push: Line,
    background: Line,
    moves: Line,
}

impl Post {
    /// Lines over `broker` whose publishes wait at most `patience`.
    pub(super) fn new(broker: Broker, patience: Duration) -> Self {
        let broker = Arc::new(broker);
        let line = || Line::new(broker.clone(), patience);
        Self { urgent: line(), push: line(), background: line(), moves: line(), broker }
    }

    /// Whether a lane has not taken what was published last.
    pub(super) fn is_refused(&self) -> bool {
        [&self.urgent, &self.push, &self.background].into_iter().any(Line::is_refused)
    }

    /// A new job into its lane.
    pub(super) async fn accept(&self, message: Message, lane: Lane) -> Result<(), QueueError> {
        let line = match lane {
            Lane::Urgent => &self.urgent,
            Lane::Push => &self.push,
            Lane::Background => &self.background,
        };
        line.publish(self.to_lane(message, lane)).await
    }

    /// A job that was taken, back into its lane, behind those that wait there.
    pub(super) async fn hand_back(&self, message: Message, lane: Lane) -> Result<(), QueueError> {
        self.moves.publish(self.to_lane(message, lane)).await
    }

    /// A message into the queue from which it returns to its lane after `delay`.
    pub(super) async fn delay(
        &self,
        message: Message,
        lane: Lane,
        delay: Duration,
    ) -> Result<(), QueueError> {
        self.postpone(message, lane, Postponement { tier: delay, wait: delay }).await
    }

    /// A message into the queue from which it returns to its lane, at the latest after that queue's time.
    pub(super) async fn postpone(
        &self,
        message: Message,
        lane: Lane,
        again: Postponement,
    ) -> Result<(), QueueError> {
        let mut properties = message.properties();
        if again.wait < again.tier {
            properties = properties.with_expiration(again.wait.as_millis().to_string().into());
        }
        let outgoing = Outgoing {
            exchange: self.broker.names.retry(again.tier),
            routing_key: lane.name().into(),
            routing: Routing::Required,
            body: message.body,
            properties,
        };
        self.moves.publish(outgoing).await
    }

    /// A message to the dead, after `attempts` and with `error` as the last word.
    pub(super) async fn bury(
        &self,
        message: Message,
        lane: Lane,
        attempts: u32,
        error: &str,
    ) -> Result<(), QueueError> {
        let message = message.after_failure(attempts, error);
        let id = message.id.as_ref().map(ShortString::as_str);
        tracing::info!(job.id = id, job.attempt = attempts, error = message.error, "job buried");
        let outgoing = Outgoing {
            exchange: ShortString::default(),
            routing_key: self.broker.names.dead.clone(),
            routing: Routing::Required,
            properties: message.dead_properties(lane, attempts, Timestamp::now()),
            body: message.body,
        };
        self.moves.publish(outgoing).await?;
        meters::buried();
        Ok(())
    }

    fn to_lane(&self, message: Message, lane: Lane) -> Outgoing {
        Outgoing {
            exchange: self.broker.names.jobs.clone(),
            routing_key: lane.name().into(),
            routing: Routing::Required,
            properties: message.properties(),
            body: message.body,
        }
    }
}
