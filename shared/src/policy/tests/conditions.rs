//! Every condition of rules about findings: what it matches, what it does not, and what it cannot tell.

use super::*;

/// Judges one critical, fixable finding, changed by `change`, by one rule that denies under `when`.
fn denied(when: &str, change: impl FnOnce(&mut Report)) -> bool {
    outcome(when, "deny", change) == Outcome::Fail
}

fn outcome(when: &str, then: &str, change: impl FnOnce(&mut Report)) -> Outcome {
    let policy = with(&format!("rules: [{{name: r, when: {{{when}}}, then: {then}}}]"));
    let mut report = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
    change(&mut report);
    judge(&policy, &report).outcome
}

fn first(report: &mut Report) -> &mut Finding {
    &mut report.findings[0]
}

fn inventory(report: &mut Report) -> &mut Inventory {
    match &mut report.subject {
        Subject::Image(inventory) => inventory,
        Subject::Index { .. } | Subject::Artifact { .. } | Subject::Unreadable => panic!("an image"),
    }
}

#[test]
fn facts_match_exactly_what_they_say() {
    for (when, expected) in [
        ("severity: [critical]", true),
        ("severity: [high, low]", false),
        ("kind: [vulnerability]", true),
        ("kind: [malware]", false),
        ("fixable: true", true),
        ("fixable: false", false),
        ("known_exploited: true", false),
        ("known_exploited: false", true),
        ("epss_at_least: 0.1", false),
        ("epss_at_least: 0", false),
        ("ecosystem: [pypi]", true),
        ("ecosystem: [npm]", false),
        ("package: 'pkg:pypi/jinja2'", true),
        ("package: 'pkg:pypi/jin*'", true),
        ("package: 'pkg:pypi/flask'", false),
        ("severity: [critical], kind: [malware]", false),
    ] {
        assert_eq!(denied(when, |_| {}), expected, "{when}");
    }
    assert!(denied("epss_at_least: 0.5", |report| first(report).epss = Some(Probability::new(0.5))));
}

#[test]
fn ages_count_from_the_day_that_is_known() {
    let published = |text: &'static str| move |report: &mut Report| first(report).published = Some(at(text));
    assert!(denied("published_days_at_least: 30", published("2026-01-31T12:00:00Z")));
    assert!(!denied("published_days_at_least: 30", published("2026-01-31T12:00:01Z")));
    let fix = |text: &'static str| move |report: &mut Report| first(report).fixed_since = Some(at(text));
    assert!(denied("fix_days_at_least: 7", fix("2026-02-23T12:00:00Z")));
    assert!(!denied("fix_days_at_least: 7", fix("2026-02-24T12:00:00Z")));
    assert!(
        !denied("fix_days_at_least: 7", |report| first(report).fix = Fix::NoneYet),
        "there is no fix at all"
    );
}

#[test]
fn i4_what_cannot_be_told_is_never_lenient() {
    for when in ["published_days_at_least: 30", "fix_days_at_least: 30", "origin: [app]", "origin: [base]"] {
        assert_eq!(outcome(when, "deny", |_| {}), Outcome::Fail, "{when}");
        assert_eq!(outcome(when, "warn", |_| {}), Outcome::Warn, "{when}");
        assert_eq!(outcome(when, "ignore", |_| {}), Outcome::Pass, "nothing else speaks: {when}");
        let shadowed = with(&format!(
            "rules: [{{name: a, when: {{{when}}}, then: ignore}}, {{name: b, when: {{{when}}}, then: warn}}, {{name: c, when: {{}}, then: deny}}]"
        ));
        let verdict = judge(&shadowed, &report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]));
        assert_eq!((verdict.outcome, verdict.reasons[0].rule.as_str()), (Outcome::Fail, "c"), "{when}");
    }
}

#[test]
fn the_origin_is_what_the_builder_says() {
    let built_on = |layers: u16| {
        move |report: &mut Report| {
            let base = crate::model::settings::BaseImage { layers: Some(layers), ..Default::default() };
            inventory(report).base = Some(base);
        }
    };
    assert!(denied("origin: [base]", built_on(1)) && !denied("origin: [app]", built_on(1)));
    assert!(!denied("origin: [base]", built_on(0)) && denied("origin: [app]", built_on(0)));
    assert!(denied("origin: [base, app]", built_on(1)));
}

#[test]
fn expressions_see_finding_package_and_image() {
    for (cel, expected) in [
        ("true", true),
        ("finding.fixable && finding.severity == \"critical\"", true),
        ("finding.severity in [\"low\", \"medium\"]", false),
        ("finding.aliases.exists(alias, alias.startsWith(\"GHSA-\"))", true),
        ("finding.id.matches(\"^CVE-[0-9]+$\")", true),
        ("finding.fixed_version == \"2.0\"", true),
        ("finding.epss > 0.5", false),
        ("pkg.ecosystem == \"pypi\" && pkg.name == \"jinja2\"", true),
        ("pkg.origin == \"unknown\"", true),
        ("pkg.layer == 0", true),
        ("size(finding.advisories) == 1", true),
        ("image.packages == 1 && !image.configuration_known", true),
        ("image.scanned_days == 0", true),
        ("image.advisories_days == 1", true),
        ("has(finding.published_days) && finding.published_days == null", true),
    ] {
        assert_eq!(denied(&format!("cel: '{cel}'"), |_| {}), expected, "{cel}");
    }
}

