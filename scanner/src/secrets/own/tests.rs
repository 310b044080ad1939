//! Files of rules: what they find, what they refuse, and where the mistake is.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::{Key, Secrets};
use super::checked::{MOST_LITERALS, MOST_RULES};
use super::*;

const RULE: &str = "version: 1\nrules:\n  - id: ACME-TOKEN\n    title: A token of Acme's\n    severity: critical\n    literals: [acme_]\n    pattern: '\\b(acme_[a-z0-9]{20})\\b'\n    reach: everywhere\n    entropy: 3.0\n";

fn parse(text: &str) -> Result<OwnRules, OwnRulesError> {
    OwnRules::parse(text, Path::new("rules.yaml"))
}

fn secrets(text: &str) -> Secrets {
    Secrets::new(Key::Public, parse(text).unwrap())
}

fn found(secrets: &Secrets, content: &[u8]) -> Vec<(String, Option<String>)> {
    let mut search = secrets.search(b"app/settings.txt", content.len() as u64);
    search.feed(content);
    search.finish().found.into_iter().map(|found| (found.rule, found.masked)).collect()
}

#[test]
fn what_a_site_describes_is_found_and_masked() {
    let secrets = secrets(RULE);
    let expected = vec![("ACME-TOKEN".to_owned(), Some("acme… (25 characters)".to_owned()))];
    for content in ["key acme_8fj2k1m4n7q0r3t6v9xz end", "\0\u{1}acme_8fj2k1m4n7q0r3t6v9xz\0"] {
        assert_eq!(found(&secrets, content.as_bytes()), expected, "{content:?}");
    }
    for content in
        ["acme_aaaaaaaaaaaaaaaaaaaa", "acme_8fj2", "acme_examplek1m4n7q0r3t6", "Acme_8fj2k1m4n7q0r3t6v9xz"]
    {
        assert_eq!(found(&secrets, content.as_bytes()), [], "{content:?}");
    }
    let short = RULE.replace("{20}", "{3}").replace("    entropy: 3.0\n", "");
    let program = [&[0; 5000][..], b"acme_8fj", &[0; 5000]].concat();
    assert_eq!(found(&self::secrets(&short), &program).len(), 1, "hardly any text is enough in a program");
    assert_eq!(secrets.without_secrets("use acme_8fj2k1m4n7q0r3t6v9xz"), "use acme… (25 characters)");
    let texts = self::secrets(&RULE.replace("everywhere", "texts"));
    assert_eq!(found(&texts, b"\0acme_8fj2k1m4n7q0r3t6v9xz\0"), []);
}

#[test]
fn i6_rules_are_part_of_the_revision() {
    let revisions: BTreeSet<String> = [
        RULE.to_owned(),
        RULE.replace("{20}", "{21}"),
        RULE.replace("critical", "low"),
        RULE.replace("3.0", "3.1"),
        RULE.replace("everywhere", "texts"),
        "version: 1\nrules: []".to_owned(),
    ]
    .iter()
    .map(|text| secrets(text).revision())
    .collect();
    assert_eq!(revisions.len(), 6);
    assert!(revisions.contains(&Secrets::built_in().revision()));
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    let many = |count: usize| {
        let rule = |at| RULE[RULE.find("  - id").unwrap()..].replace("ACME-TOKEN", &format!("ACME-{at}"));
        format!("version: 1\nrules:\n{}", (0..count).map(rule).collect::<String>())
    };
    assert!(parse(&many(MOST_RULES)).is_ok());
    let literals = format!("literals: [{}]", vec!["acme_"; MOST_LITERALS + 1].join(", "));
    for (text, parts) in [
        (String::new(), ["is empty", "version"]),
        ("version: 2\nrules: []".to_owned(), ["line 1, column 10", "only 1"]),
        ("version: 1\nrules: []\nmore: 1".to_owned(), ["line 3", "more"]),
        ("version: 1\nversion: 1\nrules: []".to_owned(), ["line 2", "version"]),
        ("version: [".to_owned(), ["line 1", ""]),
        (RULE.replace("ACME-TOKEN", "TW-SEC-ACME"), ["line 3, column 9", "TW-"]),
        (RULE.replace("ACME-TOKEN", "acme token"), ["line 3, column 9", "ACME-TOKEN"]),
        (RULE.replace("A token of Acme's", "\"two\\nlines\""), ["line 4, column 12", "one line"]),
        (RULE.replace("critical", "bad"), ["line 5", "critical"]),
        (RULE.replace("[acme_]", "[]"), ["line 6, column 15", "empty"]),
        (RULE.replace("[acme_]", "[acm]"), ["line 6, column 16", "at least 4"]),
        (RULE.replace("[acme_]", "[ac]").replace("everywhere", "texts"), ["line 6", "at least 3"]),
        (RULE.replace("[acme_]", &format!("[{}]", "a".repeat(101))), ["line 6", "at most 100"]),
        (RULE.replace("literals: [acme_]", &literals), ["line 3", "256 literals"]),
        (RULE.replace("{20})", "{20}"), ["line 7, column 14", "unclosed group"]),
        (RULE.replace("(acme", "(?=acme"), ["line 7", "look-around"]),
        (RULE.replace("{20}", "{20}{100}{100}"), ["line 7", "too large"]),
        (RULE.replace("\\b(acme_[a-z0-9]{20})\\b", "x*"), ["line 7", "empty text"]),
        (RULE.replace("{20}", &"x".repeat(2000)), ["line 7", "2000 bytes"]),
        (RULE.replace("everywhere", "somewhere"), ["line 8", "everywhere"]),
        (RULE.replace("3.0", "9"), ["line 9, column 14", "bits"]),
        (RULE.replace("3.0", ".nan"), ["line 9", "bits"]),
        (RULE.replace("    reach: everywhere\n", ""), ["line 8", "reach"]),
        (many(2).replace("ACME-1", "ACME-0"), ["line 10, column 9", "twice"]),
        (many(MOST_RULES + 1), ["line 3", "more than 100"]),
    ] {
        let error = parse(&text).err().unwrap_or_else(|| panic!("{text}")).to_string();
        assert!(error.starts_with("secret rules rules.yaml: "), "{error}");
        assert!(!error.contains('\n') && parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let refused = || OwnRules::load(&path).err().unwrap().to_string();
    assert!(refused().contains("cannot read secret rules"));
    std::fs::write(&path, b"version: \xff").unwrap();
    assert!(refused().contains("cannot read secret rules"));
    std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
    assert!(refused().contains("more than"));
}

/// A literal that a hostile image repeats.
#[test]
fn i7_a_layer_full_of_literals_is_searched_in_linear_time() {
    let secrets = secrets(&RULE.replace("{20}", "+!"));
    let begun = std::time::Instant::now();
    assert_eq!(found(&secrets, "acme_".repeat(20_000).as_bytes()), []);
    assert!(begun.elapsed().as_secs() < 60);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn i7_no_text_panics(text in "\\PC{0,300}", pattern in "[a-z(){}|*+?.\\[\\]^$\\\\0-9,]{0,30}") {
        let _ = parse(&text);
        if let Ok(own) = parse(&RULE.replace("\\b(acme_[a-z0-9]{20})\\b", &pattern)) {
            let _ = found(&Secrets::new(Key::Public, own), b"acme_acme_ 1 acme_8fj2k1m4n7q0r3t6v9xz");
        }
    }
}
