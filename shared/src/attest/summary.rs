//! One policy's verdict as a SLSA Verification Summary Attestation: what was verified, by whom, against which policy,
//! from which evidence, and how it ended.
//!
//! Format: slsa.dev `verification_summary/v1`. A warning is `PASSED`: the policy lets it run. What the format has no word for
//! (the outcome, its reasons, how long it holds, the revisions behind it) is in one extension field, named by a URI as
//! in-toto asks. We verify no SLSA level and say so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dsse::Envelope;
use super::keys::PublicKey;
use super::statement::{StatementError, Trusted};
use crate::model::digest::{Algorithm, Digest};
use crate::model::image::ImageName;
use crate::model::report::{Revision, ScanRevisions};
use crate::model::verdict::{ChildVerdict, Counts, Effect, Mode, Outcome, PolicyName, Verdict};

/// The predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";
/// The name of a policy's revision among the digests of a policy: we know it by that and not by its bytes.
const POLICY_REVISION: &str = "tidewaiter_revision";
const SLSA_VERSION: &str = "1.0";
/// The most reasons that are read back.
const MOST_REASONS: usize = 100;
const LONGEST_MESSAGE: usize = 2000;

/// Who says it, and when.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// A URI of ours: where people reach this server.
    pub id: &'a str,
    /// Our version.
    pub version: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// What a trusted summary says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Who verified.
    pub verifier: String,
    /// When it was stated.
    pub verified_at: Timestamp,
    /// The policy.
    pub policy: PolicyName,
    /// Its revision.
    pub policy_revision: Revision,
    /// Whether gates obey it.
    pub mode: Mode,
    /// The judgement.
    pub outcome: Outcome,
    /// When time alone changes it.
    pub valid_until: Option<Timestamp>,
    /// When the image was examined.
    pub scanned_at: Timestamp,
    /// What the facts depend on.
    pub revisions: ScanRevisions,
    /// How many findings count.
    pub counts: Counts,
    /// Why, worst first.
    pub reasons: Vec<StatedReason>,
    /// How many more reasons there were.
    pub further_reasons: u32,
    /// Of an index: each child.
    pub children: Vec<ChildVerdict>,
    /// The blob of the report that it was derived from.
    pub report: Digest,
    /// The id of the key that signed it.
    pub key: String,
}

/// One reason, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedReason {
    /// What the rule wants.
    pub effect: Effect,
    /// One sentence.
    pub message: String,
}

/// Why a signed statement is no summary of ours.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// Not to be believed about this digest, or of another kind.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Signed, and not of the shape that we write.
    #[error("the signed summary cannot be read")]
    Json(#[from] serde_json::Error),
    /// Signed, and it contradicts itself.
    #[error("the signed summary contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// The predicate about one verdict. Verdicts about what could not be examined, or is no image, have none.
pub fn predicate<'a>(
    verdict: &'a Verdict,
    name: &ImageName,
    report: &'a Digest,
    speaker: Speaker<'a>,
) -> Option<Predicate<'a>> {
    let (result, level) = match verdict.outcome {
        Outcome::Pass | Outcome::Warn => (PASSED, "SLSA_BUILD_LEVEL_UNEVALUATED"),
        Outcome::Fail => (FAILED, "FAILED"),
        Outcome::Error | Outcome::NotAnImage => return None,
    };
    let reasons = verdict
        .reasons
        .iter()
        .map(|reason| StatedReason { effect: reason.effect, message: reason.message.clone() });
    Some(Predicate {
        verifier: Verifier { id: speaker.id, version: BTreeMap::from([("tidewaiter", speaker.version)]) },
        time_verified: speaker.now,
        resource_uri: resource(name, &verdict.digest),
        policy: Policy {
            uri: format!("{POLICY_URI}{}", verdict.policy),
            digest: BTreeMap::from([(POLICY_REVISION.to_owned(), verdict.policy_revision.to_string())]),
        },
        input_attestations: [Input { digest: named(report) }],
        verification_result: result,
        verified_levels: [level],
        slsa_version: SLSA_VERSION,
        extension: Extension {
            outcome: verdict.outcome,
            mode: verdict.mode,
            valid_until: verdict.valid_until,
            scanned_at: verdict.scanned_at,
            as_of: verdict.as_of,
            revisions: verdict.revisions.clone(),
            counts: verdict.counts,
            reasons: reasons.collect(),
            further_reasons: verdict.further_reasons,
            children: verdict.children.clone(),
        },
    })
}

const PASSED: &str = "PASSED";
const FAILED: &str = "FAILED";
const POLICY_URI: &str = "urn:tidewaiter:policy:";

