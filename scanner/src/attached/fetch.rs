//! Documents out of the registry: what they claim, whatever is around them. No signature is looked at.
//!
//! Statements: in-toto/attestation `spec/predicates`, SPDX and CycloneDX; cosign puts text that is no JSON into a string,
//! and its older versions the document under `Data`.

use serde_json::Value;
use shared::attest::dsse::Envelope;
use shared::attest::statement::{Claim, PAYLOAD_TYPE};
use shared::attest::tag::envelope_of_bundle;
use shared::model::digest::Digest;
use shared::model::document::{Document, Index};
use shared::model::image::ImageName;
use shared::model::sbom::{AttachedSbom, MOST_SBOMS};
use shared::registry::sboms::{AttachedSboms, SbomBlob, Wrapping, attestations, is_sbom_predicate};
use shared::registry::{RegistryClient, RegistryError};
use shared::telemetry::chain;

use super::{Claimed, Claims};
use crate::analyzers::sbom;

/// The largest document that is read, in bytes.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// So many bytes of documents are read of one image.
const MOST_BYTES: u64 = 48 << 20;

/// What is attached to `digest` itself; documents that are `known` are not read again.
pub async fn of_image(
    client: &RegistryClient,
    name: &ImageName,
    digest: &Digest,
    known: &[AttachedSbom],
) -> Claims {
    match client.sboms(name, digest).await {
        Ok(found) => {
            let mut claims = read(client, name, digest, found, known).await;
            claims.settled.push(AttachedSbom::place(digest));
            claims
        }
        Err(error) => unlisted(digest, &error),
    }
}

/// What these artifacts, which are attached to `digest`, claim.
pub async fn of_artifacts(
    client: &RegistryClient,
    name: &ImageName,
    digest: &Digest,
    artifacts: &[Digest],
) -> Claims {
    let found = client.sboms_in(name, artifacts).await;
    read(client, name, digest, found, &[]).await
}

/// What is attached to an index is claimed of each of its images; what BuildKit puts into the index beside an image, of
/// that one.
pub struct OfIndex {
    of_all: Claims,
    index: Option<Index>,
}

impl OfIndex {
    /// Reads what is attached to the index, and the index.
    pub async fn read(client: &RegistryClient, name: &ImageName, digest: &Digest) -> Self {
        let mut of_all = of_image(client, name, digest, &[]).await;
        let index = match client.document(name, digest).await {
            Ok(Document::Index(index)) => Some(*index),
            Ok(Document::Manifest(_)) => None,
            Err(error) => {
                of_all.extend(unlisted(digest, &error));
                None
            }
        };
        Self { of_all, index }
    }

    /// What is claimed of one of its images.
    pub async fn of_child(&self, client: &RegistryClient, name: &ImageName, child: &Digest) -> Claims {
        let mut claims = self.of_all.clone();
        let listed = self.index.as_ref().and_then(|index| attestations(index).remove(child));
        if let Some(artifacts) = listed {
            claims.extend(of_artifacts(client, name, child, &artifacts).await);
        }
        claims
    }
}

fn unlisted(digest: &Digest, error: &RegistryError) -> Claims {
    let mut claims = Claims::default();
    let why = format!("what is attached to {digest} cannot be listed: {}", chain(error));
    claims.unreadable(AttachedSbom::place(digest), &why);
    claims
}

async fn read(
    client: &RegistryClient,
    name: &ImageName,
    digest: &Digest,
    found: AttachedSboms,
    known: &[AttachedSbom],
) -> Claims {
    let mut claims = Claims::default();
    claims.settled.extend(found.read.iter().map(AttachedSbom::place));
    for (artifact, error) in found.unread {
        claims.unreadable(
            AttachedSbom::place(&artifact),
            &format!("the artifact cannot be read: {}", chain(&error)),
        );
    }
    if found.further > 0 {
        let why = format!("{} more SBOMs are attached than the {MOST_SBOMS} that are read", found.further);
        claims.unreadable(AttachedSbom::place(digest), &why);
    }
    found.vex.iter().for_each(|document| claims.unused_vex(document));
    let mut left = MOST_BYTES;
    for SbomBlob { blob, wrapping } in found.blobs {
        let place = AttachedSbom::place(&blob.digest);
        if known.iter().any(|known| known.digest == blob.digest) {
            continue;
        }
        let Some(rest) = left.checked_sub(blob.size).filter(|_| blob.size <= LARGEST_DOCUMENT) else {
            let why = format!("the SBOM has {} bytes, too many; attach a smaller one", blob.size);
            claims.unreadable(place, &why);
            continue;
        };
        left = rest;
        let bytes = match client.small_blob(name, &blob, LARGEST_DOCUMENT).await {
            Ok(bytes) => bytes,
            Err(error) => {
                claims.unreadable(place, &format!("the SBOM cannot be fetched: {}", chain(&error)));
                continue;
            }
        };
        let subject = digest.clone();
        let parsed = tokio::task::spawn_blocking(move || listed(&subject, wrapping, &bytes)).await;
        match parsed.unwrap_or_else(|panic| Err(format!("reading it broke down: {panic}"))) {
            Ok(Some(listing)) => claims.documents.push(Claimed {
                missing: listing.missing("the attached SBOM"),
                packages: listing.into_packages(),
                digest: blob.digest,
            }),
            Ok(None) => claims.settled.push(place),
            Err(why) => claims.unreadable(place, &format!("the SBOM cannot be read: {why}")),
        }
    }
    claims
}

/// What a document lists; `None` if it turns out to be a statement about something else than an SBOM.
pub(super) fn listed(
    subject: &Digest,
    wrapping: Wrapping,
    bytes: &[u8],
) -> Result<Option<sbom::Listing>, String> {
    let envelope = match wrapping {
        Wrapping::Plain => return sbom::claims(bytes).map(Some),
        Wrapping::Statement => return stated(subject, bytes),
        Wrapping::Envelope => Envelope::parse(bytes).map_err(|error| chain(&error))?,
        Wrapping::Bundle => envelope_of_bundle(bytes).map_err(|error| chain(&error))?,
    };
    match envelope.claimed() {
        (PAYLOAD_TYPE, statement) => stated(subject, statement),
        (other, _) => Err(format!("its envelope is around {other:?}")),
    }
}

fn stated(subject: &Digest, statement: &[u8]) -> Result<Option<sbom::Listing>, String> {
    let Claim { predicate_type, predicate } =
        Claim::read(statement, subject).map_err(|error| chain(&error))?;
    if !is_sbom_predicate(&predicate_type) {
        return Ok(None);
    }
    let text = predicate.get();
    let wrapped: Option<Value> = serde_json::from_str(text).ok().and_then(|predicate| match predicate {
        Value::Object(mut fields) => fields.remove("Data"),
        text @ Value::String(_) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    });
    match wrapped {
        None => sbom::claims(text.as_bytes()),
        Some(Value::String(text)) => sbom::claims(text.as_bytes()),
        Some(document) => sbom::claims(document.to_string().as_bytes()),
    }
    .map(Some)
}
