//! The envelope around a statement: payload, its type, and signatures over both.
//!
//! Format: secure-systems-lab/dsse `envelope.md` and `protocol.md`, version 1. The payload is handed out only by
//! [`Envelope::open`], byte for byte as it was signed; nobody serialises it again before trusting it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurpose as Reader};
use serde::{Deserialize, Serialize};

use super::keys::{PublicKey, Signature};

/// Media type of an envelope as a blob.
pub const ENVELOPE_TYPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The largest envelope that is read, in bytes.
pub const LARGEST_ENVELOPE: u64 = 16 << 20;
/// The most signatures that an envelope may carry.
const MOST_SIGNATURES: usize = 16;
const LONGEST_PAYLOAD_TYPE: usize = 256;

/// A signed payload. Whether anybody whom we trust has signed it is known only after [`Envelope::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// Why bytes are not an envelope that can be opened.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// More bytes than are read.
    #[error("the envelope has more than {LARGEST_ENVELOPE} bytes")]
    TooLarge,
    /// Not JSON of the right shape.
    #[error("the envelope is not DSSE JSON")]
    Json(#[from] serde_json::Error),
    /// A field that is neither standard nor URL-safe base64.
    #[error("{0} of the envelope is not base64")]
    Base64(&'static str),
    /// No signature, or more than anybody needs.
    #[error("the envelope has {0} signatures; expected 1 to {MOST_SIGNATURES}")]
    Signatures(usize),
    /// A payload type longer than any.
    #[error("the payload type of the envelope has more than {LONGEST_PAYLOAD_TYPE} characters")]
    PayloadType,
    /// None of the keys made any of the signatures.
    #[error("no trusted key has signed the envelope")]
    Untrusted,
}

/// The payload of an envelope that a trusted key has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// What kind of payload it is.
    pub payload_type: &'a str,
    /// Exactly the signed bytes.
    pub payload: &'a [u8],
    /// Who signed.
    pub key: &'a PublicKey,
}

/// The bytes that are signed: "pre-authentication encoding", `protocol.md`.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// An envelope around `payload` with one signature over its encoding.
    pub fn new(payload_type: &str, payload: Vec<u8>, signature: Signature) -> Self {
        Self { payload_type: payload_type.to_owned(), payload, signatures: vec![signature] }
    }

    /// The payload and its type as somebody claims them: no signature was looked at, so nobody may believe it.
    pub fn claimed(&self) -> (&str, &[u8]) {
        (&self.payload_type, &self.payload)
    }

    /// Reads an envelope; nothing in it is trusted yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() as u64 > LARGEST_ENVELOPE {
            return Err(EnvelopeError::TooLarge);
        }
        let wire: Wire = serde_json::from_slice(bytes)?;
        if wire.payload_type.len() > LONGEST_PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType);
        }
        if !(1..=MOST_SIGNATURES).contains(&wire.signatures.len()) {
            return Err(EnvelopeError::Signatures(wire.signatures.len()));
        }
        let payload = decode(&wire.payload).ok_or(EnvelopeError::Base64("payload"))?;
        let mut signatures = Vec::new();
        for signature in wire.signatures {
            let bytes = decode(&signature.sig).ok_or(EnvelopeError::Base64("sig"))?;
            signatures.push(Signature { bytes, key: signature.keyid });
        }
        Ok(Self { payload_type: wire.payload_type, payload, signatures })
    }

    /// The envelope as JSON; base64 in its standard alphabet, with padding.
    pub fn to_json(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|signature| WireSignature {
            keyid: signature.key.clone(),
            sig: STANDARD.encode(&signature.bytes),
        });
        let wire = Wire {
            payload_type: self.payload_type.clone(),
            payload: STANDARD.encode(&self.payload),
            signatures: signatures.collect(),
        };
        serde_json::to_vec(&wire).expect("an envelope has only strings")
    }

    /// The payload, if one of `trusted` made one of the signatures. The `keyid` of a signature is a hint that
    /// anybody can write, so every key is tried.
    pub fn open<'a>(&'a self, trusted: &'a [PublicKey]) -> Result<Opened<'a>, EnvelopeError> {
        let signed = pre_authentication_encoding(&self.payload_type, &self.payload);
        let key = trusted
            .iter()
            .find(|key| self.signatures.iter().any(|signature| key.has_signed(&signed, signature)))
            .ok_or(EnvelopeError::Untrusted)?;
        Ok(Opened { payload_type: &self.payload_type, payload: &self.payload, key })
    }
}

/// Either alphabet, with or without padding: the specification has readers accept both alphabets.
fn decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD_READER: Reader = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE_READER: Reader = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    STANDARD_READER.decode(text).or_else(|_| URL_SAFE_READER.decode(text)).ok()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}
