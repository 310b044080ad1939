//! The queue's metrics, in one place so that both backends count the same things under the same names.

use std::time::Duration;

use super::{QueueError, Settlement};
use crate::model::job::Lane;

/// A publish ended, well or not, after `took`.
pub(crate) fn published(lane: Lane, took: Duration, outcome: &Result<(), QueueError>) {
    publish(lane.name(), took, outcome);
}

/// A publish to whoever binds a queue ended, well or not, after `took`.
pub(crate) fn told(took: Duration, outcome: &Result<(), QueueError>) {
    publish("topic", took, outcome);
}

fn publish(lane: &'static str, took: Duration, outcome: &Result<(), QueueError>) {
    let outcome = match outcome {
        Ok(()) => "confirmed",
        Err(QueueError::Unavailable { .. }) => "unavailable",
        Err(QueueError::NotConfirmed(_)) => "not_confirmed",
        Err(QueueError::Refused(_)) => "refused",
        Err(QueueError::Stale(_)) => "stale",
        Err(QueueError::Unusable { .. }) => "unusable",
    };
    metrics::counter!("tidewaiter_queue_publishes_total", "lane" => lane, "outcome" => outcome).increment(1);
    metrics::histogram!("tidewaiter_queue_publish_seconds").record(took.as_secs_f64());
}

/// A job was handed to somebody.
pub(crate) fn delivered(lane: Lane) {
    metrics::counter!("tidewaiter_queue_deliveries_total", "lane" => lane.name()).increment(1);
}

/// A delivery was settled.
pub(crate) fn settled(settlement: &Settlement) {
    let kind = match settlement {
        Settlement::Done => "done",
        Settlement::Retry { .. } => "retry",
        Settlement::Postpone { .. } => "postpone",
        Settlement::Bury { .. } => "bury",
        Settlement::HandBack => "hand_back",
    };
    metrics::counter!("tidewaiter_queue_settlements_total", "kind" => kind).increment(1);
}

/// A job became a dead letter, for whatever reason: somebody has to look at it.
pub(crate) fn buried() {
    metrics::counter!("tidewaiter_queue_buried_total").increment(1);
}

/// A delivery could not be settled because it was no longer ours; it comes again.
pub(crate) fn stale() {
    metrics::counter!("tidewaiter_queue_stale_settlements_total").increment(1);
}

/// A delivery was dropped without a word.
pub(crate) fn dropped() {
    metrics::counter!("tidewaiter_queue_dropped_deliveries_total").increment(1);
}

/// The connection to the broker, or the file, was opened again after it had failed.
pub(crate) fn recovered() {
    metrics::counter!("tidewaiter_queue_recoveries_total").increment(1);
}
