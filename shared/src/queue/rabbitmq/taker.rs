//! Takes jobs from the three lanes for one consumer, no more of them than may be unsettled.
//!
//! Jobs are pulled, most urgent lane first, and only when there is room for one: a busy worker then holds
//! no message that an idle one could have, and an urgent job never waits behind what was prefetched
//! before it. When all lanes are empty, one-message consumers on each of them serve as doorbells. What
//! rings second goes back to its lane.
//!
//! The bell that rang stays subscribed until its message is settled, and gets no other before. A message of a
//! cancelled consumer would be nobody's if the node that we are connected to went down: a quorum queue gives
//! such a message back only when that node is up again (seen with RabbitMQ 3.10: `noconnection` is
//! heard of consumers that are "up").

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, select_all};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer as Subscription};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::dead_letter::{never_settled, undecodable};
use super::super::turns::Turns;
use super::super::{Consumer, Delivery, QueueError, Settlement, meters};
use super::answered::answered;
use super::message::Message;
use super::post::Post;
use super::receipt::{BrokerReceipt, Held, Taken};
use super::topology::SYSTEM;
use crate::model::job::{Job, JobDecodeError, Lane};
use crate::telemetry::traces::{Origin, Place};

/// Waits after a failure: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long a lane that was empty is not asked again while others have jobs: each question costs the
/// broker a round of consensus.
const EMPTY_FOR: Duration = Duration::from_millis(20);

/// How often the lanes are looked into although no bell rang: a broker does not always say that a queue
/// was deleted, and somebody else may have declared it again.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// The consuming end of a taker.
pub(super) struct RabbitmqConsumer {
    jobs: mpsc::Receiver<Delivery>,
    stop: CancellationToken,
    taker: Option<JoinHandle<()>>,
}

impl RabbitmqConsumer {
    /// Starts to take jobs, at most `prefetch` unsettled at a time.
    pub(super) fn start(post: Arc<Post>, prefetch: u16) -> Self {
        let (out, jobs) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let taker = Taker {
            post,
            room: Arc::new(Semaphore::new(prefetch.max(1).into())),
            out,
            stop: stop.clone(),
            turns: Turns::default(),
            session: None,
            found_empty: Vec::new(),
        };
        Self { jobs, stop, taker: Some(tokio::spawn(taker.run())) }
    }
}

#[async_trait]
impl Consumer for RabbitmqConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        self.jobs.recv().await
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(taker) = self.taker.take()
            && let Err(error) = taker.await
        {
            tracing::error!(%error, "the taker of jobs failed");
        }
        while let Ok(delivery) = self.jobs.try_recv() {
            let job = delivery.job.id;
            if let Err(error) = delivery.settle(Settlement::HandBack).await {
                tracing::warn!(job.id = %job, %error, "prefetched job not handed back; it comes again");
            }
        }
        self.jobs.close();
    }
}

impl Drop for RabbitmqConsumer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Taker {
    post: Arc<Post>,
    room: Arc<Semaphore>,
    out: mpsc::Sender<Delivery>,
    stop: CancellationToken,
    turns: Turns,
    session: Option<Session>,
    /// Lanes that had no message, and when that was.
    found_empty: Vec<(Lane, Instant)>,
}

/// A channel to take jobs over.
struct Session {
    channel: Channel,
    /// Counts us among the takers.
    _presence: Subscription,
    /// Changes when lanes may have been deleted and made again.
    declarations: watch::Receiver<u64>,
}

/// What came of waiting for a message.
enum Wait {
    /// A lane had one.
    Rang(Box<Taken>),
    /// Look into the lanes.
    Look,
    /// The lanes may not be those that were waited on.
    Renew,
    Stopped,
}

