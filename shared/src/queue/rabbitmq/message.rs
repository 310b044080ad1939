//! One message as it travels: the job's JSON as body, what the queue knows about it in headers.
//!
//! | header | means |
//! |---|---|
//! | `x-tidewaiter-attempt` | which attempt the next delivery is, from 1, redeliveries by the broker not counted |
//! | `x-tidewaiter-deferrals` | how often a worker put it off: a newer build wrote it, or somebody else was not ready for it |
//! | `x-tidewaiter-error` | the last error |
//! | `x-tidewaiter-lane`, `x-tidewaiter-died-at` | on dead letters: where it came from, and when it died (RFC 3339) |
//! | `traceparent`, `tracestate` | W3C trace context, carried along |
//!
//! Besides, the broker writes `x-delivery-count` and, since 4.3, `x-acquired-count` (redeliveries), and
//! `x-death` on messages that it moved itself (<https://www.rabbitmq.com/docs/dlx>).

use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::super::dead_letter::{Death, kept_error, never_settled};
use super::topology::Names;
use crate::model::job::{Job, Lane};
use crate::telemetry::traces::{TRACEPARENT, TRACESTATE, TraceContext};

const ATTEMPT: &str = "x-tidewaiter-attempt";
const DEFERRALS: &str = "x-tidewaiter-deferrals";
const ERROR: &str = "x-tidewaiter-error";
const LANE: &str = "x-tidewaiter-lane";
const DIED_AT: &str = "x-tidewaiter-died-at";
const CARRIED: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// Longest value that passes through: all headers of a message must fit into one frame.
const CARRIED_BYTES: usize = 512;

/// Delivery mode 2: the message is written to disk.
pub(super) const PERSISTENT: u8 = 2;

/// A message apart from where it comes from or goes to.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// The job as JSON, or whatever somebody put into the queue.
    pub(super) body: Vec<u8>,
    /// The job's identity as text.
    pub(super) id: Option<ShortString>,
    /// Which attempt its next delivery is.
    pub(super) attempt: u32,
    /// How often it was put off.
    pub(super) deferrals: u32,
    /// The last error.
    pub(super) error: Option<String>,
    /// Headers that pass through.
    carried: FieldTable,
}

impl Message {
    /// A job that was never tried, published within this span.
    pub(super) fn new(job: &Job, trace: Option<&TraceContext>) -> Self {
        let mut carried = FieldTable::default();
        for (name, value) in trace.map(TraceContext::headers).unwrap_or_default() {
            carried.insert(name.into(), text(&value));
        }
        Self {
            body: job.to_json(),
            id: Some(job.id.to_string().into()),
            attempt: 1,
            deferrals: 0,
            error: None,
            carried,
        }
    }

    /// What was delivered, with the broker's redeliveries counted as attempts.
    pub(super) fn delivered(delivery: &mut lapin::message::Delivery) -> Self {
        let properties = &delivery.properties;
        let headers = properties.headers().as_ref();
        let mut carried = FieldTable::default();
        for name in CARRIED {
            if let Some(value) = string(headers, name).filter(|value| value.len() <= CARRIED_BYTES) {
                carried.insert(name.into(), text(&value));
            }
        }
        let redelivered = number(headers, "x-delivery-count").max(number(headers, "x-acquired-count"));
        Self {
            id: properties.message_id().clone(),
            attempt: number(headers, ATTEMPT).max(1).saturating_add(redelivered),
            deferrals: number(headers, DEFERRALS),
            error: string(headers, ERROR),
            carried,
            body: std::mem::take(&mut delivery.data),
        }
    }

    /// The span that published it.
    pub(super) fn trace(&self) -> Option<TraceContext> {
        let value = |name: &str| match self.carried.inner().get(name)? {
            AMQPValue::LongString(text) => str::from_utf8(text.as_bytes()).ok(),
            _ => None,
        };
        TraceContext::read(value)
    }

    /// The same job with a fresh count of attempts.
    pub(super) fn afresh(self) -> Self {
        Self { attempt: 1, deferrals: 0, error: None, ..self }
    }

    /// The same message, put off once more.
    pub(super) fn put_off(self) -> Self {
        Self { deferrals: self.deferrals.saturating_add(1), ..self }
    }

