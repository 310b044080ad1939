//! SBOMs that are attached to an image: where they lie and how they are wrapped. They are listed here and read elsewhere;
//! nothing in them is verified, and nobody believes them.
//!
//! Looked at are referrers of the types below (distribution-spec 1.1, the referrers tag included), cosign's tags
//! `sha256-<hex>.sbom` and `.att`, and what BuildKit puts beside an image in its index (buildkit, "Image attestation
//! storage"). What a descriptor says to be another statement than an SBOM is not fetched. VEX documents are not fetched
//! either, only told of: whoever may push an image may attach one, and nobody's word takes a finding away.

use std::collections::BTreeMap;

use super::{RegistryClient, RegistryError};
use crate::attest::dsse::ENVELOPE_TYPE;
use crate::attest::statement::PAYLOAD_TYPE;
use crate::attest::tag::{self, BUNDLE_TYPE, PREDICATE_TYPE, Suffix};
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, Document, Index, Manifest, essence};
use crate::model::image::ImageName;
use crate::model::sbom::MOST_SBOMS;

/// Media types of SBOMs as they are.
const PLAIN: [&str; 10] = [
    "application/spdx+json",
    "application/spdx3+json",
    "text/spdx+json",
    "text/spdx",
    "application/vnd.cyclonedx+json",
    "application/vnd.cyclonedx+xml",
    "application/vnd.cyclonedx",
    "application/vnd.syft+json",
    "text/syft+json",
    "text/spdx+tag-value",
];
/// Artifact types of statements that may be about an SBOM.
const STATEMENTS: [&str; 3] = [PAYLOAD_TYPE, ENVELOPE_TYPE, BUNDLE_TYPE];
/// Where manifests and descriptors say what a statement in them is about: in-toto, cosign's tag, Sigstore's bundle.
const PREDICATE_KEYS: [&str; 3] =
    ["in-toto.io/predicate-type", PREDICATE_TYPE, "dev.sigstore.bundle.predicateType"];
/// How predicate types of SBOMs begin; versions may follow.
const PREDICATES: [&str; 2] = ["https://spdx.dev/Document", "https://cyclonedx.org/bom"];
/// Media types of VEX documents: OpenVEX, CSAF.
const VEX: [&str; 4] = [
    "application/openvex+json",
    "application/vnd.openvex+json",
    "application/vex+json",
    "application/csaf+json",
];
/// How the predicate type of OpenVEX begins.
const VEX_PREDICATE: &str = "https://openvex.dev/ns";

/// A blob that is an SBOM, or a statement that may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbomBlob {
    /// Where it is.
    pub blob: Descriptor,
    /// What is around the document.
    pub wrapping: Wrapping,
}

/// What is around a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Nothing.
    Plain,
    /// An in-toto statement.
    Statement,
    /// A DSSE envelope around a statement.
    Envelope,
    /// A Sigstore bundle around an envelope.
    Bundle,
}

/// What is attached to one image.
#[derive(Debug, Default)]
pub struct AttachedSboms {
    /// At most [`MOST_SBOMS`], each once.
    pub blobs: Vec<SbomBlob>,
    /// Artifacts that were read.
    pub read: Vec<Digest>,
    /// Artifacts that could not be read, and why.
    pub unread: Vec<(Digest, RegistryError)>,
    /// How many more there are that are not looked at.
    pub further: usize,
    /// VEX documents, by artifact or blob: at most [`MOST_SBOMS`], each once.
    pub vex: Vec<Digest>,
}

impl AttachedSboms {
    fn take(&mut self, manifest: &Manifest) {
        let statements = manifest.layers.iter().filter(|layer| is_vex(None, &layer.annotations));
        statements.for_each(|layer| self.note_vex(&layer.digest));
        for blob in blobs(manifest) {
            if self.blobs.contains(&blob) {
                continue;
            }
            if self.blobs.len() < MOST_SBOMS { self.blobs.push(blob) } else { self.further += 1 }
        }
    }

    fn note_vex(&mut self, digest: &Digest) {
        if self.vex.len() < MOST_SBOMS && !self.vex.contains(digest) {
            self.vex.push(digest.clone());
        }
    }
}

