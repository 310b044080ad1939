//! Packages that somebody else than their publisher repaired.

use serde_json::json;
use shared::model::package::{Package, PackageKind};
use shared::model::problem::ProblemKind;
use shared::model::report::{CoverageState, FindingStatus};

use super::{
    Distribution, advisory, built_from, database, distribution, fixed, ids, inventory, judge, judged, only,
    package, with,
};

/// What is found in a package by the records of its publisher and of its repairer, and whether more could not be judged.
fn check(distribution: Option<Distribution>, package: Package, repairer_s: Option<&str>, expected: &[&str]) {
    let ecosystems = [
        ("DSA-1-1", "Debian:12"),
        ("DSA-2-1", "Debian:10"),
        ("ALSA-1:1", "AlmaLinux:9"),
        ("ALPINE-CVE-2024-7", "Alpine:v3.18"),
        ("PYSEC-1", "PyPI"),
        ("GHSA-1", "npm"),
    ];
    let name = package.name.clone();
    let mut records: Vec<_> = ecosystems.map(|(id, ecosystem)| advisory(id, ecosystem, &name, "0..")).into();
    if let Some(range) = repairer_s {
        let (ecosystem, rest) = range.split_once('|').unwrap();
        let (name, range) = rest.split_once('|').unwrap();
        records.push(advisory("THEIRS-1", ecosystem, name, range));
    }
    let version = package.version.clone();
    let judgement = judged(&records, distribution, vec![package]);
    assert_eq!(ids(&judgement), expected, "{name} {version}");
    let uncovered = judgement.problems.iter().any(|problem| problem.kind == ProblemKind::NoAdvisoryCoverage);
    assert_eq!(uncovered, repairer_s.is_none(), "{name} {version}: {:?}", judgement.problems);
}

#[test]
fn i4_a_repaired_package_is_judged_by_its_repairer_alone_and_not_called_clean_without() {
    use PackageKind::{Apk, Deb, Npm, PyPi, Rpm};
    let debian = || distribution("debian", "12");
    for (distribution, kind, name, version, range) in [
        (
            debian(),
            Deb,
            "rootio-curl",
            "7.88.1-10.root.io.1",
            "Root:Debian:12|rootio-curl|0..7.88.1-10.root.io.2",
        ),
        (debian(), Deb, "curl", "7.88.1-10+root.io.1", "Root:Debian:12|rootio-curl|0..7.88.1-10+root.io.2"),
        (
            distribution("alpine", "3.18.4"),
            Apk,
            "curl",
            "8.4.0-r10071",
            "Root:Alpine:3.18|rootio-curl|0..8.4.0-r10072",
        ),
        (
            distribution("debian", "10"),
            Deb,
            "binutils",
            "2.31.1-16+tuxcare.els10",
            "TuxCare:Debian:10|binutils|0..2.31.1-16+tuxcare.els11",
        ),
        (
            distribution("almalinux", "9.2"),
            Rpm,
            "gnutls",
            "3.7.6-21.el9_2.tuxcare.els1",
            "TuxCare:AlmaLinux:9.2|gnutls|0..3.7.6-21.el9_2.tuxcare.els2",
        ),
        (
            distribution("ol", "7.9"),
            Rpm,
            "openssl",
            "1:1.0.2k-25.el7.tuxcare.els3",
            "TuxCare:OracleLinux:7|openssl|0..1:1.0.2k-25.el7.tuxcare.els4",
        ),
        (debian(), Deb, "python-pip", "25.3+dfsg-1+e1", "Echo|python-pip|0..25.3+dfsg-1+e2"),
        (
            debian(),
            Deb,
            "coreutils",
            "9.7-3+dhi3",
            "Docker Hardened Images:Debian:12|coreutils|0..9.7-3+dhi4",
        ),
        (None, PyPi, "requests", "2.31.0+root.io.1", "Root:PyPI|rootio_requests|0..2.31.0+root.io.2"),
        (None, PyPi, "pip", "25.2+echo.1", "Echo:PyPi|pip|0..25.2+echo.2"),
        (None, Npm, "semver", "7.5.2-root.io.1", "Root:npm|@rootio/semver|0..7.5.2-root.io.2"),
    ] {
        let package = package(kind, name, version);
        check(distribution.clone(), package.clone(), Some(range), &["THEIRS-1"]);
        let repaired = format!("{}..{version}", range.split_once("..").unwrap().0);
        check(distribution.clone(), package.clone(), Some(&repaired), &[]);
        check(distribution, package, None, &[]);
    }
}

