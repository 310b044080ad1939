//! An image in a registry.

use std::io::Read;

use async_trait::async_trait;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document};
use shared::model::image::ImageName;
use shared::registry::{RegistryClient, RegistryError};
use tokio_util::io::SyncIoBridge;

use super::{ImageSource, SourceError};

/// One repository of a registry, read through its client.
pub struct RegistryImage {
    client: RegistryClient,
    name: ImageName,
}

impl RegistryImage {
    /// The repository `name`, read with `client`.
    pub fn new(client: RegistryClient, name: ImageName) -> Self {
        Self { client, name }
    }

    fn failed(&self, what: String, error: RegistryError) -> SourceError {
        let place = self.name.registry.to_string();
        match error {
            RegistryError::NotFound { .. } => SourceError::NotFound { what, place },
            RegistryError::DigestMismatch { .. } => SourceError::DigestMismatch { what, place },
            RegistryError::TooLarge { limit, .. } => SourceError::TooLarge { what, limit },
            RegistryError::Malformed { source, .. } => {
                SourceError::Malformed { what, source: Box::new(source) }
            }
            error @ (RegistryError::Unavailable { .. } | RegistryError::RateLimited { .. }) => {
                SourceError::Unavailable { what, place, source: Box::new(error) }
            }
            error @ (RegistryError::NotConfigured(_)
            | RegistryError::Configuration { .. }
            | RegistryError::Credentials { .. }
            | RegistryError::Unauthorized { .. }
            | RegistryError::Denied { .. }
            | RegistryError::Refused { .. }) => {
                SourceError::Refused { what, place, reason: shared::telemetry::chain(&error) }
            }
        }
    }
}

#[async_trait]
impl ImageSource for RegistryImage {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        let document = self.client.document(&self.name, digest).await;
        document.map_err(|error| self.failed(format!("manifest {digest}"), error))
    }

    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError> {
        let blob = self.client.small_blob(&self.name, descriptor, limit).await;
        blob.map_err(|error| self.failed(format!("blob {}", descriptor.digest), error))
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let blob = self.client.blob(&self.name, descriptor).await;
        let blob = blob.map_err(|error| self.failed(format!("layer {}", descriptor.digest), error))?;
        Ok(Box::new(SyncIoBridge::new(blob)))
    }
}
