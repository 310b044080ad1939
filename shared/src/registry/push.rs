//! The little that we write: small blobs and manifests that are attached to images, and taking them away again.
//!
//! Protocol: distribution-spec "Pushing Blobs" (POST then PUT), "Pushing Manifests", "Deleting Manifests". Everything is
//! named by its digest, so that repeating it after a broken connection changes nothing.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Method, StatusCode};

use super::auth::Scope;
use super::body::Answer;
use super::error::{RegistryError, TransportError};
use super::http::Sent;
use super::{RawDocument, RegistryClient, refusal};
use crate::model::digest::Digest;
use crate::model::image::{ImageName, Tag};

/// Whether something was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, or was not there.
    Gone,
    /// The registry does not allow it; it stays, and that is no failure.
    NotAllowed,
}

impl RegistryClient {
    /// Uploads a small blob unless the repository has it; returns once the registry has confirmed its digest.
    pub async fn push_blob(&self, name: &ImageName, bytes: &[u8]) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        if self.has_blob(name, &digest).await? {
            return Ok(digest);
        }
        let connection = self.connection(&name.registry)?;
        let what = format!("blob {digest} for {}", name.repository);
        let bytes = Bytes::copy_from_slice(bytes);
        // An upload that broke is begun again: its location may be used up.
        connection.repeated(&what, || self.upload(name, &digest, &what, bytes.clone())).await?;
        Ok(digest)
    }

    async fn has_blob(&self, name: &ImageName, digest: &Digest) -> Result<bool, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let what = format!("blob {digest} of {repository}");
        let question = connection.question(Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"), &what);
        let good = [StatusCode::OK, StatusCode::NOT_FOUND];
        let scope = Scope::Push(repository.clone());
        let read = async |answer: Answer| Ok(answer.status() == StatusCode::OK);
        connection.fetch_if(&question, &scope, &good, read).await
    }

    async fn upload(
        &self,
        name: &ImageName,
        digest: &Digest,
        what: &str,
        bytes: Bytes,
    ) -> Result<(), RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let scope = Scope::Push(repository.clone());
        let sent = |bytes| Some(Sent { media_type: "application/octet-stream".to_owned(), bytes });
        let mut begin = connection.question(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), what);
        begin.body = sent(Bytes::new());
        let begun = connection.ask(&begin, &scope).await?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(refusal::of(begun, &name.registry, what).await);
        }
        let location = begun.header("location").unwrap_or_default();
        let mut finish = connection.question(Method::PUT, "/", what);
        finish.url = connection.location(&begin.url, location)?;
        finish.url.query_pairs_mut().append_pair("digest", digest.as_str());
        finish.body = sent(bytes);
        let finished = connection.ask(&finish, &scope).await?;
        match finished.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            // The registry has forgotten the upload: a replica or a restart. Begin again.
            StatusCode::NOT_FOUND => {
                Err(finished.unavailable(TransportError::new("the upload was forgotten")))
            }
            _ => Err(refusal::of(finished, &name.registry, what).await),
        }
    }

    /// Writes a manifest under its digest or a tag. Says which subject the registry has indexed it for, if it
    /// knows referrers at all (`OCI-Subject`).
    pub async fn push_manifest(
        &self,
        name: &ImageName,
        tag: Option<&Tag>,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Option<Digest>, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let reference = tag.map_or_else(|| Digest::of(bytes).to_string(), ToString::to_string);
        let what = format!("manifest {reference} for {repository}");
        let mut question =
            connection.question(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"), &what);
        question.body =
            Some(Sent { media_type: media_type.to_owned(), bytes: Bytes::copy_from_slice(bytes) });
        let good = [StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED];
        let scope = Scope::Push(repository.clone());
        let read = async |answer: Answer| Ok(answer.header("oci-subject").and_then(|text| text.parse().ok()));
        connection.fetch_if(&question, &scope, &good, read).await
    }

    /// Takes a manifest away, where the registry allows that.
    pub async fn delete_manifest(&self, name: &ImageName, digest: &Digest) -> Result<Deleted, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let what = format!("manifest {digest} of {repository}");
        let question =
            connection.question(Method::DELETE, &format!("/v2/{repository}/manifests/{digest}"), &what);
        let good =
            [StatusCode::ACCEPTED, StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::METHOD_NOT_ALLOWED];
        let scope = Scope::Delete(repository.clone());
        let read = async |answer: Answer| {
            Ok(match answer.status() {
                StatusCode::METHOD_NOT_ALLOWED => Deleted::NotAllowed,
                _ => Deleted::Gone,
            })
        };
        match connection.fetch_if(&question, &scope, &good, read).await {
            Err(RegistryError::NotFound { .. }) => Ok(Deleted::Gone),
            Err(RegistryError::Denied { .. } | RegistryError::Unauthorized { .. }) => Ok(Deleted::NotAllowed),
            outcome => outcome,
        }
    }

    /// What a tag names at this moment, unparsed; `None` if there is no such tag.
    pub async fn tagged(&self, name: &ImageName, tag: &Tag) -> Result<Option<RawDocument>, RegistryError> {
        match self.get_document(name, tag.as_str()).await {
            Ok(document) => Ok(Some(document)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn malformed(&self, name: &ImageName, what: &str, why: String) -> RegistryError {
        RegistryError::Malformed {
            what: what.to_owned(),
            host: name.registry.clone(),
            source: Arc::new(TransportError::new(why)),
        }
    }
}
