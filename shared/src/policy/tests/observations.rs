//! Rules about secrets, misconfiguration and the like, and exceptions from them.

use super::*;
use crate::model::layer::LayerIndex;
use crate::model::observation::{Observation, ObservationKind, ObservationPlace, Visibility};

fn observed(rule: &str, kind: ObservationKind, severity: Severity) -> Observation {
    Observation {
        rule: rule.to_owned(),
        kind,
        severity,
        title: "A GitHub token".to_owned(),
        remediation: String::new(),
        place: ObservationPlace {
            path: Some("app/.env".to_owned()),
            line: Some(3),
            layer: Some(LayerIndex(2)),
            ..ObservationPlace::default()
        },
        visibility: Visibility::Visible,
        masked: None,
        fingerprint: None,
        controls: Vec::new(),
    }
}

fn secret(severity: Severity) -> Observation {
    observed("TW-SEC-GITHUB-TOKEN", ObservationKind::Secret, severity)
}

fn with_observation(observation: Observation) -> Report {
    Report { observations: vec![observation], ..report(vec![], vec![]) }
}

#[test]
fn the_default_policy_denies_certain_secrets_and_what_hides_itself() {
    use ObservationKind::{Evasion, Malware, Misconfiguration};
    for (observation, expected) in [
        (secret(Severity::Critical), Outcome::Fail),
        (secret(Severity::High), Outcome::Warn),
        (secret(Severity::Low), Outcome::Pass),
        (observed("TW-IMG-TOC", Evasion, Severity::Critical), Outcome::Fail),
        (observed("TW-MAL-X", Malware, Severity::Medium), Outcome::Fail),
        (observed("TW-CFG-USER", Misconfiguration, Severity::High), Outcome::Warn),
        (observed("TW-CFG-USER", Misconfiguration, Severity::Medium), Outcome::Pass),
    ] {
        let verdict = judge(&default_policy(), &with_observation(observation.clone()));
        assert_eq!(verdict.outcome, expected, "{observation:?}");
    }
}

#[test]
fn a_reason_says_what_where_and_that_deleting_hides_nothing() {
    let hidden =
        Observation { visibility: Visibility::Deleted { by: LayerIndex(4) }, ..secret(Severity::Critical) };
    let verdict = judge(&default_policy(), &with_observation(hidden));
    let reason = &verdict.reasons[0];
    assert_eq!(
        reason.message,
        "A GitHub token (critical): app/.env line 3, deleted by layer 4 and still in layer 2"
    );
    assert_eq!((reason.rule.as_str(), reason.severity), ("certain-secret", Some(Severity::Critical)));
}

#[test]
fn every_condition_matches_what_it_says_and_the_first_rule_decides() {
    let found = with_observation(secret(Severity::Medium));
    for (when, expected) in [
        ("kind: [secret]", Outcome::Fail),
        ("kind: [malware]", Outcome::Pass),
        ("severity: [medium, high]", Outcome::Fail),
        ("severity: [high]", Outcome::Pass),
        ("check: ['TW-SEC-*']", Outcome::Fail),
        ("check: [TW-CFG-USER]", Outcome::Pass),
        ("path: ['app/*']", Outcome::Fail),
        ("path: ['srv/*']", Outcome::Pass),
        ("visible: true", Outcome::Fail),
        ("visible: false", Outcome::Pass),
    ] {
        let policy = with(&format!("observations: [{{name: r, when: {{{when}}}, then: deny}}]"));
        assert_eq!(judge(&policy, &found).outcome, expected, "{when}");
        let ignored = with(&format!(
            "observations: [{{name: first, when: {{{when}}}, then: ignore}}, {{name: all, when: {{kind: [secret]}}, then: deny}}]"
        ));
        let otherwise = if expected == Outcome::Fail { Outcome::Pass } else { Outcome::Fail };
        assert_eq!(judge(&ignored, &found).outcome, otherwise, "{when}");
    }
}

#[test]
fn somebody_answers_for_an_observation_until_a_day() {
    let found = with_observation(secret(Severity::Critical));
    let rule = "observations: [{name: r, when: {kind: [secret]}, then: deny}]";
    let excepted = |about: &str, expires: &str| {
        let exception = format!("{about}, owner: me, reason: a key for tests, expires: {expires}");
        with(&format!("{rule}\nexceptions: [{{{exception}}}]"))
    };
    for (about, expires, expected) in [
        ("observation: 'TW-SEC-*'", "2026-04-01", Outcome::Pass),
        ("observation: TW-SEC-GITHUB-TOKEN, path: app/.env", "2026-04-01", Outcome::Pass),
        ("observation: TW-SEC-GITHUB-TOKEN, path: srv/.env", "2026-04-01", Outcome::Fail),
        ("observation: 'TW-SEC-*'", "2026-01-01", Outcome::Fail),
        ("advisory: CVE-2026-1", "2026-04-01", Outcome::Fail),
    ] {
        let verdict = judge(&excepted(about, expires), &found);
        assert_eq!(verdict.outcome, expected, "{about}");
        let until = (expected == Outcome::Pass).then(|| at("2026-04-02T00:00:00Z"));
        assert_eq!(verdict.valid_until, until, "the verdict knows when the exception ends");
    }
    // And it never covers a finding by accident.
    let flawed = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
    let policy = with(
        "rules: [{name: r, when: {severity: [critical]}, then: deny}]\nexceptions: [{observation: '*', owner: me, reason: no, expires: 2026-04-01}]",
    );
    assert_eq!(judge(&policy, &flawed).outcome, Outcome::Fail);
}

#[test]
fn rules_and_exceptions_that_mean_nothing_are_refused() {
    for (text, expected) in [
        ("observations: [{name: r, when: {}, then: deny}]", "when is empty"),
        ("exceptions: [{path: a, owner: me, reason: no, expires: 2026-04-01}]", "name the observation too"),
        (
            "exceptions: [{observation: a, advisory: b, owner: me, reason: no, expires: 2026-04-01}]",
            "make it two",
        ),
    ] {
        let error = Policy::parse(&format!("version: 1\nname: test\n{text}")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_explanation_has_what_the_verdict_has() {
    let found = with_observation(secret(Severity::Critical));
    let explained = default_policy().explain(&found, &[], &Circumstances::anywhere(at(NOW)));
    assert!(explained.general.iter().any(|reason| reason.rule == "certain-secret"));
}
