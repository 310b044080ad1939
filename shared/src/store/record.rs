//! How values look at rest, in both backends.
//!
//! | value | bytes |
//! |---|---|
//! | report | a head and parts, see [`report`] |
//! | verdict | JSON `{"v":1,"verdict":…}` |
//! | change of a verdict | JSON `{"v":1,"change":…}`; its place is its key |
//! | pending marker | JSON `{"v":1,"since":…,"until":…,"until_ms":…}`; `until_ms` is for Lua, which reads no dates |
//! | place of a sighting | JSON `{"registry":…,"repository":…,"tag":…}`, always in this order: its bytes are its identity |
//!
//! Bytes at rest outlive the build that wrote them: recorded values of every version are kept beside the
//! tests and must decode for ever. A version that this build does not know is an error, never a guess.

use std::io::{self, Read};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Sighting, StoreError};
use crate::model::change::Change;
use crate::model::digest::Digest;
use crate::model::image::ImageName;
use crate::model::report::ScanRevisions;
use crate::model::verdict::{Pending, Verdict};

pub(crate) mod report;

/// The most sightings that are kept of one digest.
pub(super) const MOST_SIGHTINGS: usize = 64;

/// The most changes that are kept of one digest, of all policies together.
pub(super) const MOST_CHANGES: usize = 256;
/// The most changes that the feed keeps.
pub(super) const LONGEST_FEED: usize = 10_000;

/// The most bytes of JSON that a report may have; a real image of 10,000 packages has about 20 MiB.
const LARGEST_REPORT: u64 = 256 << 20;
/// The most bytes of JSON that a verdict may have; its reasons are bounded, so it stays far below.
const LARGEST_VERDICT: usize = 16 << 20;

const VERDICT_VERSION: u8 = 1;
const PENDING_VERSION: u8 = 1;
const CHANGE_VERSION: u8 = 1;

/// 8 MiB: more than that level writes, and what a forged frame may make us allocate.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a value cannot be stored or read back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("it is empty")]
    Empty,
    #[error("it has version {0}, which this build does not know")]
    Version(u8),
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error("it cannot be decompressed: {0}")]
    Compression(io::Error),
    #[error("it is not the JSON that was expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is about {0}")]
    Misplaced(Digest),
    #[error("{0}")]
    Torn(&'static str),
}

impl RecordError {
    /// For callers who must know that a value exists that they cannot have.
    pub(super) fn unreadable(&self, what: &'static str, digest: &Digest) -> StoreError {
        StoreError::Unreadable { what, digest: digest.clone(), reason: self.to_string() }
    }
}

fn inflate(frame: &[u8], limit: u64) -> Result<Vec<u8>, RecordError> {
    let mut decoder = zstd::Decoder::with_buffer(frame).map_err(RecordError::Compression)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(RecordError::Compression)?;
    let mut json = Vec::new();
    decoder.take(limit + 1).read_to_end(&mut json).map_err(RecordError::Compression)?;
    if json.len() as u64 > limit {
        return Err(RecordError::TooLarge(limit));
    }
    Ok(json)
}

#[derive(Serialize)]
struct VerdictOut<'a> {
    v: u8,
    verdict: &'a Verdict,
}

#[derive(Deserialize)]
struct VerdictIn<'a> {
    v: u8,
    #[serde(borrow)]
    verdict: &'a RawValue,
}

/// The bytes of a verdict.
pub(crate) fn encode_verdict(verdict: &Verdict) -> Result<Vec<u8>, RecordError> {
    let v = VERDICT_VERSION;
    let bytes = serde_json::to_vec(&VerdictOut { v, verdict })?;
    if bytes.len() > LARGEST_VERDICT {
        return Err(RecordError::TooLarge(LARGEST_VERDICT as u64));
    }
    Ok(bytes)
}

/// The verdict about `digest` from its bytes.
pub(crate) fn decode_verdict(digest: &Digest, bytes: &[u8]) -> Result<Verdict, RecordError> {
    if bytes.len() > LARGEST_VERDICT {
        return Err(RecordError::TooLarge(LARGEST_VERDICT as u64));
    }
    let stored: VerdictIn<'_> = serde_json::from_slice(bytes)?;
    if stored.v != VERDICT_VERSION {
        return Err(RecordError::Version(stored.v));
    }
    let verdict: Verdict = serde_json::from_str(stored.verdict.get())?;
    if verdict.digest != *digest {
        return Err(RecordError::Misplaced(verdict.digest));
    }
    Ok(verdict)
}

