//! The OSV schema's evaluation, as tables and against a model that knows no sorting.

use proptest::prelude::*;

use super::{Answer, entry_affects, prepare};
use crate::advisories::osv::{Event, Range, RangeOrder};
use crate::advisories::record::StoredEntry;
use crate::advisories::versions::Scheme;

/// Reads `>=1 <2 <=3 limit:4` as introduced, fixed, last affected and limit events.
fn range(text: &str) -> Range {
    let event = |word: &str| {
        if let Some(version) = word.strip_prefix(">=") {
            Event::Introduced(version.to_owned())
        } else if let Some(version) = word.strip_prefix("<=") {
            Event::LastAffected(version.to_owned())
        } else if let Some(version) = word.strip_prefix("limit:") {
            Event::Limit(version.to_owned())
        } else {
            Event::Fixed(word.strip_prefix('<').unwrap().replace('+', ", "))
        }
    };
    Range { order: RangeOrder::Ecosystem, events: text.split_whitespace().map(event).collect() }
}

fn evaluate(ranges: &[Range], versions: &[&str], version: &str, scheme: Option<Scheme>) -> Answer {
    let entry = StoredEntry {
        record: 0,
        ranges: ranges.iter().filter_map(|range| prepare(range, scheme)).collect(),
        versions: versions.to_vec(),
        remarks: None,
    };
    entry_affects(&entry, version, scheme)
}

#[test]
fn ranges_are_evaluated_as_the_schema_says() {
    use Answer::{Affected, Unaffected, Undecidable};
    for (text, version, expected) in [
        (">=0 <1.2.0", "1.1.9", Affected),
        (">=0 <1.2.0", "1.2.0", Unaffected),
        (">=0 <1.2.0", "1.2.0-rc.1", Affected),
        (">=0 <1.2.0", "0.0.0-alpha", Affected),
        // Unsorted, two beginnings.
        ("<2.0.0 >=1.0.0 <0.5.0 >=0", "0.4.0", Affected),
        ("<2.0.0 >=1.0.0 <0.5.0 >=0", "0.5.0", Unaffected),
        ("<2.0.0 >=1.0.0 <0.5.0 >=0", "1.5.0", Affected),
        // Fixed where it begins again.
        (">=1.0.0 <2.0.0 >=2.0.0", "2.0.0", Affected),
        (">=2.0.0 <2.0.0", "2.0.0", Affected),
        (">=0 <=1.4.0", "1.4.0", Affected),
        (">=0 <=1.4.0", "1.4.1", Unaffected),
        // "Just 1.3.2", and an end where it begins again.
        (">=1.3.2 <=1.3.2", "1.3.2", Affected),
        (">=1.3.2 <=1.3.2", "1.3.3", Unaffected),
        (">=1.0.0 <=1.3.2 >=1.3.2", "1.3.3", Affected),
        (">=0 limit:3.0.0", "2.9.0", Affected),
        (">=0 limit:3.0.0", "3.0.0", Unaffected),
        (">=0 limit:3.0.0 limit:*", "9.0.0", Affected),
        // Nothing begins: invalid, contains nothing.
        ("<2.0.0", "1.0.0", Unaffected),
        ("", "1.0.0", Unaffected),
        // "Fixed in 0" says: not affected.
        (">=0 <0", "0.0.0-0", Unaffected),
        (">=0 <0 >=5.0.0 <6.0.0", "5.1.0", Affected),
        (">=0 <0 >=5.0.0 <6.0.0", "4.0.0", Unaffected),
        // What cannot be ordered is not silence.
        (">=0 <one", "1.0.0", Undecidable),
        (">=0 <1.0.0", "latest", Undecidable),
        (">=0", "latest", Undecidable),
        // Two versions in one event, as published once.
        (">=6.10.0 <7.2.4+6.11.4", "6.10.0", Affected),
        (">=6.10.0 <7.2.4+6.11.4", "6.11.4", Undecidable),
        (">=6.10.0 <7.2.4+6.11.4", "7.2.4", Unaffected),
        (">=6.10.0 <7.2.4+6.11.4", "6.9.0", Unaffected),
    ] {
        let answer = evaluate(&[range(text)], &[], version, Some(Scheme::Semver));
        assert_eq!(answer, expected, "{version} in {text}");
    }
}

