//! An image in a registry: the client's answers as an [`ImageSource`].

use std::error::Error;
use std::io::{self, Read};

use async_trait::async_trait;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document};
use shared::model::image::{ImageName, Reference, Target};
use shared::registry::{BlobReader, RegistryClient, RegistryError};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

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
        Ok(Box::new(Layer::of(blob, self.name.clone(), descriptor.digest.clone())))
    }
}

/// How many pieces are on their way: one is read while the next one arrives.
const PIECES: usize = 2;

/// A blob on its way from the runtime to a thread that may wait.
///
/// Pieces are copied into buffers that go round, at once and on the runtime: the HTTP client then has its memory back
/// before it reads on. Whatever one thread takes and another one gives back, an allocator has to keep for longer.
struct Layer {
    full: mpsc::Receiver<Result<Vec<u8>, RegistryError>>,
    empty: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
    /// How much of the piece was read.
    read: usize,
    /// The last piece was an empty one.
    is_over: bool,
    name: ImageName,
    digest: Digest,
    _pump: AbortOnDropHandle<()>,
}

impl Layer {
    fn of(blob: BlobReader, name: ImageName, digest: Digest) -> Self {
        let (empty, buffers) = mpsc::channel(PIECES);
        for _ in 0..PIECES {
            empty.try_send(Vec::new()).expect("there is room for them");
        }
        let (filled, full) = mpsc::channel(PIECES);
        let pump = AbortOnDropHandle::new(tokio::spawn(pump(blob, buffers, filled)));
        Self { full, empty, piece: Vec::new(), read: 0, is_over: false, name, digest, _pump: pump }
    }

    /// Waits for the next piece; an empty one is the end.
    fn next(&mut self) -> io::Result<()> {
        let failed = |error| io::Error::other(failed(&self.name, format!("layer {}", self.digest), error));
        let arrived = self.full.blocking_recv();
        let piece = arrived.ok_or_else(|| io::Error::other("the transfer broke down"))?.map_err(failed)?;
        let used = std::mem::replace(&mut self.piece, piece);
        // Nobody waits for it after the last piece.
        let _ = self.empty.try_send(used);
        self.is_over = self.piece.is_empty();
        self.read = 0;
        Ok(())
    }
}

impl Read for Layer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() && !self.is_over {
            self.next()?;
        }
        let left = &self.piece[self.read..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Ok(count)
    }
}

/// Copies pieces into buffers as long as somebody reads them; the last one is empty.
async fn pump(
    mut blob: BlobReader,
    mut buffers: mpsc::Receiver<Vec<u8>>,
    filled: mpsc::Sender<Result<Vec<u8>, RegistryError>>,
) {
    while let Some(mut buffer) = buffers.recv().await {
        buffer.clear();
        let piece = blob.piece().await.map(|piece| {
            buffer.extend_from_slice(piece.as_deref().unwrap_or_default());
            buffer
        });
        let is_last = piece.as_ref().map_or(true, Vec::is_empty);
        if filled.send(piece).await.is_err() || is_last {
            return;
        }
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
