//! Where an image's bytes come from: a registry, or files on disk. One trait, several real sources.
//!
//! Reading order: [`ImageSource`], [`argument`] (what a person types), then one file a source.

pub mod argument;
mod container;
pub mod docker_archive;
mod files;
pub mod layout;
pub mod registry;
#[cfg(test)]
mod tests;

use std::io::Read;

use async_trait::async_trait;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document};

/// A place that holds one image and everything that it refers to.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The manifest or index with this digest: size-limited, its bytes compared with the digest (I5), parsed.
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError>;

    /// A small blob, whole: at most `limit` bytes, its bytes compared with the descriptor (I5).
    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError>;

    /// A layer's bytes as they are stored. The reader blocks: read it on a blocking thread.
    ///
    /// The reader does not verify: whoever reads hashes on the way and compares at the end (I5). It never
    /// yields more than `descriptor.size + 1` bytes. An `io::Error` of it holds a [`SourceError`] where the
    /// source knows what its failure means.
    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError>;
}

/// Why a source did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It does not exist there.
    #[error("{what} does not exist in {place}")]
    NotFound {
        /// `manifest sha256:…`, `layer sha256:…`.
        what: String,
        /// The registry or file.
        place: String,
    },
    /// The bytes are not what the digest says (I5).
    #[error("{what} from {place} does not match its digest")]
    DigestMismatch {
        /// Which document or blob.
        what: String,
        /// The registry or file.
        place: String,
    },
    /// It is larger than allowed, or than its descriptor says.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// Which document or blob.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are no document that may be acted on.
    #[error("{what} cannot be used")]
    Malformed {
        /// Which document.
        what: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It may work later: the network, a 5xx, a time-out.
    #[error("{place} did not deliver {what}")]
    Unavailable {
        /// Which document or blob.
        what: String,
        /// The registry or file.
        place: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The source says no: unauthorised, forbidden, not configured.
    #[error("{place} refuses access to {what}: {reason}")]
    Refused {
        /// Which document or blob.
        what: String,
        /// The registry or file.
        place: String,
        /// What to do about it.
        reason: String,
    },
}