#[test]
fn listed_versions_are_compared_as_text_and_in_their_order() {
    use Answer::{Affected, Unaffected, Undecidable};
    for (scheme, listed, version, expected) in [
        (Some(Scheme::Semver), "1.0.0", "1.0.0", Affected),
        (Some(Scheme::Semver), "1.0", "1.0.0", Affected),
        (Some(Scheme::Semver), "1.0.0", "1.0.1", Unaffected),
        (Some(Scheme::Dpkg), "1.0-1", "0:1.0-1", Affected),
        (None, "r7", "r7", Affected),
        (None, "r7", "R7", Unaffected),
    ] {
        assert_eq!(evaluate(&[], &[listed], version, scheme), expected, "{version} in {listed}");
    }
    // An ecosystem whose order nobody knows: only what spans everything can be decided.
    assert_eq!(evaluate(&[range(">=0 <2")], &[], "1", None), Undecidable);
    assert_eq!(evaluate(&[range(">=0")], &[], "1", None), Affected);
    assert_eq!(
        evaluate(&[range(">=0 <1.0.0"), range(">=2.0.0")], &[], "3.0.0", Some(Scheme::Semver)),
        Affected
    );
}

#[test]
fn a_tilde_sorts_below_nothing_but_zero() {
    let answer = |text, version| evaluate(&[range(text)], &[], version, Some(Scheme::Dpkg));
    assert_eq!(answer(">=0 <1.0", "0~beta"), Answer::Affected);
    assert_eq!(answer(">=0 <1.0", "1.0~rc1"), Answer::Affected);
    assert_eq!(answer(">=0 <0", "0~beta"), Answer::Unaffected);
}

/// Steps through whole numbers: what holds at a version, and what holds right after it.
fn model(events: &[Event], version: u32) -> bool {
    let has = |event: Event| events.contains(&event);
    let mut after = false;
    for at in 0..=version {
        let (before, text) = (after, at.to_string());
        let introduced = has(Event::Introduced(text.clone()));
        let affected = introduced || (before && !has(Event::Fixed(text.clone())));
        after = if has(Event::LastAffected(text)) { introduced && before } else { affected };
        if at == version {
            return affected;
        }
    }
    false
}

fn event() -> impl Strategy<Value = Event> {
    (0_u32..3, 1_u32..12).prop_map(|(kind, at)| match kind {
        0 => Event::Introduced(at.to_string()),
        1 => Event::Fixed(at.to_string()),
        _ => Event::LastAffected(at.to_string()),
    })
}

proptest! {
    #[test]
    fn ranges_agree_with_the_model(mut events in proptest::collection::vec(event(), 0..8), version in 0_u32..13) {
        events.push(Event::Introduced("3".to_owned()));
        let expected = model(&events, version);
        let range = Range { order: RangeOrder::Semver, events };
        let answer = evaluate(&[range], &[], &version.to_string(), None);
        prop_assert_eq!(answer == Answer::Affected, expected);
    }

    #[test]
    fn the_order_of_events_means_nothing(events in proptest::collection::vec(event(), 1..8).prop_shuffle(), version in 0_u32..13) {
        let mut sorted = events.clone();
        sorted.sort_by_key(|event| format!("{event:?}"));
        let answer = |events| evaluate(&[Range { order: RangeOrder::Semver, events }], &[], &version.to_string(), None);
        prop_assert_eq!(answer(events), answer(sorted));
    }

    #[test]
    fn i7_no_versions_panic(a in ".{0,12}", b in ".{0,12}", version in ".{0,12}") {
        for scheme in [Scheme::Dpkg, Scheme::Apk, Scheme::Rpm, Scheme::Semver, Scheme::Pep440, Scheme::Maven] {
            let events = vec![Event::Introduced(a.clone()), Event::Fixed(b.clone()), Event::Limit(a.clone())];
            let range = Range { order: RangeOrder::Ecosystem, events };
            let _ = evaluate(&[range], &[&a], &version, Some(scheme));
        }
    }
}
