//! An OCI image layout, in a directory or a tar file. Format: OCI image-spec, image-layout.md.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document, INDEX_TYPES};

use super::files::Files;
use super::{ImageSource, SourceError};
use crate::limits::Limits;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image layout on disk.
pub struct OciLayout {
    files: Files,
    /// The entries of `index.json`.
    images: Vec<Descriptor>,
    manifest_bytes: u64,
    /// What the documents that were read so far call their children: a layout has no `Content-Type`.
    media_types: Mutex<HashMap<Digest, String>>,
}

/// Why a layout does not say which image is meant, or is none.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// `oci-layout` is no such file, or of a version that is not known.
    #[error("oci-layout does not say imageLayoutVersion 1.0.0")]
    Version,
    /// `index.json` is not an index.
    #[error("index.json is not an image index")]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It lists nothing.
    #[error("it holds no image")]
    Empty,
    /// It has several images, and none, or several, of them are meant.
    #[error("it holds several images; name one of: {}", .0.join(", "))]
    Ambiguous(Vec<String>),
    /// It has no image of this name.
    #[error("it holds no image {wanted:?}; it has: {}", .present.join(", "))]
    NoSuchTag {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

impl OciLayout {
    /// Opens a layout in a directory.
    pub async fn directory(dir: PathBuf, limits: &Limits) -> Result<Self, SourceError> {
        let place = format!("oci:{}", dir.display());
        Self::open(Files::directory(dir, place), limits).await
    }

    /// Opens a layout in a tar file, plain or gzip.
    pub async fn archive(file: PathBuf, limits: &Limits) -> Result<Self, SourceError> {
        let place = format!("oci-archive:{}", file.display());
        Self::open(Files::archive(file, place, limits).await?, limits).await
    }

    async fn open(files: Files, limits: &Limits) -> Result<Self, SourceError> {
        let whole = |name: &'static str| files.whole(name, name.to_owned(), limits.manifest_bytes);
        let version = serde_json::from_slice::<LayoutFile>(&whole("oci-layout").await?);
        if !version.is_ok_and(|file| file.image_layout_version == "1.0.0") {
            return Err(unusable(&files, LayoutError::Version));
        }
        // The specification lets index.json leave its media type out.
        let index = match Document::parse(&whole("index.json").await?, Some(INDEX_TYPES[0])) {
            Ok(Document::Index(index)) => *index,
            Ok(Document::Manifest(_)) => {
                return Err(unusable(&files, LayoutError::Index("it is a manifest".into())));
            }
            Err(error) => return Err(unusable(&files, LayoutError::Index(Box::new(error)))),
        };
        let layout = Self {
            files,
            images: index.manifests,
            manifest_bytes: limits.manifest_bytes,
            media_types: Mutex::default(),
        };
        layout.remember(&layout.images);
        Ok(layout)
    }

    /// The digest of the image that is meant: the one that `tag` names, or the only one.
    pub fn image(&self, tag: Option<&str>) -> Result<Digest, SourceError> {
        let all = &self.images;
        let present = || all.iter().filter_map(name).map(str::to_owned).collect();
        let mut meant: Vec<&Digest> = match tag {
            None => all.iter().map(|descriptor| &descriptor.digest).collect(),
            Some(tag) => all
                .iter()
                .filter(|descriptor| is_named(descriptor, tag))
                .map(|descriptor| &descriptor.digest)
                .collect(),
        };
        meant.sort();
        meant.dedup();
        let error = match (meant.as_slice(), tag) {
            ([digest], _) => return Ok((*digest).clone()),
            ([], None) => LayoutError::Empty,
            ([], Some(tag)) => LayoutError::NoSuchTag { wanted: tag.to_owned(), present: present() },
            (_, _) => LayoutError::Ambiguous(present()),
        };
        Err(unusable(&self.files, error))
    }

    fn remember(&self, children: &[Descriptor]) {
        let mut known = self.media_types.lock().unwrap_or_else(PoisonError::into_inner);
        for child in children {
            known.insert(child.digest.clone(), child.media_type.clone());
        }
    }

    fn media_type(&self, digest: &Digest) -> Option<String> {
        let known = self.media_types.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(digest).cloned()
    }
}

fn name(descriptor: &Descriptor) -> Option<&str> {
    let annotations = &descriptor.annotations;
    let name = annotations.get(REF_NAME).or_else(|| annotations.get(CONTAINERD_NAME));
    name.map(String::as_str)
}

/// Whether an entry is called `tag`: exactly, or as the tag of a full name.
fn is_named(descriptor: &Descriptor, tag: &str) -> bool {
    let names = [REF_NAME, CONTAINERD_NAME];
    names.iter().filter_map(|key| descriptor.annotations.get(*key)).any(|name| {
        let as_tag = name.rsplit_once(':').map(|(_, tag)| tag);
        name == tag || as_tag == Some(tag)
    })
}

fn unusable(files: &Files, error: LayoutError) -> SourceError {
    SourceError::Malformed { what: files.place().to_owned(), source: Box::new(error) }
}

/// Where the layout keeps a blob.
fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.encoded())
}

#[async_trait]
impl ImageSource for OciLayout {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        let what = format!("manifest {digest}");
        let bytes = self.files.whole(&path(digest), what.clone(), self.manifest_bytes).await?;
        if !digest.matches(&bytes) {
            let place = self.files.place().to_owned();
            return Err(SourceError::DigestMismatch { what, place });
        }
        let parsed = Document::parse(&bytes, self.media_type(digest).as_deref());
        let document = parsed.map_err(|source| SourceError::Malformed { what, source: Box::new(source) })?;
        match &document {
            Document::Index(index) => self.remember(&index.manifests),
            Document::Manifest(_) => {}
        }
        Ok(document)
    }

    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError> {
        let what = format!("blob {}", descriptor.digest);
        let bytes = self.files.whole(&path(&descriptor.digest), what.clone(), limit).await?;
        if bytes.len() as u64 == descriptor.size && descriptor.digest.matches(&bytes) {
            return Ok(bytes);
        }
        let place = self.files.place().to_owned();
        Err(SourceError::DigestMismatch { what, place })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let what = format!("layer {}", descriptor.digest);
        let most = descriptor.size.saturating_add(1);
        self.files.reader(&path(&descriptor.digest), what, most).await
    }
}
