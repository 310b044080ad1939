//! A blob as a stream that survives broken connections.
//!
//! A transfer that ends early is resumed with `Range` (RFC 9110 §14); where the server answers with the
//! whole blob instead, what was already delivered is skipped. Nothing is verified here: whoever reads hashes
//! what was delivered, resumed or not, and compares at the end (I5).

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use crate::model::document::Descriptor;
use crate::model::image::Repository;

use super::auth::Scope;
use super::body::Answer;
use super::connection::Connection;
use super::error::{RegistryError, TransportError};
use super::http::Question;
use super::refusal;
use super::retry::pause;

/// After so many new bytes a broken connection counts as the first again.
const FORGIVEN_AFTER: u64 = 8 << 20;

/// How to go on after a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resumption {
    ByRange,
    /// The server's ranges cannot be relied on.
    FromStart,
}

/// Reads a blob; ends after its size, or one byte later if the server sends more than the descriptor says.
pub struct BlobReader {
    connection: Arc<Connection>,
    question: Question,
    scope: Scope,
    size: u64,
    body: Answer,
    /// Where in the blob the body begins.
    begins_at: u64,
    /// How many of the body's next bytes were delivered before.
    skip: u64,
    delivered: u64,
    breaks: u32,
    delivered_at_break: u64,
    resumption: Resumption,
    _turn: OwnedSemaphorePermit,
}

/// A body, and where in the blob it begins.
struct Begun {
    body: Answer,
    begins_at: u64,
}

