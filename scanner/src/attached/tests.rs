use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::model::package::{Evidence, PackageKind};
use shared::model::report::{Confidence, Distribution, Revision, ScanRevisions};
use shared::registry::sboms::Wrapping;

use super::fetch::listed;
use super::*;
use crate::advisories::compile::{BuildOptions, build};

const BOM: &str = r#"{"bomFormat":"CycloneDX","components":[{"name":"bare"},{"name":"b","purl":"pkg:npm/b@2.0.0"},
    {"name":"a","purl":"pkg:npm/a@1.0.0?vcs_url=x"},{"name":"libc6","purl":"pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12"}]}"#;

fn subject() -> Digest {
    Digest::of(b"image")
}

fn statement(predicate_type: &str, predicate: &Value, subject: &Digest) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": predicate_type, "predicate": predicate,
        "subject": [{"name": "pkg:docker/app", "digest": {"sha256": subject.encoded()}}],
    })
    .to_string()
}

fn envelope(statement: &str) -> Value {
    json!({
        "payloadType": "application/vnd.in-toto+json", "payload": STANDARD.encode(statement),
        "signatures": [{"keyid": "", "sig": "MAYCAQECAQE="}],
    })
}

/// How many packages a document lists, `None` if it is about something else, or a part of why it cannot be read.
fn check(wrapping: Wrapping, content: &str, expected: Result<Option<usize>, &str>) {
    match (listed(&subject(), wrapping, content.as_bytes()), expected) {
        (Ok(listing), Ok(expected)) => {
            assert_eq!(listing.map(|listing| listing.into_packages().len()), expected, "{content}");
        }
        (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
        (found, expected) => {
            panic!("{content}: {:?}, not {expected:?}", found.map(|listing| listing.is_some()));
        }
    }
}

#[test]
fn documents_are_read_whatever_is_around_them() {
    let bom: Value = serde_json::from_str(BOM).unwrap();
    let (cyclonedx, spdx) = ("https://cyclonedx.org/bom/v1.4", "https://spdx.dev/Document");
    check(Wrapping::Plain, BOM, Ok(Some(3)));
    check(Wrapping::Statement, &statement(cyclonedx, &bom, &subject()), Ok(Some(3)));
    let dated = json!({"Data": bom, "Timestamp": "2026-01-01T00:00:00Z"});
    check(Wrapping::Statement, &statement(cyclonedx, &dated, &subject()), Ok(Some(3)));
    let text = "SPDXVersion: SPDX-2.3\nPackageName: a\nExternalRef: PACKAGE-MANAGER purl pkg:npm/a@1\n";
    let in_string = statement(spdx, &json!(text), &subject());
    check(Wrapping::Statement, &in_string, Ok(Some(1)));
    check(Wrapping::Envelope, &envelope(&in_string).to_string(), Ok(Some(1)));
    let bundle = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope(&in_string)});
    check(Wrapping::Bundle, &bundle.to_string(), Ok(Some(1)));
    check(
        Wrapping::Statement,
        &statement("https://slsa.dev/provenance/v1", &json!({}), &subject()),
        Ok(None),
    );
}

#[test]
fn what_speaks_of_something_else_or_cannot_be_read_says_so() {
    let spdx = "https://spdx.dev/Document";
    check(Wrapping::Plain, "{}", Err("neither SPDX"));
    check(Wrapping::Plain, "", Err("neither SPDX"));
    check(Wrapping::Statement, &statement(spdx, &json!(null), &subject()), Err("neither SPDX"));
    check(Wrapping::Statement, &statement(spdx, &json!("x"), &Digest::of(b"other")), Err("another digest"));
    check(Wrapping::Envelope, "{}", Err("DSSE"));
    check(Wrapping::Bundle, r#"{"messageSignature":{}}"#, Err("DSSE"));
}

fn database() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str| {
        json!({
            "id": format!("CVE-2024-{name}"), "modified": "2024-01-01T00:00:00Z",
            "affected": [{"package": {"ecosystem": "npm", "name": name},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}],
        })
    };
    for name in ["a", "b"] {
        std::fs::write(folder.path().join(format!("{name}.json")), record(name).to_string()).unwrap();
    }
    let output = folder.path().join("db");
    build(&[folder.path().to_owned()], &output, &BuildOptions::default()).unwrap();
    // The open file outlives its name.
    Database::open(&output).unwrap()
}

/// A report about an image in which `npm/a@1.0.0` was seen.
fn report(database: &Database) -> Report {
    let package = Package::new(PackageKind::Npm, "a", "1.0.0", Evidence::Installed);
    let distribution = Distribution {
        id: "debian".to_owned(),
        version: "12".to_owned(),
        codename: None,
        like: Vec::new(),
        name: "Debian".to_owned(),
    };
    let seen = InstalledPackage {
        purl: purl(&package, None),
        package,
        path: "srv/node_modules/a/package.json".to_owned(),
        introduced_in: LayerIndex(0),
        owned_by: None,
        nested_root: None,
    };
    let inventory =
        Inventory { distribution: Some(distribution), packages: vec![seen], ..Inventory::default() };
    let report = Report {
        digest: subject(),
        subject: Subject::Image(Box::new(inventory)),
        revisions: ScanRevisions {
            analyzer: Revision::new("a"),
            database: database.revision().clone(),
            database_as_of: database.as_of(),
        },
        scanned_at: Timestamp::UNIX_EPOCH,
        findings: Vec::new(),
        observations: Vec::new(),
        problems: Vec::new(),
        coverage: Vec::new(),
        support_ends: None,
        signatures: Vec::new(),
        sboms: Vec::new(),
    };
    match_again(report, database, Timestamp::UNIX_EPOCH).unwrap()
}