#[test]
fn what_carries_no_mark_is_its_publisher_s_and_in_docker_s_images_perhaps_docker_s() {
    let record = advisory("DSA-1-1", "Debian:13", "a", "0..2");
    let theirs = advisory("DHI-1", "Docker Hardened Images:Debian:13", "b", "0..3");
    let mut docker_s = distribution("dhi", "13");
    if let Some(docker_s) = &mut docker_s {
        docker_s.like = vec!["debian".to_owned()];
    }
    let packages = || {
        let of = |name: &str, version: &str| built_from(package(PackageKind::Deb, name, version), name, None);
        vec![of("a", "1"), of("b", "2"), of("a", "1+dhi1")]
    };
    let judgement = judged(&[record.clone(), theirs.clone()], docker_s, packages());
    let found: Vec<_> = judgement.findings.iter().map(|found| (found.id.as_str(), found.package.0)).collect();
    assert_eq!(found, [("DHI-1", 1), ("DSA-1-1", 0)]);
    let rows: Vec<_> =
        judgement.coverage.iter().map(|row| (row.ecosystem.as_deref(), row.packages)).collect();
    assert_eq!(rows, [(Some("Docker Hardened Images:Debian:13"), 1), (Some("Debian:13"), 2)]);
    let judgement = judged(&[record, theirs], distribution("debian", "13"), packages());
    assert_eq!(ids(&judgement), ["DSA-1-1"]);
}

#[test]
fn the_coverage_names_whose_advisories_were_asked() {
    let records = [
        with(
            advisory("ROOT-OS-DEBIAN-12-1", "Root:Debian:12", "rootio-curl", "0..1-1.root.io.2"),
            json!({"related": ["CVE-2024-7"]}),
        ),
        advisory("DSA-1-1", "Debian:12", "curl", "0..9"),
    ];
    let packages = vec![package(PackageKind::Deb, "rootio-curl", "1-1.root.io.1")];
    let judgement = judged(&records, distribution("debian", "12"), packages);
    let row = judgement.coverage.first().map(|row| (row.ecosystem.as_deref(), row.packages, row.state));
    assert_eq!(row, Some((Some("Root:Debian:12"), 1, CoverageState::FixedOnly)));
    assert_eq!((judgement.coverage.len(), judgement.problems.len()), (1, 0));
    let finding = only(judgement);
    assert_eq!((finding.id.as_str(), finding.fix), ("CVE-2024-7", fixed("1-1.root.io.2")));
}

#[test]
fn i4_a_repaired_owner_hides_only_what_its_repairer_knows() {
    let flaw = with(advisory("GHSA-1", "PyPI", "a", "0..9"), json!({"aliases": ["CVE-2024-7"]}));
    let debian_s = advisory("DSA-1-1", "Debian:10", "other", "0..1");
    let theirs = |cve: &str| {
        let record = advisory("CLSA-1", "TuxCare:Debian:10", "python3-a", "0..1-1+tuxcare.els1");
        with(record, json!({"upstream": [cve]}))
    };
    let status = |records: &[serde_json::Value]| {
        let owner = package(PackageKind::Deb, "python3-a", "1-1+tuxcare.els1");
        let mut inventory =
            inventory(distribution("debian", "10"), vec![owner, package(PackageKind::PyPi, "a", "1")]);
        inventory.packages[1].owned_by = Some(inventory.packages[0].purl.clone());
        only(judge(&inventory, &database(records)).unwrap()).status
    };
    assert_eq!(status(&[flaw.clone(), debian_s.clone()]), FindingStatus::Affected);
    let unassessed = status(&[flaw.clone(), debian_s.clone(), theirs("CVE-2024-8")]);
    assert_eq!(unassessed, FindingStatus::DistroUnassessed);
    assert!(matches!(status(&[flaw, debian_s, theirs("CVE-2024-7")]), FindingStatus::Suppressed { .. }));
}