impl Taker {
    async fn run(mut self) {
        let (stop, out) = (self.stop.clone(), self.out.clone());
        loop {
            // Nothing is taken before there is room for it and the last one was fetched.
            let wanted =
                async { Some((self.room.clone().acquire_owned().await.ok()?, out.reserve().await.ok()?)) };
            let Some(Some((permit, slot))) = stop.run_until_cancelled(wanted).await else {
                break;
            };
            let Some((job, taken)) = self.next_job().await else {
                break;
            };
            meters::delivered(taken.lane);
            let (attempt, postponed) = (taken.message.attempt, taken.message.deferrals);
            let last_error = taken.message.error.clone();
            let destination = self.post.broker.names.lane(taken.lane).to_string();
            let place = Place { system: SYSTEM, destination };
            let origin = Origin { place, trace: taken.message.trace() };
            let receipt = BrokerReceipt { taken, post: self.post.clone(), _permit: permit };
            slot.send(Delivery::new(job, attempt, postponed, last_error, origin, Box::new(receipt)));
        }
    }

    /// The next message that is a job which may still be tried, or `None` when told to stop.
    async fn next_job(&mut self) -> Option<(Job, Taken)> {
        loop {
            let taken = self.take().await?;
            self.turns.taken();
            let sorted_out = match Job::from_json(&taken.message.body) {
                Ok(_) if taken.message.attempt > self.post.broker.rules.attempts => {
                    let deliveries = taken.message.attempt.saturating_sub(1);
                    self.bury(taken, deliveries, &never_settled(deliveries)).await
                }
                Ok(job) => return Some((job, taken)),
                Err(error @ JobDecodeError::Malformed(_)) => {
                    let attempt = taken.message.attempt;
                    self.bury(taken, attempt, &undecodable(&error)).await
                }
                Err(error @ (JobDecodeError::Version(_) | JobDecodeError::Kind(_))) => {
                    self.put_off(taken, &error).await
                }
            };
            if let Err(error) = sorted_out {
                tracing::warn!(%error, "cannot move a message that is not to be worked on; it comes again");
                self.pause(BACKOFF.1).await;
            }
        }
    }

    async fn bury(&self, taken: Taken, attempts: u32, error: &str) -> Result<(), QueueError> {
        let Taken { lane, message, held } = taken;
        self.post.bury(message, lane, attempts, error).await?;
        held.ack().await;
        Ok(())
    }

    /// Leaves a job of a newer build to a newer worker: it comes back after a while, and never dies of it.
    async fn put_off(&self, taken: Taken, error: &JobDecodeError) -> Result<(), QueueError> {
        let Taken { lane, message, held } = taken;
        let tiers = &self.post.broker.rules.tiers;
        let tier = (message.deferrals as usize).min(tiers.len().saturating_sub(1));
        match tiers.get(tier) {
            Some(delay) => {
                tracing::warn!(%error, "job left to a newer worker");
                self.post.delay(message.put_off(), lane, *delay).await?;
            }
            None => {
                let attempt = message.attempt;
                self.post.bury(message, lane, attempt, &undecodable(error)).await?;
            }
        }
        held.ack().await;
        Ok(())
    }