impl RegistryClient {
    /// The SBOMs that are attached to `digest` as referrers or under cosign's tags.
    pub async fn sboms(&self, name: &ImageName, digest: &Digest) -> Result<AttachedSboms, RegistryError> {
        let mut found = AttachedSboms::default();
        let artifacts = self.referrers_of_any(name, digest, may_claim).await?;
        let says_vex =
            |artifact: &Descriptor| is_vex(artifact.artifact_type.as_deref(), &artifact.annotations);
        let (vex, mut artifacts): (Vec<_>, Vec<_>) = artifacts.into_iter().partition(says_vex);
        vex.iter().for_each(|artifact| found.note_vex(&artifact.digest));
        artifacts.retain(|artifact| is_about_sbom(&artifact.annotations));
        found.further = artifacts.len().saturating_sub(MOST_SBOMS);
        // The list has the newest last.
        for artifact in artifacts.iter().rev().take(MOST_SBOMS) {
            self.take_artifact(name, &artifact.digest, &mut found).await;
        }
        for suffix in [Suffix::Sbom, Suffix::Attestations] {
            if let Some(raw) = self.tagged(name, &tag::of(digest, suffix)).await?
                && let Ok(Document::Manifest(manifest)) =
                    Document::parse(&raw.bytes, raw.content_type.as_deref())
            {
                found.take(&manifest);
            }
        }
        Ok(found)
    }

    /// The SBOMs in these artifacts.
    pub async fn sboms_in(&self, name: &ImageName, artifacts: &[Digest]) -> AttachedSboms {
        let mut found =
            AttachedSboms { further: artifacts.len().saturating_sub(MOST_SBOMS), ..AttachedSboms::default() };
        for artifact in artifacts.iter().take(MOST_SBOMS) {
            self.take_artifact(name, artifact, &mut found).await;
        }
        found
    }

    /// What an artifact is attached to, if that is an SBOM, or a VEX document.
    pub async fn described_by(
        &self,
        name: &ImageName,
        artifact: &Digest,
    ) -> Result<Option<Digest>, RegistryError> {
        match self.document(name, artifact).await? {
            Document::Manifest(manifest) if !blobs(&manifest).is_empty() || holds_vex(&manifest) => {
                Ok(manifest.subject.map(|subject| subject.digest))
            }
            Document::Manifest(_) | Document::Index(_) => Ok(None),
        }
    }

    async fn take_artifact(&self, name: &ImageName, artifact: &Digest, found: &mut AttachedSboms) {
        match self.document(name, artifact).await {
            Ok(document) => {
                found.read.push(artifact.clone());
                // Nobody attaches an index, and what lies in one is attached to nothing.
                if let Document::Manifest(manifest) = document {
                    if holds_vex(&manifest) {
                        found.note_vex(artifact);
                    }
                    found.take(&manifest);
                }
            }
            Err(error) => found.unread.push((artifact.clone(), error)),
        }
    }
}

/// Whether artifacts of this type may be SBOMs, or VEX documents, which are told of.
pub fn may_claim(artifact_type: &str) -> bool {
    let artifact_type = essence(artifact_type);
    [&PLAIN[..], &STATEMENTS, &VEX].iter().any(|types| types.contains(&artifact_type.as_str()))
}

/// Whether something is said to be a VEX document, or a statement that holds one.
fn is_vex(artifact_type: Option<&str>, annotations: &BTreeMap<String, String>) -> bool {
    let stated = PREDICATE_KEYS.iter().find_map(|key| annotations.get(*key));
    artifact_type.is_some_and(|stated| VEX.contains(&essence(stated).as_str()))
        || stated.is_some_and(|stated| stated.starts_with(VEX_PREDICATE))
}

fn holds_vex(manifest: &Manifest) -> bool {
    let stated = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
    is_vex(Some(stated), &manifest.annotations)
}

/// What an index says to be attestations of its images: by image, the manifests that hold them.
pub fn attestations(index: &Index) -> BTreeMap<Digest, Vec<Digest>> {
    let mut found: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    for child in &index.manifests {
        let stated = |key: &str| child.annotations.get(key).map(String::as_str);
        if stated("vnd.docker.reference.type") == Some("attestation-manifest")
            && let Some(image) = stated("vnd.docker.reference.digest").and_then(|text| text.parse().ok())
        {
            found.entry(image).or_default().push(child.digest.clone());
        }
    }
    found
}

/// Whether a statement of this type is about an SBOM.
pub fn is_sbom_predicate(predicate_type: &str) -> bool {
    PREDICATES.iter().any(|known| predicate_type.starts_with(known))
}

/// Whether annotations do not say that something is another statement, or a bare signature.
fn is_about_sbom(annotations: &BTreeMap<String, String>) -> bool {
    let content = annotations.get("dev.sigstore.bundle.content");
    if content.is_some_and(|content| content != "dsse-envelope") {
        return false;
    }
    let stated = PREDICATE_KEYS.iter().find_map(|key| annotations.get(*key));
    stated.is_none_or(|stated| is_sbom_predicate(stated))
}

