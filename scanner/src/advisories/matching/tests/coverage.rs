//! What an answer says that it covers, and what it admits that it does not.

use shared::model::package::{Evidence, PackageKind};
use shared::model::problem::ProblemKind;
use shared::model::report::CoverageState;

use super::{
    Distribution, advisory, built_from, database, distribution, ids, inventory, judge, judged, package,
};

fn check(
    name: &str,
    distribution: Option<Distribution>,
    kind: PackageKind,
    rows: &[(&str, Option<&str>, u32, CoverageState)],
    problems: &[ProblemKind],
) {
    let records = [
        advisory("DSA-1-1", "Debian:12", "b", "0..1"),
        advisory("ALPINE-CVE-2024-7", "Alpine:v3.20", "b", "0..1"),
        advisory("GHSA-1", "npm", "b", "0..1"),
    ];
    let package = built_from(package(kind, "a", "1.0.0"), "a", None);
    let judgement = judged(&records, distribution, vec![package]);
    let found: Vec<_> = judgement
        .coverage
        .iter()
        .map(|row| (row.subject.as_str(), row.ecosystem.as_deref(), row.packages, row.state))
        .collect();
    assert_eq!(found, rows, "{name}");
    let found: Vec<_> = judgement.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(found, problems, "{name}: {:?}", judgement.problems);
}

#[test]
fn i11_everything_present_has_a_row_and_everything_missing_a_problem() {
    use CoverageState::{Full, None as Nothing, Partial};
    use PackageKind::{Apk, Deb, Npm, PyPi, Rpm};
    use ProblemKind::{NoAdvisoryCoverage, PartialCoverage};
    check("debian", distribution("debian", "12"), Deb, &[("debian 12", Some("Debian:12"), 1, Full)], &[]);
    check(
        "a release that the database lacks",
        distribution("debian", "11"),
        Deb,
        &[("debian 11", Some("Debian:11"), 0, Nothing)],
        &[NoAdvisoryCoverage],
    );
    check(
        "alpine",
        distribution("alpine", "3.20.3"),
        Apk,
        &[("alpine 3.20.3", Some("Alpine:v3.20"), 1, Partial)],
        &[PartialCoverage],
    );
    check(
        "a distribution that publishes nothing",
        distribution("amzn", "2023"),
        Rpm,
        &[("amzn 2023", None, 0, Nothing)],
        &[NoAdvisoryCoverage],
    );
    check(
        "no distribution",
        None,
        Deb,
        &[("unknown distribution (deb)", None, 0, Nothing)],
        &[NoAdvisoryCoverage],
    );
    check("npm", None, Npm, &[("npm", Some("npm"), 1, Full)], &[]);
    check("pypi", None, PyPi, &[("pypi", Some("PyPI"), 0, Nothing)], &[NoAdvisoryCoverage]);
}

#[test]
fn i4_epel_on_enterprise_linux_is_not_called_clean() {
    let mut epel = package(PackageKind::Rpm, "htop", "3.2.1-1.el9");
    epel.vendor = Some("Fedora Project".to_owned());
    let records = [advisory("ALSA-2024:1", "AlmaLinux:9", "htop", "0..4")];
    let judgement = judged(&records, distribution("almalinux", "9.4"), vec![epel]);
    assert_eq!(judgement.findings.len(), 0);
    assert_eq!(judgement.problems[0].kind, ProblemKind::NoAdvisoryCoverage);
}

#[test]
fn what_is_not_judged_is_named_as_far_as_anybody_reads() {
    let records = [advisory("DSA-1-1", "Debian:12", "a", "0..4")];
    let foreign = |number: u32| package(PackageKind::Deb, &format!("p{number}"), "1-1~bookworm");
    for (count, expected) in [
        (1, "1 packages come from elsewhere than debian 12, whose advisories do not cover them: p0"),
        (
            7,
            "7 packages come from elsewhere than debian 12, whose advisories do not cover them: p0, p1, p2, p3, p4 and 2 more",
        ),
    ] {
        let judgement = judged(&records, distribution("debian", "12"), (0..count).map(foreign).collect());
        assert_eq!(judgement.problems[0].detail, expected);
    }
}

/// nginx.org's package, whose program is judged with what nginx says of its releases.
#[test]
fn a_package_from_elsewhere_is_judged_if_its_program_is() {
    let records = [
        advisory("DSA-1-1", "Debian:12", "a", "0..4"),
        advisory("BIT-nginx-1", "Bitnami", "nginx", "0..1.26"),
    ];
    let package_of = |name: &str| package(PackageKind::Deb, name, "1.25.3-1~bookworm");
    let mut program = package(PackageKind::Generic, "nginx", "1.25.3");
    program.evidence = Evidence::Recognised;
    let packages = vec![package_of("nginx"), package_of("other"), program];
    let mut inventory = inventory(distribution("debian", "12"), packages);
    for (owner, expected) in [
        (
            None,
            "2 packages come from elsewhere than debian 12, whose advisories do not cover them: nginx, other",
        ),
        (Some(0), "1 packages come from elsewhere than debian 12, whose advisories do not cover them: other"),
    ] {
        inventory.packages[2].owned_by = owner.map(|owner: usize| inventory.packages[owner].purl.clone());
        let judgement = judge(&inventory, &database(&records)).unwrap();
        assert_eq!(ids(&judgement), ["BIT-nginx-1"]);
        let details = judgement.problems.iter().map(|problem| problem.detail.as_str());
        assert_eq!(details.collect::<Vec<_>>(), [expected]);
    }
}

/// Chisel's manifest names binaries only.
#[test]
fn i4_a_package_without_source_is_matched_by_its_name_and_not_called_clean() {
    let records = [advisory("UBUNTU-CVE-2024-7", "Ubuntu:22.04:LTS", "a", "0..2")];
    let judgement =
        judged(&records, distribution("ubuntu", "22.04"), vec![package(PackageKind::Deb, "a", "1")]);
    assert_eq!(judgement.findings.len(), 1);
    assert_eq!(judgement.problems[0].kind, ProblemKind::PartialCoverage);
}

#[test]
fn i4_a_package_without_version_is_neither_vulnerable_nor_clean() {
    let records = [advisory("GHSA-1", "npm", "a", "0..")];
    let judgement = judged(&records, None, vec![package(PackageKind::Npm, "a", "")]);
    assert_eq!(judgement.findings.len(), 0);
    assert_eq!(judgement.problems[0].kind, ProblemKind::PartialCoverage);
}
