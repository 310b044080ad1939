//! A message in somebody's hands, until it is acked, moved and acked, or dropped.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicRejectOptions};
use lapin::{Acker, Channel, Consumer};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::super::{QueueError, Receipt, Settlement, dice, meters};
use super::answered::answered;
use super::message::Message;
use super::post::Post;
use crate::model::job::{Job, JobId, Lane};

/// A message that the broker waits to hear about. Dropped unsettled, it goes back to the head of its
/// lane, counted as a delivery.
pub(super) struct Held {
    acker: Acker,
    /// Closing the channel would take the message from us.
    channel: Channel,
    /// The consumer that it was delivered to, of nothing but this message.
    consumer: Option<Consumer>,
    runtime: Handle,
}

impl Held {
    /// Must be called within the runtime.
    pub(super) fn new(acker: Acker, channel: Channel, consumer: Option<Consumer>) -> Self {
        Self { acker, channel, consumer, runtime: Handle::current() }
    }

    /// Whether the broker still considers it ours.
    pub(super) fn is_ours(&self) -> bool {
        self.acker.usable()
    }

    /// Tells the broker to forget the message. Returns whether it was still ours.
    pub(super) async fn ack(self) -> bool {
        let acked = self.acker.ack(BasicAckOptions::default());
        matches!(after_cancelling(self.consumer.as_ref(), &self.channel, acked).await, Ok(true))
    }
}

/// Cancels `consumer`, which would get the next message after it, and then does what `settle` says.
async fn after_cancelling(
    consumer: Option<&Consumer>,
    channel: &Channel,
    settle: impl Future<Output = lapin::Result<bool>>,
) -> lapin::Result<bool> {
    let cancelled = async {
        match consumer {
            Some(consumer) => channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await,
            None => Ok(()),
        }
    };
    // The broker takes them in the order in which they are sent; nobody has to wait for its first answer.
    let both = async {
        let (cancelled, settled) = tokio::join!(biased; cancelled, settle);
        cancelled.and(settled)
    };
    answered(channel, both).await
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.acker.usable() {
            return;
        }
        meters::dropped();
        // Reject, not nack: since RabbitMQ 4.3 only a rejection counts towards the delivery limit.
        let acker = self.acker.clone();
        let channel = self.channel.clone();
        let consumer = self.consumer.take();
        self.runtime.spawn(async move {
            let rejected = acker.reject(BasicRejectOptions { requeue: true });
            let rejected = after_cancelling(consumer.as_ref(), &channel, rejected).await;
            tracing::debug!(?rejected, "dropped delivery handed back");
        });
    }
}

/// What a taker got from the broker.
pub(super) struct Taken {
    /// The lane whose queue it was in.
    pub(super) lane: Lane,
    /// What it says.
    pub(super) message: Message,
    /// The hold on it.
    pub(super) held: Held,
}

/// The broker's half of a delivery.
pub(super) struct BrokerReceipt {
    pub(super) taken: Taken,
    pub(super) post: Arc<Post>,
    /// One of the consumer's prefetched messages.
    pub(super) _permit: OwnedSemaphorePermit,
}

#[async_trait]
impl Receipt for BrokerReceipt {
    async fn settle(
        self: Box<Self>,
        job: &Job,
        attempt: u32,
        settlement: Settlement,
    ) -> Result<(), QueueError> {
        let Self { taken, post, _permit } = *self;
        let settled = settle(taken, &post, job.id, attempt, &settlement).await;
        match &settled {
            Ok(()) => meters::settled(&settlement),
            Err(QueueError::Stale(_)) => meters::stale(),
            Err(_) => {}
        }
        settled
    }
}

/// Moves first, confirmed, and acks last (I2).
async fn settle(
    taken: Taken,
    post: &Post,
    id: JobId,
    attempt: u32,
    settlement: &Settlement,
) -> Result<(), QueueError> {
    let Taken { lane, message, held } = taken;
    if !held.is_ours() {
        return Err(QueueError::Stale(id));
    }
    match settlement {
        Settlement::Done => {}
        Settlement::Retry { error } => match post.broker.rules.after(attempt) {
            Some(delay) => {
                post.delay(message.after_failure(attempt, error), lane, delay).await?;
            }
            None => post.bury(message, lane, attempt, error).await?,
        },
        Settlement::Postpone { wait, error } => {
            match post.broker.rules.postponed(message.deferrals, *wait, dice()) {
                Some(again) => post.postpone(message.put_off_for(error), lane, again).await?,
                None => post.bury(message, lane, attempt, error).await?,
            }
        }
        Settlement::Bury { error } => post.bury(message, lane, attempt, error).await?,
        Settlement::HandBack => post.hand_back(message, lane).await?,
    }
    if held.ack().await { Ok(()) } else { Err(QueueError::Stale(id)) }
}
