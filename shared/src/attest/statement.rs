//! in-toto statements: something is said about something with a digest.
//!
//! Format: in-toto/attestation `spec/v1/statement.md`; v0.1 differs in its `_type` alone. Subjects are matched by digest,
//! never by name.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::dsse::{Envelope, EnvelopeError};
use super::keys::PublicKey;
use super::signer::{SignError, Signer};
use crate::model::digest::Digest;

/// The payload type of every statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const MOST_SUBJECTS: usize = 64;

/// Which version of the statement format is written; both are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatementType {
    /// Version 1, the current one.
    #[default]
    V1,
    /// Version 0.1, as cosign itself writes it; some verifiers know no other.
    V0_1,
}

impl StatementType {
    /// The `_type`.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::V1 => "https://in-toto.io/Statement/v1",
            Self::V0_1 => "https://in-toto.io/Statement/v0.1",
        }
    }
}

/// A statement to be signed.
#[derive(Clone, Debug)]
pub struct Statement<'a, P> {
    /// The version to write.
    pub kind: StatementType,
    /// A hint for people: registry and repository.
    pub name: &'a str,
    /// What it is about.
    pub digest: &'a Digest,
    /// What kind of thing is said.
    pub predicate_type: &'a str,
    /// What is said.
    pub predicate: &'a P,
}

/// A statement that a trusted key has signed, about the digest that was asked for.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// What kind of thing is said.
    pub predicate_type: String,
    /// What is said, as JSON.
    pub predicate: Box<RawValue>,
    /// The id of the key that signed.
    pub key: String,
}

/// Why an envelope says nothing that may be believed about a digest.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// It is no envelope, or nobody whom we trust has signed it.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Signed, but something else than a statement.
    #[error("the signed payload is {0:?}, not an in-toto statement")]
    PayloadType(String),
    /// Signed, but not of a shape that can be read.
    #[error("the statement cannot be read")]
    Json(#[from] serde_json::Error),
    /// A version that this build does not know.
    #[error("the statement has the unknown type {0:?}")]
    Version(String),
    /// Signed, but about something else.
    #[error("the statement is about another digest than {0}")]
    Subject(Digest),
    /// Signed, but of another kind than the one that was looked for.
    #[error("the statement has predicate type {0:?}")]
    PredicateType(String),
}

impl<P: Serialize> Statement<'_, P> {
    /// The exact bytes to be signed.
    pub fn payload(&self) -> Result<Vec<u8>, serde_json::Error> {
        let digest = match self.digest.algorithm() {
            crate::model::digest::Algorithm::Sha256 => "sha256",
            crate::model::digest::Algorithm::Sha512 => "sha512",
        };
        serde_json::to_vec(&WireOut {
            kind: self.kind.uri(),
            subject: [SubjectOut {
                name: self.name,
                digest: BTreeMap::from([(digest, self.digest.encoded())]),
            }],
            predicate_type: self.predicate_type,
            predicate: self.predicate,
        })
    }

    /// Signs the statement and puts it into an envelope.
    pub async fn sign(&self, signer: &dyn Signer) -> Result<Envelope, SignError> {
        let payload = self.payload().map_err(SignError::Statement)?;
        let message = super::dsse::pre_authentication_encoding(PAYLOAD_TYPE, &payload);
        let signature = signer.sign(&message).await?;
        Ok(Envelope::new(PAYLOAD_TYPE, payload, signature))
    }
}

/// What somebody claims in a statement: no signature was looked at, so nobody may believe it.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// What kind of claim it is.
    pub predicate_type: String,
    /// The claim itself.
    pub predicate: &'a RawValue,
}

impl<'a> Claim<'a> {
    /// What a statement claims about `digest`.
    pub fn read(statement: &'a [u8], digest: &Digest) -> Result<Self, StatementError> {
        let WireIn { predicate_type, predicate, .. } = WireIn::about(statement, digest)?;
        Ok(Self { predicate_type, predicate })
    }
}

impl Trusted {
    /// What `envelope` says about `digest`, if one of `keys` has signed it.
    pub fn open(envelope: &Envelope, digest: &Digest, keys: &[PublicKey]) -> Result<Self, StatementError> {
        let opened = envelope.open(keys)?;
        if opened.payload_type != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType(cut(opened.payload_type)));
        }
        let wire = WireIn::about(opened.payload, digest)?;
        Ok(Self {
            predicate_type: wire.predicate_type,
            predicate: wire.predicate.to_owned(),
            key: opened.key.id().to_owned(),
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(120).collect()
}

#[derive(Serialize)]
struct WireOut<'a, P> {
    #[serde(rename = "_type")]
    kind: &'a str,
    subject: [SubjectOut<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
    predicate: &'a P,
}

#[derive(Serialize)]
struct SubjectOut<'a> {
    name: &'a str,
    digest: BTreeMap<&'a str, &'a str>,
}

#[derive(Deserialize)]
struct WireIn<'a> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<SubjectIn>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(borrow)]
    predicate: &'a RawValue,
}

impl<'a> WireIn<'a> {
    /// A statement of a version that we know, if it is about `digest`.
    fn about(payload: &'a [u8], digest: &Digest) -> Result<Self, StatementError> {
        let wire: Self = serde_json::from_slice(payload)?;
        if ![StatementType::V1.uri(), StatementType::V0_1.uri()].contains(&wire.kind.as_str()) {
            return Err(StatementError::Version(cut(&wire.kind)));
        }
        let algorithm = digest.as_str().split(':').next().unwrap_or_default();
        let names = |subject: &SubjectIn| {
            subject.digest.get(algorithm).is_some_and(|encoded| encoded == digest.encoded())
        };
        if !wire.subject.iter().take(MOST_SUBJECTS).any(names) {
            return Err(StatementError::Subject(digest.clone()));
        }
        Ok(wire)
    }
}

#[derive(Deserialize)]
struct SubjectIn {
    digest: BTreeMap<String, String>,
}
