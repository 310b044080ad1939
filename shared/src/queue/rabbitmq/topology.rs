//! The exchanges and queues that this product keeps on a broker: their names, and how they are declared.
//!
//! ```text
//!  <prefix>.jobs (direct) ──urgent|push|background──▶ <prefix>.jobs.<lane>        quorum, delivery limit
//!        ▲                                                   │ limit exceeded, confirmed
//!        │ expired, confirmed, its lane as routing key       ▼
//!  <prefix>.jobs.retry.<delay> (fanout ▶ quorum, TTL)   <prefix>.jobs.dead        quorum
//!                                                       <prefix>.jobs.consumers   quorum, always empty
//!
//!  <prefix>.verdicts (topic) ──verdict.<decision>.<registry>.<repository>──▶ whatever anybody binds
//! ```
//!
//! Quorum queues with TTL and at-least-once dead lettering need RabbitMQ 3.10 or later
//! (<https://www.rabbitmq.com/docs/quorum-queues>). Declaring is idempotent, and fails when something of
//! the same name has other settings.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Channel, ExchangeKind};

use super::super::RetryRules;
use crate::model::job::Lane;

/// How traces name the broker (`messaging.system`).
pub(super) const SYSTEM: &str = "rabbitmq";

/// Looking at dead letters counts as a delivery, and since RabbitMQ 4.0 a queue without a limit of its
/// own forgets messages after 20 of them.
const DEAD_DELIVERY_LIMIT: i64 = 1_000_000_000;

/// The names below one prefix.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The exchange that routes jobs to their lanes, by the lane's name.
    pub(super) jobs: ShortString,
    /// The exchange that tells changed verdicts to whoever binds a queue to it.
    pub(super) verdicts: ShortString,
    /// Where jobs end that nobody could do.
    pub(super) dead: ShortString,
    /// Never holds a message: every taker of jobs consumes from it for as long as it lives, so that its
    /// count of consumers is the count of takers.
    pub(super) consumers: ShortString,
}

/// Why a prefix cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("prefix {0:?} must be 1 to 100 letters, digits, dots, dashes or underscores")]
pub(super) struct PrefixError(String);

impl Names {
    /// The names below `prefix`.
    pub(super) fn new(prefix: &str) -> Result<Self, PrefixError> {
        let fits = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if prefix.is_empty() || prefix.len() > 100 || !fits {
            return Err(PrefixError(prefix.chars().take(120).collect()));
        }
        let jobs = format!("{prefix}.jobs");
        Ok(Self {
            verdicts: format!("{prefix}.verdicts").into(),
            dead: format!("{jobs}.dead").into(),
            consumers: format!("{jobs}.consumers").into(),
            jobs: jobs.into(),
        })
    }

    /// The queue of one lane.
    pub(super) fn lane(&self, lane: Lane) -> ShortString {
        format!("{}.{lane}", self.jobs).into()
    }

    /// The exchange, and the queue behind it, where jobs wait for `delay`.
    pub(super) fn retry(&self, delay: Duration) -> ShortString {
        let millis = delay.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}.retry.{}s", self.jobs, millis / 1000).into()
        } else {
            format!("{}.retry.{millis}ms", self.jobs).into()
        }
    }

    /// The lane whose queue has this name.
    pub(super) fn lane_of(&self, queue: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| self.lane(*lane).as_str() == queue)
    }
}

/// The different delays of `rules`, shortest first.
pub(super) fn delays(rules: &RetryRules) -> Vec<Duration> {
    let mut delays = rules.tiers.clone();
    delays.sort();
    delays.dedup();
    delays
}

