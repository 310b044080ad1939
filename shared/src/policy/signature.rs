//! Whether an image has a signature that a policy requires. Pure: keys from the policy, facts from the report.
//!
//! Understood are cosign's simple signing (payload `critical.image.docker-manifest-digest`) and DSSE
//! envelopes with an in-toto statement of cosign's signing predicate. Only such statements: that somebody
//! attested something about an image with the same key does not mean that he released it.

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde::Deserialize;

use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::signature::{MOST_SIGNATURES, SignatureFact, SignatureForm};
use crate::model::verdict::Effect;

/// The most keys of one requirement.
pub(super) const MOST_KEYS: usize = 16;

/// A signature that images must have.
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureRule {
    /// For people, in reasons.
    pub name: String,
    /// One of these has signed.
    pub keys: Vec<PublicKey>,
    /// What becomes of images without it.
    pub then: Effect,
}

/// A public key: ECDSA on P-256.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey(VerifyingKey);

/// A text that is no key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 public key; expected -----BEGIN PUBLIC KEY-----, as in cosign.pub")]
pub struct KeyError;

impl PublicKey {
    /// A key in PEM (SPKI).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_pem(pem.trim()).map(Self).map_err(|_| KeyError)
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

impl SignatureRule {
    /// Whether one of the keys has signed the report's image.
    pub(super) fn is_met(&self, report: &Report) -> bool {
        let facts = report.signatures.iter().take(MOST_SIGNATURES);
        let about = facts.filter(|fact| speaks_about(fact, &report.digest));
        about.into_iter().any(|fact| {
            let message = message(fact);
            self.keys.iter().any(|key| key.has_signed(&message, &fact.signature))
        })
    }
}

/// The bytes that were signed.
fn message(fact: &SignatureFact) -> Vec<u8> {
    match &fact.form {
        SignatureForm::SimpleSigning => fact.payload.clone(),
        SignatureForm::Dsse { payload_type } => {
            let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), fact.payload.len());
            [head.as_bytes(), &fact.payload].concat()
        }
    }
}

#[derive(Deserialize)]
struct SimpleSigning {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: SignedImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SignedImage {
    docker_manifest_digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

const SIMPLE_SIGNING_TYPES: [&str; 2] =
    ["cosign container image signature", "https://sigstore.dev/cosign/sign/v1"];
const SIGNING_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Whether the payload names this very manifest: a signature moved from another image says nothing.
fn speaks_about(fact: &SignatureFact, digest: &Digest) -> bool {
    match &fact.form {
        SignatureForm::SimpleSigning => {
            serde_json::from_slice::<SimpleSigning>(&fact.payload).is_ok_and(|payload| {
                SIMPLE_SIGNING_TYPES.contains(&payload.critical.kind.as_str())
                    && payload.critical.image.docker_manifest_digest == digest.to_string()
            })
        }
        SignatureForm::Dsse { payload_type } if payload_type == IN_TOTO => {
            serde_json::from_slice::<Statement>(&fact.payload).is_ok_and(|statement| {
                statement.predicate_type == SIGNING_PREDICATE
                    && statement.subject.iter().any(|subject| names(subject, digest))
            })
        }
        SignatureForm::Dsse { .. } => false,
    }
}

fn names(subject: &Subject, digest: &Digest) -> bool {
    subject.digest.iter().any(|(algorithm, hex)| format!("{algorithm}:{hex}") == digest.to_string())
}