impl BlobReader {
    /// Asks for the blob; returns when the registry begins to answer.
    pub(super) async fn open(
        connection: Arc<Connection>,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Self, RegistryError> {
        let turn = connection.blob_turn().await;
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        let what = format!("blob {} of {repository}", descriptor.digest);
        let question = connection.question(Method::GET, &path, &what);
        let scope = Scope::Pull(repository.clone());
        let begun = connection
            .repeated(&question.what, || begin(&connection, &question, &scope, descriptor.size))
            .await?;
        Ok(Self {
            connection,
            question,
            scope,
            size: descriptor.size,
            body: begun.body,
            begins_at: begun.begins_at,
            skip: 0,
            delivered: 0,
            breaks: 0,
            delivered_at_break: 0,
            resumption: Resumption::ByRange,
            _turn: turn,
        })
    }

    /// The next bytes, in pieces as they come; `None` at the end. Drop one before asking for the next: then the client
    /// uses its memory again.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let missing = (self.size.saturating_add(1)).saturating_sub(self.delivered);
            if missing == 0 || (missing == 1 && self.body_is_over()) {
                return Ok(None);
            }
            match self.body.chunk().await {
                Ok(Some(mut piece)) => {
                    let known = usize::try_from(self.skip).map_or(piece.len(), |skip| skip.min(piece.len()));
                    self.skip -= known as u64;
                    let mut piece = piece.split_off(known);
                    piece.truncate(usize::try_from(missing).unwrap_or(usize::MAX));
                    self.delivered += piece.len() as u64;
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                }
                Ok(None) if self.delivered >= self.size => return Ok(None),
                Ok(None) => self.resume(self.ended_early()).await?,
                // Complete, and the server merely failed to say so properly.
                Err(_) if self.delivered >= self.size => return Ok(None),
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// Whether the server promised exactly what has arrived, so that nothing can follow.
    fn body_is_over(&self) -> bool {
        self.body.length().is_some_and(|length| self.begins_at.saturating_add(length) == self.size)
    }

    /// A body that ended in good order before the size of the descriptor: the blob is another one.
    fn ended_early(&self) -> RegistryError {
        match self.body.length() {
            Some(_) => RegistryError::DigestMismatch {
                what: self.question.what.clone(),
                host: self.connection.host().clone(),
            },
            None => self.body.unavailable(TransportError::new(format!(
                "the transfer ended after {} of {} bytes",
                self.delivered, self.size
            ))),
        }
    }

    /// Begins again where the transfer broke, or gives up with `cause`.
    async fn resume(&mut self, cause: RegistryError) -> Result<(), RegistryError> {
        let mut cause = cause;
        loop {
            if self.delivered.saturating_sub(self.delivered_at_break) >= FORGIVEN_AFTER {
                self.breaks = 0;
            }
            self.delivered_at_break = self.delivered;
            let config = self.connection.config();
            let wait = pause(&cause, &config.timeouts, self.breaks);
            let Some(wait) = wait.filter(|_| self.breaks < config.retries) else {
                return Err(cause);
            };
            self.breaks += 1;
            tracing::debug!(error = %cause, size_bytes = self.delivered, "blob transfer resumed");
            tokio::time::sleep(wait).await;
            self.question.offset = match self.resumption {
                Resumption::ByRange => self.delivered,
                Resumption::FromStart => 0,
            };
            match begin(&self.connection, &self.question, &self.scope, self.size).await {
                Ok(begun) => {
                    self.body = begun.body;
                    self.begins_at = begun.begins_at;
                    self.skip = self.delivered - begun.begins_at;
                    return Ok(());
                }
                Err(error) if is_about_ranges(&error, self.question.offset) => {
                    self.resumption = Resumption::FromStart;
                }
                Err(error) => cause = error,
            }
        }
    }
}

/// Whether asking without a range may help: it was asked with one, and the answer made no sense.
fn is_about_ranges(error: &RegistryError, offset: u64) -> bool {
    match error {
        RegistryError::Malformed { .. } => offset > 0,
        RegistryError::NotConfigured(_)
        | RegistryError::Configuration { .. }
        | RegistryError::Credentials { .. }
        | RegistryError::NotFound { .. }
        | RegistryError::Unauthorized { .. }
        | RegistryError::Denied { .. }
        | RegistryError::RateLimited { .. }
        | RegistryError::Unavailable { .. }
        | RegistryError::Proxy { .. }
        | RegistryError::TooLarge { .. }
        | RegistryError::DigestMismatch { .. }
        | RegistryError::Refused { .. } => false,
    }
}

/// Asks for the blob from the question's offset on.
async fn begin(
    connection: &Connection,
    question: &Question,
    scope: &Scope,
    size: u64,
) -> Result<Begun, RegistryError> {
    let answer = connection.ask(question, scope).await?;
    let malformed = |message: &str| RegistryError::Malformed {
        what: question.what.clone(),
        host: connection.host().clone(),
        source: Arc::new(TransportError::new(message)),
    };
    if answer.header("content-encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(malformed("the answer has a content encoding that nobody asked for"));
    }
    match answer.status() {
        StatusCode::OK => Ok(Begun { body: answer, begins_at: 0 }),
        StatusCode::PARTIAL_CONTENT if question.offset > 0 => {
            let range = answer.header("content-range").unwrap_or_default();
            if is_rest(range, question.offset, size) {
                Ok(Begun { body: answer, begins_at: question.offset })
            } else {
                Err(malformed("the answer has another range than the one asked for"))
            }
        }
        _ => Err(refusal::of(answer, connection.host(), &question.what).await),
    }
}

/// Whether a `Content-Range` says: everything from `offset` on, of a blob of this size.
fn is_rest(range: &str, offset: u64, size: u64) -> bool {
    let parsed = range
        .trim()
        .strip_prefix("bytes ")
        .and_then(|range| range.split_once('/'))
        .and_then(|(span, total)| Some((span.split_once('-')?, total)));
    let Some(((first, last), total)) = parsed else {
        return false;
    };
    first.trim().parse() == Ok(offset)
        && last.trim().parse::<u64>().is_ok_and(|last| last < size)
        && (total == "*" || total.trim().parse() == Ok(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_continues_a_blob() {
        for (range, expected) in [
            ("bytes 4-9/10", true),
            ("bytes 4-9/*", true),
            ("bytes 4-7/10", true),
            ("bytes 0-9/10", false),
            ("bytes 5-9/10", false),
            ("bytes 4-9/11", false),
            ("bytes 4-10/10", false),
            ("bytes */10", false),
            ("4-9/10", false),
            ("", false),
        ] {
            assert_eq!(is_rest(range, 4, 10), expected, "{range:?}");
        }
    }
}
