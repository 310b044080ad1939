//! The topic exchange `<prefix>.verdicts`: what is said there reaches every queue that anybody bound with a
//! matching pattern, and nobody where nobody did.
//!
//! One message may have several routing keys. The first is the message's own, the others go into its `CC`
//! header, which RabbitMQ routes by as well: however many keys of a message match, a queue gets it once
//! (<https://www.rabbitmq.com/docs/sender-selected>).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};

use super::super::{QueueError, meters};
use super::broker::Broker;
use super::line::{Line, Outgoing, Routing};
use super::message::PERSISTENT;

/// What AMQP 0-9-1 allows for a routing key, in bytes.
const LONGEST_KEY: usize = 255;

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Identity, the same for every repetition.
    pub id: String,
    /// Routing keys; those of more than 255 bytes are cut.
    pub keys: Vec<String>,
    /// What the body is.
    pub media_type: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// What is told.
    pub body: Vec<u8>,
}

/// Tells changed verdicts to whoever binds a queue.
pub struct Topic {
    line: Line,
    exchange: ShortString,
}

impl Topic {
    /// Over `broker`, waiting at most `patience` for each confirm.
    pub(super) fn new(broker: Arc<Broker>, patience: Duration) -> Self {
        Self { exchange: broker.names.verdicts.clone(), line: Line::new(broker, patience) }
    }

    /// Returns once the broker has confirmed that every queue that wants the notice has it; perhaps none does.
    pub async fn publish(&self, notice: &Notice) -> Result<(), QueueError> {
        let begun = Instant::now();
        let outcome = self.line.publish(self.outgoing(notice)).await;
        meters::told(begun.elapsed(), &outcome);
        outcome
    }

    fn outgoing(&self, notice: &Notice) -> Outgoing {
        let mut keys = notice.keys.iter().map(|key| cut(key));
        let routing_key = keys.next().unwrap_or_default();
        let others: Vec<_> = keys.map(|key| AMQPValue::LongString(LongString::from(key))).collect();
        let mut headers = FieldTable::default();
        if !others.is_empty() {
            headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(others)));
        }
        let properties = BasicProperties::default()
            .with_content_type(notice.media_type.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(cut(&notice.id).into())
            .with_timestamp(u64::try_from(notice.at.as_second()).unwrap_or_default())
            .with_headers(headers);
        Outgoing {
            exchange: self.exchange.clone(),
            routing_key: routing_key.into(),
            routing: Routing::Optional,
            body: notice.body.clone(),
            properties,
        }
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST_KEY)).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}
