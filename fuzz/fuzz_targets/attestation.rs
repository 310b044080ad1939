//! Envelopes, bundles and report blobs as a registry may hand them out: read or refused, and what is read is
//! written and read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::attest::dsse::Envelope;
use shared::attest::{report, tag};
use shared::model::digest::Digest;

fuzz_target!(|input: &[u8]| {
    if let Ok(envelope) = Envelope::parse(input) {
        assert!(envelope.open(&[]).is_err(), "nobody is trusted");
        let again = Envelope::parse(&envelope.to_json()).expect("what is written can be read");
        assert_eq!(again.to_json(), envelope.to_json());
    }
    let _ = tag::envelope_of_bundle(input);
    let _ = report::decode(&Digest::of(input), input);
});
