//! What counts as a change, and what is said about it.

use proptest::prelude::*;

use super::*;
use crate::model::sample;

fn verdict(outcome: Outcome) -> Verdict {
    sample::verdict(&sample::report(&Digest::of(b"image")), "default", outcome)
}

fn reason(advisory: &str) -> Reason {
    Reason {
        rule: "critical".to_owned(),
        effect: Effect::Deny,
        message: format!("{advisory} (critical) in openssl 3.0.1: fixed in 3.0.2"),
        advisory: Some(advisory.to_owned()),
        severity: None,
        purl: Some("pkg:deb/debian/openssl@3.0.1".to_owned()),
        fixed_version: None,
        problem: None,
    }
}

#[test]
fn every_cause_is_read_off_what_the_verdicts_depend_on() {
    type Edit = fn(&mut Verdict);
    let cases: [(Cause, Edit); 8] = [
        (Cause::NewScan, |to| to.revisions.analyzer = Revision::new("analyzers-8")),
        (Cause::Advisories, |to| to.revisions.database = Revision::new("db-2")),
        (Cause::Policy, |to| to.policy_revision = Revision::new("policy-4")),
        (Cause::NewScan, |to| to.scanned_at = sample::time("2026-11-22T10:00:00Z")),
        (Cause::Children, |to| {
            let child = super::super::verdict::ChildVerdict {
                digest: Digest::of(b"child"),
                platform: None,
                outcome: Outcome::Fail,
            };
            to.children.push(child);
        }),
        (Cause::ExceptionExpired, |_| {}),
        (Cause::Time, |to| to.counts.suppressed = 1),
        // The first of several is named.
        (Cause::NewScan, |to| {
            to.revisions = ScanRevisions { analyzer: Revision::new("a-8"), ..sample::revisions("db-2") };
        }),
    ];
    for (expected, edit) in cases {
        let mut from = verdict(Outcome::Warn);
        from.counts.suppressed = 1;
        let mut to = verdict(Outcome::Fail);
        edit(&mut to);
        let change = Change::between(Some(&from), &to).expect("the outcome differs");
        assert_eq!((change.cause, change.from, change.to), (expected, Some(Outcome::Warn), Outcome::Fail));
    }
    let first = Change::between(None, &verdict(Outcome::Pass)).expect("the first verdict is a change");
    assert_eq!((first.cause, first.from), (Cause::FirstVerdict, None));
    let mut later = verdict(Outcome::Pass);
    later.revisions = sample::revisions("db-2");
    let recovered = Change::between(Some(&verdict(Outcome::Error)), &later).unwrap();
    assert_eq!(recovered.cause, Cause::Recovered);
}

#[test]
fn what_people_would_not_notice_is_no_change() {
    let from = verdict(Outcome::Fail);
    let mut to = from.clone();
    to.revisions = sample::revisions("db-2");
    to.policy_revision = Revision::new("policy-4");
    to.as_of = sample::time("2026-11-25T10:00:00Z");
    to.valid_until = None;
    to.counts.low += 1;
    to.reasons[0].rule = "renamed".to_owned();
    to.reasons[0].message = "said in other words".to_owned();
    assert_eq!(Change::between(Some(&from), &to), None);

    to.mode = Mode::Audit;
    assert!(Change::between(Some(&from), &to).is_some(), "gates no longer obey it");
    to.mode = from.mode;
    to.reasons[0].effect = Effect::Warn;
    assert!(Change::between(Some(&from), &to).is_some(), "it is judged more mildly");
}

#[test]
fn a_change_says_in_one_sentence_what_became_of_it() {
    let from = verdict(Outcome::Fail);
    let mut to = from.clone();
    to.revisions = sample::revisions("db-2");
    to.reasons = vec![reason("CVE-2026-1"), reason("CVE-2026-2"), from.reasons[0].clone()];
    let change = Change::between(Some(&from), &to).unwrap();
    assert_eq!(
        change.sentence(),
        "still failing, advisory data changed; CVE-2026-1 (critical) in openssl 3.0.1: fixed in 3.0.2 and 1 more"
    );
    let back = Change::between(Some(&to), &Verdict { outcome: Outcome::Pass, reasons: Vec::new(), ..from });
    assert_eq!(
        back.unwrap().sentence(),
        "passing, was failing: advisory data changed; no longer CVE-2026-1 (critical) in openssl 3.0.1: fixed in 3.0.2 and 2 more"
    );
    let first = Change::between(None, &verdict(Outcome::Warn)).unwrap();
    assert!(first.sentence().starts_with("warning (first verdict); jinja2"), "{}", first.sentence());
}

#[test]
fn a_reason_that_only_fell_off_the_end_is_not_called_settled() {
    let mut from = verdict(Outcome::Fail);
    from.reasons = (0..20).map(|number| reason(&format!("CVE-2026-{number}"))).collect();
    let mut to = from.clone();
    to.reasons.insert(0, reason("CVE-2026-100"));
    to.reasons.truncate(20);
    to.further_reasons = 1;
    let change = Change::between(Some(&from), &to).unwrap();
    assert_eq!((change.appeared.len(), change.settled.len()), (1, 0));
    assert_eq!(Change::between(Some(&to), &from).unwrap().appeared, Vec::<String>::new());
}

#[test]
fn places_grow_even_if_the_clock_does_not() {
    let now = sample::time("2026-11-22T10:00:00Z");
    let first = ChangeId::default().next(now);
    let second = first.next(now);
    let third = second.next(sample::time("2026-11-22T09:00:00Z"));
    assert!(first < second && second < third);
    assert_eq!(third.to_string(), "1795341600000-2");
    assert!(third < third.next(sample::time("2026-11-22T10:00:00.001Z")));
}

proptest! {
    #[test]
    fn places_are_read_back_from_text_and_bytes(milliseconds: u64, number: u64, other: (u64, u64)) {
        let id = ChangeId::new(milliseconds, number);
        prop_assert_eq!(id.to_string().parse::<ChangeId>(), Ok(id));
        prop_assert_eq!(ChangeId::from_bytes(id.to_bytes()), id);
        let other = ChangeId::new(other.0, other.1);
        prop_assert_eq!(id.cmp(&other), id.to_bytes().cmp(&other.to_bytes()));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}") {
        if let Ok(id) = text.parse::<ChangeId>() {
            prop_assert_eq!(id.to_string().parse::<ChangeId>(), Ok(id));
        }
    }
}
