//! Where images come from: a registry that speaks the OCI distribution API, and may be slow or hostile.
//!
//! In: an image name with a tag or digest. Out: verified documents and small blobs, and layers as streams.
//! Only configured registries are contacted, and what they say about where to go and whom to trust is checked
//! (I8). Everything is bounded in size and time, and repeated where that may help.
//! Protocol: OCI distribution-spec 1.1; tokens as in the distribution project's token specification.
//!
//! Reading order: [`RegistryConfig`], [`Credentials`], [`RegistryClient`], [`RegistryError`]. Inside: `http`
//! (one exchange), `auth` (tokens), `connection` (both together), `blob` (streams),
//! `push` (the little that we write), `referrers` (what is attached to what), `attested` (what of it is believed).

mod address;
mod attested;
mod auth;
mod blob;
mod body;
mod breaker;
mod catalogue;
pub(crate) mod challenge;
mod config;
mod connection;
mod credentials;
mod error;
mod http;
mod lent;
mod push;
mod referrers;
mod refusal;
mod retry;
pub mod sboms;
pub(crate) mod signatures;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use reqwest::Method;

use crate::model::digest::Digest;
use crate::model::document::{Descriptor, Document};
use crate::model::image::{ImageName, RegistryHost, Tag};

pub use blob::BlobReader;
pub use catalogue::{CatalogueError, Listed};
pub use config::{RedirectTargets, RegistryConfig, Timeouts, Transport};
pub use connection::Access;
pub use credentials::{Credentials, CredentialsError};
pub use error::{ConfigurationError, Refusal, RegistryError, TransportError};
pub use lent::{LendingKey, LentCredentials, LentError};

pub use attested::{BeliefError, Believed};
pub use push::Deleted;
pub use referrers::Attached;

use auth::Scope;
use body::Answer;
use connection::Connection;

/// The largest manifest or index that is read, in bytes; registries themselves refuse larger ones.
pub const LARGEST_DOCUMENT: u64 = 4 << 20;

/// All manifest and index types. Whoever leaves one out may be given another document than a runtime gets.
const ACCEPT_DOCUMENTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// Reads from the configured registries. Cheap to clone; clones share connections, tokens and limits.
#[derive(Clone)]
pub struct RegistryClient {
    registries: Arc<HashMap<RegistryHost, Arc<Connection>>>,
}

/// A manifest or index as it was served, already compared with its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDocument {
    /// The bytes that hash to the digest.
    pub bytes: Vec<u8>,
    /// The `Content-Type` header, if there was one.
    pub content_type: Option<String>,
}

impl RegistryClient {
    /// Prepares to contact these registries, and no others. Nothing is contacted yet.
    ///
    /// Fails if a registry is configured twice, or has a file of CA certificates that cannot be read.
    pub fn new(registries: Vec<RegistryConfig>) -> Result<Self, RegistryError> {
        let mut connections = HashMap::new();
        for config in registries {
            let host = config.host.clone();
            let unusable = |source| RegistryError::Configuration { host: host.clone(), source };
            let connection = Connection::new(config).map_err(unusable)?;
            if connections.insert(host.clone(), Arc::new(connection)).is_some() {
                return Err(unusable(ConfigurationError::Twice));
            }
        }
        Ok(Self { registries: Arc::new(connections) })
    }

    /// The same client for a job that brings credentials of its own for one registry; it contacts no other (I8).
    pub fn with_credentials(
        &self,
        host: &RegistryHost,
        credentials: Credentials,
    ) -> Result<Self, RegistryError> {
        let connection = Arc::new(self.connection(host)?.with(credentials));
        Ok(Self { registries: Arc::new(HashMap::from([(host.clone(), connection)])) })
    }

    /// Whether a registry is configured, and nobody has said who we are there.
    pub fn is_anonymous_at(&self, host: &RegistryHost) -> bool {
        let connection = self.registries.get(host);
        connection.is_some_and(|connection| matches!(connection.config().credentials, Credentials::Anonymous))
    }

    /// The registries that may be contacted, in no particular order.
    pub fn hosts(&self) -> impl Iterator<Item = &RegistryHost> {
        self.registries.keys()
    }

    /// What a tag points to at this moment (I12).
    ///
    /// The digest is the registry's word for it; [`document`](Self::document) verifies it. Where the
    /// registry gives no usable word, the document is fetched and hashed.
    pub async fn resolve(&self, name: &ImageName, tag: &Tag) -> Result<Digest, RegistryError> {
        match self.digest_header(name, tag).await {
            Ok(Some(digest)) => Ok(digest),
            // Some registries and proxies answer HEAD with 400 or 405.
            Ok(None) | Err(RegistryError::Malformed { .. }) => {
                let document = self.get_document(name, tag.as_str()).await?;
                Ok(Digest::of(&document.bytes))
            }
            Err(error) => Err(error),
        }
    }

