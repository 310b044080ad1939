//! What a registry hands out beside an image: envelopes, bundles, cosign's signatures, report blobs, and how it asks for
//! a login. Read or refused, and what is read is written and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::attest::dsse::Envelope;
use shared::attest::keys::{PrivateKey, PublicKey};
use shared::attest::{artifact, report, statement, summary, tag, vulnerability};
use shared::fuzzing;
use shared::model::digest::Digest;
use shared::model::document::Document;

/// Nobody has the other half.
fn stranger() -> PublicKey {
    PrivateKey::generate().expect("the system has randomness").public().clone()
}

fuzz_target!(|input: &[u8]| {
    let digest = Digest::of(input);
    if let Ok(envelope) = Envelope::parse(input) {
        assert!(envelope.open(&[]).is_err(), "nobody is trusted");
        let again = Envelope::parse(&envelope.to_json()).expect("what is written can be read");
        assert_eq!(again.to_json(), envelope.to_json());
        let keys = [stranger()];
        assert!(statement::Trusted::open(&envelope, &digest, &keys).is_err(), "a stranger signed nothing");
        assert!(summary::Summary::open(&envelope, &digest, &keys).is_err(), "a stranger signed nothing");
        let opened = vulnerability::Vulnerabilities::open(&envelope, &digest, &keys);
        assert!(opened.is_err(), "a stranger signed nothing");
    }
    let _ = tag::envelope_of_bundle(input);
    let _ = report::decode(&digest, input);
    if let Ok(Document::Manifest(manifest)) = Document::parse(input, None) {
        let _ = artifact::Layers::of(&manifest, &digest);
        fuzzing::signatures(&manifest);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = PublicKey::from_pem(text);
    }
    fuzzing::challenge(input);
});
