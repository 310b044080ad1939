//! What publishers really write, and what becomes of it.

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::model::functions::FunctionHash;
use shared::model::report::{FindingKind, Severity};

use super::{Advisory, Affected, Event, RecordError, Urgency, Word, cve_in};

/// A record with one entry that consists of `entry` beside its package.
fn record(id: &str, entry: &Value) -> Value {
    let mut affected = json!({"package": {"ecosystem": "npm", "name": "a"}});
    affected.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
    json!({"id": id, "modified": "2024-01-01T00:00:00Z", "affected": [affected]})
}

fn parse(record: &Value) -> Advisory {
    Advisory::parse(record.to_string().as_bytes()).unwrap()
}

fn entry(record: &Value) -> Affected {
    parse(record).affected.remove(0)
}

#[test]
fn null_and_unknown_fields_cost_nothing() {
    let advisory = parse(&json!({
        "id": "GHSA-1", "modified": "2024-01-01T00:00:00.123456Z", "schema_version": "9.9",
        "aliases": null, "severity": null, "related": null, "new_field": {"a": [1]},
        "published": "not a time", "withdrawn": null, "summary": "\n  One\tline \nmore",
        "affected": [{"package": {"ecosystem": "npm", "name": "a"}, "ranges": null, "versions": null,
                      "ecosystem_specific": null, "severity": null},
                     {"package": null}, {}]
    }));
    assert_eq!(advisory.modified, "2024-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(advisory.published, None);
    assert_eq!(advisory.summary.as_deref(), Some("Oneline"));
    assert_eq!(advisory.affected.len(), 1);
}

#[test]
fn unusable_records_are_errors_of_their_own() {
    for (text, is_expected) in [
        ("[]", (|error: &RecordError| matches!(error, RecordError::Json(_))) as fn(&RecordError) -> bool),
        ("{}", |error| matches!(error, RecordError::Id)),
        (r#"{"id":"a\u0000b","modified":"2024-01-01T00:00:00Z"}"#, |error| matches!(error, RecordError::Id)),
        (r#"{"id":"A-1"}"#, |error| matches!(error, RecordError::Modified { .. })),
        (r#"{"id":"A-1","modified":"yesterday"}"#, |error| matches!(error, RecordError::Modified { .. })),
    ] {
        let error = Advisory::parse(text.as_bytes()).unwrap_err();
        assert!(is_expected(&error), "{text}: {error}");
    }
    let deep = "[".repeat(100_000);
    assert!(Advisory::parse(format!(r#"{{"id":"A","database_specific":{deep}"#).as_bytes()).is_err());
}

#[test]
fn a_git_range_before_an_ecosystem_range_hides_nothing() {
    let affected = entry(&record(
        "PYSEC-1",
        &json!({"ranges": [
            {"type": "GIT", "repo": "https://x", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
            {"type": "SOMETHING", "events": [{"introduced": "0"}]},
            {"type": "ECOSYSTEM", "events": [{"introduced": "0", "fixed": "1.0"}]}]}),
    ));
    assert_eq!(affected.ranges.len(), 1);
    assert_eq!(
        affected.ranges[0].events,
        [Event::Introduced("0".to_owned()), Event::Fixed("1.0".to_owned())]
    );
}

#[test]
fn github_s_last_known_range_ends_an_open_range_and_promises_no_fix() {
    for (text, events, expected) in [
        ("<= 1.2", json!([{"introduced": "0"}]), Some(Event::LastAffected("1.2".to_owned()))),
        ("< 7.23.2", json!([{"introduced": "0"}]), Some(Event::Limit("7.23.2".to_owned()))),
        ("< 7.23.2", json!([{"introduced": "0"}, {"fixed": "8"}]), None),
        (">= 1, < 2", json!([{"introduced": "0"}]), None),
        ("<= 1.2, > 1", json!([{"introduced": "0"}]), None),
    ] {
        let affected = entry(&record(
            "GHSA-1",
            &json!({"ranges": [{"type": "SEMVER", "events": events}],
                   "database_specific": {"last_known_affected_version_range": text}}),
        ));
        let end = affected.ranges[0]
            .events
            .iter()
            .find(|event| matches!(event, Event::LastAffected(_) | Event::Limit(_)));
        assert_eq!(end, expected.as_ref(), "{text}");
    }
}

#[test]
fn withdrawn_records_keep_their_id_and_nothing_else() {
    let mut withdrawn = record("MAL-2024-1", &json!({"versions": ["1.0"]}));
    withdrawn["withdrawn"] = json!("2024-02-02T00:00:00Z");
    let advisory = parse(&withdrawn);
    assert!(advisory.withdrawn && advisory.affected.is_empty());
}

#[test]
fn malware_without_versions_is_malware_in_every_version() {
    assert_eq!(parse(&record("MAL-2024-1", &json!({}))).kind, FindingKind::Malware);
    assert_eq!(entry(&record("MAL-2024-1", &json!({}))).ranges.len(), 1);
    assert_eq!(entry(&record("MAL-2024-1", &json!({"versions": ["1.0"]}))).ranges.len(), 0);
    assert_eq!(entry(&record("GHSA-1", &json!({}))).ranges.len(), 0);
}

#[test]
fn cves_are_found_wherever_a_publisher_puts_them() {
    for (id, field, names, expected) in [
        ("GHSA-1", "aliases", vec!["CVE-2024-1"], vec!["CVE-2024-1"]),
        ("ALSA-2023:0946", "related", vec!["CVE-2024-1", "RHSA-1"], vec!["CVE-2024-1"]),
        ("GHSA-1", "related", vec!["CVE-2024-1"], vec![]),
        ("ROOT-APP-PYPI-1", "related", vec!["CVE-2024-1"], vec!["CVE-2024-1"]),
        (
            "DSA-1-1",
            "upstream",
            vec!["DEBIAN-CVE-2024-1", "CVE-2024-1", "CVE-2024-2"],
            vec!["CVE-2024-1", "CVE-2024-2"],
        ),
        ("USN-1-1", "upstream", vec!["UBUNTU-CVE-2021-3782"], vec!["CVE-2021-3782"]),
        ("ALPINE-CVE-2024-9", "upstream", vec![], vec!["CVE-2024-9"]),
        ("BIT-x-2024-1", "aliases", vec!["CVE-2024-1"], vec!["CVE-2024-1"]),
    ] {
        let mut value = record(id, &json!({}));
        value[field] = json!(names);
        let advisory = parse(&value);
        assert_eq!(advisory.cves().into_iter().collect::<Vec<_>>(), expected, "{id}");
    }
    for (id, cve) in [("CVE-24-1", None), ("CVE-2024-", None), ("XCVE-2024-1", None), ("CVE-2024-1x", None)] {
        assert_eq!(cve_in(id), cve, "{id}");
    }
}

#[test]
fn bug_fix_notices_count_only_if_they_name_a_cve() {
    for (id, related, entries) in [
        ("ALBA-2023:1", json!([]), 0),
        ("ALBA-2023:1", json!(["CVE-2024-1"]), 1),
        ("ALSA-2023:1", json!([]), 1),
        ("LSN-0001-1", json!([]), 0),
    ] {
        let mut value = record(id, &json!({}));
        value["related"] = related;
        assert_eq!(parse(&value).affected.len(), entries, "{id}");
    }
}

#[test]
fn words_are_told_apart_by_who_said_them() {
    let rated = |id: &str, extra: Value| {
        let mut value = record(id, &json!({}));
        value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        parse(&value).word
    };
    for (id, extra, expected) in [
        ("ALSA-1", json!({"summary": "Important: kernel update"}), Some(Word::Distribution(Severity::High))),
        ("GHSA-1", json!({"summary": "Important: read this"}), None),
        (
            "GHSA-1",
            json!({"database_specific": {"severity": "MODERATE"}}),
            Some(Word::Database(Severity::Medium)),
        ),
        (
            "RHSA-1",
            json!({"database_specific": {"severity": "Low"}}),
            Some(Word::Distribution(Severity::Low)),
        ),
        (
            "UBUNTU-CVE-2024-1",
            json!({"severity": [{"type": "Ubuntu", "score": "negligible"}]}),
            Some(Word::Distribution(Severity::Negligible)),
        ),
        ("GHSA-1", json!({"severity": [{"type": "Other", "score": "high"}]}), None),
    ] {
        assert_eq!(rated(id, extra.clone()), expected, "{id} {extra}");
    }
}

#[test]
fn functions_that_carry_the_flaw_are_kept_by_their_hashes() {
    let functions = |imports: Value| {
        entry(&record("GO-1", &json!({"ecosystem_specific": {"imports": imports}}))).functions
    };
    let sorted = |mut hashes: Vec<FunctionHash>| {
        hashes.sort_unstable();
        hashes
    };
    let of = FunctionHash::of_function;
    for (imports, expected) in [
        (json!([{"path": "a/b", "symbols": ["F", "T.M", "F"]}]), vec![of(b"a/b", b"F"), of(b"a/b", b"T.M")]),
        (
            json!([{"path": "a/b"}, {"path": "a", "symbols": []}]),
            vec![FunctionHash::of_package(b"a/b"), FunctionHash::of_package(b"a")],
        ),
        (json!([{"path": "a/b"}, {"symbols": ["F"]}]), vec![]),
        (json!([{"path": ""}]), vec![]),
        (json!("none"), vec![]),
    ] {
        assert_eq!(functions(imports.clone()), sorted(expected), "{imports}");
    }
}

#[test]
fn what_ecosystems_add_is_understood() {
    let specific = |value: Value| entry(&record("X-1", &json!({"ecosystem_specific": value})));
    assert_eq!(specific(json!({"urgency": "high**"})).urgency, Some(Urgency::High));
    assert_eq!(specific(json!({"urgency": "not yet assigned"})).urgency, None);
    let ubuntu =
        json!({"binaries": [{"binary_name": "libssl3", "binary_version": "1"}, {"binary_name": "a"}]});
    assert_eq!(specific(ubuntu).binaries, ["a", "libssl3"]);
    assert_eq!(
        specific(json!({"binaries": [{"curl": "1", "libcurl4": "1"}]})).binaries,
        ["curl", "libcurl4"]
    );
    let go = json!({"imports": [{"path": "os", "goos": ["windows"]}, {"path": "x", "goos": ["plan9"]}]});
    assert_eq!(specific(go).systems, ["plan9", "windows"]);
    let partly = json!({"imports": [{"path": "os", "goos": ["windows"]}, {"path": "x"}]});
    assert!(specific(partly).systems.is_empty());
    let rust = json!({"affects": {"os": ["macos"], "arch": ["x86_64"], "functions": []}});
    let rust = specific(rust);
    assert_eq!((rust.systems, rust.architectures), (vec!["darwin".to_owned()], vec!["amd64".to_owned()]));
    let informational = record("RUSTSEC-1", &json!({"database_specific": {"informational": "unmaintained"}}));
    assert_eq!(parse(&informational).kind, FindingKind::Informational);
    let plain = record("RUSTSEC-1", &json!({"database_specific": {"informational": null}}));
    assert_eq!(parse(&plain).kind, FindingKind::Vulnerability);
}

proptest! {
    #[test]
    fn i7_no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Advisory::parse(&bytes);
    }

    #[test]
    fn i7_no_texts_in_a_record_panic(id in ".{0,20}", name in ".{0,20}", version in ".{0,20}", word in ".{0,20}") {
        let value = json!({"id": id, "modified": "2024-01-01T00:00:00Z", "summary": word, "aliases": [name],
            "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "versions": [version],
            "ecosystem_specific": {"urgency": word}, "database_specific": {"last_known_affected_version_range": version},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": version}, {"fixed": word}]}]}]});
        let _ = Advisory::parse(value.to_string().as_bytes());
    }
}