    /// The next message of any lane, recovering from whatever happens, or `None` when told to stop.
    async fn take(&mut self) -> Option<Taken> {
        let mut wait = BACKOFF.0;
        loop {
            match self.try_take().await {
                Ok(taken) => return taken,
                Err(error) => {
                    // The messages that we hold over the broken channel come again by themselves.
                    self.session = None;
                    self.post.broker.suspect();
                    tracing::debug!(%error, "taking jobs was interrupted");
                    self.pause(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
        }
    }

    async fn try_take(&mut self) -> Result<Option<Taken>, QueueError> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            if self.session.is_none() {
                let opened = self.stop.run_until_cancelled(self.open()).await;
                match opened {
                    Some(session) => self.session = Some(session?),
                    None => return Ok(None),
                }
            }
            let session = self.session.as_ref().expect("it was just opened");
            let (channel, declarations) = (session.channel.clone(), session.declarations.clone());
            let post = self.post.clone();
            let failed = |source| post.broker.failed(source);
            for lane in self.turns.order() {
                if self.found_empty.iter().any(|(empty, at)| *empty == lane && at.elapsed() < EMPTY_FOR) {
                    continue;
                }
                let queue = self.post.broker.names.lane(lane);
                // Never cancelled half-way: the library would lose the message and keep its delivery.
                let got = channel.basic_get(queue, BasicGetOptions::default());
                let got = answered(&channel, got).await;
                if let Some(message) = got.map_err(failed)? {
                    return Ok(Some(taken(lane, message.delivery, &channel, None)));
                }
                self.found_empty.retain(|(empty, _)| *empty != lane);
                self.found_empty.push((lane, Instant::now()));
            }
            self.found_empty.clear();
            match self.wait_for_bell(&channel, declarations).await? {
                Wait::Rang(taken) => return Ok(Some(*taken)),
                Wait::Look => {}
                Wait::Renew => self.session = None,
                Wait::Stopped => return Ok(None),
            }
        }
    }

    async fn open(&self) -> Result<Session, QueueError> {
        let broker = &self.post.broker;
        let channel = broker.channel().await?;
        let prepared = async {
            answered(&channel, channel.basic_qos(1, BasicQosOptions::default())).await?;
            subscribe(&channel, broker.names.consumers.clone()).await
        };
        match prepared.await {
            Ok(presence) => Ok(Session { channel, _presence: presence, declarations: broker.declarations() }),
            Err(source) => Err(broker.failed(source)),
        }
    }

    /// Returns when some lane had a message, or when something else is to be done.
    async fn wait_for_bell(
        &self,
        channel: &Channel,
        mut declarations: watch::Receiver<u64>,
    ) -> Result<Wait, QueueError> {
        let failed = |source| self.post.broker.failed(source);
        let mut bells = Vec::with_capacity(Lane::ALL.len());
        for lane in Lane::ALL {
            let bell = subscribe(channel, self.post.broker.names.lane(lane)).await.map_err(failed)?;
            bells.push((lane, bell));
        }
        let mut ringing = select_all(bells.iter_mut().enumerate().map(|(at, (_, bell))| {
            let rung = bell.map(move |rung| Some((at, rung)));
            // A bell that is gone says so.
            rung.chain(stream::once(std::future::ready(None)))
        }));
        let rung = tokio::select! {
            () = self.stop.cancelled() => Err(Wait::Stopped),
            _ = declarations.changed() => Err(Wait::Renew),
            () = sleep(LOOK_INTERVAL) => Err(Wait::Look),
            first = ringing.next() => first.flatten().ok_or_else(|| {
                self.post.broker.doubt();
                Wait::Renew
            }),
        };
        drop(ringing);
        let outcome = match rung {
            Ok((at, rung)) => {
                let (lane, bell) = bells.swap_remove(at);
                Wait::Rang(Box::new(taken(lane, rung.map_err(failed)?, channel, Some(bell))))
            }
            Err(wait) => wait,
        };
        for (lane, bell) in bells {
            self.hang_up(channel, lane, bell).await?;
        }
        Ok(outcome)
    }

    /// Cancels a bell and gives back what it brought meanwhile.
    async fn hang_up(&self, channel: &Channel, lane: Lane, mut bell: Subscription) -> Result<(), QueueError> {
        let failed = |source| self.post.broker.failed(source);
        let cancelled = channel.basic_cancel(bell.tag(), BasicCancelOptions::default());
        answered(channel, cancelled).await.map_err(failed)?;
        // What it had still brought came before the broker's answer. One that was gone before does not end a second time.
        while let Some(Some(rung)) = bell.next().now_or_never() {
            let Taken { lane, message, held } = taken(lane, rung.map_err(failed)?, channel, None);
            self.post.hand_back(message, lane).await?;
            held.ack().await;
        }
        Ok(())
    }

    async fn pause(&self, wait: Duration) {
        let _ = self.stop.run_until_cancelled(sleep(wait)).await;
    }
}

async fn subscribe(channel: &Channel, queue: ShortString) -> lapin::Result<Subscription> {
    let options = BasicConsumeOptions::default();
    let subscribed = channel.basic_consume(queue, ShortString::default(), options, FieldTable::default());
    answered(channel, subscribed).await
}

fn taken(
    lane: Lane,
    mut delivery: lapin::message::Delivery,
    channel: &Channel,
    bell: Option<Subscription>,
) -> Taken {
    Taken {
        lane,
        message: Message::delivered(&mut delivery),
        held: Held::new(delivery.acker, channel.clone(), bell),
    }
}
