//! What `docker save` writes: a tar with `manifest.json`, configs and layers, in either of its two layouts
//! (`<id>/layer.tar`, or `blobs/sha256/<hex>`).
//!
//! Such an archive has no image manifest, so one is made: an OCI manifest whose descriptors are the digests of
//! the stored bytes. Everything after that is as for any other image, verification included (I5).
//! Format: the Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::document::{
    Descriptor, Document, IMAGE_CONFIG_TYPES, MANIFEST_TYPES, MOST_LAYERS, Manifest,
};
use shared::model::image::Reference;

use super::files::{Described, Files};
use super::{ImageSource, SourceError};
use crate::limits::Limits;

/// One image of an archive.
pub struct DockerArchive {
    files: Files,
    manifest: Manifest,
    digest: Digest,
    /// Names of the config and the layers inside the archive.
    names: HashMap<Digest, String>,
}

/// Why an archive does not say which image is meant, or is none.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// `manifest.json` is not the list that `docker save` writes.
    #[error("manifest.json cannot be read")]
    Manifest(#[from] serde_json::Error),
    /// It lists nothing.
    #[error("it holds no image")]
    Empty,
    /// It has several images, and none of them was named.
    #[error("it holds several images; name one of: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// It has no image of this name.
    #[error("it holds no image {wanted}; it has: {}", .present.join(", "))]
    NoSuchImage {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: Vec<String>,
    },
    /// More layers than any real image has.
    #[error("the image lists {0} layers, the limit is {MOST_LAYERS}")]
    TooManyLayers(usize),
}

/// One entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl DockerArchive {
    /// Opens one image of an archive: the one that is named, or the only one. Its layers are read once, to
    /// know their digests, except where the archive names them by digest.
    pub async fn open(
        file: PathBuf,
        wanted: Option<Reference>,
        limits: &Limits,
    ) -> Result<Self, SourceError> {
        let place = format!("docker-archive:{}", file.display());
        let files = Files::archive(file, place, limits).await?;
        let unusable =
            |error| SourceError::Malformed { what: files.place().to_owned(), source: Box::new(error) };
        let list = files.whole("manifest.json", "manifest.json".to_owned(), limits.manifest_bytes).await?;
        let images: Vec<SavedImage> =
            serde_json::from_slice(&list).map_err(|error| unusable(ArchiveError::Manifest(error)))?;
        let image = choose(images, wanted.as_ref()).map_err(unusable)?;
        let layers = image.layers.unwrap_or_default();
        if layers.len() > MOST_LAYERS {
            return Err(unusable(ArchiveError::TooManyLayers(layers.len())));
        }
        let mut names = HashMap::new();
        let config = files.described(&image.config, format!("config {}", shown(&image.config))).await?;
        names.insert(config.digest.clone(), image.config);
        let mut descriptors = Vec::new();
        for name in layers {
            let layer = files.described(&name, format!("layer {}", shown(&name))).await?;
            names.insert(layer.digest.clone(), name);
            descriptors.push(descriptor(layer_type(&layer.magic), layer));
        }
        let manifest = manifest(descriptor(IMAGE_CONFIG_TYPES[0], config), descriptors);
        let digest = Digest::of(&serde_json::to_vec(&manifest).expect("a manifest is written as JSON"));
        Ok(Self { files, manifest, digest, names })
    }

    /// The digest of the manifest that was made for the image.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    fn name(&self, descriptor: &Descriptor, what: &str) -> Result<&str, SourceError> {
        let name = self.names.get(&descriptor.digest);
        name.map(String::as_str).ok_or_else(|| SourceError::NotFound {
            what: what.to_owned(),
            place: self.files.place().to_owned(),
        })
    }
}

/// The image that is meant.
fn choose(images: Vec<SavedImage>, wanted: Option<&Reference>) -> Result<SavedImage, ArchiveError> {
    let tags = |image: &SavedImage| image.repo_tags.clone().unwrap_or_default();
    let present: Vec<String> = images.iter().flat_map(tags).map(|tag| shown(&tag)).collect();
    // `nginx:1` in the file and `docker.io/library/nginx:1` on the command line are the same image.
    let is_meant = |image: &SavedImage| {
        wanted.is_none_or(|wanted| tags(image).iter().any(|tag| tag.parse().as_ref() == Ok(wanted)))
    };
    let any = !images.is_empty();
    let mut meant = images.into_iter().filter(is_meant);
    match (meant.next(), meant.next(), wanted) {
        (Some(image), None, _) => Ok(image),
        (Some(_), Some(_), _) => Err(ArchiveError::Ambiguous(present)),
        (None, _, Some(wanted)) if any => {
            Err(ArchiveError::NoSuchImage { wanted: wanted.to_string(), present })
        }
        (None, _, _) => Err(ArchiveError::Empty),
    }
}

/// A name out of the archive, short and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(160).collect()
}

/// Layers are named without their compression; it shows in their first bytes.
fn layer_type(magic: &[u8]) -> &'static str {
    match magic {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    }
}

fn descriptor(media_type: &str, described: Described) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: described.digest,
        size: described.size,
        annotations: BTreeMap::new(),
        artifact_type: None,
        platform: None,
    }
}

fn manifest(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
    Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPES[0].to_owned()),
        artifact_type: None,
        config,
        layers,
        subject: None,
        annotations: BTreeMap::new(),
    }
}

#[async_trait]
impl ImageSource for DockerArchive {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        if *digest == self.digest {
            return Ok(Document::Manifest(Box::new(self.manifest.clone())));
        }
        Err(SourceError::NotFound {
            what: format!("manifest {digest}"),
            place: self.files.place().to_owned(),
        })
    }

    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError> {
        let what = format!("blob {}", descriptor.digest);
        let bytes = self.files.whole(self.name(descriptor, &what)?, what.clone(), limit).await?;
        if bytes.len() as u64 == descriptor.size && descriptor.digest.matches(&bytes) {
            return Ok(bytes);
        }
        let place = self.files.place().to_owned();
        Err(SourceError::DigestMismatch { what, place })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let what = format!("layer {}", descriptor.digest);
        let most = descriptor.size.saturating_add(1);
        self.files.reader(self.name(descriptor, &what)?, what, most).await
    }
}
