//! What the broker itself can do with our jobs: a job as the api publishes it, to an exchange and a queue with the
//! settings of a lane, confirmed one by one, with as many in flight as the load has connections. No HTTP, no store:
//! the same client library, over a connection of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use shared::model::job::Job;

use crate::load::CONNECTIONS;

/// An exchange and a quorum queue of its own on the broker; both, and the routing key, have one name.
pub(crate) struct Broker {
    _connection: Connection,
    channel: Channel,
    name: ShortString,
}

impl Broker {
    /// Connects and declares what a lane has (`shared/src/queue/rabbitmq/topology.rs`).
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let name: ShortString = format!("bench-{}", std::process::id()).into();
        let text = |text: &str| AMQPValue::LongString(LongString::from(text));
        let mut settings = FieldTable::default();
        for (key, value) in [
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", AMQPValue::LongLongInt(20)),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("nobody")),
            ("x-overflow", text("reject-publish")),
            ("x-dead-letter-strategy", text("at-least-once")),
        ] {
            settings.insert(key.into(), value);
        }
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let nothing = FieldTable::default;
        channel.exchange_declare(name.clone(), ExchangeKind::Direct, durable, nothing()).await?;
        channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), settings).await?;
        let bound = QueueBindOptions::default();
        channel.queue_bind(name.clone(), name.clone(), name.clone(), bound, nothing()).await?;
        Ok(Self { _connection: connection, channel, name })
    }

    /// Publishes such a job again and again for a while; confirmed messages a second.
    pub(crate) async fn confirmed_rate(&self, job: &Job, length: Duration) -> Result<f64> {
        let mut headers = FieldTable::default();
        headers.insert("x-tidewaiter-attempt".into(), AMQPValue::LongLongInt(1));
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_headers(headers)
            .with_message_id(job.id.to_string().into());
        let (message, properties) = (&job.to_json()[..], &properties);
        let began = Instant::now();
        let publish = |_| self.publish(message, properties);
        let mut running: FuturesUnordered<_> = (0..CONNECTIONS).map(publish).collect();
        let mut confirmed = 0_u64;
        while began.elapsed() < length {
            running.next().await.context("publishes are in flight")??;
            confirmed += 1;
            running.push(self.publish(message, properties));
        }
        let rate = confirmed as f64 / began.elapsed().as_secs_f64();
        while let Some(published) = running.next().await {
            published?;
        }
        Ok(rate)
    }

    async fn publish(&self, message: &[u8], properties: &BasicProperties) -> Result<()> {
        let (exchange, key) = (self.name.clone(), self.name.clone());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = self.channel.basic_publish(exchange, key, options, message, properties.clone());
        ensure!(sent.await?.await?.is_ack(), "the broker refused a message");
        Ok(())
    }

    /// Removes the queue and all that is in it, and the exchange.
    pub(crate) async fn remove(self) -> Result<()> {
        self.channel.queue_delete(self.name.clone(), QueueDeleteOptions::default()).await?;
        self.channel.exchange_delete(self.name.clone(), ExchangeDeleteOptions::default()).await?;
        Ok(())
    }
}