/// The SBOMs that a manifest holds, as far as media types and annotations say.
fn blobs(manifest: &Manifest) -> Vec<SbomBlob> {
    let stated = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
    // Whoever attaches a file as it is often leaves its layer the type of a tar.
    let is_plain = PLAIN.contains(&essence(stated).as_str());
    let wrapping = |layer: &Descriptor| match essence(&layer.media_type).as_str() {
        PAYLOAD_TYPE => Some(Wrapping::Statement),
        ENVELOPE_TYPE => Some(Wrapping::Envelope),
        BUNDLE_TYPE => Some(Wrapping::Bundle),
        plain if is_plain || PLAIN.contains(&plain) => Some(Wrapping::Plain),
        _ => None,
    };
    let layers = manifest.layers.iter().filter(|layer| is_about_sbom(&layer.annotations));
    let found = layers.filter_map(|layer| Some(SbomBlob { blob: layer.clone(), wrapping: wrapping(layer)? }));
    if is_about_sbom(&manifest.annotations) { found.collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The wrappings of what a manifest with such layers holds; a layer is a media type and what its statement is about.
    fn check(artifact_type: &str, layers: &[(&str, &str)], expected: &[Wrapping]) {
        let digest = Digest::of(b"{}");
        let layers = layers.iter().map(|(media_type, predicate)| {
            let annotations = match *predicate {
                "" => json!({}),
                predicate => json!({"in-toto.io/predicate-type": predicate}),
            };
            json!({"mediaType": media_type, "digest": digest, "size": 2, "annotations": annotations})
        });
        let manifest = json!({
            "schemaVersion": 2, "artifactType": artifact_type, "layers": layers.collect::<Vec<_>>(),
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2},
        });
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let found: Vec<Wrapping> = blobs(&manifest).iter().map(|blob| blob.wrapping).collect();
        assert_eq!(found, expected, "{artifact_type}");
    }

    #[test]
    fn sboms_are_told_by_their_types_and_by_what_statements_say() {
        let (in_toto, tar) = ("application/vnd.in-toto+json", "application/vnd.oci.image.layer.v1.tar");
        check("application/spdx+json", &[(tar, "")], &[Wrapping::Plain]);
        check("application/vnd.cyclonedx+json; version=1.6", &[("application/json", "")], &[Wrapping::Plain]);
        check("application/x", &[("text/spdx+json", ""), (tar, "")], &[Wrapping::Plain]);
        let provenance = "https://slsa.dev/provenance/v1";
        check(
            "application/vnd.docker.attestation.manifest.v1+json",
            &[(in_toto, "https://spdx.dev/Document"), (in_toto, provenance), (in_toto, "")],
            &[Wrapping::Statement, Wrapping::Statement],
        );
        check(BUNDLE_TYPE, &[(BUNDLE_TYPE, "https://cyclonedx.org/bom/v1.4")], &[Wrapping::Bundle]);
        check("", &[(ENVELOPE_TYPE, "https://cosign.sigstore.dev/attestation/vuln/v1")], &[]);
        check("application/x", &[(tar, "")], &[]);
    }

    #[test]
    fn vex_documents_are_told_by_their_types_and_by_what_statements_say() {
        let (digest, openvex) = (Digest::of(b"{}"), "https://openvex.dev/ns/v0.2.0");
        let layer = |predicate: &str| {
            json!({"mediaType": ENVELOPE_TYPE, "digest": Digest::of(predicate.as_bytes()), "size": 2,
                "annotations": {PREDICATE_TYPE: predicate}})
        };
        let manifest = |artifact_type: &str, annotations| {
            let config =
                json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2});
            let layers = [layer(openvex), layer("https://spdx.dev/Document"), layer(openvex)];
            let manifest = json!({"schemaVersion": 2, "artifactType": artifact_type, "config": config,
                "layers": layers, "annotations": annotations});
            serde_json::from_value::<Manifest>(manifest).unwrap()
        };
        assert!(holds_vex(&manifest("application/openvex+json; charset=utf-8", json!({}))));
        let bundle = json!({"dev.sigstore.bundle.predicateType": openvex});
        assert!(holds_vex(&manifest(BUNDLE_TYPE, bundle)));
        let attestations = manifest("application/x", json!({}));
        assert!(!holds_vex(&attestations));
        // What cosign's tag lists: the statements are told of one by one, each once, and the SBOM beside them is read.
        let mut found = AttachedSboms::default();
        found.take(&attestations);
        assert_eq!(found.vex, [Digest::of(openvex.as_bytes())]);
        assert_eq!(found.blobs.len(), 1);
    }

    #[test]
    fn an_index_says_which_image_its_attestations_are_about() {
        let (image, attestation) = (Digest::of(b"image"), Digest::of(b"attestation"));
        let child = |digest: &Digest, annotations| json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 2, "annotations": annotations});
        let reference = json!({
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image,
        });
        let broken =
            json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": "x"});
        let children = [child(&image, json!({})), child(&attestation, reference), child(&image, broken)];
        let index: Index =
            serde_json::from_value(json!({"schemaVersion": 2, "manifests": children})).unwrap();
        assert_eq!(attestations(&index), [(image, vec![attestation])].into());
    }
}
