//! What operators do with dead letters: look, put back, forget.
//!
//! A broker's queue can only be read by taking messages out. They are taken without ack over a channel of
//! their own and given back in their order at the end; if this process dies meanwhile, the broker does it.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::super::{DeadJob, DeadSelection, QueueError};
use super::broker::Broker;
use super::message::{Message, death};
use super::post::Post;
use crate::model::job::Job;

/// How long one operation on dead letters may take; what it did until then stays done.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// The operators' access to dead letters, one operation at a time.
pub(super) struct DeadLetters {
    post: Arc<Post>,
    turn: Semaphore,
}

/// What to do with a letter.
#[derive(Clone, Copy)]
enum Act {
    Requeue,
    Discard,
}

impl DeadLetters {
    /// Access over `post`.
    pub(super) fn new(post: Arc<Post>) -> Self {
        Self { post, turn: Semaphore::new(1) }
    }

    /// The oldest ones.
    pub(super) async fn list(&self, limit: usize) -> Result<Vec<DeadJob>, QueueError> {
        self.bounded(async {
            let _turn = self.turn().await;
            let channel = self.post.broker.channel().await?;
            let rows = self.read(&channel, limit).await;
            give_back(&channel).await;
            rows
        })
        .await
    }

    /// Puts the selected ones that are jobs back into their lanes.
    pub(super) async fn requeue(&self, which: &DeadSelection) -> Result<usize, QueueError> {
        self.each(which, Act::Requeue).await
    }

    /// Forgets the selected ones.
    pub(super) async fn discard(&self, which: &DeadSelection) -> Result<usize, QueueError> {
        self.each(which, Act::Discard).await
    }

    async fn each(&self, which: &DeadSelection, act: Act) -> Result<usize, QueueError> {
        self.bounded(async {
            let _turn = self.turn().await;
            let channel = self.post.broker.channel().await?;
            let done = self.act_on(&channel, which, act).await;
            give_back(&channel).await;
            done
        })
        .await
    }

    async fn read(&self, channel: &Channel, limit: usize) -> Result<Vec<DeadJob>, QueueError> {
        let broker = &self.post.broker;
        let mut rows = Vec::new();
        for _ in 0..count(broker, channel).await?.min(limit) {
            let Some(letter) = next(broker, channel).await? else {
                break;
            };
            let death = death(&letter.properties, &broker.names, broker.delivery_limit);
            rows.push(DeadJob::from_letter(&letter.data, death));
        }
        Ok(rows)
    }

    /// Acts on each selected letter that was there at the beginning; returns on how many it did.
    async fn act_on(&self, channel: &Channel, which: &DeadSelection, act: Act) -> Result<usize, QueueError> {
        let broker = &self.post.broker;
        let mut done = 0;
        for _ in 0..count(broker, channel).await? {
            let Some(mut letter) = next(broker, channel).await? else {
                break;
            };
            let job = Job::from_json(&letter.data).ok();
            let is_selected = match which {
                DeadSelection::All => true,
                DeadSelection::One(id) => job.as_ref().is_some_and(|job| job.id == *id),
            };
            match (is_selected, act, job) {
                (false, _, _) | (true, Act::Requeue, None) => continue,
                (true, Act::Requeue, Some(job)) => {
                    let message = Message::delivered(&mut letter.delivery).afresh();
                    self.post.hand_back(message, job.lane).await?;
                }
                (true, Act::Discard, _) => {}
            }
            let acked = letter.acker.ack(BasicAckOptions::default()).await;
            acked.map_err(|source| broker.failed(source))?;
            done += 1;
            if matches!(which, DeadSelection::One(_)) {
                break;
            }
        }
        Ok(done)
    }

    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turn.acquire().await.expect("the semaphore is never closed")
    }

    async fn bounded<T>(
        &self,
        operation: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        timeout(OPERATION_TIMEOUT, operation).await.map_err(|_| self.post.broker.late(OPERATION_TIMEOUT))?
    }
}

/// Gives back, in their order, the letters that were taken over `channel` and not acked.
async fn give_back(channel: &Channel) {
    let all = BasicNackOptions { multiple: true, requeue: true };
    // If either fails the channel is gone, and the broker gives them back by itself.
    let given_back = channel.basic_nack(0, all).await;
    let closed = channel.close(200, "done".into()).await;
    tracing::debug!(?given_back, ?closed, "dead letters looked at");
}

async fn count(broker: &Broker, channel: &Channel) -> Result<usize, QueueError> {
    let passive = QueueDeclareOptions::durable().passive();
    let declared = channel.queue_declare(broker.names.dead.clone(), passive, FieldTable::default()).await;
    let queue = declared.map_err(|source| broker.failed(source))?;
    Ok(queue.message_count() as usize)
}

async fn next(broker: &Broker, channel: &Channel) -> Result<Option<BasicGetMessage>, QueueError> {
    let got = channel.basic_get(broker.names.dead.clone(), BasicGetOptions::default()).await;
    got.map_err(|source| broker.failed(source))
}
