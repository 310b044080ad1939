//! How cosign finds attestations: under the tag `sha256-<hex>.att`, or as a Sigstore bundle among the referrers.
//!
//! The tag names a manifest with one envelope a layer, annotated with its predicate type; others' layers are kept. Its
//! config is an image config with the layers' digests, as cosign writes it. Bundles: sigstore/cosign
//! `specs/BUNDLE_SPEC.md`, `application/vnd.dev.sigstore.bundle.v0.3+json` around the same envelope.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::artifact::{Artifact, CREATED, KEY, described, finished};
use super::dsse::{ENVELOPE_TYPE, Envelope};
use super::vulnerability;
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, IMAGE_CONFIG_TYPES, MANIFEST_TYPES, MOST_LAYERS, Manifest};
use crate::model::image::Tag;

/// Artifact type and media type of a Sigstore bundle.
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The annotation by which cosign knows what a layer says.
pub const PREDICATE_TYPE: &str = "predicateType";

/// The tag under which something is kept about a digest: `sha256-<hex>` and a suffix. Longer digests are cut, as the
/// distribution-spec has it.
pub fn of(digest: &Digest, suffix: Suffix) -> Tag {
    let algorithm = digest.as_str().split(':').next().unwrap_or_default();
    let text = format!("{algorithm}-{}{}", &digest.encoded()[..64], suffix.text());
    text.parse().expect("algorithm, dash, 64 hex digits and a short suffix are a legal tag")
}

/// What is kept under such a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// The list of referrers, where the registry keeps none.
    Referrers,
    /// cosign's attestations.
    Attestations,
    /// cosign's signatures.
    Signatures,
    /// cosign's SBOMs, as its versions before 3 attach them.
    Sbom,
}

impl Suffix {
    const fn text(self) -> &'static str {
        match self {
            Self::Referrers => "",
            Self::Attestations => ".att",
            Self::Signatures => ".sig",
            Self::Sbom => ".sbom",
        }
    }
}

/// A manifest for the `.att` tag: the layers of `earlier` that are not ours, then `envelope`.
pub fn manifest(earlier: Option<&Manifest>, envelope: &Envelope, key: &str) -> Artifact {
    let ours = |layer: &&Descriptor| layer.annotations.get(KEY).is_some_and(|owner| owner == key);
    let kept = earlier.into_iter().flat_map(|earlier| earlier.layers.iter()).filter(|layer| !ours(layer));
    let mut layers: Vec<Descriptor> = kept.take(MOST_LAYERS - 1).cloned().collect();
    let json = envelope.to_json();
    let annotations = BTreeMap::from([
        (PREDICATE_TYPE.to_owned(), vulnerability::PREDICATE_TYPE.to_owned()),
        ("dev.cosignproject.cosign/signature".to_owned(), String::new()),
        (KEY.to_owned(), key.to_owned()),
    ]);
    layers.push(described(ENVELOPE_TYPE, &json, annotations));
    let config = config(&layers);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPES[0].to_owned()),
        artifact_type: None,
        config: described(IMAGE_CONFIG_TYPES[0], &config, BTreeMap::new()),
        layers,
        subject: None,
        annotations: BTreeMap::new(),
    };
    let bytes = serde_json::to_vec(&manifest).expect("a manifest has only strings and numbers");
    let descriptor = described(MANIFEST_TYPES[0], &bytes, BTreeMap::new());
    Artifact { manifest: bytes, descriptor, blobs: vec![config, json] }
}

fn config(layers: &[Descriptor]) -> Vec<u8> {
    let never = "0001-01-01T00:00:00Z";
    let digests: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
    let config = json!({
        "architecture": "", "os": "", "created": never, "config": {},
        "history": vec![json!({"created": never}); layers.len()],
        "rootfs": {"type": "layers", "diff_ids": digests},
    });
    config.to_string().into_bytes()
}

/// A Sigstore bundle around `envelope`, as an artifact about `subject`.
pub fn bundle(subject: &Descriptor, envelope: &Envelope, key: &str, now: jiff::Timestamp) -> Artifact {
    let dsse: Value = serde_json::from_slice(&envelope.to_json()).expect("an envelope is written as JSON");
    let hint = hex::decode(key).map_or_else(|_| String::new(), |bytes| STANDARD.encode(bytes));
    let bundle = json!({
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": dsse,
    });
    let bytes = bundle.to_string().into_bytes();
    let layers = vec![described(BUNDLE_TYPE, &bytes, BTreeMap::new())];
    let annotations = BTreeMap::from([
        (CREATED.to_owned(), now.to_string()),
        ("dev.sigstore.bundle.content".to_owned(), "dsse-envelope".to_owned()),
        ("dev.sigstore.bundle.predicateType".to_owned(), vulnerability::PREDICATE_TYPE.to_owned()),
        (KEY.to_owned(), key.to_owned()),
    ]);
    finished(BUNDLE_TYPE, subject, layers, annotations, vec![super::artifact::EMPTY.to_vec(), bytes])
}

/// The envelope inside a bundle.
pub fn envelope_of_bundle(bytes: &[u8]) -> Result<Envelope, super::dsse::EnvelopeError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bundle<'a> {
        #[serde(borrow)]
        dsse_envelope: &'a RawValue,
    }
    let bundle: Bundle<'_> = serde_json::from_slice(bytes)?;
    Envelope::parse(bundle.dsse_envelope.get().as_bytes())
}
