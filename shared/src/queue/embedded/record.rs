//! One job as it lies in the file: a version byte, then postcard (<https://postcard.jamesmunns.com>).
//!
//! The body is the job's own JSON, so that what a newer build wrote stays what it was, and a dead letter
//! can be read by people. postcard cannot read a record that lacks a new last field: a change of
//! [`StoredRecord`] needs the next version. Version 2 adds the trace, and is written only for a job that has one, so
//! that a build before it can take over a file of a site that does not trace.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::dead_letter::kept_error;
use crate::model::job::{Job, Lane};
use crate::telemetry::traces::{TRACEPARENT, TRACESTATE, TraceContext};

const UNTRACED: u8 = 1;
const TRACED: u8 = 2;

/// A job and what the queue knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The lane that it belongs to.
    pub(super) lane: Lane,
    /// Which attempt its next delivery is, from 1; on a dead letter, how often it was tried.
    pub(super) attempt: u32,
    /// How often it was put off: a newer build wrote it, or somebody else was not ready for it.
    pub(super) deferrals: u32,
    /// The last error.
    pub(super) error: Option<String>,
    /// When it died.
    pub(super) died_at: Option<Timestamp>,
    /// The job as JSON, or whatever is there instead.
    pub(super) body: Vec<u8>,
    /// The span that published it: the values of `traceparent` and `tracestate`.
    pub(super) trace: Option<Trace>,
}

/// W3C trace context as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trace {
    parent: String,
    state: Option<String>,
}

/// The bytes of version 1.
#[derive(Serialize, Deserialize)]
struct StoredRecord {
    lane: u8,
    attempt: u32,
    deferrals: u32,
    error: Option<String>,
    died_at_ms: Option<i64>,
    body: Vec<u8>,
}

impl Record {
    /// A job that was never tried, published within this span.
    pub(super) fn new(job: &Job, trace: Option<&TraceContext>) -> Self {
        let trace = trace.and_then(|trace| {
            let mut headers = trace.headers();
            Some(Trace { parent: headers.remove(TRACEPARENT)?, state: headers.remove(TRACESTATE) })
        });
        Self { trace, ..Self::with_body(job.lane, job.to_json()) }
    }

    /// The span that published it.
    pub(super) fn trace_context(&self) -> Option<TraceContext> {
        let trace = self.trace.as_ref()?;
        TraceContext::read(|name| match name {
            TRACEPARENT => Some(&*trace.parent),
            TRACESTATE => trace.state.as_deref(),
            _ => None,
        })
    }

    /// Something in `lane` that was never tried.
    pub(super) fn with_body(lane: Lane, body: Vec<u8>) -> Self {
        Self { lane, attempt: 1, deferrals: 0, error: None, died_at: None, body, trace: None }
    }

    /// The record after one more failure.
    pub(super) fn after_failure(self, error: &str) -> Self {
        Self { attempt: self.attempt.saturating_add(1), error: Some(kept_error(error)), ..self }
    }

    /// The record, put off once more.
    pub(super) fn put_off(self, error: &str) -> Self {
        Self { deferrals: self.deferrals.saturating_add(1), error: Some(kept_error(error)), ..self }
    }

    /// The record of a job that died after `attempts`.
    pub(super) fn dead(self, attempts: u32, error: &str, now: Timestamp) -> Self {
        Self { attempt: attempts, error: Some(kept_error(error)), died_at: Some(now), ..self }
    }

    /// The bytes to store.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let stored = StoredRecord {
            lane: lane_number(self.lane),
            attempt: self.attempt,
            deferrals: self.deferrals,
            error: self.error.clone(),
            died_at_ms: self.died_at.map(Timestamp::as_millisecond),
            body: self.body.clone(),
        };
        let written = match &self.trace {
            None => postcard::to_extend(&stored, vec![UNTRACED]),
            Some(trace) => postcard::to_extend(&(stored, trace), vec![TRACED]),
        };
        written.expect("a record has only numbers and bytes")
    }

    /// Reads what [`Record::encode`] wrote, or `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (stored, trace): (StoredRecord, Option<Trace>) = match bytes.split_first()? {
            (&UNTRACED, rest) => (postcard::from_bytes(rest).ok()?, None),
            (&TRACED, rest) => {
                let (stored, trace): (StoredRecord, Trace) = postcard::from_bytes(rest).ok()?;
                (stored, Some(trace))
            }
            _ => return None,
        };
        Some(Self {
            lane: Lane::ALL.into_iter().find(|lane| lane_number(*lane) == stored.lane)?,
            attempt: stored.attempt,
            deferrals: stored.deferrals,
            error: stored.error,
            died_at: stored.died_at_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            body: stored.body,
            trace,
        })
    }
}

fn lane_number(lane: Lane) -> u8 {
    match lane {
        Lane::Urgent => 0,
        Lane::Push => 1,
        Lane::Background => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recorded_bytes_still_decode() {
        let untraced = Record {
            lane: Lane::Push,
            attempt: 3,
            deferrals: 1,
            error: Some("no".to_owned()),
            died_at: Some(Timestamp::from_millisecond(1_772_443_837_000).unwrap()),
            body: b"{}".to_vec(),
            trace: None,
        };
        let trace = Trace { parent: "00".to_owned(), state: Some("a=b".to_owned()) };
        let traced = Record { trace: Some(trace), ..untraced.clone() };
        for (record, recorded) in [
            (untraced, "01 010301 01026e6f 01 908995de956702 7b7d"),
            (traced, "02 010301 01026e6f 01 908995de956702 7b7d 023030 0103613d62"),
        ] {
            let recorded = hex::decode(recorded.replace(' ', "")).unwrap();
            assert_eq!(hex::encode(record.encode()), hex::encode(&recorded));
            assert_eq!(Record::decode(&recorded), Some(record));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_written_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(record) = Record::decode(&bytes) {
                prop_assert_eq!(Record::decode(&record.encode()), Some(record));
            }
        }
    }
}