/// Where the image is, as a package URL (purl-spec, type `oci`).
pub fn resource(name: &ImageName, digest: &Digest) -> String {
    let repository = name.repository.as_str();
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let escaped = |text: &str| text.replace('%', "%25").replace(':', "%3A");
    format!("pkg:oci/{last}@{}?repository_url={}", escaped(digest.as_str()), escaped(&name.to_string()))
}

impl Summary {
    /// What `envelope` says about `digest`, if one of `keys` has signed it.
    pub fn open(envelope: &Envelope, digest: &Digest, keys: &[PublicKey]) -> Result<Self, SummaryError> {
        let trusted = Trusted::open(envelope, digest, keys)?;
        if trusted.predicate_type != PREDICATE_TYPE {
            return Err(StatementError::PredicateType(trusted.predicate_type).into());
        }
        let wire: WireIn = serde_json::from_str(trusted.predicate.get())?;
        let name = wire.policy.uri.strip_prefix(POLICY_URI).and_then(|name| name.parse().ok());
        let policy = name.ok_or(SummaryError::Contradiction("its policy is none of ours"))?;
        let revision = wire.policy.digest.get(POLICY_REVISION);
        let revision = revision.ok_or(SummaryError::Contradiction("its policy has no revision"))?;
        let mut inputs = wire.input_attestations.into_iter().filter_map(|input| digest_of(&input.digest));
        let report = inputs.next().ok_or(SummaryError::Contradiction("it names no report"))?;
        let extension = wire.extension;
        let fits = match extension.outcome {
            Outcome::Pass | Outcome::Warn => wire.verification_result == PASSED,
            Outcome::Fail => wire.verification_result == FAILED,
            Outcome::Error | Outcome::NotAnImage => false,
        };
        if !fits {
            return Err(SummaryError::Contradiction("its outcome does not fit its result"));
        }
        Ok(Self {
            verifier: wire.verifier.id,
            verified_at: wire.time_verified,
            policy,
            policy_revision: Revision::new(revision.as_str()),
            mode: extension.mode,
            outcome: extension.outcome,
            valid_until: extension.valid_until,
            scanned_at: extension.scanned_at,
            revisions: extension.revisions,
            counts: extension.counts,
            reasons: extension.reasons.iter().take(MOST_REASONS).map(shortened).collect(),
            further_reasons: extension.further_reasons,
            children: extension.children,
            report,
            key: trusted.key,
        })
    }

    /// Whether time alone has not changed it yet.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }
}

fn shortened(reason: &StatedReason) -> StatedReason {
    let message = reason.message.chars().filter(|character| !character.is_control()).take(LONGEST_MESSAGE);
    StatedReason { message: message.collect(), effect: reason.effect }
}

fn named(digest: &Digest) -> BTreeMap<String, String> {
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha512 => "sha512",
    };
    BTreeMap::from([(algorithm.to_owned(), digest.encoded().to_owned())])
}

fn digest_of(named: &BTreeMap<String, String>) -> Option<Digest> {
    named.iter().find_map(|(algorithm, encoded)| format!("{algorithm}:{encoded}").parse().ok())
}

/// The predicate as it is written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate<'a> {
    verifier: Verifier<'a>,
    time_verified: Timestamp,
    resource_uri: String,
    policy: Policy,
    input_attestations: [Input; 1],
    verification_result: &'static str,
    verified_levels: [&'static str; 1],
    slsa_version: &'static str,
    #[serde(rename = "https://tidewaiter.dev/attestation/verdict/v1")]
    extension: Extension,
}

#[derive(Clone, Debug, Serialize)]
struct Verifier<'a> {
    id: &'a str,
    version: BTreeMap<&'static str, &'a str>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Policy {
    uri: String,
    digest: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Input {
    digest: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    outcome: Outcome,
    mode: Mode,
    #[serde(default)]
    valid_until: Option<Timestamp>,
    scanned_at: Timestamp,
    as_of: Timestamp,
    revisions: ScanRevisions,
    counts: Counts,
    reasons: Vec<StatedReason>,
    #[serde(default)]
    further_reasons: u32,
    #[serde(default)]
    children: Vec<ChildVerdict>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireIn {
    verifier: VerifierIn,
    time_verified: Timestamp,
    policy: Policy,
    input_attestations: Vec<Input>,
    verification_result: String,
    #[serde(rename = "https://tidewaiter.dev/attestation/verdict/v1")]
    extension: Extension,
}

#[derive(Deserialize)]
struct VerifierIn {
    id: String,
}
