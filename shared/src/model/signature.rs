//! Signatures that somebody attached to an image: facts, not yet believed by anybody.
//!
//! Whether one of them counts is a policy's opinion: only it knows which keys are trusted. Whoever reads them
//! from a registry keeps to the bounds here; what is beyond them is left out, and so counts as not signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The most signatures of one image that are kept.
pub const MOST_SIGNATURES: usize = 16;
/// The longest payload that is kept, in bytes.
pub const LONGEST_PAYLOAD: usize = 16 << 10;
/// The longest signature that is kept, in bytes; ECDSA on P-256 has at most 72.
pub const LONGEST_SIGNATURE: usize = 128;

/// One signature as it was attached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignatureFact {
    /// How the payload was made into what was signed.
    pub form: SignatureForm,
    /// The payload, byte for byte.
    #[serde(with = "as_base64")]
    #[schema(value_type = String, format = Byte)]
    pub payload: Vec<u8>,
    /// The signature, ASN.1 DER.
    #[serde(with = "as_base64")]
    #[schema(value_type = String, format = Byte)]
    pub signature: Vec<u8>,
}

/// The forms of signatures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum SignatureForm {
    /// cosign's "simple signing": the payload itself was signed, and names the manifest's digest.
    SimpleSigning,
    /// A DSSE envelope: the payload was signed together with its type.
    Dsse {
        /// For example `application/vnd.in-toto+json`.
        payload_type: String,
    },
}

impl SignatureFact {
    /// A fact, or nothing where it is beyond the bounds.
    pub fn new(form: SignatureForm, payload: Vec<u8>, signature: Vec<u8>) -> Option<Self> {
        let kept = payload.len() <= LONGEST_PAYLOAD && signature.len() <= LONGEST_SIGNATURE;
        kept.then_some(Self { form, payload, signature })
    }
}

mod as_base64 {
    use super::{Engine, STANDARD};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_written_as_text_and_read_back() {
        let form = SignatureForm::Dsse { payload_type: "application/vnd.in-toto+json".to_owned() };
        let fact = SignatureFact::new(form, b"{}".to_vec(), vec![0x30, 0]).unwrap();
        let text = serde_json::to_string(&fact).unwrap();
        assert_eq!(
            text,
            r#"{"form":{"form":"dsse","payload_type":"application/vnd.in-toto+json"},"payload":"e30=","signature":"MAA="}"#
        );
        assert_eq!(serde_json::from_str::<SignatureFact>(&text).unwrap(), fact);
    }

    #[test]
    fn what_is_beyond_the_bounds_is_no_fact() {
        let made = |payload, signature| {
            SignatureFact::new(SignatureForm::SimpleSigning, vec![0; payload], vec![0; signature])
        };
        assert!(made(LONGEST_PAYLOAD, LONGEST_SIGNATURE).is_some());
        assert!(made(LONGEST_PAYLOAD + 1, 1).is_none() && made(1, LONGEST_SIGNATURE + 1).is_none());
    }
}
