//! How a digest's verdicts lie in a registry: one artifact manifest whose subject is the image.
//!
//! | layer | media type | what |
//! |---|---|---|
//! | first | [`REPORT_TYPE`] | the report, zstd; every summary names its digest |
//! | one a policy | [`ENVELOPE_TYPE`] | a signed summary, annotated with its predicate type |
//!
//! OCI image-spec manifest.md ("Guidelines for Artifact Usage"), distribution-spec "Pushing Manifests with Subject".
//! Annotations are repeated in the list of referrers and are hints: nothing is believed that is not signed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::dsse::{ENVELOPE_TYPE, Envelope, LARGEST_ENVELOPE};
use super::report::{LARGEST_BLOB, REPORT_TYPE};
use super::summary;
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, MANIFEST_TYPES, Manifest};
use crate::model::report::ScanRevisions;
use crate::model::verdict::Verdict;

/// The artifact type of our verdicts.
pub const ARTIFACT_TYPE: &str = "application/vnd.tidewaiter.verdict.v1+json";
/// Media type of the empty config, `{}`.
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The empty config.
pub const EMPTY: &[u8] = b"{}";
/// When the artifact was made, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// What kind of statement a layer or artifact holds.
pub const PREDICATE: &str = "in-toto.io/predicate-type";
/// Which key signed: whose artifact it is.
pub const KEY: &str = "dev.tidewaiter.key";
/// What it says, as one opaque word: equal means that there is nothing new to say.
pub const STATE: &str = "dev.tidewaiter.state";
/// The worst outcome that it states.
pub const OUTCOME: &str = "dev.tidewaiter.verdict";
/// The most summaries that are read from one artifact.
pub const MOST_SUMMARIES: usize = 64;

/// Everything to be pushed: blobs first, then the manifest.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The manifest, exactly as its digest has it.
    pub manifest: Vec<u8>,
    /// The manifest as others list it.
    pub descriptor: Descriptor,
    /// Blobs that it points at.
    pub blobs: Vec<Vec<u8>>,
}

/// The layers of an artifact of ours that are worth fetching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// The report, if there is one within bounds.
    pub report: Option<Descriptor>,
    /// The summaries.
    pub summaries: Vec<Descriptor>,
}

/// What would be stated, as one word: the revisions, and what each policy says.
pub fn state(revisions: &ScanRevisions, verdicts: &[Verdict]) -> String {
    let mut text = format!("{} {}\n", revisions.analyzer, revisions.database);
    for verdict in verdicts {
        let until = verdict.valid_until.map_or(String::new(), |until| until.to_string());
        text.push_str(&format!(
            "{} {} {:?} {} {until}\n",
            verdict.policy, verdict.policy_revision, verdict.mode, verdict.outcome
        ));
    }
    Digest::of(text.as_bytes()).encoded()[..32].to_owned()
}

/// The artifact with these summaries and this report.
pub fn build(
    subject: &Descriptor,
    report: Vec<u8>,
    summaries: &[Envelope],
    key: &str,
    stated: (&str, &str),
    now: Timestamp,
) -> Artifact {
    let (state, outcome) = stated;
    let mut blobs = vec![EMPTY.to_vec()];
    let mut layers = vec![described(REPORT_TYPE, &report, BTreeMap::new())];
    blobs.push(report);
    for envelope in summaries {
        let json = envelope.to_json();
        let annotations = BTreeMap::from([(PREDICATE.to_owned(), summary::PREDICATE_TYPE.to_owned())]);
        layers.push(described(ENVELOPE_TYPE, &json, annotations));
        blobs.push(json);
    }
    let annotations = BTreeMap::from([
        (CREATED.to_owned(), now.to_string()),
        (PREDICATE.to_owned(), summary::PREDICATE_TYPE.to_owned()),
        (KEY.to_owned(), key.to_owned()),
        (STATE.to_owned(), state.to_owned()),
        (OUTCOME.to_owned(), outcome.to_owned()),
    ]);
    finished(ARTIFACT_TYPE, subject, layers, annotations, blobs)
}

/// A manifest with an empty config, about `subject`.
pub(crate) fn finished(
    artifact_type: &str,
    subject: &Descriptor,
    layers: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
    blobs: Vec<Vec<u8>>,
) -> Artifact {
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPES[0].to_owned()),
        artifact_type: Some(artifact_type.to_owned()),
        config: described(EMPTY_TYPE, EMPTY, BTreeMap::new()),
        layers,
        subject: Some(Descriptor { annotations: BTreeMap::new(), platform: None, ..subject.clone() }),
        annotations: annotations.clone(),
    };
    let bytes = serde_json::to_vec(&manifest).expect("a manifest has only strings and numbers");
    let mut descriptor = described(MANIFEST_TYPES[0], &bytes, annotations);
    descriptor.artifact_type = Some(artifact_type.to_owned());
    Artifact { manifest: bytes, descriptor, blobs }
}

/// The descriptor of a blob.
pub fn described(media_type: &str, bytes: &[u8], annotations: BTreeMap<String, String>) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations,
        artifact_type: None,
        platform: None,
    }
}

impl Layers {
    /// The layers of `manifest`, if it is an artifact of ours about `subject`.
    pub fn of(manifest: &Manifest, subject: &Digest) -> Option<Self> {
        let is_about = manifest.subject.as_ref().is_some_and(|named| named.digest == *subject);
        if manifest.artifact_type.as_deref() != Some(ARTIFACT_TYPE) || !is_about {
            return None;
        }
        let of_type = |media_type: &'static str, limit: u64| {
            manifest
                .layers
                .iter()
                .filter(move |layer| layer.media_type == media_type && layer.size <= limit)
                .cloned()
        };
        Some(Self {
            report: of_type(REPORT_TYPE, LARGEST_BLOB).next(),
            summaries: of_type(ENVELOPE_TYPE, LARGEST_ENVELOPE).take(MOST_SUMMARIES).collect(),
        })
    }
}

/// Our kind of artifact among referrers, newest first by what they say of themselves.
pub fn newest_first(referrers: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut ours: Vec<Descriptor> = referrers
        .into_iter()
        .filter(|referrer| referrer.artifact_type.as_deref() == Some(ARTIFACT_TYPE))
        .collect();
    ours.sort_by_key(|referrer| std::cmp::Reverse(created(referrer)));
    ours
}

fn created(descriptor: &Descriptor) -> Option<Timestamp> {
    descriptor.annotations.get(CREATED)?.parse().ok()
}
