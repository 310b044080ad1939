//! Confirmed publishing: one task and one channel per kind of destination, many messages per round.
//!
//! In: a message and where it goes. Out: an answer once the broker has it on disk and in a queue (I1).
//! The task sends whatever waits as one round, awaits all of its confirms, and only then answers. The end
//! of the round is what makes the answer exact: the client library attaches a returned, that is
//! unroutable, message to whichever confirm it completes next, so a lone confirm proves nothing while
//! others are under way. At the end of a round every return has been attached to some confirm of it, and
//! is matched by its own address and identity. One task per channel, for the library also numbers
//! messages and sends them in two steps that concurrent publishers could interleave.
//! (<https://www.rabbitmq.com/docs/confirms>)

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::QueueError;
use super::answered::{answered, gone};
use super::broker::{Broker, unavailable};

#[cfg(test)]
mod tests;

/// Most messages of one round.
const ROUND: usize = 512;

/// How long a publish that was not taken speaks for the next one. Where nobody sends any because this process says that it is
/// not ready, somebody has to try again.
const DOUBT: Duration = Duration::from_secs(15);

/// The wait before a round is tried again after its channel failed.
const PAUSE: Duration = Duration::from_millis(50);

/// A message with its address.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The exchange; empty for the one that routes to the queue named by the routing key.
    pub(super) exchange: ShortString,
    /// The routing key.
    pub(super) routing_key: ShortString,
    /// Whether some queue has to take it.
    pub(super) routing: Routing,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Persistence, identity, headers.
    pub(super) properties: BasicProperties,
}

/// Whether a message that no queue takes is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routing {
    /// It is: the broker returns it.
    Required,
    /// It is not: perhaps nobody wants to know.
    Optional,
}

struct Order {
    message: Outgoing,
    answer: oneshot::Sender<Result<(), QueueError>>,
}

/// Where to hand in messages.
pub(super) struct Line {
    orders: mpsc::Sender<Order>,
    broker: Arc<Broker>,
    patience: Duration,
    /// When a publish was not taken, and none was since.
    refused: Mutex<Option<Instant>>,
    /// Ends the task even while it waits for a connection.
    _end: DropGuard,
}

/// How the publish of one message of a round ended.
struct Landing {
    fate: Fate,
    /// A returned message, not necessarily this one. Rare and large.
    returned: Option<Box<BasicReturnMessage>>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// On disk, and in a queue unless it was returned.
    Stored,
    /// The broker said that it could not take it.
    NotStored,
    /// The channel failed, or the answer did not come in time.
    Unknown,
}

impl Landing {
    fn unknown() -> Self {
        Self { fate: Fate::Unknown, returned: None }
    }
}

impl Line {
    /// A line whose publishes wait at most `patience`.
    pub(super) fn new(broker: Arc<Broker>, patience: Duration) -> Self {
        let (orders, incoming) = mpsc::channel(2 * ROUND);
        let end = CancellationToken::new();
        let working = run(broker.clone(), incoming, patience);
        tokio::spawn(end.clone().run_until_cancelled_owned(working));
        Self { orders, broker, patience, refused: Mutex::default(), _end: end.drop_guard() }
    }

    /// Returns once `message` is on disk and in a queue. A broken connection in between is waited for,
    /// and the message sent again, as long as the line's patience lasts.
    pub(super) async fn publish(&self, message: Outgoing) -> Result<(), QueueError> {
        let published = async {
            let (answer, answered) = oneshot::channel();
            let order = Order { message, answer };
            let gone = |_| unavailable(&self.broker.place, "this process is shutting down");
            self.orders.send(order).await.map_err(|_| gone(()))?;
            answered.await.map_err(|_| gone(()))?
        };
        let outcome = match timeout(self.patience, published).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.broker.late(self.patience)),
        };
        self.note(&outcome);
        outcome
    }

    /// Whether the newest publish was not taken: the broker answers, and the queue is full or has no majority of its nodes.
    pub(super) fn is_refused(&self) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_some_and(|since| since.elapsed() < DOUBT)
    }

    fn note(&self, outcome: &Result<(), QueueError>) {
        let refused = match outcome {
            Ok(()) => None,
            Err(QueueError::NotConfirmed(_) | QueueError::Refused(_)) if !self.broker.blocked() => {
                Some(Instant::now())
            }
            // Where there is no connection, or the broker takes nothing from anybody, that is known without this.
            Err(_) => return,
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }
}