fn claims(content: &str) -> Claims {
    let listing = listed(&subject(), Wrapping::Plain, content.as_bytes()).unwrap().unwrap();
    let document = Claimed {
        digest: Digest::of(content.as_bytes()),
        missing: listing.missing("the attached SBOM"),
        packages: listing.into_packages(),
    };
    Claims { documents: vec![document], problems: Vec::new(), settled: vec![AttachedSbom::place(&subject())] }
}

fn purls(report: &Report) -> Vec<&str> {
    report.inventory().unwrap().packages.iter().map(|found| found.purl.as_str()).collect()
}

#[test]
fn a_claim_adds_what_nothing_shows_and_its_findings_and_takes_nothing_away() {
    let database = database();
    let before = report(&database);
    assert_eq!(before.findings.len(), 1);
    let after = claim(&before, &claims(BOM), &database, 100, Timestamp::UNIX_EPOCH).unwrap().unwrap();
    assert_eq!(
        purls(&after),
        ["pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12", "pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0"]
    );
    let digest = Digest::of(BOM.as_bytes());
    assert_eq!(after.sboms, [AttachedSbom { digest: digest.clone(), packages: 3, claimed: 2 }]);
    let found: Vec<_> =
        after.findings.iter().map(|finding| (finding.id.as_str(), finding.confidence)).collect();
    assert_eq!(found, [("CVE-2024-a", Confidence::Exact), ("CVE-2024-b", Confidence::DeclaredBySbom)]);
    for earlier in &before.findings {
        assert!(after.findings.iter().any(|finding| finding.id == earlier.id));
    }
    let gaps = |report: &Report| {
        let place = AttachedSbom::place(&digest);
        let found = report.problems.iter().filter(|problem| problem.path.as_deref() == Some(&place));
        found.map(|problem| problem.kind).collect::<Vec<_>>()
    };
    assert_eq!(gaps(&after), [ProblemKind::PartialCoverage]);
    let again = match_again(after.clone(), &database, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(
        gaps(&again),
        [ProblemKind::PartialCoverage],
        "other advisories change nothing about the SBOM"
    );
    assert_eq!(purls(&again), purls(&after));
    let nothing_new = claim(&after, &claims(BOM), &database, 100, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(nothing_new, None);
}

#[test]
fn limits_and_failures_are_problems_and_a_later_look_ends_them() {
    let database = database();
    let now = Timestamp::UNIX_EPOCH;
    let before = report(&database);
    let full = claim(&before, &claims(BOM), &database, 2, now).unwrap().unwrap();
    assert_eq!(purls(&full).len(), 2);
    assert!(
        full.problems
            .iter()
            .any(|problem| problem.detail.starts_with("1 packages of the attached SBOM are beyond"))
    );

    let mut failed = Claims::default();
    failed.unreadable(AttachedSbom::place(&Digest::of(BOM.as_bytes())), "the SBOM cannot be fetched");
    failed.unreadable(AttachedSbom::place(&subject()), "what is attached cannot be listed");
    let unreadable = |report: &Report| {
        report.problems.iter().filter(|problem| problem.kind == ProblemKind::SbomUnreadable).count()
    };
    let noted = claim(&before, &failed, &database, 100, now).unwrap().unwrap();
    assert_eq!(unreadable(&noted), 2);
    assert_eq!(claim(&noted, &failed, &database, 100, now).unwrap(), None);
    let read = claim(&noted, &claims(BOM), &database, 100, now).unwrap().unwrap();
    assert_eq!((unreadable(&read), read.sboms.len()), (0, 1));

    let mut crowded = before.clone();
    for number in 0..=MOST_SBOMS {
        let other = BOM.replace("2.0.0", &format!("3.0.{number}"));
        crowded = claim(&crowded, &claims(&other), &database, 100, now).unwrap().unwrap();
    }
    assert_eq!((crowded.sboms.len(), unreadable(&crowded)), (MOST_SBOMS, 1));
}

proptest! {
    #[test]
    fn no_bytes_panic(content: Vec<u8>, at: prop::sample::Index, byte: u8) {
        let bom: Value = serde_json::from_str(BOM).unwrap();
        let mut sample = envelope(&statement("https://spdx.dev/Document", &bom, &subject())).to_string().into_bytes();
        let at = at.index(sample.len());
        sample[at] = byte;
        for wrapping in [Wrapping::Plain, Wrapping::Statement, Wrapping::Envelope, Wrapping::Bundle] {
            let _ = listed(&subject(), wrapping, &content);
            let _ = listed(&subject(), wrapping, &sample);
        }
    }
}
