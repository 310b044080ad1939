//! The client against a real registry ([`distribution`]), and against servers that lie, stall and break
//! ([`catalogue`], [`hostile`], [`login`], [`transfer`]); [`referrers`] writes, to registries of both kinds.

mod catalogue;
mod distribution;
mod hostile;
mod login;
mod referrers;
mod server;
mod transfer;

use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::document::Descriptor;
use crate::model::image::{ImageName, RegistryHost};

use super::{RegistryClient, RegistryConfig, RegistryError, Transport};

/// A plain HTTP registry at this address, with pauses that do not slow the tests down.
fn config(host: &str) -> RegistryConfig {
    let mut config = RegistryConfig::new(host.parse().unwrap());
    config.transport = Transport::PlainHttp;
    config.timeouts.backoff = Duration::from_millis(1);
    config
}

fn client(config: RegistryConfig) -> RegistryClient {
    RegistryClient::new(vec![config]).unwrap()
}

fn image(host: &RegistryHost) -> ImageName {
    format!("{host}/team/app").parse().unwrap()
}

fn blob_of(bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: std::collections::BTreeMap::new(),
        artifact_type: None,
        platform: None,
    }
}

/// Everything that a blob's reader gives, or the registry's error that ended it.
async fn read(
    client: &RegistryClient,
    name: &ImageName,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, RegistryError> {
    let mut reader = client.blob(name, descriptor).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = reader.piece().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// An error with all its causes, as a person would see it.
fn told(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(told);
    cause.map_or(error.to_string(), |cause| format!("{error}: {cause}"))
}
