//! What an answer means that is not the one that was wanted: status and error body become one of our errors.
//!
//! Format of the body: distribution-spec "Error Codes".

use std::sync::Arc;

use oci_distribution::errors::OciEnvelope;

use crate::model::image::RegistryHost;

use super::body::Answer;
use super::error::{RegistryError, TransportError};
use super::retry::retry_after;

const LARGEST_ERROR_BODY: u64 = 16 << 10;
const LONGEST_DETAIL: usize = 300;

/// The error that an unwanted answer about `what` amounts to. 401 is for the caller, who can do something.
pub(super) async fn of(answer: Answer, host: &RegistryHost, what: &str) -> RegistryError {
    let status = answer.status();
    let (host, what) = (host.clone(), what.to_owned());
    let retry_after = retry_after(answer.headers(), jiff::Timestamp::now());
    match (status.as_u16(), retry_after) {
        (404 | 410, _) => RegistryError::NotFound { what, host },
        (403, _) => RegistryError::Denied { what, host, detail: detail(answer).await },
        (429, _) | (503, Some(_)) => RegistryError::RateLimited { host, retry_after },
        (408 | 425 | 500..=599, _) => RegistryError::Unavailable {
            what,
            host,
            source: TransportError::new(described(status, &detail(answer).await)),
        },
        _ => RegistryError::Malformed {
            what,
            host,
            source: Arc::new(TransportError::new(described(status, &detail(answer).await))),
        },
    }
}

fn described(status: reqwest::StatusCode, detail: &str) -> String {
    match detail {
        "" => format!("it answered {status}"),
        detail => format!("it answered {status}: {detail}"),
    }
}

/// The messages of the error body, made safe to show; empty if there are none.
async fn detail(answer: Answer) -> String {
    let shown_before = answer.shown().clone();
    let Ok(body) = answer.whole(LARGEST_ERROR_BODY).await else {
        return String::new();
    };
    let Ok(envelope) = serde_json::from_slice::<OciEnvelope>(&body) else {
        return String::new();
    };
    let messages: Vec<&str> = envelope
        .errors
        .iter()
        .map(|error| error.message.trim())
        .filter(|message| !message.is_empty())
        .collect();
    let shown = messages.join("; ");
    let visible = |character: &char| !character.is_control();
    let shown: String = shown.chars().filter(visible).collect();
    shown_before.without(&shown).chars().take(LONGEST_DETAIL).collect()
}