    /// The same message, put off once more because of `error`.
    pub(super) fn put_off_for(self, error: &str) -> Self {
        Self { error: Some(kept_error(error)), ..self.put_off() }
    }

    /// The message after one more failure.
    pub(super) fn after_failure(&self, attempt: u32, error: &str) -> Self {
        Self { attempt: attempt.saturating_add(1), error: Some(kept_error(error)), ..self.clone() }
    }

    /// The properties to publish it with.
    pub(super) fn properties(&self) -> BasicProperties {
        let mut headers = self.carried.clone();
        headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(self.attempt.into()));
        if self.deferrals > 0 {
            headers.insert(DEFERRALS.into(), AMQPValue::LongLongInt(self.deferrals.into()));
        }
        if let Some(error) = &self.error {
            headers.insert(ERROR.into(), text(error));
        }
        self.stamped(headers)
    }

    /// The properties of a dead letter.
    pub(super) fn dead_properties(&self, lane: Lane, attempts: u32, now: Timestamp) -> BasicProperties {
        let mut headers = self.carried.clone();
        headers.insert(ATTEMPT.into(), AMQPValue::LongLongInt(attempts.into()));
        headers.insert(ERROR.into(), text(self.error.as_deref().unwrap_or_default()));
        headers.insert(LANE.into(), text(lane.name()));
        headers.insert(DIED_AT.into(), text(&now.to_string()));
        self.stamped(headers)
    }

    fn stamped(&self, headers: FieldTable) -> BasicProperties {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_headers(headers);
        match &self.id {
            Some(id) => properties.with_message_id(id.clone()),
            None => properties,
        }
    }
}

/// What the headers of a dead letter say about its death, whether we or the broker buried it.
pub(super) fn death(properties: &BasicProperties, names: &Names, delivery_limit: u32) -> Death {
    let headers = properties.headers().as_ref();
    let attempt = number(headers, ATTEMPT).max(1);
    if let Some(error) = string(headers, DIED_AT).and_then(|_| string(headers, ERROR)) {
        let lane = string(headers, LANE);
        return Death {
            lane: Lane::ALL.into_iter().find(|known| lane.as_deref() == Some(known.name())),
            attempts: attempt,
            error,
            died_at: string(headers, DIED_AT).and_then(|at| at.parse().ok()),
        };
    }
    let newest = headers
        .and_then(|headers| headers.inner().get("x-death"))
        .and_then(AMQPValue::as_array)
        .and_then(|deaths| deaths.as_slice().first())
        .and_then(AMQPValue::as_field_table);
    let reason = string(newest, "reason").unwrap_or_else(|| "unknown reason".to_owned());
    let deliveries = attempt.saturating_add(delivery_limit);
    Death {
        lane: string(newest, "queue").and_then(|queue| names.lane_of(&queue)),
        attempts: if reason == "delivery_limit" { deliveries } else { attempt },
        error: match reason.as_str() {
            "delivery_limit" => never_settled(deliveries),
            other => format!("the broker moved it here: {other}"),
        },
        died_at: newest
            .and_then(|death| death.inner().get("time"))
            .and_then(AMQPValue::as_timestamp)
            .and_then(|seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok()),
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn string(table: Option<&FieldTable>, name: &str) -> Option<String> {
    match table?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A count, whatever integer type its writer chose; 0 when it is missing or no count.
fn number(table: Option<&FieldTable>, name: &str) -> u32 {
    let value = table.and_then(|table| table.inner().get(name));
    let wide: i64 = match value {
        Some(AMQPValue::ShortShortInt(n)) => (*n).into(),
        Some(AMQPValue::ShortShortUInt(n)) => (*n).into(),
        Some(AMQPValue::ShortInt(n)) => (*n).into(),
        Some(AMQPValue::ShortUInt(n)) => (*n).into(),
        Some(AMQPValue::LongInt(n)) => (*n).into(),
        Some(AMQPValue::LongUInt(n)) => (*n).into(),
        Some(AMQPValue::LongLongInt(n)) => *n,
        _ => 0,
    };
    u32::try_from(wide.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}
