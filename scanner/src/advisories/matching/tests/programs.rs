//! Programs that no package manager knows: who speaks about them, and in which words.

use serde_json::{Value, json};
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::ProblemKind;
use shared::model::report::{Confidence, CoverageState, Fix};

use super::{advisory, judged, package};

fn program(name: &str, version: &str) -> Package {
    Package { evidence: Evidence::Recognised, ..package(PackageKind::Generic, name, version) }
}

/// A record about a repository, as OSV has those that name no package.
fn about_repository(id: &str, repository: &str, versions: &[&str], ranges: &Value) -> Value {
    let mut all = vec![json!({"type": "GIT", "repo": repository,
        "events": [{"introduced": "0"}, {"fixed": "b4bcc06a9cfe13d96d5270809d963f8ba278f89b"}]})];
    all.extend(ranges.as_array().unwrap().iter().cloned());
    json!({"id": id, "modified": "2024-01-01T00:00:00Z", "affected": [{"ranges": all, "versions": versions}]})
}

fn records() -> Vec<Value> {
    let semver = json!([{"type": "SEMVER", "events": [{"introduced": "7.1"}, {"fixed": "8.4.0"}]}]);
    vec![
        advisory("BIT-node-2024-1", "Bitnami", "node", "20.0.0..20.11.1"),
        advisory("BIT-java-2024-2", "Bitnami", "java", "1.9.0..8.0.401"),
        about_repository(
            "PSF-2023-8",
            "https://github.com/python/cpython",
            &["v3.11.4", "v3.12.0rc1"],
            &json!([]),
        ),
        about_repository("CURL-CVE-2023-38545", "https://github.com/curl/curl.git", &["8.3.0"], &semver),
        // Ranges are in versions, but this repository's programs are asked for by tag.
        about_repository("X-1", "https://github.com/openssl/openssl", &["OpenSSL_1_1_1v"], &semver),
        about_repository("X-2", "https://github.com/somebody/else", &["1.0"], &json!([])),
    ]
}

#[test]
fn programs_are_matched_with_those_who_speak_about_them() {
    for (name, version, expected) in [
        ("node", "20.9.0", &["BIT-node-2024-1"][..]),
        ("node", "20.11.1", &[]),
        ("openjdk", "1.8.0_392", &["BIT-java-2024-2"]),
        ("openjdk", "1.8.0_412", &[]),
        ("python", "3.11.4", &["PSF-2023-8"]),
        ("python", "3.12.0rc1", &["PSF-2023-8"]),
        ("python", "3.11.5", &[]),
        ("curl", "7.88.1", &["CURL-CVE-2023-38545"]),
        ("curl", "8.3.0", &["CURL-CVE-2023-38545"]),
        ("curl", "8.4.0", &[]),
        ("openssl", "1.1.1v", &["X-1"]),
        ("openssl", "1.1.1w", &[]),
    ] {
        let judgement = judged(&records(), None, vec![program(name, version)]);
        let found: Vec<&str> =
            judgement.findings.iter().flat_map(|finding| &finding.advisories).map(String::as_str).collect();
        assert_eq!(found, expected, "{name} {version}");
        assert_eq!(judgement.problems, [], "{name} is covered");
        let sure = judgement.findings.iter().all(|it| it.confidence == Confidence::UpstreamBinary);
        assert!(sure, "{name}: {:?}", judgement.findings);
    }
}

#[test]
fn revisions_of_bitnamis_builds_are_not_compared() {
    for (version, found) in [("20.9.0-3", 1), ("20.11.1-3", 0)] {
        let judgement = judged(&records(), None, vec![package(PackageKind::Bitnami, "node", version)]);
        assert_eq!(judgement.findings.len(), found, "{version}");
    }
}

#[test]
fn a_list_of_tags_promises_nothing_about_fixes() {
    for (name, version, fix) in [
        ("node", "20.9.0", Fix::Fixed { version: "20.11.1".to_owned() }),
        ("curl", "7.88.1", Fix::Fixed { version: "8.4.0".to_owned() }),
        ("python", "3.11.4", Fix::Unknown),
    ] {
        let judgement = judged(&records(), None, vec![program(name, version)]);
        assert_eq!(judgement.findings[0].fix, fix, "{name}");
    }
}

#[test]
fn i11_programs_that_nobody_speaks_about_are_told_of() {
    for (programs, row, problems) in [
        (&["node", "curl"][..], (Some("Bitnami, GIT"), 2, CoverageState::Full), &[][..]),
        (&["node", "bash"], (Some("Bitnami"), 1, CoverageState::Partial), &[ProblemKind::NoAdvisoryCoverage]),
        // The table knows where to ask; the database has nothing from there.
        (&["ffmpeg"], (None, 0, CoverageState::None), &[ProblemKind::NoAdvisoryCoverage]),
    ] {
        let packages = programs.iter().map(|name| program(name, "0.1.0")).collect();
        let judgement = judged(&records(), None, packages);
        let rows: Vec<_> = judgement.coverage.iter().collect();
        let [found] = rows[..] else { panic!("{rows:?}") };
        assert_eq!((found.ecosystem.as_deref(), found.packages, found.state), row, "{programs:?}");
        let found: Vec<_> = judgement.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(found, problems, "{programs:?}: {:?}", judgement.problems);
    }
}
