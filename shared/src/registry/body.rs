//! The body of an answer, piece by piece, from a server that may be slow, endless or cut off.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;

use crate::model::image::RegistryHost;
use crate::outgoing::Shown;

use super::config::Timeouts;
use super::error::{RegistryError, TransportError};

/// An answer whose body is still to come. Only time spent waiting for the server counts against it.
pub(super) struct Answer {
    response: Response,
    host: RegistryHost,
    what: String,
    window: Duration,
    bytes_per_window: u64,
    waited: Duration,
    received: u64,
    shown: Shown,
}

impl Answer {
    /// Wraps an answer to a question about `what`.
    pub(super) fn new(response: Response, host: &RegistryHost, what: &str, timeouts: &Timeouts) -> Self {
        Self {
            response,
            host: host.clone(),
            what: what.to_owned(),
            window: timeouts.window,
            bytes_per_window: timeouts.bytes_per_window(),
            waited: Duration::ZERO,
            received: 0,
            shown: Shown::default(),
        }
    }

    /// An answer to whoever has shown this, and does not want to hear it again.
    pub(super) fn to(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header as text, if it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name).map(HeaderValue::to_str)?.ok()
    }

    /// What `Content-Length` promises.
    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The next piece; `None` at the end. Fails if a window of waiting brought less than the least rate.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let started = Instant::now();
            let left = self.window.saturating_sub(self.waited);
            let arrived = tokio::time::timeout(left, self.response.chunk()).await;
            self.waited += started.elapsed();
            match arrived {
                Ok(Ok(piece)) => {
                    self.received += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
                    return Ok(piece);
                }
                Ok(Err(error)) => return Err(self.unavailable(TransportError::http(error))),
                Err(_) => self.judge_rate()?,
            }
        }
    }

    /// At the end of a window: enough, and the next one begins; or too little.
    fn judge_rate(&mut self) -> Result<(), RegistryError> {
        if self.received < self.bytes_per_window {
            let message = format!(
                "only {} bytes arrived in {} seconds of waiting",
                self.received,
                self.window.as_secs_f32()
            );
            return Err(self.unavailable(TransportError::new(message)));
        }
        self.waited = Duration::ZERO;
        self.received = 0;
        Ok(())
    }

    /// The whole body, if it has at most `limit` bytes.
    pub(super) async fn whole(mut self, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let too_large = |answer: &Self| RegistryError::TooLarge {
            what: answer.what.clone(),
            host: answer.host.clone(),
            limit,
        };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large(&self));
        }
        let mut body = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if (body.len() + piece.len()) as u64 > limit {
                return Err(too_large(&self));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    pub(super) fn unavailable(&self, source: TransportError) -> RegistryError {
        RegistryError::Unavailable { host: self.host.clone(), what: self.what.clone(), source }
    }
}
