//! Confirmed publishing: one task and one channel per kind of destination, many messages under way.
//!
//! In: a message and where it goes. Out: an answer once the broker has it on disk and in a queue (I1).
//! The task sends in rounds of whatever waits, the next one before the last is confirmed, and answers in the
//! order of sending.
//!
//! A lone confirm proves nothing while others are under way: the client library attaches a returned, that
//! is unroutable, message to whichever confirm it completes next. But the broker returns a message before
//! it confirms it, and the library completes one confirm after the other. So when a confirm comes without a
//! return, its message's own, if there is one, is attached to a confirm that was completed before. A confirm
//! is believed only after all others were looked at once more and none has brought a return. As soon as one
//! has, nothing more is sent; once every message under way is confirmed, every return is attached to some
//! confirm, and is matched by its own address and identity.
//!
//! One task per channel, for the library also numbers messages and sends them in two steps that concurrent
//! publishers could interleave. (<https://www.rabbitmq.com/docs/confirms>)

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::QueueError;
use super::answered::{answered, gone};
use super::broker::{Broker, unavailable};

/// Most messages under way on a channel.
const WINDOW: usize = 512;

/// Most rounds under way on a channel. With one, the broker has nothing to do while the next is made. Measurements on two
/// shared cores could not tell one, two and four apart; more made smaller rounds and cost the api more time.
const ROUNDS: usize = 2;

/// How often the oldest message under way is asked for its age.
const LOOK: Duration = Duration::from_millis(100);

/// The wait before messages are sent again after their channel failed.
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
    message: Arc<Outgoing>,
    answer: oneshot::Sender<Result<(), QueueError>>,
}

/// Where to hand in messages.
pub(super) struct Line {
    orders: mpsc::Sender<Order>,
    broker: Arc<Broker>,
    patience: Duration,
    /// Ends the task even while it waits for a connection.
    _end: DropGuard,
}

/// A message that was handed to the client library.
struct Flight<'c> {
    order: Order,
    /// Counts what was sent together.
    round: usize,
    begun: Instant,
    state: State<'c>,
}

enum State<'c> {
    UnderWay(BoxFuture<'c, Landing>),
    Landed(Landing),
}

/// How a publish ended.
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

/// Why nothing more is sent for now.
enum End {
    /// Everything is answered for.
    Idle,
    /// Everything is answered for; some messages came back.
    Returned,
    /// The channel failed, or does not answer.
    Failed,
}

impl Line {
    /// A line whose publishes wait at most `patience`.
    pub(super) fn new(broker: Arc<Broker>, patience: Duration) -> Self {
        let (orders, incoming) = mpsc::channel(2 * WINDOW);
        let end = CancellationToken::new();
        let working = run(broker.clone(), incoming, patience);
        tokio::spawn(end.clone().run_until_cancelled_owned(working));
        Self { orders, broker, patience, _end: end.drop_guard() }
    }

    /// Returns once `message` is on disk and in a queue. A broken connection in between is waited for,
    /// and the message sent again, as long as the line's patience lasts.
    pub(super) async fn publish(&self, message: Outgoing) -> Result<(), QueueError> {
        let published = async {
            let (answer, answered) = oneshot::channel();
            let order = Order { message: Arc::new(message), answer };
            let gone = |_| unavailable(&self.broker.place, "this process is shutting down");
            self.orders.send(order).await.map_err(|_| gone(()))?;
            answered.await.map_err(|_| gone(()))?
        };
        match timeout(self.patience, published).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.broker.late(self.patience)),
        }
    }
}

