//! For tests only: layers and images made from lists of files, and a source that holds them in memory.

mod analyzers;

use std::collections::HashMap;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document, IMAGE_CONFIG_TYPES, MANIFEST_TYPES};
use shared::model::problem::ProblemKind;
use shared::model::report::{Inventory, Subject};

use self::analyzers::ANALYZERS;
use super::engine::{Engine, Silent};
use super::examine::{Examination, ExamineError};
use crate::limits::Limits;
use crate::malware::Malware;
use crate::source::{ImageSource, SourceError};

pub(super) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub(super) const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// One thing in a layer.
#[derive(Clone, Debug)]
pub(super) enum Put {
    File(String, Vec<u8>),
    Directory(String),
    Symlink(String, String),
    Hardlink(String, String),
}

pub(super) fn file(path: &str, content: impl AsRef<[u8]>) -> Put {
    Put::File(path.to_owned(), content.as_ref().to_vec())
}

pub(super) fn directory(path: &str) -> Put {
    Put::Directory(path.to_owned())
}

pub(super) fn symlink(path: &str, target: &str) -> Put {
    Put::Symlink(path.to_owned(), target.to_owned())
}

pub(super) fn hardlink(path: &str, target: &str) -> Put {
    Put::Hardlink(path.to_owned(), target.to_owned())
}

/// An uncompressed tar of these things, in this order.
pub(super) fn tarball(puts: &[Put]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for put in puts {
        let mut header = tar::Header::new_gnu();
        let (path, target, content) = match put {
            Put::File(path, content) => (path, "", &content[..]),
            Put::Directory(path) => (path, "", &[][..]),
            Put::Symlink(path, target) | Put::Hardlink(path, target) => (path, &**target, &[][..]),
        };
        header.set_entry_type(match put {
            Put::File(..) => tar::EntryType::Regular,
            Put::Directory(_) => tar::EntryType::Directory,
            Put::Symlink(..) => tar::EntryType::Symlink,
            Put::Hardlink(..) => tar::EntryType::Link,
        });
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        // Written raw: the tests need names that the builder would refuse.
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: Default::default(),
        artifact_type: None,
        platform: None,
    }
}

/// An engine with the tiny analyzers.
pub(super) fn engine() -> Engine {
    engine_within(Limits::default())
}

pub(super) fn engine_within(limits: Limits) -> Engine {
    Engine::with_analyzers(limits, NonZeroUsize::new(2).unwrap(), ANALYZERS)
}

/// An engine with the tiny analyzers, and somebody who searches for malware.
pub(super) fn engine_with(malware: Malware) -> Engine {
    Engine::with_malware(Limits::default(), NonZeroUsize::new(2).unwrap(), ANALYZERS, malware)
}

/// What goes wrong with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Missing,
    Unavailable,
    /// The reader breaks off in the middle.
    BreaksOff,
    /// The first delivery has a flipped bit, the next is right.
    FlippedOnce,
    /// Every delivery has a flipped bit.
    Flipped,
    OneByteLong,
    OneByteShort,
    /// Nothing ever comes.
    Hangs,
}

/// Documents and blobs in memory.
#[derive(Default)]
pub(super) struct MemorySource {
    documents: HashMap<Digest, (String, Vec<u8>)>,
    blobs: HashMap<Digest, Vec<u8>>,
    faults: HashMap<Digest, Fault>,
    pub(super) deliveries: AtomicUsize,
}

impl MemorySource {
    pub(super) fn hold(&mut self, media_type: &str, bytes: impl AsRef<[u8]>) -> Descriptor {
        let bytes = bytes.as_ref().to_vec();
        let descriptor = descriptor(media_type, &bytes);
        self.blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    pub(super) fn hold_document(&mut self, media_type: &str, body: &serde_json::Value) -> Descriptor {
        let bytes = serde_json::to_vec(body).unwrap();
        let descriptor = descriptor(media_type, &bytes);
        let digest = descriptor.digest.clone();
        self.documents.insert(digest, (media_type.to_owned(), bytes));
        descriptor
    }

    /// A document that is held.
    pub(super) fn document_held(&self, digest: &Digest) -> serde_json::Value {
        serde_json::from_slice(&self.documents[digest].1).unwrap()
    }

    pub(super) fn spoil(&mut self, digest: &Digest, fault: Fault) {
        self.faults.insert(digest.clone(), fault);
    }

    /// Another source that holds the same.
    pub(super) fn copy(&self) -> Self {
        Self {
            documents: self.documents.clone(),
            blobs: self.blobs.clone(),
            faults: self.faults.clone(),
            deliveries: AtomicUsize::new(0),
        }
    }

    pub(super) fn forget(&mut self, digest: &Digest) {
        self.blobs.remove(digest);
    }
}

struct Breaking<R>(R);

impl<R: Read> Read for Breaking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            read => Ok(read),
        }
    }
}

