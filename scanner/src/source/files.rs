//! The files of an image on disk, in a directory or inside a tar file: read by name, on a blocking thread.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::model::digest::Digest;

use super::SourceError;
use super::container::{Container, ContainerError, hash};
use crate::limits::Limits;

/// Files with names, in one place. Cheap to clone.
#[derive(Clone)]
pub(super) struct Files {
    kept: Arc<Kept>,
    /// How a person would name the place: `oci:/srv/image`.
    place: String,
}

enum Kept {
    Directory(PathBuf),
    Container(Container),
}

impl Files {
    /// The files of a directory.
    pub(super) fn directory(path: PathBuf, place: String) -> Self {
        Self { kept: Arc::new(Kept::Directory(path)), place }
    }

    /// The files inside a tar file, which is read once for its index.
    pub(super) async fn archive(path: PathBuf, place: String, limits: &Limits) -> Result<Self, SourceError> {
        let limits = limits.clone();
        let opened = on_thread(&place, move || Container::open(&path, &limits)).await?;
        let container = opened.map_err(|error| unusable(&place, error))?;
        Ok(Self { kept: Arc::new(Kept::Container(container)), place })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A reader of at most `most` bytes of the file `name`. The reader blocks.
    pub(super) async fn reader(
        &self,
        name: &str,
        what: String,
        most: u64,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let (_, reader) = self.open(name, what).await?;
        Ok(Box::new(reader.take(most)))
    }

    /// The whole file `name`, if it has at most `limit` bytes.
    pub(super) async fn whole(&self, name: &str, what: String, limit: u64) -> Result<Vec<u8>, SourceError> {
        let (size, reader) = self.open(name, what.clone()).await?;
        if size > limit {
            return Err(SourceError::TooLarge { what, limit });
        }
        let read = on_thread(&self.place, move || {
            let mut bytes = Vec::new();
            reader.take(limit + 1).read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.await?.map_err(|error| self.unavailable(&what, error))?;
        if bytes.len() as u64 > limit {
            return Err(SourceError::TooLarge { what, limit });
        }
        Ok(bytes)
    }

    /// The file `name` as far as it matters to a descriptor: its first bytes, its digest and its size.
    ///
    /// A file that is named by its digest (`blobs/sha256/…`) is believed here: it is verified when it is read,
    /// and then a damaged one shows, which it would not if it got a digest to match.
    pub(super) async fn described(&self, name: &str, what: String) -> Result<Described, SourceError> {
        let (size, mut reader) = self.open(name, what.clone()).await?;
        let known = named_digest(name).or_else(|| match self.kept.as_ref() {
            Kept::Directory(_) => None,
            Kept::Container(container) => container.digest(name),
        });
        let described = on_thread(&self.place, move || {
            let mut magic = Vec::new();
            (&mut reader).take(4).read_to_end(&mut magic)?;
            let digest = match known {
                Some(digest) => digest,
                None => hash(&mut magic.as_slice().chain(reader))?.0,
            };
            Ok(Described { magic, digest, size })
        });
        described.await?.map_err(|error: io::Error| self.unavailable(&what, error))
    }

    async fn open(&self, name: &str, what: String) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        let (kept, name) = (Arc::clone(&self.kept), name.to_owned());
        let opened = on_thread(&self.place, move || match kept.as_ref() {
            Kept::Directory(directory) => open_file(&directory.join(name)),
            Kept::Container(container) => container.read(&name),
        });
        let opened = opened.await?.map_err(|error| self.unavailable(&what, error))?;
        opened.ok_or_else(|| SourceError::NotFound { what, place: self.place.clone() })
    }

    fn unavailable(&self, what: &str, error: io::Error) -> SourceError {
        SourceError::Unavailable { what: what.to_owned(), place: self.place.clone(), source: Box::new(error) }
    }
}

/// What a descriptor is made of.
pub(super) struct Described {
    /// The first four bytes, or all if there are fewer.
    pub(super) magic: Vec<u8>,
    /// Of the bytes as they are stored.
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// The digest in `blobs/<algorithm>/<hex>`.
fn named_digest(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}

/// Opens a regular file (or a link to one): a pipe or a device would block or never end.
fn open_file(path: &Path) -> io::Result<Option<(u64, Box<dyn Read + Send>)>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some((metadata.len(), Box::new(File::open(path)?)))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unusable(place: &str, error: ContainerError) -> SourceError {
    let what = "the archive".to_owned();
    match error {
        ContainerError::Read(error) if error.kind() == io::ErrorKind::NotFound => {
            SourceError::NotFound { what, place: place.to_owned() }
        }
        ContainerError::Read(error) => {
            SourceError::Unavailable { what, place: place.to_owned(), source: Box::new(error) }
        }
        ContainerError::Malformed { .. } | ContainerError::TooLarge { .. } => {
            SourceError::Malformed { what: place.to_owned(), source: Box::new(error) }
        }
    }
}

/// Runs something that blocks where it may.
async fn on_thread<T: Send + 'static>(
    place: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SourceError::Unavailable {
        what: "an answer".to_owned(),
        place: place.to_owned(),
        source: Box::new(error),
    })
}
