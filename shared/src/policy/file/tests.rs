//! What is refused in a policy file, and with which words.

use super::*;
use crate::policy::DEFAULT_POLICY;

fn check(text: &str, expected: Result<(), &str>) {
    match (Policy::parse(text), expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(fragment)) => {
            assert!(error.to_string().contains(fragment), "{error} lacks {fragment:?}");
        }
        (parsed, expected) => panic!("{text}\ngave {parsed:?}, expected {expected:?}"),
    }
}

#[test]
fn the_default_policy_parses() {
    let policy = Policy::parse(DEFAULT_POLICY).unwrap();
    assert_eq!(policy.name.as_str(), "default");
    assert_eq!(policy.rules.len(), 6);
}

#[test]
fn mistakes_are_named_with_their_place() {
    check("version: 1\nname: a\n", Ok(()));
    check("version: 1\nname: a\nrulez: []\n", Err("rulez"));
    check("version: 1\nname: a\nrulez: []\n", Err("line 3"));
    check("version: 2\nname: a\n", Err("expected 1"));
    check("version: 1\nname: Bad Name\n", Err("not a policy name"));
    check(
        "version: 1\nname: a\nrules: [{name: r, when: {severity: [terrible]}, then: deny}]",
        Err("terrible"),
    );
    check(
        "version: 1\nname: a\nrules: [{name: r, when: {epss_at_least: 7}, then: deny}]",
        Err("line 3, column 41: rules[0] \"r\""),
    );
    check("version: 1\nname: a\nproblems: {path-traversal: deny}", Err("nothing to decide"));
    check("version: 1\nname: a\nproblems: {no-such-thing: deny}", Err("no-such-thing"));
}

#[test]
fn mistakes_of_yaml_are_one_line_in_the_words_of_who_writes_policies() {
    for (text, expected) in [
        ("version: 1\nname: a\nname: b\n", "line 3, column 1: "),
        ("---\nversion: 1\nname: a\n---\nversion: 1\nname: b\n", "line 5, column 1: "),
        ("version: 1\nname: a\nmode: enforcing\n", "line 3, column 7: "),
        ("version: 1\nname: a\nrules:\n\t- x\n", "line 4, column 2: "),
        ("version: 1\nname: a\nimage: [{name: i, when: {exposes: [99999]}, then: deny}]\n", "1 to 65535"),
        (" \n", "the file is empty"),
    ] {
        let told = Policy::parse(text).unwrap_err().to_string();
        assert!(told.contains(expected), "{text:?}: {told:?} lacks {expected:?}");
        for foreign in ["\n", "Options", "from_str", "error:"] {
            assert!(!told.contains(foreign), "{text:?}: {told:?} has {foreign:?}");
        }
    }
}

#[test]
fn exceptions_have_an_owner_a_reason_and_an_end() {
    let with = |body: &str| format!("version: 1\nname: a\nexceptions: [{{{body}}}]");
    check(&with("advisory: CVE-1, owner: o, reason: r, expires: 2027-01-31"), Ok(()));
    check(&with("advisory: CVE-1, owner: o, reason: r"), Err("expires"));
    check(&with("advisory: CVE-1, owner: o, reason: r, expires: soon"), Err("expires is a date"));
    check(&with("owner: o, reason: r, expires: 2027-01-31"), Err("name an advisory"));
    check(&with("advisory: CVE-1, owner: '', reason: r, expires: 2027-01-31"), Err("owner is empty"));
    check(&with("package: left-pad, owner: o, reason: r, expires: 2027-01-31"), Err("not a purl"));
}

#[test]
fn the_revision_follows_the_text() {
    let one = Policy::parse("version: 1\nname: a\n").unwrap();
    let other = Policy::parse("version: 1\nname: a\nmode: audit\n").unwrap();
    assert_ne!(one.revision, other.revision);
}

#[test]
fn what_serde_cannot_check_is_named_with_line_and_column() {
    for (body, fragment) in [
        (
            "rules:\n  - name: r\n    when:\n      package: left-pad\n    then: deny",
            "line 6, column 16: rules[0] \"r\"",
        ),
        (
            "rules:\n  - {name: r, when: {}, then: deny}\n  - {name: r, when: {}, then: warn}",
            "line 5, column 5: rules[1] \"r\": another rule",
        ),
        (
            "rules:\n  - {name: r, when: {cel: 'finding.severty == \"low\"'}, then: deny}",
            "line 4, column 27: rules[0] \"r\": cel: line 1",
        ),
        (
            "rules:\n  - {name: r, when: {cel: 'finding.severty == \"low\"'}, then: deny}",
            "finding has no severty",
        ),
        ("rules:\n  - {name: r, when: {}, then: warn, grace: {days: 3}}", "never denies"),
        ("rules:\n  - {name: r, when: {}, then: deny, grace: {days: 0}}", "1 to 3650"),
        ("rules:\n  - {name: '', when: {}, then: deny}", "name is empty"),
        ("image:\n  - {name: r, when: {}, then: deny}", "when is empty"),
        ("image:\n  - {name: r, when: {runs_as_root: true}, then: ignore}", "ignore"),
        ("image:\n  - {name: r, when: {cel: 'finding.fixable'}, then: deny}", "there is no finding here"),
        (
            "scope:\n  repositories:\n    - team/app",
            "line 5, column 7: scope: \"team/app\" names no registry",
        ),
        ("registries: {allow: []}", "allow is empty"),
        ("signatures: [{name: s, keys: []}]", "1 to 16"),
        ("signatures: [{name: s, keys: [nonsense]}]", "not a P-256 public key"),
        ("pods: {privileged: maybe}", "maybe"),
        ("pods: {privilegd: deny}", "privilegd"),
        (
            "exceptions:\n  - advisory: CVE-1\n    owner: o\n    reason: r",
            "line 4, column 5: exceptions[0]: expires is missing",
        ),
    ] {
        check(&format!("version: 1\nname: a\n{body}"), Err(fragment));
    }
}

#[test]
fn an_expired_exception_is_no_mistake_for_a_running_server() {
    let policy = Policy::parse(
        "version: 1\nname: a\nexceptions:\n  - {advisory: CVE-1, owner: o, reason: r, expires: 2020-01-31}",
    )
    .unwrap();
    let expired: Vec<_> = policy.expired_exceptions("2026-01-01T00:00:00Z".parse().unwrap()).collect();
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].position, Position { line: 4, column: 5 });
    assert_eq!(policy.expired_exceptions("2020-01-31T23:59:59Z".parse().unwrap()).count(), 0);
}

proptest::proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "\\PC{0,200}") {
        let _ = Policy::parse(&text);
        let _ = Policy::parse(&format!("version: 1\nname: a\nrules: [{{name: r, when: {text}, then: deny}}]"));
    }

    #[test]
    fn no_text_panics_the_expressions(text in "[a-z0-9.()\\[\\]{}&|!=<>+*?:,'\" -]{0,120}") {
        let quoted = serde_json::to_string(&format!("finding.{text}")).unwrap();
        let _ = Policy::parse(&format!("version: 1\nname: a\nrules: [{{name: r, when: {{cel: {quoted}}}, then: deny}}]"));
    }
}
