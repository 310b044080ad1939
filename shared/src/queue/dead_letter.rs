//! What both backends say about a job that died: its row for operators, and its last error.
//!
//! Pure. The body of a dead letter may be anything that somebody put into the queue, so it is shown only
//! in part.

use jiff::Timestamp;

use super::DeadJob;
use crate::model::job::{Job, JobDecodeError, Lane};

/// Longest error text that is kept, in bytes: on a broker it travels in a header, and all headers of a
/// message must fit into one frame.
const ERROR_BYTES: usize = 2048;

/// How much of a message that is no job is shown, in characters.
const SUBJECT_CHARS: usize = 120;

/// What is known about a dead letter besides its body.
pub(crate) struct Death {
    /// The lane that it came from, if known.
    pub(crate) lane: Option<Lane>,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// The last error.
    pub(crate) error: String,
    /// When it died.
    pub(crate) died_at: Option<Timestamp>,
}

impl DeadJob {
    /// The row for the dead letter with this body.
    pub(crate) fn from_letter(body: &[u8], death: Death) -> Self {
        let job = Job::from_json(body).ok();
        let subject = job.as_ref().map_or_else(
            || {
                let start = &body[..body.len().min(SUBJECT_CHARS * 4)];
                String::from_utf8_lossy(start).chars().take(SUBJECT_CHARS).collect()
            },
            Job::subject,
        );
        Self {
            id: job.as_ref().map(|job| job.id),
            lane: job.map(|job| job.lane).or(death.lane),
            subject,
            attempts: death.attempts,
            error: death.error,
            died_at: death.died_at,
        }
    }
}

/// The error of a job that was delivered `deliveries` times and never settled.
pub(crate) fn never_settled(deliveries: u32) -> String {
    format!("delivered {deliveries} times and never settled: it may have killed its worker")
}

/// The error of a message that is not a job of this build.
pub(crate) fn undecodable(error: &JobDecodeError) -> String {
    match error {
        JobDecodeError::Malformed(cause) => kept_error(&format!("{error}: {cause}")),
        JobDecodeError::Version(_) => error.to_string(),
        JobDecodeError::Kind(_) => kept_error(&error.to_string()),
    }
}

/// `error`, cut to what is kept of it.
pub(crate) fn kept_error(error: &str) -> String {
    let end = (0..=error.len().min(ERROR_BYTES)).rev().find(|end| error.is_char_boundary(*end));
    error[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_any_length_is_kept_in_part() {
        assert_eq!(kept_error("short"), "short");
        assert_eq!(kept_error(&"ä".repeat(5000)).len(), ERROR_BYTES);
        assert!(kept_error(&"€".repeat(5000)).len() <= ERROR_BYTES);
    }

    #[test]
    fn a_message_that_is_no_job_is_shown_by_its_start() {
        let death = Death {
            lane: Some(Lane::Push),
            attempts: 1,
            error: "message is not a job".to_owned(),
            died_at: None,
        };
        let row = DeadJob::from_letter(&[0xff; 4096], death);
        assert_eq!(row.subject.chars().count(), SUBJECT_CHARS);
        assert_eq!((row.id, row.lane), (None, Some(Lane::Push)));
    }
}