async fn run(broker: Arc<Broker>, mut incoming: mpsc::Receiver<Order>, patience: Duration) {
    let mut open: Option<Channel> = None;
    let mut waiting: Vec<Order> = Vec::new();
    loop {
        if waiting.is_empty() && incoming.recv_many(&mut waiting, WINDOW).await == 0 {
            return;
        }
        // Whoever gave up has been told so; sending it after all would only be a surprise.
        waiting.retain(|order| !order.answer.is_closed());
        if waiting.is_empty() {
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
        match carry(&channel, &mut waiting, &mut incoming, patience).await {
            End::Idle => open = Some(channel),
            // A new channel declares again what went missing, and knows nothing of late confirms.
            End::Returned => broker.doubt(),
            End::Failed => {
                broker.suspect();
                sleep(PAUSE).await;
            }
        }
    }
}

async fn confirming(broker: &Broker) -> Result<Channel, QueueError> {
    let channel = broker.channel().await?;
    let confirming = channel.confirm_select(ConfirmSelectOptions::default());
    answered(&channel, confirming).await.map_err(|source| broker.failed(source))?;
    Ok(channel)
}

/// Sends what is `waiting` and what comes in meanwhile, and answers for it, until nothing is under way. What
/// the broker has not answered for when the channel fails, or `patience` is over, is waiting again.
async fn carry(
    channel: &Channel,
    waiting: &mut Vec<Order>,
    incoming: &mut mpsc::Receiver<Order>,
    patience: Duration,
) -> End {
    let mut flights = Flights { channel, flying: VecDeque::new(), doubtful: false };
    // One clock and one watch over the channel for all: each message's own would cost more than it does.
    let mut clock = interval(LOOK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gone = pin!(gone(channel));
    loop {
        flights.begin(waiting.drain(..));
        let room = flights.room();
        let end = tokio::select! {
            biased;
            () = flights.news() => flights.settle(),
            // Nobody is left to be answered when the count is 0.
            count = incoming.recv_many(waiting, room), if room > 0 => (count == 0).then_some(End::Failed),
            () = &mut gone => Some(End::Failed),
            _ = clock.tick() => flights.are_older_than(patience).then_some(End::Failed),
        };
        match end {
            None => {}
            Some(End::Failed) => {
                waiting.splice(..0, flights.abandon());
                return End::Failed;
            }
            Some(end) => return end,
        }
    }
}

/// What is under way on one channel, in the order of sending.
struct Flights<'c> {
    channel: &'c Channel,
    flying: VecDeque<Flight<'c>>,
    /// Whether some confirm has brought a return.
    doubtful: bool,
}

impl<'c> Flights<'c> {
    fn begin(&mut self, orders: impl Iterator<Item = Order>) {
        let wanted = orders.filter(|order| !order.answer.is_closed());
        let round = self.flying.back().map_or(0, |last| last.round + 1);
        self.flying.extend(wanted.map(|order| Flight::begin(self.channel, order, round)));
    }

    /// How many more may be sent now.
    fn room(&self) -> usize {
        let rounds = match (self.flying.front(), self.flying.back()) {
            (Some(oldest), Some(newest)) => newest.round - oldest.round + 1,
            (None, _) | (_, None) => 0,
        };
        if self.doubtful || rounds >= ROUNDS { 0 } else { WINDOW.saturating_sub(self.flying.len()) }
    }

    fn are_older_than(&self, patience: Duration) -> bool {
        self.flying.front().is_some_and(|oldest| oldest.begun.elapsed() > patience)
    }

    /// Returns when there is something to [`Self::settle`]. Only what is waited for wakes the task.
    async fn news(&mut self) {
        poll_fn(|context| {
            let awaited = if self.doubtful { self.flying.len() } else { 1 };
            let mut awaited = self.flying.iter_mut().take(awaited);
            if awaited.all(|flight| flight.has_landed(context)) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Looks at everything again and again until there is nothing new. Whatever the library completed before
    /// something that has landed is known then.
    fn look(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut known = None;
        loop {
            let landed = self.flying.iter_mut().map(|flight| flight.has_landed(&mut context));
            let landed = Some(landed.filter(|landed| *landed).count());
            if landed == known {
                return;
            }
            known = landed;
        }
    }

    /// Answers for what is certain.
    fn settle(&mut self) -> Option<End> {
        self.look();
        if self.landings().any(|landing| landing.fate == Fate::Unknown) {
            return Some(End::Failed);
        }
        if self.landings().any(|landing| landing.returned.is_some()) {
            self.doubtful = true;
        }
        if self.doubtful {
            let all = self.landings().count() == self.flying.len();
            return all.then(|| {
                answer(self.flying.drain(..));
                End::Returned
            });
        }
        let certain = self.flying.iter().take_while(|flight| flight.landing().is_some()).count();
        answer(self.flying.drain(..certain));
        self.flying.is_empty().then_some(End::Idle)
    }

    /// Answers for what is certain although the channel failed, and gives back the rest.
    fn abandon(mut self) -> Vec<Order> {
        self.look();
        for flight in &mut self.flying {
            // Its own return may have been next.
            if let State::Landed(landing) = &mut flight.state
                && landing.returned.is_some()
            {
                landing.fate = Fate::Unknown;
            }
        }
        answer(self.flying.into_iter())
    }

    fn landings(&self) -> impl Iterator<Item = &Landing> {
        self.flying.iter().filter_map(Flight::landing)
    }
}

impl<'c> Flight<'c> {
    fn begin(channel: &'c Channel, order: Order, round: usize) -> Self {
        let state = State::UnderWay(publish(channel, order.message.clone()).boxed());
        let mut flight = Self { order, round, begun: Instant::now(), state };
        // The first look sends it. That it was written is no news worth waking for.
        flight.has_landed(&mut Context::from_waker(Waker::noop()));
        flight
    }

    fn has_landed(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.state {
            State::Landed(_) => true,
            State::UnderWay(publishing) => match publishing.poll_unpin(context) {
                Poll::Ready(landing) => {
                    self.state = State::Landed(landing);
                    true
                }
                Poll::Pending => false,
            },
        }
    }

    fn landing(&self) -> Option<&Landing> {
        match &self.state {
            State::Landed(landing) => Some(landing),
            State::UnderWay(_) => None,
        }
    }

    /// What was ordered, what became of it, and the return that came along.
    fn into_parts(self) -> (Order, Fate, Option<Box<BasicReturnMessage>>) {
        match self.state {
            State::Landed(Landing { fate, returned }) => (self.order, fate, returned),
            State::UnderWay(_) => (self.order, Fate::Unknown, None),
        }
    }
}

async fn publish(channel: &Channel, message: Arc<Outgoing>) -> Landing {
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
        Ok(Confirmation::NotRequested) => (Fate::Unknown, None),
        Err(error) => {
            tracing::debug!(%error, "publish failed");
            (Fate::Unknown, None)
        }
    };
    Landing { fate, returned: returned.map(Box::new) }
}

/// Answers for every message whose fate is known and gives back the orders of the others. `flights` are all that
/// a return among them may belong to.
fn answer<'c>(flights: impl Iterator<Item = Flight<'c>>) -> Vec<Order> {
    let mut returns = Vec::new();
    let fates: Vec<_> = flights
        .map(|flight| {
            let (order, fate, returned) = flight.into_parts();
            returns.extend(returned);
            (order, fate)
        })
        .collect();
    let mut unknown = Vec::new();
    for (order, fate) in fates {
        match outcome(fate, &order.message, &returns) {
            // Nobody may be waiting any longer; the publish stands all the same.
            Some(outcome) => drop(order.answer.send(outcome)),
            None => unknown.push(order),
        }
    }
    unknown
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
