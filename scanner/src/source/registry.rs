//! An image in a registry: the client's answers as an [`ImageSource`].

use std::error::Error;
use std::io::{self, Read};

use async_trait::async_trait;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document};
use shared::model::image::{ImageName, Reference, Target};
use shared::registry::{BlobReader, RegistryClient, RegistryError};
use tokio_util::io::SyncIoBridge;

use super::{ImageSource, SourceError};

/// The images of one repository.
///
/// Where it gives [`SourceError::Unavailable`], the source of that error is a [`RegistryError`]; so is the
/// inner error of an [`std::io::Error`] that a layer's reader gives.
pub struct RegistryImage {
    client: RegistryClient,
    name: ImageName,
}

impl RegistryImage {
    /// Reads from the repository `name` through `client`.
    pub fn new(client: RegistryClient, name: ImageName) -> Self {
        Self { client, name }
    }

    /// The digest that a reference means now: its own, or the one that its tag points to (I12).
    pub async fn resolve(client: &RegistryClient, reference: &Reference) -> Result<Digest, SourceError> {
        match &reference.target {
            Target::Digest(digest) => Ok(digest.clone()),
            Target::Tag(tag) => {
                let resolved = client.resolve(&reference.name, tag).await;
                resolved.map_err(|error| failed(&reference.name, format!("tag {tag}"), error))
            }
        }
    }
}

#[async_trait]
impl ImageSource for RegistryImage {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        let what = || format!("manifest {digest}");
        let raw = self.client.raw_document(&self.name, digest).await;
        let raw = raw.map_err(|error| failed(&self.name, what(), error))?;
        Document::parse(&raw.bytes, raw.content_type.as_deref())
            .map_err(|source| SourceError::Malformed { what: what(), source: Box::new(source) })
    }

    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError> {
        let read = self.client.small_blob(&self.name, descriptor, limit).await;
        read.map_err(|error| failed(&self.name, format!("blob {}", descriptor.digest), error))
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let blob = self.client.blob(&self.name, descriptor).await;
        let blob = blob.map_err(|error| failed(&self.name, format!("layer {}", descriptor.digest), error))?;
        Ok(Box::new(Layer {
            reader: SyncIoBridge::new(blob),
            name: self.name.clone(),
            digest: descriptor.digest.clone(),
        }))
    }
}

/// A blob whose failures say what they mean for the scan.
struct Layer {
    reader: SyncIoBridge<BlobReader>,
    name: ImageName,
    digest: Digest,
}

impl Read for Layer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| match error.downcast::<RegistryError>() {
            Ok(error) => io::Error::other(failed(&self.name, format!("layer {}", self.digest), error)),
            Err(error) => error,
        })
    }
}

/// What a registry's refusal to give `what` means for a scan.
fn failed(name: &ImageName, what: String, error: RegistryError) -> SourceError {
    let place = name.to_string();
    match error {
        RegistryError::NotFound { .. } => SourceError::NotFound { what, place },
        RegistryError::DigestMismatch { .. } => SourceError::DigestMismatch { what, place },
        RegistryError::TooLarge { limit, .. } => SourceError::TooLarge { what, limit },
        RegistryError::Malformed { .. } => SourceError::Malformed { what, source: Box::new(error) },
        RegistryError::Proxy { ref source, .. } if source.is_retryable() => {
            SourceError::Unavailable { what, place, source: Box::new(error) }
        }
        RegistryError::Unavailable { .. }
        | RegistryError::RateLimited { .. }
        | RegistryError::Credentials { .. } => {
            SourceError::Unavailable { what, place, source: Box::new(error) }
        }
        RegistryError::NotConfigured(_)
        | RegistryError::Configuration { .. }
        | RegistryError::Unauthorized { .. }
        | RegistryError::Denied { .. }
        | RegistryError::Proxy { .. }
        | RegistryError::Refused { .. } => SourceError::Refused { what, place, reason: told(&error) },
    }
}

/// An error with its causes, for a variant that keeps only words.
fn told(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}