#[derive(Serialize)]
struct ChangeOut<'a> {
    v: u8,
    change: &'a Change,
}

#[derive(Deserialize)]
struct ChangeIn {
    v: u8,
    change: serde_json::Value,
}

/// The bytes of a change.
pub(crate) fn encode_change(change: &Change) -> Vec<u8> {
    let stored = ChangeOut { v: CHANGE_VERSION, change };
    serde_json::to_vec(&stored).expect("a change has only strings and numbers")
}

/// A change from its bytes.
pub(crate) fn decode_change(bytes: &[u8]) -> Result<Change, RecordError> {
    if bytes.len() > LARGEST_VERDICT {
        return Err(RecordError::TooLarge(LARGEST_VERDICT as u64));
    }
    let stored: ChangeIn = serde_json::from_slice(bytes)?;
    if stored.v != CHANGE_VERSION {
        return Err(RecordError::Version(stored.v));
    }
    Ok(serde_json::from_value(stored.change)?)
}

/// What verdicts change for people, where these stood before; one that cannot be read counts as none. Where none stands
/// here, `stood` did.
pub(super) fn changes<'a>(
    digest: &Digest,
    verdicts: impl Iterator<Item = (&'a Verdict, Option<&'a [u8]>)>,
    stood: &[Verdict],
) -> Vec<Change> {
    let change = |(verdict, before): (&Verdict, Option<&[u8]>)| {
        let here = before.and_then(|bytes| decode_verdict(digest, bytes).ok());
        let elsewhere = || stood.iter().find(|stood| stood.policy == verdict.policy);
        Change::between(here.as_ref().or_else(elsewhere), verdict)
    };
    verdicts.filter_map(change).collect()
}

/// Revisions as one text that is equal exactly if they are; kept beside the verdicts so that nobody has
/// to inflate the report to compare.
pub(super) fn revisions_text(revisions: &ScanRevisions) -> String {
    let parts =
        [revisions.analyzer.as_str(), revisions.database.as_str(), &revisions.database_as_of.to_string()];
    serde_json::to_string(&parts).expect("three texts are always JSON")
}

#[derive(Serialize, Deserialize)]
struct StoredPending {
    v: u8,
    since: Timestamp,
    until: Timestamp,
    until_ms: i64,
}

/// The bytes of a pending marker.
pub(crate) fn encode_pending(pending: Pending) -> Vec<u8> {
    let stored = StoredPending {
        v: PENDING_VERSION,
        since: pending.since,
        until: pending.until,
        until_ms: pending.until.as_millisecond(),
    };
    serde_json::to_vec(&stored).expect("numbers and dates are always JSON")
}

/// A pending marker from its bytes.
pub(crate) fn decode_pending(bytes: &[u8]) -> Result<Pending, RecordError> {
    let stored: StoredPending = serde_json::from_slice(bytes)?;
    if stored.v != PENDING_VERSION {
        return Err(RecordError::Version(stored.v));
    }
    Ok(Pending { since: stored.since, until: stored.until })
}

#[derive(Serialize, Deserialize)]
struct StoredPlace {
    registry: String,
    repository: String,
    tag: Option<String>,
}

/// The identity of a sighting: image and tag, without the time.
pub(crate) fn encode_place(sighting: &Sighting) -> String {
    let stored = StoredPlace {
        registry: sighting.image.registry.as_str().to_owned(),
        repository: sighting.image.repository.as_str().to_owned(),
        tag: sighting.tag.as_ref().map(|tag| tag.as_str().to_owned()),
    };
    serde_json::to_string(&stored).expect("texts are always JSON")
}

/// A sighting from its identity and time in microseconds. `None` for what no build of ours wrote.
pub(crate) fn decode_place(place: &str, seen_us: i64) -> Option<Sighting> {
    let stored: StoredPlace = serde_json::from_str(place).ok()?;
    Some(Sighting {
        image: ImageName {
            registry: stored.registry.parse().ok()?,
            repository: stored.repository.parse().ok()?,
        },
        tag: stored.tag.map(|tag| tag.parse()).transpose().ok()?,
        seen_at: Timestamp::from_microsecond(seen_us).ok()?,
    })
}

#[cfg(test)]
mod tests;
