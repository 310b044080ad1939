//! What the broker itself can do: the same kind of message to the same kind of queue, confirmed one by one,
//! with as many in flight as the load has connections.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::load::CONNECTIONS;

/// A quorum queue of its own on the broker.
pub(crate) struct Broker {
    _connection: Connection,
    channel: Channel,
    queue: String,
}

impl Broker {
    /// Connects and declares the queue.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let queue = format!("bench-{}", std::process::id());
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), options, arguments).await?;
        Ok(Self { _connection: connection, channel, queue })
    }

    /// Publishes this message for a while; confirmed messages a second.
    pub(crate) async fn confirmed_rate(&self, message: &[u8], length: Duration) -> Result<f64> {
        let began = Instant::now();
        let mut running: FuturesUnordered<_> = (0..CONNECTIONS).map(|_| self.publish(message)).collect();
        let mut confirmed = 0_u64;
        while began.elapsed() < length {
            running.next().await.context("publishes are in flight")??;
            confirmed += 1;
            running.push(self.publish(message));
        }
        let rate = confirmed as f64 / began.elapsed().as_secs_f64();
        while let Some(published) = running.next().await {
            published?;
        }
        Ok(rate)
    }

    async fn publish(&self, message: &[u8]) -> Result<()> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let confirm = self
            .channel
            .basic_publish("".into(), self.queue.as_str().into(), options, message, properties)
            .await?
            .await?;
        ensure!(confirm.is_ack(), "the broker refused a message");
        Ok(())
    }

    /// Removes the queue and all that is in it.
    pub(crate) async fn remove(self) -> Result<()> {
        self.channel.queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default()).await?;
        Ok(())
    }
}
