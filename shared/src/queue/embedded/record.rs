//! One job as it lies in the file: version byte 1, then postcard (<https://postcard.jamesmunns.com>).
//!
//! The body is the job's own JSON, so that what a newer build wrote stays what it was, and a dead letter
//! can be read by people. postcard cannot read a record that lacks a new last field: a change of
//! [`StoredRecord`] needs the next version.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::dead_letter::kept_error;
use crate::model::job::{Job, Lane};

const VERSION: u8 = 1;

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
    /// A job that was never tried.
    pub(super) fn new(job: &Job) -> Self {
        Self::with_body(job.lane, job.to_json())
    }

    /// Something in `lane` that was never tried.
    pub(super) fn with_body(lane: Lane, body: Vec<u8>) -> Self {
        Self { lane, attempt: 1, deferrals: 0, error: None, died_at: None, body }
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
        postcard::to_extend(&stored, vec![VERSION]).expect("a record has only numbers and bytes")
    }

    /// Reads what [`Record::encode`] wrote, or `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (VERSION, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let stored: StoredRecord = postcard::from_bytes(rest).ok()?;
        Some(Self {
            lane: Lane::ALL.into_iter().find(|lane| lane_number(*lane) == stored.lane)?,
            attempt: stored.attempt,
            deferrals: stored.deferrals,
            error: stored.error,
            died_at: stored.died_at_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            body: stored.body,
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
    fn recorded_version_1_bytes_still_decode() {
        let record = Record {
            lane: Lane::Push,
            attempt: 3,
            deferrals: 1,
            error: Some("no".to_owned()),
            died_at: Some(Timestamp::from_millisecond(1_772_443_837_000).unwrap()),
            body: b"{}".to_vec(),
        };
        let recorded = "01010301 01026e6f 01 908995de956702 7b7d";
        let recorded = hex::decode(recorded.replace(' ', "")).unwrap();
        assert_eq!(hex::encode(record.encode()), hex::encode(&recorded));
        assert_eq!(Record::decode(&recorded), Some(record));
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
