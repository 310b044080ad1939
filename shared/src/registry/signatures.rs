//! Signatures that cosign attached to an image: collected as facts, believed by nobody here.
//!
//! Format: sigstore/cosign `specs/SIGNATURE_SPEC.md`: under the tag `sha256-<hex>.sig` a manifest with one "simple signing" payload a
//! layer, whose signature stands in an annotation. What is beyond the bounds of [`SignatureFact`] is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{RegistryClient, RegistryError};
use crate::attest::tag::{self, Suffix};
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, Document};
use crate::model::image::ImageName;
use crate::model::signature::{LONGEST_PAYLOAD, MOST_SIGNATURES, SignatureFact, SignatureForm};

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

impl RegistryClient {
    /// The signatures of `digest` under cosign's tag; none where there is no such tag.
    pub async fn signatures(
        &self,
        name: &ImageName,
        digest: &Digest,
    ) -> Result<Vec<SignatureFact>, RegistryError> {
        let Some(raw) = self.tagged(name, &tag::of(digest, Suffix::Signatures)).await? else {
            return Ok(Vec::new());
        };
        // Whatever else stands under that tag signs nothing.
        let Ok(Document::Manifest(manifest)) = Document::parse(&raw.bytes, raw.content_type.as_deref())
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for layer in &manifest.layers {
            let Some(signature) = signature_of(layer) else { continue };
            let payload = match self.small_blob(name, layer, LONGEST_PAYLOAD as u64).await {
                Ok(payload) => payload,
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => continue,
            };
            let fact = SignatureFact::new(SignatureForm::SimpleSigning, payload, signature);
            found.extend(fact.filter(|fact| !found.contains(fact)));
            if found.len() >= MOST_SIGNATURES {
                break;
            }
        }
        Ok(found)
    }
}

/// The signature that a layer carries, if it is a signed payload.
pub(crate) fn signature_of(layer: &Descriptor) -> Option<Vec<u8>> {
    let text = layer.annotations.get(SIGNATURE).filter(|_| layer.media_type == SIMPLE_SIGNING)?;
    STANDARD.decode(text).ok().filter(|signature| !signature.is_empty())
}
