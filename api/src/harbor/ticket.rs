//! A scan's id: everything that its report needs, in letters that a path can hold.
//!
//! No replica has to remember a scan, and no store can lose one (I13). Nothing in it is secret, and whoever makes one
//! up may ask no more than with `GET /v1/reports`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Tag};
use shared::model::job::{Job, JobId};
use shared::model::report::{Report, Subject};

use super::request::ScanRequest;

/// What a scan was asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Makes each id another; also in the logs of the scan.
    #[serde(rename = "j")]
    pub(super) job: JobId,
    /// Under its canonical host.
    #[serde(rename = "i")]
    pub(super) image: ImageName,
    #[serde(rename = "d")]
    pub(super) digest: Digest,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<Tag>,
    #[serde(rename = "m")]
    pub(super) mime_type: String,
    #[serde(rename = "a")]
    pub(super) asked_at: Timestamp,
    /// When the digest could not be examined the last time: that failure is no answer to this scan.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(super) failed_before: Option<Timestamp>,
}

/// Ids that are given out are shorter.
const LONGEST: usize = 4096;
/// Harbor gives up after half an hour; only who asks later than that hears that there is nothing to come.
const PATIENCE: SignedDuration = SignedDuration::from_mins(35);

impl Ticket {
    pub(super) fn new(
        job: &Job,
        image: ImageName,
        asked: ScanRequest,
        failed_before: Option<Timestamp>,
    ) -> Self {
        let ScanRequest { image: _, digest, tag, mime_type } = asked;
        Self { job: job.id, image, digest, tag, mime_type, asked_at: job.enqueued_at, failed_before }
    }

    pub(super) fn to_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a ticket has only strings and numbers"))
    }

    pub(super) fn from_id(id: &str) -> Option<Self> {
        let bytes = Some(id).filter(|id| id.len() <= LONGEST).map(|id| URL_SAFE_NO_PAD.decode(id))?.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Whether a report answers this scan. A failure from before does not; facts from before do: they are kept
    /// current by the queued scan, and by every advisory update.
    pub(super) fn is_news(&self, report: &Report) -> bool {
        report.subject != Subject::Unreadable || self.failed_before != Some(report.scanned_at)
    }

    /// When to ask again, in seconds: soon at first. Harbor reads 1 to 127.
    pub(super) fn refresh_after(&self, now: Timestamp) -> i64 {
        (now.duration_since(self.asked_at).as_secs() / 10).clamp(2, 15)
    }

    /// Whether nobody should wait any longer.
    pub(super) fn is_hopeless(&self, now: Timestamp) -> bool {
        now.duration_since(self.asked_at) > PATIENCE
    }
}
