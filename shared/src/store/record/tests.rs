//! Recorded values of every version still decode, and nothing that is stored can do harm.

use proptest::prelude::*;

use super::*;
use crate::model::sample;
use crate::model::verdict::Outcome;

const VERDICT_V1: &[u8] = include_bytes!("verdict.v1.json");
const CHANGE_V1: &[u8] = include_bytes!("change.v1.json");
const PENDING_V1: &[u8] =
    br#"{"v":1,"since":"2026-11-21T10:00:00Z","until":"2026-11-21T10:30:00.5Z","until_ms":1795257000500}"#;

fn image() -> Digest {
    Digest::of(b"a recorded image")
}

#[test]
fn a_recorded_verdict_is_read_and_would_be_written_the_same_way() {
    let verdict = sample::verdict(&sample::report(&image()), "default", Outcome::Fail);
    assert_eq!(decode_verdict(&image(), VERDICT_V1).unwrap(), verdict);
    assert_eq!(
        String::from_utf8_lossy(&encode_verdict(&verdict).unwrap()),
        String::from_utf8_lossy(VERDICT_V1).trim_end(),
        "the model changed what is at rest: add a version that reads both"
    );
}

#[test]
fn a_recorded_marker_is_read_and_would_be_written_the_same_way() {
    let marker = Pending {
        since: sample::time("2026-11-21T10:00:00Z"),
        until: sample::time("2026-11-21T10:30:00.5Z"),
    };
    assert_eq!(decode_pending(PENDING_V1).unwrap(), marker);
    assert_eq!(String::from_utf8(encode_pending(marker)).unwrap(), String::from_utf8_lossy(PENDING_V1));
}

#[test]
fn a_recorded_change_is_read_and_would_be_written_the_same_way() {
    let report = sample::report(&image());
    let before = sample::verdict(&report, "default", Outcome::Warn);
    let mut after = sample::verdict(&report, "default", Outcome::Fail);
    after.policy_revision = crate::model::report::Revision::new("policy-4");
    let change = Change::between(Some(&before), &after).unwrap();
    assert_eq!(decode_change(CHANGE_V1).unwrap(), change);
    assert_eq!(
        String::from_utf8(encode_change(&change)).unwrap(),
        String::from_utf8_lossy(CHANGE_V1).trim_end(),
        "the model changed what is at rest: add a version that reads both"
    );
}

#[test]
fn places_and_revisions_have_one_text() {
    let sighting = Sighting {
        image: "Registry.example:5000/team/app".parse().unwrap(),
        tag: Some("1.4".parse().unwrap()),
        seen_at: sample::time("2026-11-21T10:00:00.123456Z"),
    };
    let place = r#"{"registry":"registry.example:5000","repository":"team/app","tag":"1.4"}"#;
    assert_eq!(encode_place(&sighting), place);
    let seen_us = sighting.seen_at.as_microsecond();
    assert_eq!(decode_place(place, seen_us), Some(sighting));
    assert_eq!(decode_place(r#"{"registry":"a b","repository":"x","tag":null}"#, seen_us), None);
    assert_eq!(
        revisions_text(&sample::revisions("db-1")),
        r#"["analyzers-7","db-1","2026-11-20T04:05:06.789Z"]"#
    );
}

#[test]
fn what_this_build_does_not_know_is_an_error() {
    let verdict = String::from_utf8_lossy(VERDICT_V1);
    let newer = verdict.replacen(r#""v":1"#, r#""v":2"#, 1);
    let other = Digest::of(b"another image");
    for (decoded, expected) in [
        (decode_verdict(&image(), newer.as_bytes()).map(drop), "version 2"),
        (decode_verdict(&image(), b"{}").map(drop), "JSON"),
        (decode_verdict(&other, VERDICT_V1).map(drop), "it is about"),
        (decode_change(br#"{"v":2,"change":{}}"#).map(drop), "version 2"),
        (decode_change(br#"{"v":1,"change":{}}"#).map(drop), "JSON"),
        (decode_pending(br#"{"v":1}"#).map(drop), "JSON"),
    ] {
        let error = decoded.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}

#[test]
fn a_value_that_inflates_without_end_is_refused() {
    let bomb = zstd::encode_all(&vec![b' '; 3 << 20][..], 3).unwrap();
    assert!(bomb.len() < 4096);
    assert!(matches!(inflate(&bomb, 1 << 20), Err(RecordError::TooLarge(_))));
    assert_eq!(inflate(&bomb, 3 << 20).unwrap().len(), 3 << 20, "the limit itself is allowed");
}

proptest! {
    #[test]
    fn no_stored_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut: usize, flip: u8) {
        let _ = decode_verdict(&image(), &bytes);
        let _ = decode_pending(&bytes);
        let _ = decode_change(&bytes);
        let mut damaged = VERDICT_V1.to_vec();
        let position = cut % damaged.len();
        damaged[position] ^= flip;
        let _ = decode_verdict(&image(), &damaged);
    }
}
