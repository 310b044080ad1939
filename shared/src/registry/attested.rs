//! What is attached to an image and signed by somebody whom the caller believes; everything else is left out, with the
//! reason. Bounded in number and size.

use super::{RegistryClient, RegistryError};
use crate::attest::artifact::{Layers, MOST_SUMMARIES};
use crate::attest::dsse::{ENVELOPE_TYPE, Envelope, EnvelopeError, LARGEST_ENVELOPE};
use crate::attest::keys::PublicKey;
use crate::attest::statement::StatementError;
use crate::attest::summary::{Summary, SummaryError};
use crate::attest::tag::{self, Suffix};
use crate::attest::vulnerability::Vulnerabilities;
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, Document, Manifest};
use crate::model::image::ImageName;

/// The most bundles that are read of one image.
const MOST_BUNDLES: usize = 16;

/// What one artifact of ours says that is believed, and where its report is.
#[derive(Clone, Debug)]
pub struct Believed {
    /// At least one.
    pub summaries: Vec<Summary>,
    /// The layer with the report; believed only if a summary names its digest.
    pub report: Option<Descriptor>,
}

/// Why an artifact is not believed.
#[derive(Debug, thiserror::Error)]
pub enum BeliefError {
    /// It cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It is something else.
    #[error("it is no verdict artifact about {0}")]
    Other(Digest),
    /// It has nothing to be believed.
    #[error("it holds no signed summary")]
    Empty,
    /// A layer is no envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Its statements are not to be believed.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Its summaries are not to be believed.
    #[error(transparent)]
    Summary(#[from] SummaryError),
}

impl RegistryClient {
    /// What the artifact says about `digest` that one of `keys` has signed.
    pub async fn believed(
        &self,
        name: &ImageName,
        digest: &Digest,
        artifact: &Digest,
        keys: &[PublicKey],
    ) -> Result<Believed, BeliefError> {
        let layers = match self.document(name, artifact).await? {
            Document::Manifest(manifest) => Layers::of(&manifest, digest),
            Document::Index(_) => None,
        };
        let layers = layers.ok_or_else(|| BeliefError::Other(digest.clone()))?;
        let mut summaries = Vec::new();
        let mut refused = BeliefError::Empty;
        for layer in &layers.summaries {
            let envelope = Envelope::parse(&self.small_blob(name, layer, LARGEST_ENVELOPE).await?);
            match envelope
                .map_err(BeliefError::from)
                .and_then(|envelope| Summary::open(&envelope, digest, keys).map_err(BeliefError::from))
            {
                Ok(summary) => summaries.push(summary),
                Err(error) => refused = error,
            }
        }
        if summaries.is_empty() { Err(refused) } else { Ok(Believed { summaries, report: layers.report }) }
    }

    /// What cosign would find about `digest` of the kind `vuln`, under its tag and among the bundles; each with what
    /// it says, or why it is not believed. Attestations of other kinds are passed over.
    pub async fn vulnerabilities(
        &self,
        name: &ImageName,
        digest: &Digest,
        keys: &[PublicKey],
    ) -> Result<Vec<Result<Vulnerabilities, BeliefError>>, RegistryError> {
        let mut found = Vec::new();
        for (layer, kind) in self.cosign_layers(name, digest).await? {
            let bytes = self.small_blob(name, &layer, LARGEST_ENVELOPE).await?;
            let envelope = match kind {
                Kind::Envelope => Envelope::parse(&bytes),
                Kind::Bundle => tag::envelope_of_bundle(&bytes),
            };
            let opened = envelope
                .map_err(BeliefError::from)
                .and_then(|envelope| Ok(Vulnerabilities::open(&envelope, digest, keys)?));
            match opened {
                Err(BeliefError::Statement(StatementError::PredicateType(_))) => {}
                opened => found.push(opened),
            }
        }
        Ok(found)
    }

    async fn cosign_layers(
        &self,
        name: &ImageName,
        digest: &Digest,
    ) -> Result<Vec<(Descriptor, Kind)>, RegistryError> {
        let mut found = Vec::new();
        if let Some(raw) = self.tagged(name, &tag::of(digest, Suffix::Attestations)).await?
            && let Ok(Document::Manifest(manifest)) = Document::parse(&raw.bytes, raw.content_type.as_deref())
        {
            found.extend(layers_of(&manifest, ENVELOPE_TYPE).map(|layer| (layer, Kind::Envelope)));
        }
        let bundles = self.referrers(name, digest, tag::BUNDLE_TYPE).await?;
        for bundle in bundles.iter().rev().take(MOST_BUNDLES) {
            if let Document::Manifest(manifest) = self.document(name, &bundle.digest).await? {
                found.extend(layers_of(&manifest, tag::BUNDLE_TYPE).map(|layer| (layer, Kind::Bundle)));
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Envelope,
    Bundle,
}

fn layers_of(manifest: &Manifest, media_type: &'static str) -> impl Iterator<Item = Descriptor> {
    let fits = move |layer: &&Descriptor| layer.media_type == media_type && layer.size <= LARGEST_ENVELOPE;
    manifest.layers.iter().filter(fits).take(MOST_SUMMARIES).cloned()
}