    async fn digest_header(&self, name: &ImageName, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let what = format!("tag {tag} of {repository}");
        let mut question =
            connection.question(Method::HEAD, &format!("/v2/{repository}/manifests/{tag}"), &what);
        question.accept = Some(ACCEPT_DOCUMENTS);
        let read = async |answer: Answer| Ok(answer.header("docker-content-digest").map(str::parse));
        let said = connection.fetch(&question, &Scope::Pull(repository.clone()), read).await?;
        Ok(said.and_then(Result::ok))
    }

    /// The manifest or index with this digest, at most [`LARGEST_DOCUMENT`] bytes, verified (I5), unparsed.
    pub async fn raw_document(
        &self,
        name: &ImageName,
        digest: &Digest,
    ) -> Result<RawDocument, RegistryError> {
        let document = self.get_document(name, digest.as_str()).await?;
        if digest.matches(&document.bytes) {
            return Ok(document);
        }
        // A mirror may have cut it off; the second answer counts.
        let document = self.get_document(name, digest.as_str()).await?;
        if digest.matches(&document.bytes) {
            return Ok(document);
        }
        Err(self.mismatch(name, format!("manifest {digest} of {}", name.repository)))
    }

    /// The manifest or index with this digest: bounded, verified (I5) and parsed.
    ///
    /// A document that may not be acted on is [`RegistryError::Malformed`] with a
    /// [`DocumentError`](crate::model::document::DocumentError) as its source.
    pub async fn document(&self, name: &ImageName, digest: &Digest) -> Result<Document, RegistryError> {
        let raw = self.raw_document(name, digest).await?;
        Document::parse(&raw.bytes, raw.content_type.as_deref()).map_err(|source| RegistryError::Malformed {
            what: format!("manifest {digest} of {}", name.repository),
            host: name.registry.clone(),
            source: Arc::new(source),
        })
    }

    async fn get_document(&self, name: &ImageName, reference: &str) -> Result<RawDocument, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let what = format!("manifest {reference} of {repository}");
        let path = format!("/v2/{repository}/manifests/{reference}");
        let mut question = connection.question(Method::GET, &path, &what);
        question.accept = Some(ACCEPT_DOCUMENTS);
        let read = async |answer: Answer| {
            let content_type = answer.header("content-type").map(str::to_owned);
            let bytes = answer.whole(LARGEST_DOCUMENT).await?;
            Ok(RawDocument { bytes, content_type })
        };
        connection.fetch(&question, &Scope::Pull(repository.clone()), read).await
    }

    /// A small blob, whole: at most `limit` bytes, exactly as large as its descriptor says, verified (I5).
    pub async fn small_blob(
        &self,
        name: &ImageName,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = || format!("blob {} of {}", descriptor.digest, name.repository);
        if descriptor.size > limit {
            return Err(RegistryError::TooLarge { what: what(), host: name.registry.clone(), limit });
        }
        for _ in 0..2 {
            let bytes = self.whole_blob(name, descriptor).await?;
            if bytes.len() as u64 == descriptor.size && descriptor.digest.matches(&bytes) {
                return Ok(bytes);
            }
        }
        Err(self.mismatch(name, what()))
    }

    async fn whole_blob(&self, name: &ImageName, descriptor: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let mut blob = self.blob(name, descriptor).await?;
        while let Some(piece) = blob.piece().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// A blob as a stream of at most `descriptor.size + 1` bytes, *not verified*: whoever reads hashes.
    ///
    /// Broken transfers are resumed. While the reader lives it takes one of the registry's
    /// [`concurrency`](RegistryConfig::concurrency) turns. Dropping it ends the transfer.
    pub async fn blob(&self, name: &ImageName, descriptor: &Descriptor) -> Result<BlobReader, RegistryError> {
        let connection = Arc::clone(self.connection(&name.registry)?);
        BlobReader::open(connection, &name.repository, descriptor).await
    }

    /// Contacts a registry and says how it received us.
    pub async fn check(&self, host: &RegistryHost) -> Result<Access, RegistryError> {
        self.connection(host)?.check().await
    }

    fn connection(&self, host: &RegistryHost) -> Result<&Arc<Connection>, RegistryError> {
        self.registries.get(host).ok_or_else(|| RegistryError::NotConfigured(host.clone()))
    }

    fn mismatch(&self, name: &ImageName, what: String) -> RegistryError {
        RegistryError::DigestMismatch { what, host: name.registry.clone() }
    }
}