#[async_trait]
impl ImageSource for MemorySource {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        let what = format!("manifest {digest}");
        if self.faults.get(digest) == Some(&Fault::Unavailable) {
            return Err(SourceError::Unavailable { what, place: "memory".to_owned(), source: "down".into() });
        }
        let Some((media_type, bytes)) = self.documents.get(digest) else {
            return Err(SourceError::NotFound { what, place: "memory".to_owned() });
        };
        Document::parse(bytes, Some(media_type))
            .map_err(|source| SourceError::Malformed { what, source: Box::new(source) })
    }

    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        let what = format!("blob {}", descriptor.digest);
        self.blob(descriptor).await?.read_to_end(&mut bytes).unwrap();
        if bytes.len() as u64 > limit {
            return Err(SourceError::TooLarge { what, limit });
        }
        if !descriptor.digest.matches(&bytes) {
            return Err(SourceError::DigestMismatch { what, place: "memory".to_owned() });
        }
        Ok(bytes)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let delivery = self.deliveries.fetch_add(1, Ordering::SeqCst);
        let (what, place) = (format!("blob {}", descriptor.digest), "memory".to_owned());
        let Some(bytes) = self.blobs.get(&descriptor.digest) else {
            return Err(SourceError::NotFound { what, place });
        };
        let mut bytes = bytes.clone();
        let Some(fault) = self.faults.get(&descriptor.digest) else {
            return Ok(Box::new(Cursor::new(bytes)));
        };
        let middle = bytes.len() / 2;
        match fault {
            Fault::Missing => return Err(SourceError::NotFound { what, place }),
            Fault::Unavailable => {
                return Err(SourceError::Unavailable { what, place, source: "down".into() });
            }
            Fault::Hangs => std::future::pending().await,
            Fault::BreaksOff => {
                bytes.truncate(middle);
                return Ok(Box::new(Breaking(Cursor::new(bytes))));
            }
            Fault::FlippedOnce if delivery > 1 => {}
            Fault::FlippedOnce | Fault::Flipped => bytes[middle] ^= 1,
            Fault::OneByteLong => bytes.push(0),
            Fault::OneByteShort => {
                bytes.pop();
            }
        }
        Ok(Box::new(Cursor::new(bytes)))
    }
}

/// An image on the way to be put into a source.
#[derive(Default)]
pub(super) struct Image {
    layers: Vec<(String, Vec<u8>)>,
    pub(super) diff_ids: Option<Vec<Digest>>,
    pub(super) config: serde_json::Value,
}

impl Image {
    /// An image whose layers have these things, bottom first.
    pub(super) fn of(layers: &[&[Put]]) -> Self {
        let mut image = Self::default();
        for puts in layers {
            image = image.layer(TAR_GZIP, gzip(&tarball(puts)));
        }
        image
    }

    /// The same image with another layer on top.
    pub(super) fn layer(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        self.layers.push((media_type.to_owned(), bytes));
        self
    }

    /// Puts the image into a source; gives the descriptors of manifest and layers.
    pub(super) fn into_source(self, source: &mut MemorySource) -> (Descriptor, Vec<Descriptor>) {
        let layers: Vec<Descriptor> =
            self.layers.iter().map(|(media_type, bytes)| source.hold(media_type, bytes)).collect();
        let diff_ids = self.diff_ids.unwrap_or_else(|| {
            let plain = self.layers.iter().map(|(_, bytes)| uncompressed(bytes));
            plain.map(|bytes| Digest::of(&bytes)).collect()
        });
        let mut config = serde_json::json!({
            "os": "linux", "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if let serde_json::Value::Object(more) = self.config {
            config.as_object_mut().unwrap().extend(more);
        }
        let config = source.hold(IMAGE_CONFIG_TYPES[0], serde_json::to_vec(&config).unwrap());
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPES[0], "config": config, "layers": layers,
        });
        (source.hold_document(MANIFEST_TYPES[0], &manifest), layers)
    }

    /// Examines the image with the tiny analyzers.
    pub(super) fn examine(self) -> Examination {
        let mut source = MemorySource::default();
        let (manifest, _) = self.into_source(&mut source);
        examine(&engine(), source, &manifest.digest).unwrap()
    }
}

fn uncompressed(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain) {
        Ok(_) => plain,
        Err(_) => zstd::decode_all(bytes).unwrap_or_else(|_| bytes.to_vec()),
    }
}

/// Examines a digest on a runtime of its own.
pub(super) fn examine(
    engine: &Engine,
    source: MemorySource,
    digest: &Digest,
) -> Result<Examination, ExamineError> {
    examine_shared(engine, &Arc::new(source), digest)
}

pub(super) fn examine_shared(
    engine: &Engine,
    source: &Arc<MemorySource>,
    digest: &Digest,
) -> Result<Examination, ExamineError> {
    let (engine, digest) = (engine.clone(), digest.clone());
    let source: Arc<dyn ImageSource> = Arc::clone(source) as _;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    runtime.block_on(async move {
        let work = async move { engine.examine(source, &digest, Arc::new(Silent)).await };
        tokio::spawn(work).await.unwrap()
    })
}

/// The inventory of an examined image.
pub(super) fn inventory(examination: &Examination) -> &Inventory {
    match &examination.subject {
        Subject::Image(inventory) => inventory,
        other => panic!("not an image: {other:?}"),
    }
}

/// `purl at path from layer`, for every package.
pub(super) fn packages(examination: &Examination) -> Vec<String> {
    let packages = inventory(examination).packages.iter();
    packages
        .map(|package| format!("{} at {} from {}", package.purl, package.path, package.introduced_in.0))
        .collect()
}

/// The kinds of all problems.
pub(super) fn kinds(examination: &Examination) -> Vec<ProblemKind> {
    let mut kinds: Vec<_> = examination.problems.iter().map(|problem| problem.kind).collect();
    kinds.dedup();
    kinds
}
