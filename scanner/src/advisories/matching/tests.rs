//! Judgements of small inventories by small databases: each rule of matching as a table.

mod accuracy;
mod coverage;
mod distributions;
mod languages;
mod ownership;
mod programs;
mod real;
mod repaired;

use serde_json::{Value, json};
use shared::model::image::Platform;
use shared::model::layer::LayerIndex;
use shared::model::package::{Evidence, Package, PackageKind, Purl, SourcePackage};
use shared::model::report::{
    Confidence, Distribution, Finding, FindingStatus, Fix, InstalledPackage, Inventory, Probability, Score,
    Severity, Suppression,
};

use super::{Judgement, judge};
use crate::advisories::Database;
use crate::advisories::compile::{BuildOptions, build};

/// A database of these records; KEV and EPSS name CVE-2024-0001.
fn database(records: &[Value]) -> Database {
    let folder = tempfile::tempdir().unwrap();
    for (number, record) in records.iter().enumerate() {
        let path = folder.path().join(format!("{number}.json"));
        std::fs::write(path, record.to_string()).unwrap();
    }
    let kev = json!({"vulnerabilities": [{"cveID": "CVE-2024-0001", "dateAdded": "2024-02-01"}]});
    std::fs::write(folder.path().join("kev.json"), kev.to_string()).unwrap();
    let epss = "#model_version:v2025.03.14,score_date:2025-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2024-0001,0.97,0.99\n";
    std::fs::write(folder.path().join("epss.csv"), epss).unwrap();
    let output = folder.path().join("db");
    let summary = build(&[folder.path().to_owned()], &output, &BuildOptions::default()).unwrap();
    assert_eq!(summary.skipped, []);
    // The open file outlives its name.
    Database::open(&output).unwrap()
}

/// An advisory about one package: `range` is `introduced..fixed`, `introduced..` or `introduced..=last`.
fn advisory(id: &str, ecosystem: &str, name: &str, range: &str) -> Value {
    json!({"id": id, "modified": "2024-01-01T00:00:00Z", "affected": [affected(ecosystem, name, range)]})
}

fn affected(ecosystem: &str, name: &str, range: &str) -> Value {
    let (start, end) = range.split_once("..").unwrap();
    let mut events = vec![json!({"introduced": start})];
    match end.strip_prefix('=') {
        Some(last) => events.push(json!({"last_affected": last})),
        None if end.is_empty() => {}
        None => events.push(json!({"fixed": end})),
    }
    json!({"package": {"ecosystem": ecosystem, "name": name},
           "ranges": [{"type": "ECOSYSTEM", "events": events}]})
}

/// The record with further fields.
fn with(mut record: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("{fields} is no object") };
    record.as_object_mut().unwrap().extend(fields);
    record
}

/// The record with further fields in its first entry.
fn with_entry(mut record: Value, fields: Value) -> Value {
    record["affected"][0] = with(record["affected"][0].clone(), fields);
    record
}

fn package(kind: PackageKind, name: &str, version: &str) -> Package {
    Package {
        kind,
        namespace: None,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        source: None,
        vendor: None,
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: Vec::new(),
        evidence: Evidence::Installed,
    }
}

fn built_from(mut package: Package, source: &str, version: Option<&str>) -> Package {
    package.source = Some(SourcePackage { name: source.to_owned(), version: version.map(str::to_owned) });
    package
}

fn distribution(id: &str, version: &str) -> Option<Distribution> {
    Some(Distribution {
        id: id.to_owned(),
        version: version.to_owned(),
        codename: None,
        like: Vec::new(),
        name: format!("{id} {version}"),
    })
}

fn installed(package: Package) -> InstalledPackage {
    InstalledPackage {
        purl: Purl::new(&package, None),
        path: "evidence".to_owned(),
        introduced_in: LayerIndex(0),
        owned_by: None,
        nested_root: None,
        package,
    }
}

fn inventory(distribution: Option<Distribution>, packages: Vec<Package>) -> Inventory {
    Inventory {
        platform: Some(Platform::linux_amd64()),
        distribution,
        layers: Vec::new(),
        packages: packages.into_iter().map(installed).collect(),
        ..Inventory::default()
    }
}

fn judged(records: &[Value], distribution: Option<Distribution>, packages: Vec<Package>) -> Judgement {
    judge(&inventory(distribution, packages), &database(records)).unwrap()
}

/// The only finding.
fn only(judgement: Judgement) -> Finding {
    let [finding] = judgement.findings.try_into().unwrap();
    finding
}

fn ids(judgement: &Judgement) -> Vec<&str> {
    judgement.findings.iter().map(|finding| finding.id.as_str()).collect()
}

fn fixed(version: &str) -> Fix {
    Fix::Fixed { version: version.to_owned() }
}

