//! Envelopes against the specification, against `openssl`, and against any bytes.

use proptest::prelude::*;

use super::super::dsse::{Envelope, EnvelopeError, pre_authentication_encoding};
use super::super::keys::{PrivateKey, PublicKey};

const SPECIFICATION: &str = include_str!("dsse-specification.json");
const SPECIFICATION_KEY: &str = include_str!("dsse-specification.pub");
const OPENSSL: &str = include_str!("openssl-envelope.json");
const OPENSSL_KEY: &str = include_str!("openssl.pub");

fn key(pem: &str) -> PublicKey {
    PublicKey::from_pem(pem).unwrap()
}

#[test]
fn the_specifications_own_vector_verifies() {
    let vector: serde_json::Value = serde_json::from_str(SPECIFICATION).unwrap();
    let pae = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(std::str::from_utf8(&pae).unwrap(), vector["pae"].as_str().unwrap());
    let envelope = Envelope::parse(vector["envelope"].to_string().as_bytes()).unwrap();
    let keys = [key(OPENSSL_KEY), key(SPECIFICATION_KEY)];
    let opened = envelope.open(&keys).unwrap();
    assert_eq!((opened.payload, opened.key), (b"hello world".as_slice(), &keys[1]));
}

#[test]
fn an_envelope_that_openssl_signed_verifies_also_in_url_safe_base64() {
    let envelope = Envelope::parse(OPENSSL.as_bytes()).unwrap();
    let keys = [key(OPENSSL_KEY)];
    assert_eq!(envelope.open(&keys).unwrap().payload_type, "application/vnd.in-toto+json");
    assert!(matches!(envelope.open(&[key(SPECIFICATION_KEY)]), Err(EnvelopeError::Untrusted)));
    assert!(matches!(envelope.open(&[]), Err(EnvelopeError::Untrusted)));
}

#[test]
fn what_is_no_envelope_is_named() {
    for (text, fragment) in [
        ("", "DSSE JSON"),
        ("{}", "DSSE JSON"),
        (r#"{"payloadType":"t","payload":"!!","signatures":[{"sig":"AA=="}]}"#, "payload"),
        (r#"{"payloadType":"t","payload":"AA==","signatures":[{"sig":"*"}]}"#, "sig"),
        (r#"{"payloadType":"t","payload":"AA==","signatures":[]}"#, "0 signatures"),
    ] {
        let error = Envelope::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(fragment), "{text}: {error}");
    }
    let many = vec![r#"{"sig":"AA=="}"#; 17].join(",");
    let text = format!(r#"{{"payloadType":"t","payload":"","signatures":[{many}]}}"#);
    assert!(matches!(Envelope::parse(text.as_bytes()), Err(EnvelopeError::Signatures(17))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_payload_comes_back_byte_for_byte_and_no_changed_one_does(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        kind in "[ -~]{0,40}",
        at in any::<proptest::sample::Index>(),
    ) {
        let private = PrivateKey::generate().unwrap();
        let trusted = [private.public().clone()];
        let signature = private.sign(&pre_authentication_encoding(&kind, &payload));
        let json = Envelope::new(&kind, payload.clone(), signature.clone()).to_json();
        let envelope = Envelope::parse(&json).unwrap();
        prop_assert_eq!(envelope.open(&trusted).unwrap().payload, payload.as_slice());
        let mut changed = payload;
        if changed.is_empty() { changed.push(0) } else { let at = at.index(changed.len()); changed[at] ^= 1 }
        prop_assert!(Envelope::new(&kind, changed, signature).open(&trusted).is_err());
    }

    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Envelope::parse(&bytes);
        let _ = super::super::tag::envelope_of_bundle(&bytes);
        let _ = super::super::report::decode(&super::digest(), &bytes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = PublicKey::from_pem(text);
        }
    }

    #[test]
    fn no_signature_bytes_panic_the_verifier(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let signature = super::super::keys::Signature { bytes, key: None };
        prop_assert!(!key(OPENSSL_KEY).has_signed(b"message", &signature));
    }
}
