//! One change and its event, for the tests of this room.

use jiff::Timestamp;

use crate::model::change::{Cause, Change};
use crate::model::digest::Digest;
use crate::model::event::{EventPlace, SpecVersion, VERDICT_CHANGED, VerdictChanged, VerdictEvent};
use crate::model::report::Revision;
use crate::model::verdict::{Counts, Mode, Outcome, PolicyName};

pub(crate) fn digest() -> Digest {
    "sha256:5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51".parse().unwrap()
}

pub(crate) fn at() -> Timestamp {
    "2026-03-02T09:31:40Z".parse().unwrap()
}

pub(crate) fn change() -> Change {
    Change {
        digest: digest(),
        policy: PolicyName::default_policy(),
        mode: Mode::Enforce,
        from: None,
        to: Outcome::Fail,
        cause: Cause::FirstVerdict,
        at: at(),
        counts: Counts { high: 1, ..Counts::default() },
        appeared: vec!["CVE-2023-4911 is high and has a fix".to_owned()],
        settled: Vec::new(),
        revisions: crate::model::sample::revisions("db-1"),
        policy_revision: Revision::new("policy-1"),
    }
}

/// The event of the wire samples, seen in a mirror too.
pub(crate) fn event() -> VerdictEvent {
    let place = |registry: &str, tags: &[&str]| EventPlace {
        registry: registry.parse().unwrap(),
        repository: "team/app".parse().unwrap(),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
    };
    let newest = place("registry.example.com:5000", &["1.4.2"]);
    let counts = Counts { high: 1, ..Counts::default() };
    VerdictEvent {
        specversion: SpecVersion::V1,
        id: "9d8b0b5e3c8e4c559f9e6f9b2c1d7a01".to_owned(),
        source: "https://tidewaiter.example.com".to_owned(),
        kind: VERDICT_CHANGED.to_owned(),
        subject: newest.image().at(&digest()),
        time: at(),
        datacontenttype: "application/json".to_owned(),
        data: VerdictChanged {
            registry: Some(newest.registry.clone()),
            repository: Some(newest.repository.clone()),
            digest: digest(),
            tags: newest.tags.clone(),
            places: vec![newest, place("mirror.example.com", &[])],
            policy: PolicyName::default_policy(),
            mode: Mode::Enforce,
            verdict: Outcome::Fail,
            previous: None.into(),
            cause: Cause::FirstVerdict,
            counts: counts.into(),
            reasons: Vec::new(),
            further_reasons: 0,
            appeared: vec!["CVE-2023-4911 is high and has a fix".to_owned()],
            settled: Vec::new(),
            report_uri: format!("https://tidewaiter.example.com/v1/reports/{}", digest()),
        },
    }
}