fn suppressed(reason: Suppression) -> FindingStatus {
    FindingStatus::Suppressed { reason }
}

#[test]
fn findings_come_worst_first_and_the_same_every_time() {
    let rated = |id: &str, severity: &str| {
        with(advisory(id, "npm", "a", "0..2.0.0"), json!({"database_specific": {"severity": severity}}))
    };
    let records = [
        rated("GHSA-1", "LOW"),
        rated("GHSA-2", "CRITICAL"),
        advisory("GHSA-3", "npm", "a", "0..2.0.0"),
        rated("GHSA-4", "HIGH"),
        with(rated("GHSA-5", "HIGH"), json!({"aliases": ["CVE-2024-0001"]})),
    ];
    let judge = || judged(&records, None, vec![package(PackageKind::Npm, "a", "1.0.0")]);
    assert_eq!(ids(&judge()), ["GHSA-2", "CVE-2024-0001", "GHSA-4", "GHSA-1", "GHSA-3"]);
    assert_eq!(judge(), judge());
}

#[test]
fn kev_and_epss_reach_a_finding_known_by_ghsa() {
    let record = with(advisory("GHSA-1", "npm", "a", "0..2.0.0"), json!({"aliases": ["CVE-2024-0001"]}));
    let finding = only(judged(&[record], None, vec![package(PackageKind::Npm, "a", "1.0.0")]));
    assert!(finding.known_exploited);
    assert_eq!(finding.epss.map(Probability::value), Some(0.97));
    let record = advisory("GHSA-1", "npm", "a", "0..2.0.0");
    let finding = only(judged(&[record], None, vec![package(PackageKind::Npm, "a", "1.0.0")]));
    assert_eq!((finding.known_exploited, finding.epss), (false, None));
}

#[test]
fn severities_are_chosen_in_the_order_of_authority() {
    const V3: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let debian = || advisory("DEBIAN-CVE-2024-7", "Debian:12", "a", "0..2");
    let vector = |kind: &str, score: &str| json!({"severity": [{"type": kind, "score": score}]});
    let word = |word: &str| json!({"database_specific": {"severity": word}});
    let npm = || advisory("GHSA-1", "npm", "a", "0..2.0.0");
    let elsewhere = || {
        let other = advisory("GHSA-9", "npm", "other", "0..2.0.0");
        with(other, json!({"aliases": ["CVE-2024-7"], "severity": vector("CVSS_V3", V3)["severity"]}))
    };
    for (name, records, severity, score) in [
        ("vector", vec![with(npm(), vector("CVSS_V3", V3))], Severity::Critical, Some(9.8)),
        (
            "vector before word",
            vec![with(with(npm(), vector("CVSS_V3", V3)), word("LOW"))],
            Severity::Critical,
            Some(9.8),
        ),
        (
            "broken vector, word",
            vec![with(with(npm(), vector("CVSS_V3", "CVSS:3.1/AV:N/")), word("LOW"))],
            Severity::Low,
            None,
        ),
        ("of the package", vec![with_entry(npm(), vector("CVSS_V3", V3))], Severity::Critical, Some(9.8)),
        ("nobody says", vec![npm()], Severity::Unknown, None),
        ("another record of the flaw", vec![debian(), elsewhere()], Severity::Critical, Some(9.8)),
        (
            "the distribution first",
            vec![with_entry(debian(), json!({"ecosystem_specific": {"urgency": "low"}})), elsewhere()],
            Severity::Low,
            None,
        ),
        (
            "a distribution without opinion",
            vec![
                with_entry(debian(), json!({"ecosystem_specific": {"urgency": "not yet assigned"}})),
                elsewhere(),
            ],
            Severity::Critical,
            Some(9.8),
        ),
    ] {
        let packages = vec![package(PackageKind::Npm, "a", "1.0.0"), package(PackageKind::Deb, "a", "1")];
        let finding = only(judged(&records, distribution("debian", "12"), packages));
        assert_eq!((finding.severity, finding.score.map(Score::value)), (severity, score), "{name}");
    }
}

#[test]
fn an_undecidable_version_is_reported_and_says_so() {
    let record = advisory("GHSA-1", "npm", "a", "0..2.0.0");
    let finding = only(judged(&[record], None, vec![package(PackageKind::Npm, "a", "not.a.version")]));
    assert_eq!(finding.confidence, Confidence::UnparsableVersion);
    assert_eq!(finding.status, FindingStatus::Affected);
}

#[test]
fn what_must_not_be_matched_is_not() {
    let mut own = package(PackageKind::Npm, "a", "1.0.0");
    own.evidence = Evidence::Unmatched;
    let record = advisory("GHSA-1", "npm", "a", "0..");
    let judgement = judged(&[record], None, vec![own]);
    assert_eq!((judgement.findings.len(), judgement.coverage.len()), (0, 0));
}
