//! The sources against what real tools write and serve, and against damaged and hostile files.

mod container;
mod files;
mod real;

use std::io::Read;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use shared::model::digest::Digest;
use shared::model::document::{Document, IMAGE_CONFIG_TYPES, INDEX_TYPES, MANIFEST_TYPES};
use shared::registry::RegistryClient;

use super::argument::ImageArgument;
use super::{ImageSource, SourceError};
use crate::limits::Limits;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// A tar with one file in it.
fn layer(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layout with one image of these uncompressed layers (stored as gzip), called `v1`.
fn write_layout(directory: &Path, layers: &[Vec<u8>]) -> Digest {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let store = |bytes: &[u8], kind: &str| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.encoded()), bytes).unwrap();
        serde_json::json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    };
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let stored: Vec<_> = layers.iter().map(|layer| store(&gzip(layer), &format!("{TAR}+gzip"))).collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPES[0],
        "config": store(config.to_string().as_bytes(), IMAGE_CONFIG_TYPES[0]),
        "layers": stored,
    });
    let manifest = manifest.to_string();
    let mut entry = store(manifest.as_bytes(), MANIFEST_TYPES[0]);
    entry["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "v1" });
    write_index(directory, &[entry]);
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    Digest::of(manifest.as_bytes())
}

fn write_index(directory: &Path, entries: &[serde_json::Value]) {
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries,
    });
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
}

/// What an image turned out to be: its digest, and its layers, inflated.
struct Pulled {
    digest: Digest,
    layers: Vec<Vec<u8>>,
}

async fn pull(argument: &str, registries: &RegistryClient) -> Result<Pulled, SourceError> {
    let argument: ImageArgument = argument.parse().unwrap();
    let (source, digest) = argument.open(registries, &Limits::default()).await?;
    let layers = pull_all(source.as_ref(), &digest).await?;
    Ok(Pulled { digest, layers })
}

/// Reads manifest, config and layers as a scan would: every byte compared with its descriptor.
async fn pull_all(source: &dyn ImageSource, digest: &Digest) -> Result<Vec<Vec<u8>>, SourceError> {
    let Document::Manifest(manifest) = source.document(digest).await? else {
        panic!("{digest} is an index");
    };
    source.small_blob(&manifest.config, 1 << 20).await?;
    let mut layers = Vec::new();
    for descriptor in &manifest.layers {
        let mut reader = source.blob(descriptor).await?;
        let stored = tokio::task::spawn_blocking(move || {
            let mut stored = Vec::new();
            reader.read_to_end(&mut stored).map(|_| stored)
        });
        let stored = stored.await.unwrap().unwrap();
        assert_eq!(stored.len() as u64, descriptor.size);
        if !descriptor.digest.matches(&stored) {
            let (what, place) = (descriptor.digest.to_string(), "the source".to_owned());
            return Err(SourceError::DigestMismatch { what, place });
        }
        let mut inflated = stored.clone();
        if descriptor.media_type.ends_with("+gzip") || descriptor.media_type.ends_with(".gzip") {
            inflated.clear();
            let mut decoder = flate2::read::MultiGzDecoder::new(stored.as_slice());
            decoder.read_to_end(&mut inflated).unwrap();
        }
        layers.push(inflated);
    }
    Ok(layers)
}

/// An error with all its causes.
fn told(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(told);
    cause.map_or(error.to_string(), |cause| format!("{error}: {cause}"))
}
