//! The schema, the policies that are shipped as examples, and explanations in words.

use serde_json::Value;

use super::*;

const EXAMPLES: [(&str, &str); 4] = [
    ("production", include_str!("../../../../docs/policies/production.yaml")),
    ("base-images", include_str!("../../../../docs/policies/base-images.yaml")),
    ("signed-releases", include_str!("../../../../docs/policies/signed-releases.yaml")),
    ("trial", include_str!("../../../../docs/policies/trial.yaml")),
];

fn as_json(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn the_examples_are_policies() {
    for (name, text) in EXAMPLES {
        let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(policy.name.as_str(), name);
        let expired: Vec<_> = policy.expired_exceptions(at("2026-12-01T00:00:00Z")).collect();
        assert!(expired.is_empty(), "{name}: {expired:?}");
    }
}

#[test]
fn the_schema_that_is_shipped_is_the_schema() {
    let shipped: Value = serde_json::from_str(include_str!("../../../../docs/policy.schema.json")).unwrap();
    assert_eq!(shipped, schema(), "run `tidewaiter policy schema > docs/policy.schema.json`");
}

#[test]
fn the_schema_accepts_what_the_parser_accepts() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, text) in EXAMPLES.into_iter().chain([("default", DEFAULT_POLICY)]) {
        let problems: Vec<String> =
            validator.iter_errors(&as_json(text)).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

#[test]
fn what_the_schema_refuses_the_parser_refuses_too() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for body in [
        "rulez: []",
        "mode: maybe",
        "rules: [{name: r, then: deny}]",
        "rules: [{name: r, when: {}, then: explode}]",
        "rules: [{name: r, when: {severity: [terrible]}, then: deny}]",
        "rules: [{name: r, when: {epss_at_least: 7}, then: deny}]",
        "rules: [{name: r, when: {package: left-pad}, then: deny}]",
        "rules: [{name: r, when: {}, then: deny, grace: {days: 0}}]",
        "image: [{name: r, when: {runs_as_root: true}, then: ignore}]",
        "licenses: [{name: r, when: {stated: [maybe]}, then: deny}]",
        "licenses: [{name: r, when: {allow: [MIT]}, then: deny}]",
        "problems: {path-traversal: deny}",
        "exceptions: [{owner: o, reason: r, expires: 2027-01-31}]",
        "exceptions: [{advisory: CVE-1, owner: o, reason: r}]",
        "exceptions: [{advisory: CVE-1, owner: '', reason: r, expires: 2027-01-31}]",
        "scope: {repositories: [team/app]}",
        "registries: {allow: []}",
        "signatures: [{name: s, keys: []}]",
        "pods: {privileged: maybe}",
        "on_unknown: sometimes",
    ] {
        let text = format!("version: 1\nname: a\n{body}");
        assert!(!validator.is_valid(&as_json(&text)), "the schema accepts {body}");
        assert!(Policy::parse(&text).is_err(), "the parser accepts {body}");
    }
}

#[test]
fn an_explanation_names_rule_owner_end_and_remedy() {
    let policy = with(
        "rules:\n  - {name: serious, when: {severity: [critical]}, then: deny}\n  - {name: fresh, when: {severity: [high]}, then: deny, grace: {days: 14}}\nexceptions:\n  - {advisory: CVE-3, owner: web-team, reason: not reachable, expires: 2026-12-31}\nimage:\n  - {name: no-root, when: {runs_as_root: true}, then: warn}\n",
    );
    let mut fresh = finding("CVE-2", Severity::High, fixed());
    fresh.published = Some(at("2026-02-28T00:00:00Z"));
    let found = report(
        vec![
            finding("CVE-1", Severity::Critical, fixed()),
            fresh,
            finding("CVE-3", Severity::Critical, Fix::NoneYet),
            finding("CVE-4", Severity::Low, Fix::NoneYet),
        ],
        vec![],
    );
    let text = policy.explain(&found, &[], &Circumstances::anywhere(at(NOW))).to_string();
    for expected in [
        "fail by policy test",
        "time alone changes this at 2026-03-14T00:00:00Z",
        "warn no-root: rule no-root cannot tell: the image's configuration is not known",
        "deny CVE-1 (critical) in pkg:pypi/jinja2@1.0, fixed in 2.0: rule serious",
        "warn CVE-2 (high) in pkg:pypi/jinja2@1.0, fixed in 2.0: rule fresh, in grace until 2026-03-14T00:00:00Z, then deny",
        "excepted CVE-3 (critical) in pkg:pypi/jinja2@1.0, no fix yet: by web-team until 2027-01-01T00:00:00Z: not reachable",
        "no rule CVE-4 (low)",
        "update pkg:pypi/jinja2@1.0 to 2.0 (CVE-1)",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}