#[test]
fn i4_an_expression_that_fails_matches_and_says_so() {
    for cel in
        ["finding.score > 7.0", "finding.published_days > 3", "finding.severity > 3", "image.runs_as_root"]
    {
        let policy = with(&format!("rules: [{{name: r, when: {{cel: '{cel}'}}, then: deny}}]"));
        let verdict = judge(&policy, &report(vec![finding("CVE-1", Severity::Low, fixed())], vec![]));
        assert_eq!(verdict.outcome, Outcome::Fail, "{cel}");
        assert!(verdict.reasons[0].message.contains("its expression"), "{:?}", verdict.reasons);
    }
}

#[test]
fn expressions_that_cannot_be_right_are_refused() {
    for (cel, fragment) in [
        ("", "empty"),
        ("finding.", "line 1"),
        ("finding.sverity", "has no sverity"),
        ("vuln.severity", "there is no vuln"),
        ("finding.severity", "neither true nor false"),
        ("1 + 1", "neither true nor false"),
        ("size(finding.id)", "neither true nor false"),
        ("\"yes\"", "neither true nor false"),
        ("frobnicate(finding.id)", "no function frobnicate"),
        ("finding.id.matches(finding.id)", "has to be written out"),
        ("finding.id.matches(\"(\")", "line 1"),
        ("image.ports.exists(p, image.labels.exists(l, l == p))", "a loop inside a loop"),
        (&format!("{}true", "true && ".repeat(400)), "more than 2000"),
    ] {
        let error = Expression::compile(cel, Sight::Findings).unwrap_err();
        assert!(error.to_string().contains(fragment), "{cel}: {error}");
    }
    let place =
        Expression::compile("finding.fixable &&\n  finding.sverity == 1", Sight::Findings).unwrap_err();
    assert_eq!(place.line, 2, "{place}");
}

#[test]
fn grace_warns_until_its_end_and_the_verdict_knows_when() {
    let policy = with("rules: [{name: r, when: {}, then: deny, grace: {days: 14}}]");
    let mut found = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
    found.findings[0].published = Some(at("2026-02-20T00:00:00Z"));
    let lenient = judge(&policy, &found);
    assert_eq!((lenient.outcome, lenient.valid_until), (Outcome::Warn, Some(at("2026-03-06T00:00:00Z"))));
    assert!(lenient.reasons[0].message.contains("denied from 2026-03-06"), "{:?}", lenient.reasons);
    let strict = policy.judge(&found, &[], &Circumstances::anywhere(at("2026-03-06T00:00:00Z")));
    assert_eq!((strict.outcome, strict.valid_until), (Outcome::Fail, None));
    found.findings[0].published = None;
    assert_eq!(judge(&policy, &found).outcome, Outcome::Fail, "no date, no grace");
    found.findings[0].published = Some(at("2099-01-01T00:00:00Z"));
    assert_eq!(judge(&policy, &found).outcome, Outcome::Fail, "a date in the future is no date");
}

#[test]
fn grace_can_count_from_the_fix() {
    let policy = with("rules: [{name: r, when: {}, then: deny, grace: {days: 7, from: fix}}]");
    let mut found = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
    found.findings[0].published = Some(at("2026-03-01T00:00:00Z"));
    assert_eq!(judge(&policy, &found).outcome, Outcome::Fail, "since when there is a fix is not known");
    found.findings[0].fixed_since = Some(at("2026-03-01T00:00:00Z"));
    assert_eq!(judge(&policy, &found).outcome, Outcome::Warn);
}

#[test]
fn an_exception_with_a_scope_holds_there_alone() {
    let policy = with(
        "rules: [{name: all, when: {}, then: deny}]\nexceptions: [{advisory: CVE-1, scope: {repositories: ['r.io/web/*'], namespaces: ['shop-*']}, owner: o, reason: r, expires: 2027-01-01}]",
    );
    let found = report(vec![finding("CVE-1", Severity::High, fixed())], vec![]);
    let place = |image: &str, namespace: &str| Place {
        image: Some(image.parse().unwrap()),
        namespace: Some(namespace.to_owned()),
        ..Place::default()
    };
    for (place, expected) in [
        (None, Outcome::Fail),
        (Some(place("r.io/web/app", "shop-eu")), Outcome::Pass),
        (Some(place("r.io/web/app", "other")), Outcome::Fail),
        (Some(place("r.io/other/app", "shop-eu")), Outcome::Fail),
    ] {
        let circumstances = Circumstances { now: at(NOW), place: place.as_ref() };
        assert_eq!(policy.judge(&found, &[], &circumstances).outcome, expected, "{place:?}");
        let depends = place.as_ref().is_some_and(|place| policy.depends_on(place));
        assert_eq!(depends, expected == Outcome::Pass, "{place:?}");
    }
}
