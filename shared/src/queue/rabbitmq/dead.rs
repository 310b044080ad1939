//! What operators do with dead letters: look, put back, forget.
//!
//! A broker's queue can only be read by taking messages out. They are taken without ack over a channel of
//! their own, and given back at the end; if this process dies meanwhile, the broker does it. Given back,
//! they queue up behind those that were not taken, so what is shown is put in order here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use lapin::Channel;
use lapin::message::Delivery as Letter;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::super::dead_letter::Death;
use super::super::{DeadJob, DeadSelection, QueueError};
use super::broker::Broker;
use super::message::{Message, death};
use super::post::Post;
use crate::model::job::Job;

/// How long one operation on dead letters may take; what it did until then stays done.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// How many letters are taken at a time. [`DeadLetters::list`] looks no further, so it shows the oldest
/// of this many.
const MOST: u16 = 10_000;

/// How long to wait for a letter that should be there: somebody else may have taken it.
const LETTER_TIMEOUT: Duration = Duration::from_secs(2);

/// How many letters are moved at a time.
const MOVES: usize = 256;

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
            let broker = &self.post.broker;
            let channel = broker.channel().await?;
            let letters = self.take(&channel, usize::from(MOST)).await?;
            let rows = letters
                .into_iter()
                .take(limit)
                .map(|(letter, death)| DeadJob::from_letter(&letter.data, death));
            let rows = rows.collect();
            give_back(&channel).await;
            Ok(rows)
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

    /// Acts on each selected letter that was there at the beginning; returns on how many it did.
    async fn each(&self, which: &DeadSelection, act: Act) -> Result<usize, QueueError> {
        self.bounded(async {
            let _turn = self.turn().await;
            let broker = &self.post.broker;
            let mut done = 0;
            let mut left = count(broker, &broker.channel().await?).await?;
            while left > 0 {
                let channel = broker.channel().await?;
                let letters = self.take(&channel, left).await?;
                if letters.is_empty() {
                    break;
                }
                left = left.saturating_sub(letters.len());
                done += self.act_on(letters, which, act).await?;
                give_back(&channel).await;
                if done > 0 && matches!(which, DeadSelection::One(_)) {
                    break;
                }
            }
            Ok(done)
        })
        .await
    }

    async fn act_on(
        &self,
        letters: Vec<(Letter, Death)>,
        which: &DeadSelection,
        act: Act,
    ) -> Result<usize, QueueError> {
        let selected = letters.into_iter().filter_map(|(letter, _)| {
            let job = Job::from_json(&letter.data).ok();
            let is_selected = match (which, act) {
                (DeadSelection::All, Act::Requeue) => job.is_some(),
                (DeadSelection::All, Act::Discard) => true,
                (DeadSelection::One(id), _) => job.as_ref().is_some_and(|job| job.id == *id),
            };
            is_selected.then_some((letter, job))
        });
        let mut selected: Vec<_> = match which {
            DeadSelection::All => selected.collect(),
            DeadSelection::One(_) => selected.take(1).collect(),
        };
        let mut done = 0;
        while !selected.is_empty() {
            let next: Vec<_> = selected.drain(..selected.len().min(MOVES)).collect();
            let acts = next.into_iter().map(|(letter, job)| self.act(letter, job, act));
            for acted in join_all(acts).await {
                acted?;
                done += 1;
            }
        }
        Ok(done)
    }

    async fn act(&self, mut letter: Letter, job: Option<Job>, act: Act) -> Result<(), QueueError> {
        if let (Act::Requeue, Some(job)) = (act, job) {
            let message = Message::delivered(&mut letter).afresh();
            self.post.hand_back(message, job.lane).await?;
        }
        let acked = letter.acker.ack(BasicAckOptions::default()).await;
        acked.map_err(|source| self.post.broker.failed(source))?;
        Ok(())
    }

    /// Takes up to `most` letters, oldest first.
    async fn take(&self, channel: &Channel, most: usize) -> Result<Vec<(Letter, Death)>, QueueError> {
        let broker = &self.post.broker;
        let most = count(broker, channel).await?.min(most).min(usize::from(MOST));
        if most == 0 {
            return Ok(Vec::new());
        }
        let failed = |source| broker.failed(source);
        let window = u16::try_from(most).unwrap_or(MOST);
        let qos = channel.basic_qos(window, BasicQosOptions::default()).await;
        qos.map_err(failed)?;
        let subscribed = channel.basic_consume(
            broker.names.dead.clone(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut arriving = subscribed.await.map_err(failed)?;
        let mut letters = Vec::new();
        while letters.len() < most
            && let Ok(Some(letter)) = timeout(LETTER_TIMEOUT, arriving.next()).await
        {
            let letter = letter.map_err(failed)?;
            let death = death(&letter.properties, &broker.names, broker.delivery_limit);
            letters.push((letter, death));
        }
        letters.sort_by_key(|(_, death)| death.died_at.unwrap_or(Timestamp::MIN));
        Ok(letters)
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

/// Gives back what was taken over `channel` and not acked, and closes it.
async fn give_back(channel: &Channel) {
    // Nack, not the mere end of the channel: since RabbitMQ 4.3 it does not count as a failed delivery.
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
