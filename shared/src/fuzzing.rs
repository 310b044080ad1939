//! Doors to decoders that are nobody else's business, for the fuzz targets in `fuzz/`: compiled for them and for tests
//! only.

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::model::digest::Digest;
use crate::model::document::Manifest;
use crate::queue::embedded;
use crate::{registry, store};

/// A job as it lies in the embedded queue's file: what is decoded is written and read again as the same.
pub fn queued(bytes: &[u8]) {
    if let Some(record) = embedded::record::Record::decode(bytes) {
        assert_eq!(embedded::record::Record::decode(&record.encode()), Some(record));
    }
}

/// Whatever a store keeps about a digest, by all of its decoders: what is decoded is written and read again as the same.
pub fn stored(digest: &Digest, bytes: &[u8]) {
    use store::record;
    use store::record::report::{Head, cut_report};
    if let Ok(report) = Head::decode(digest, bytes).and_then(|head| head.join(Vec::<Vec<u8>>::new())) {
        let cut = cut_report(&report).expect("what was read is not too large");
        let parts = cut.parts.iter().map(|part| part.compressed().expect("memory can be compressed"));
        let again = Head::decode(digest, &cut.head).and_then(|head| head.join(parts.collect()));
        assert_eq!(again.expect("what is written can be read"), report);
    }
    if let Ok(verdict) = record::decode_verdict(digest, bytes) {
        let again = record::encode_verdict(&verdict).and_then(|bytes| record::decode_verdict(digest, &bytes));
        assert_eq!(again.expect("what is written can be read"), verdict);
    }
    if let Ok(change) = record::decode_change(bytes) {
        let again = record::decode_change(&record::encode_change(&change));
        assert_eq!(again.expect("what is written can be read"), change);
    }
    if let Ok(pending) = record::decode_pending(bytes) {
        let again = record::decode_pending(&record::encode_pending(pending));
        assert_eq!(again.expect("what is written can be read"), pending);
    }
    if let Some(sighting) = std::str::from_utf8(bytes).ok().and_then(|text| record::decode_place(text, 0)) {
        assert_eq!(record::decode_place(&record::encode_place(&sighting), 0), Some(sighting));
    }
}

/// The signatures that a manifest under cosign's tag carries.
pub fn signatures(manifest: &Manifest) {
    for layer in &manifest.layers {
        let _ = registry::signatures::signature_of(layer);
    }
}

/// How a registry asks for a login.
pub fn challenge(header: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_bytes(header).ok().map(|value| (WWW_AUTHENTICATE, value)));
    let _ = registry::challenge::parse(&headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_lead_to_decoders_that_take_what_was_recorded() {
        let recorded = [
            include_str!("store/record/verdict.v1.json"),
            include_str!("store/record/change.v1.json"),
            r#"{"v":1,"since":"2026-01-01T00:00:00Z","until":"2026-01-01T00:01:00Z","until_ms":1}"#,
            r#"{"registry":"registry.example.com","repository":"team/app","tag":null}"#,
        ];
        for text in recorded {
            let digest = text.split('"').find_map(|word| word.parse().ok());
            stored(&digest.unwrap_or_else(|| Digest::of(b"")), text.as_bytes());
        }
        challenge(br#"Bearer realm="https://auth.example.com/token",service="registry""#);
        queued(b"");
    }
}