async fn run(broker: Arc<Broker>, mut incoming: mpsc::Receiver<Order>, patience: Duration) {
    let mut open: Option<Channel> = None;
    let mut round: Vec<Order> = Vec::new();
    loop {
        if round.is_empty() && incoming.recv_many(&mut round, ROUND).await == 0 {
            return;
        }
        while round.len() < ROUND
            && let Ok(order) = incoming.try_recv()
        {
            round.push(order);
        }
        // Whoever gave up has been told so; sending it after all would only be a surprise.
        round.retain(|order| !order.answer.is_closed());
        if round.is_empty() {
            continue;
        }
        let channel = match open.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => match confirming(&broker).await {
                Ok(channel) => channel,
                Err(error) => {
                    tracing::warn!(%error, "cannot publish");
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let landings = send(&channel, &round, patience).await;
        let came_back = landings.iter().any(|landing| landing.returned.is_some());
        let was_refused = landings.iter().any(|landing| landing.fate == Fate::NotStored);
        answer(&mut round, landings);
        if !round.is_empty() {
            broker.suspect();
            sleep(PAUSE).await;
        } else if came_back {
            // A new channel declares again what went missing, and knows nothing of late confirms.
            broker.doubt();
        } else if !was_refused {
            // A channel that met a queue while it had no leader asks the node that is gone for ever, and refuses
            // everything (RabbitMQ 3.10's client of quorum queues): after a refusal the next round has a new one.
            open = Some(channel);
        }
    }
}

async fn confirming(broker: &Broker) -> Result<Channel, QueueError> {
    let channel = broker.channel().await?;
    let confirming = channel.confirm_select(ConfirmSelectOptions::default());
    answered(&channel, confirming).await.map_err(|source| broker.failed(source))?;
    Ok(channel)
}

/// Sends the round and waits until the broker has answered for every message of it, the channel has failed, or
/// `patience` is over.
async fn send(channel: &Channel, round: &[Order], patience: Duration) -> Vec<Landing> {
    let mut landings: Vec<_> = round.iter().map(|_| Landing::unknown()).collect();
    let sent = round.iter().enumerate().map(async |(at, order)| (at, publish(channel, &order.message).await));
    let mut sent: FuturesUnordered<_> = sent.collect();
    let answers = async {
        while let Some((at, landing)) = sent.next().await {
            landings[at] = landing;
        }
    };
    // One clock and one watch over the channel for the whole round: each message's own would cost more than it does.
    tokio::select! {
        biased;
        _ = timeout(patience, answers) => {}
        () = gone(channel) => {}
    }
    landings
}

async fn publish(channel: &Channel, message: &Outgoing) -> Landing {
    let mandatory = message.routing == Routing::Required;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let published = async {
        let sent = channel.basic_publish(
            message.exchange.clone(),
            message.routing_key.clone(),
            options,
            &message.body,
            message.properties.clone(),
        );
        sent.await?.await
    };
    let (fate, returned) = match published.await {
        Ok(Confirmation::Ack(returned)) => (Fate::Stored, returned),
        Ok(Confirmation::Nack(returned)) => (Fate::NotStored, returned),
        Ok(Confirmation::NotRequested) => return Landing::unknown(),
        Err(error) => {
            tracing::debug!(%error, "publish failed");
            return Landing::unknown();
        }
    };
    Landing { fate, returned: returned.map(Box::new) }
}

/// Answers for every message whose fate is known and leaves the others in the round.
fn answer(round: &mut Vec<Order>, landings: Vec<Landing>) {
    let (fates, returned): (Vec<_>, Vec<_>) =
        landings.into_iter().map(|landing| (landing.fate, landing.returned)).unzip();
    let returned: Vec<_> = returned.into_iter().flatten().collect();
    for (order, fate) in std::mem::take(round).into_iter().zip(fates) {
        match outcome(fate, &order.message, &returned) {
            // Nobody may be waiting any longer; the publish stands all the same.
            Some(outcome) => drop(order.answer.send(outcome)),
            None => round.push(order),
        }
    }
}

/// What is to be said about a message, if anything can be.
fn outcome(
    fate: Fate,
    sent: &Outgoing,
    returns: &[Box<BasicReturnMessage>],
) -> Option<Result<(), QueueError>> {
    match (fate, returns.iter().find(|returned| is_return_of(returned, sent))) {
        (Fate::Unknown, None) => None,
        (Fate::Unknown | Fate::Stored | Fate::NotStored, Some(returned)) => {
            Some(Err(QueueError::Refused(format!(
                "no queue takes {:?} of exchange {:?} ({} {})",
                returned.delivery.routing_key.as_str(),
                returned.delivery.exchange.as_str(),
                returned.reply_code,
                returned.reply_text
            ))))
        }
        (Fate::NotStored, None) => Some(Err(QueueError::Refused("the broker could not store it".to_owned()))),
        (Fate::Stored, None) => Some(Ok(())),
    }
}

fn is_return_of(returned: &BasicReturnMessage, sent: &Outgoing) -> bool {
    returned.delivery.exchange == sent.exchange
        && returned.delivery.routing_key == sent.routing_key
        && returned.delivery.properties.message_id() == sent.properties.message_id()
}