/// Declares everything on `channel`.
pub(super) async fn declare(
    channel: &Channel,
    names: &Names,
    rules: &RetryRules,
    delivery_limit: u32,
) -> lapin::Result<()> {
    declare_exchange(channel, &names.jobs, ExchangeKind::Direct).await?;
    declare_exchange(channel, &names.verdicts, ExchangeKind::Topic).await?;
    let unlimited = quorum([("x-delivery-limit", AMQPValue::LongLongInt(DEAD_DELIVERY_LIMIT))]);
    declare_queue(channel, &names.dead, unlimited).await?;
    declare_queue(channel, &names.consumers, quorum([])).await?;
    for lane in Lane::ALL {
        let queue = names.lane(lane);
        let settings = dead_lettering([
            ("x-delivery-limit", AMQPValue::LongLongInt(delivery_limit.into())),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(names.dead.as_str())),
        ]);
        declare_queue(channel, &queue, settings).await?;
        bind(channel, &queue, &names.jobs, lane.name()).await?;
    }
    for delay in delays(rules) {
        let name = names.retry(delay);
        let wait = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        // Without a routing key of its own the message keeps the one it came with: its lane.
        let settings = dead_lettering([
            ("x-message-ttl", AMQPValue::LongLongInt(wait)),
            ("x-dead-letter-exchange", text(names.jobs.as_str())),
        ]);
        declare_exchange(channel, &name, ExchangeKind::Fanout).await?;
        declare_queue(channel, &name, settings).await?;
        bind(channel, &name, &name, "").await?;
    }
    Ok(())
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn quorum<const N: usize>(settings: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (name, value) in settings {
        table.insert(name.into(), value);
    }
    table
}

/// A quorum queue that gives a message away only when the broker has confirmed it elsewhere.
fn dead_lettering<const N: usize>(settings: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = quorum(settings);
    table.insert("x-overflow".into(), text("reject-publish"));
    table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    table
}

async fn declare_exchange(channel: &Channel, name: &ShortString, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name.clone(), kind, options, FieldTable::default()).await
}

async fn declare_queue(channel: &Channel, name: &ShortString, settings: FieldTable) -> lapin::Result<()> {
    channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), settings).await.map(|_| ())
}

async fn bind(
    channel: &Channel,
    queue: &ShortString,
    exchange: &ShortString,
    key: &str,
) -> lapin::Result<()> {
    channel
        .queue_bind(
            queue.clone(),
            exchange.clone(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

/// Deletes everything that [`declare`] made, with all messages.
#[cfg(test)]
pub(super) async fn delete(channel: &Channel, names: &Names, rules: &RetryRules) -> lapin::Result<()> {
    use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

    let retries: Vec<_> = delays(rules).into_iter().map(|delay| names.retry(delay)).collect();
    let lanes = Lane::ALL.map(|lane| names.lane(lane));
    let others = [names.dead.clone(), names.consumers.clone()];
    for queue in retries.iter().chain(&lanes).chain(&others) {
        channel.queue_delete(queue.clone(), QueueDeleteOptions::default()).await?;
    }
    for exchange in retries.iter().chain([&names.jobs, &names.verdicts]) {
        channel.exchange_delete(exchange.clone(), ExchangeDeleteOptions::default()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_names_are_what_the_manual_says() {
        let names = Names::new("tidewaiter").unwrap();
        let lanes = Lane::ALL.map(|lane| names.lane(lane).to_string());
        assert_eq!(names.jobs.as_str(), "tidewaiter.jobs");
        assert_eq!(names.verdicts.as_str(), "tidewaiter.verdicts");
        assert_eq!(names.dead.as_str(), "tidewaiter.jobs.dead");
        assert_eq!(lanes, ["tidewaiter.jobs.urgent", "tidewaiter.jobs.push", "tidewaiter.jobs.background"]);
        for (millis, name) in [(2000, "2s"), (300_000, "300s"), (50, "50ms"), (1500, "1500ms")] {
            let expected = format!("tidewaiter.jobs.retry.{name}");
            assert_eq!(names.retry(Duration::from_millis(millis)).as_str(), expected);
        }
        assert_eq!(names.lane_of("tidewaiter.jobs.push"), Some(Lane::Push));
        assert_eq!(names.lane_of("tidewaiter.jobs.dead"), None);
    }

    #[test]
    fn a_prefix_that_could_break_a_name_is_refused() {
        for (prefix, accepted) in
            [("tidewaiter", true), ("site-1.eu_2", true), ("", false), ("a b", false), ("ü", false)]
        {
            assert_eq!(Names::new(prefix).is_ok(), accepted, "{prefix:?}");
        }
        assert!(Names::new(&"x".repeat(101)).is_err());
    }
}
