//! Packages of distributions: sources and binaries, announcements of many CVEs, what each says in its own way.

use serde_json::{Value, json};
use shared::model::package::{Evidence, PackageKind};
use shared::model::problem::ProblemKind;
use shared::model::report::{
    Confidence, CoverageState, FindingStatus, Fix, NestedRoot, Severity, Suppression,
};

use super::{
    advisory, affected, built_from, database, distribution, fixed, ids, inventory, judge, judged, only,
    package, suppressed, with, with_entry,
};

fn debian(name: &str, version: &str) -> super::Package {
    package(PackageKind::Deb, name, version)
}

fn announcement(id: &str, cves: &[&str], range: &str) -> Value {
    with(advisory(id, "Debian:12", "a", range), json!({"upstream": cves}))
}

#[test]
fn debian_is_matched_by_source_name_and_source_version() {
    let record = announcement("DSA-1-1", &["CVE-2024-7"], "0..1.2-1+deb12u1");
    let binary = built_from(debian("liba1", "1.2-1+b1"), "a", Some("1.2-1"));
    let finding = only(judged(std::slice::from_ref(&record), distribution("debian", "12"), vec![binary]));
    assert_eq!((finding.id.as_str(), finding.confidence), ("CVE-2024-7", Confidence::BySource));
    assert_eq!((finding.fix, finding.advisories), (fixed("1.2-1+deb12u1"), vec!["DSA-1-1".to_owned()]));
    let same =
        only(judged(std::slice::from_ref(&record), distribution("debian", "12"), vec![debian("a", "1.2-1")]));
    assert_eq!(same.confidence, Confidence::Exact);
    let repaired = built_from(debian("liba1", "1.2-1"), "a", Some("1.2-1+deb12u1"));
    assert_eq!(ids(&judged(&[record], distribution("debian", "12"), vec![repaired])), [""; 0]);
}

#[test]
fn a_release_never_matches_another_one_and_a_bare_name_matches_all() {
    let check = |ecosystem: &str, release: &str, found: usize| {
        let other = advisory("DSA-2-1", "Debian:12", "unrelated", "0..1");
        let records = [advisory("DSA-1-1", ecosystem, "a", "0..2"), other];
        let judgement = judged(&records, distribution("debian", release), vec![debian("a", "1")]);
        assert_eq!(judgement.findings.len(), found, "{ecosystem} {release}");
    };
    check("Debian:12", "12", 1);
    check("Debian:11", "12", 0);
    check("Debian:1", "12", 0);
    check("Debian", "12", 1);
    check("npm", "12", 0);
}

#[test]
fn twenty_cves_of_one_announcement_are_twenty_findings() {
    let cves: Vec<String> = (100..120).map(|number| format!("CVE-2024-{number}")).collect();
    let names: Vec<&str> = cves.iter().map(String::as_str).collect();
    let judgement = judged(
        &[announcement("DSA-1-1", &names, "0..2")],
        distribution("debian", "12"),
        vec![debian("a", "1")],
    );
    assert_eq!(ids(&judgement), names);
    assert!(judgement.findings.iter().all(|finding| finding.aliases.is_empty()));
}

#[test]
fn the_tracker_s_record_of_a_cve_decides_over_the_announcement() {
    let tracker = |range: &str| {
        with(advisory("DEBIAN-CVE-2024-7", "Debian:12", "a", range), json!({"upstream": ["CVE-2024-7"]}))
    };
    let dsa = || announcement("DSA-1-1", &["CVE-2024-7", "CVE-2024-8"], "0..3");
    let judge = |records: &[Value]| judged(records, distribution("debian", "12"), vec![debian("a", "2")]);
    // The tracker says that 2 is repaired; about the other CVE only the announcement speaks.
    assert_eq!(ids(&judge(&[tracker("0..2"), dsa()])), ["CVE-2024-8"]);
    let both = judge(&[tracker("0..3"), dsa()]);
    assert_eq!(ids(&both), ["CVE-2024-7", "CVE-2024-8"]);
    assert_eq!(both.findings[0].advisories, ["DEBIAN-CVE-2024-7", "DSA-1-1"]);
    assert_eq!(ids(&judge(&[dsa()])), ["CVE-2024-7", "CVE-2024-8"]);
}

#[test]
fn debian_s_urgencies_mean_what_they_mean() {
    let record = |urgency: &str| {
        with_entry(
            advisory("DEBIAN-CVE-2024-7", "Debian:12", "a", "0.."),
            json!({"ecosystem_specific": {"urgency": urgency}}),
        )
    };
    for (urgency, severity, fix, status) in [
        ("unimportant", Severity::Negligible, Fix::NoneYet, suppressed(Suppression::Negligible)),
        ("end-of-life", Severity::Unknown, Fix::WillNotFix, FindingStatus::Affected),
        ("not yet assigned", Severity::Unknown, Fix::NoneYet, FindingStatus::Affected),
        ("high**", Severity::High, Fix::NoneYet, FindingStatus::Affected),
    ] {
        let finding = only(judged(&[record(urgency)], distribution("debian", "12"), vec![debian("a", "1")]));
        assert_eq!((finding.severity, finding.fix, finding.status), (severity, fix, status), "{urgency}");
    }
}

#[test]
fn i4_what_a_third_party_built_is_not_judged_by_the_distribution_and_not_called_clean() {
    let record = advisory("DEBIAN-CVE-2024-7", "Debian:12", "nginx", "0..1.26");
    let judge = |kind, version: &str| {
        judged(
            std::slice::from_ref(&record),
            distribution("debian", "12"),
            vec![package(kind, "nginx", version)],
        )
    };
    assert_eq!(judge(PackageKind::Deb, "1.22.1-9").findings.len(), 1);
    for (kind, version) in [
        // Built by nginx's own repository; another package manager's on the same system.
        (PackageKind::Deb, "1.24.0-1~bookworm"),
        (PackageKind::Nix, "1.22.1"),
        (PackageKind::Rpm, "1.22.1-9"),
    ] {
        let judgement = judge(kind, version);
        assert_eq!(judgement.findings.len(), 0, "{kind} {version}");
        assert_eq!(judgement.problems[0].kind, ProblemKind::NoAdvisoryCoverage, "{kind} {version}");
    }
}

#[test]
fn what_lies_in_an_archive_is_matched_with_little_confidence() {
    let record = advisory("DEBIAN-CVE-2024-7", "Debian:12", "a", "0..2");
    let mut archived = debian("a", "1");
    archived.evidence = Evidence::ArchiveNotInstalled;
    let finding = only(judged(&[record], distribution("debian", "12"), vec![archived]));
    assert_eq!(finding.confidence, Confidence::ArchiveNotInstalled);
}

#[test]
fn headers_of_a_kernel_that_no_container_runs_do_not_count() {
    let record = advisory("DEBIAN-CVE-2024-7", "Debian:12", "linux", "0..");
    for (name, status) in [
        ("linux-libc-dev", suppressed(Suppression::KernelHeadersOnly)),
        ("linux-headers-6.1.0-18-amd64", suppressed(Suppression::KernelHeadersOnly)),
        ("linux-image-6.1.0-18-amd64", FindingStatus::Affected),
        ("linux-perf", FindingStatus::Affected),
    ] {
        let package = built_from(debian(name, "6.1.76-1"), "linux", None);
        let finding =
            only(judged(std::slice::from_ref(&record), distribution("debian", "12"), vec![package]));
        assert_eq!(finding.status, status, "{name}");
    }
}

#[test]
fn ubuntu_names_the_binaries_and_the_subscribers_fix() {
    let mut record = advisory("UBUNTU-CVE-2024-7", "Ubuntu:18.04:LTS", "a", "0..");
    record["severity"] = json!([{"type": "Ubuntu", "score": "medium"}]);
    record["upstream"] = json!(["CVE-2024-7"]);
    let binaries =
        json!({"ecosystem_specific": {"binaries": [{"binary_name": "liba1", "binary_version": "1"}]}});
    let pro = with(affected("Ubuntu:Pro:18.04:LTS", "a", "0..1.2+esm1"), binaries.clone());
    record = with_entry(record, binaries);
    record["affected"].as_array_mut().unwrap().push(pro);
    let judge = |name: &str, version: &str| {
        let package = built_from(debian(name, version), "a", None);
        judged(std::slice::from_ref(&record), distribution("ubuntu", "18.04"), vec![package])
    };
    let finding = only(judge("liba1", "1.2"));
    assert_eq!((finding.confidence, finding.severity), (Confidence::Exact, Severity::Medium));
    assert_eq!(finding.fix, Fix::ProOnly { version: "1.2+esm1".to_owned() });
    assert_eq!(ids(&judge("a-doc", "1.2")), [""; 0]);
    // A subscriber's package is judged by the subscribers' record.
    assert_eq!(ids(&judge("liba1", "1.2+esm1")), [""; 0]);
    assert_eq!(only(judge("liba1", "1.1+esm9")).fix, fixed("1.2+esm1"));
}

#[test]
fn i4_a_subscribed_root_is_judged_by_what_subscribers_get() {
    // After the standard support everybody's record has nothing to say about the release.
    let mut record = advisory("UBUNTU-CVE-2024-7", "Ubuntu:Pro:18.04:LTS", "a", "0..1.2+esm1");
    record["affected"].as_array_mut().unwrap().push(affected("Ubuntu:22.04:LTS", "a", "0..2"));
    let judge = |version: &str, stated: &[&str]| {
        let mut inventory = inventory(distribution("ubuntu", "18.04"), vec![debian("a", version)]);
        inventory.repositories = stated.iter().map(|stated| (*stated).to_owned()).collect();
        super::judge(&inventory, &database(std::slice::from_ref(&record))).unwrap()
    };
    let pro = ["ubuntu-pro:esm-infra"];
    assert_eq!(only(judge("1.1", &pro)).fix, fixed("1.2+esm1"));
    assert_eq!(ids(&judge("1.2+esm1", &pro)), [""; 0]);
    assert_eq!(ids(&judge("1.1", &["ubuntu-pro:livepatch"])), [""; 0]);
}

#[test]
fn i4_builds_for_fips_are_judged_by_their_own_advisories_alone() {
    let ordinary = advisory("USN-1-1", "Ubuntu:20.04:LTS", "openssl", "0..1.1.1f-1ubuntu2.19");
    let certified = advisory("UBUNTU-CVE-2024-7", "Ubuntu:Pro:FIPS:20.04:LTS", "openssl", "0..");
    let updates = affected("Ubuntu:Pro:FIPS-updates:20.04:LTS", "openssl", "0..1.1.1f-1ubuntu2.fips.19");
    let mut both = certified;
    both["affected"].as_array_mut().unwrap().push(updates);
    let judge = |records: &[Value], version: &str| {
        judged(records, distribution("ubuntu", "20.04"), vec![debian("openssl", version)])
    };
    let records = [ordinary.clone(), both];
    let finding = only(judge(&records, "1.1.1f-1ubuntu2.fips.13"));
    assert_eq!((finding.id.as_str(), finding.fix), ("CVE-2024-7", fixed("1.1.1f-1ubuntu2.fips.19")));
    assert_eq!(ids(&judge(&records, "1.1.1f-1ubuntu2.fips.19")), [""; 0]);
    assert_eq!(ids(&judge(&records, "1.1.1f-1ubuntu2.13")), ["USN-1-1"]);
    // Without advisories about such builds nothing is said, and that is said.
    let unjudged = judge(&[ordinary], "1.1.1f-1ubuntu2.fips.13");
    assert_eq!(ids(&unjudged), [""; 0]);
    assert!(!unjudged.problems.is_empty());
}

/// A manifest of Chisel names binaries alone.
#[test]
fn i4_a_binary_without_source_is_matched_by_the_source_that_advisories_name() {
    let specific = json!({"ecosystem_specific": {"binaries": [
        {"binary_name": "libssl3t64", "binary_version": "1"}, {"binary_name": "openssl", "binary_version": "1"}
    ]}});
    let record =
        with_entry(advisory("USN-1-1", "Ubuntu:24.04:LTS", "openssl", "0..3.0.13-0ubuntu3.5"), specific);
    let judge = |name: &str, version: &str| {
        judged(std::slice::from_ref(&record), distribution("ubuntu", "24.04"), vec![debian(name, version)])
    };
    let finding = only(judge("libssl3t64", "3.0.13-0ubuntu3.4"));
    assert_eq!((finding.confidence, finding.fix), (Confidence::Exact, fixed("3.0.13-0ubuntu3.5")));
    assert_eq!(ids(&judge("libssl3t64", "3.0.13-0ubuntu3.5")), [""; 0]);
    assert_eq!(only(judge("openssl", "3.0.13-0ubuntu3.4")).confidence, Confidence::Exact);
    assert_eq!(ids(&judge("libssl-dev", "1")), [""; 0]);
    let is_without_source = |name: &str| {
        let problems = judge(name, "3.0.13-0ubuntu3.5").problems;
        problems.iter().any(|problem| problem.detail.contains("do not state their source"))
    };
    assert_eq!((is_without_source("libssl3t64"), is_without_source("libssl-dev")), (false, true));
}

#[test]
fn alma_s_cves_stand_in_related_and_its_rating_in_the_title() {
    let record = with(
        advisory("ALSA-2024:1", "AlmaLinux:9", "openssl", "0..1:3.0.7-25.el9_3"),
        json!({"related": ["CVE-2024-7", "CVE-2024-8"], "summary": "Important: openssl update"}),
    );
    let package = package(PackageKind::Rpm, "openssl", "1:3.0.7-24.el9");
    let judgement = judged(&[record], distribution("almalinux", "9.4"), vec![package]);
    assert_eq!(ids(&judgement), ["CVE-2024-7", "CVE-2024-8"]);
    assert!(judgement.findings.iter().all(|finding| finding.severity == Severity::High));
    assert_eq!(judgement.findings[0].fix, fixed("1:3.0.7-25.el9_3"));
}

/// `perl-Errno` is numbered on its own; Azure's advisories name the source.
#[test]
fn a_binary_rpm_with_a_version_of_its_own_is_matched_by_its_source_s() {
    let record = advisory("AZL-1", "Azure Linux:3", "perl", "0..5.38.2-509.azl3");
    for (version, expected) in [("5.38.2-508.azl3", &["AZL-1"][..]), ("5.38.2-509.azl3", &[])] {
        let package = package(PackageKind::Rpm, "perl-Errno", "1.37-509.azl3");
        let package = built_from(package, "perl", Some(version));
        let judgement =
            judged(std::slice::from_ref(&record), distribution("azurelinux", "3.0"), vec![package]);
        assert_eq!(ids(&judgement), expected, "{version}");
    }
}

#[test]
fn a_modular_rpm_of_another_stream_is_not_matched_as_exact() {
    let record = with(
        advisory("ALSA-2024:2", "AlmaLinux:9", "nodejs", "0..1:18.19.1-1.module_el9.3.0+90+1"),
        json!({"related": ["CVE-2024-7"], "summary": "Important: nodejs:18 security update"}),
    );
    let unnamed = with(record.clone(), json!({"summary": "Important: nodejs security update"}));
    for (record, version, label, expected) in [
        (&record, "1:18.18.0-1.module_el9.2.0+1+1", Some("nodejs:18:9020:abc"), Some(Confidence::Exact)),
        (&record, "1:16.18.0-1.module_el9.2.0+1+1", Some("nodejs:16:9020:abc"), None),
        (&record, "1:16.20.0-1.el9", None, None),
        (&unnamed, "1:18.18.0-1.module_el9.2.0+1+1", Some("(none)"), Some(Confidence::ModuleUnverified)),
        (&unnamed, "1:16.18.0-1.module_el9.2.0+1+1", None, None),
    ] {
        let mut package = package(PackageKind::Rpm, "nodejs", version);
        package.module = label.map(str::to_owned);
        let judgement = judged(std::slice::from_ref(record), distribution("almalinux", "9.4"), vec![package]);
        let confidence = judgement.findings.first().map(|finding| finding.confidence);
        assert_eq!(confidence, expected, "{version} {label:?}");
    }
}

#[test]
fn another_root_is_judged_by_its_own_distribution() {
    let records =
        [advisory("DSA-1-1", "Debian:12", "a", "0..2"), advisory("USN-1-1", "Ubuntu:22.04:LTS", "a", "0..3")];
    let packages = vec![debian("a", "1"), debian("a", "1"), debian("a", "1")];
    let mut inventory = inventory(distribution("debian", "12"), packages);
    for (position, (path, distribution)) in
        [("b", None), ("r", distribution("ubuntu", "22.04"))].into_iter().enumerate()
    {
        inventory.nested_roots.push(NestedRoot {
            path: path.to_owned(),
            distribution,
            repositories: Vec::new(),
        });
        inventory.packages[position + 1].nested_root = Some(path.to_owned());
    }
    let judgement = judge(&inventory, &database(&records)).unwrap();
    let found = judgement.findings.iter().map(|finding| (finding.id.as_str(), finding.package.0));
    assert_eq!(found.collect::<Vec<_>>(), [("DSA-1-1", 0), ("USN-1-1", 2)]);
    let rows =
        judgement.coverage.iter().map(|row| (row.subject.as_str(), row.ecosystem.as_deref(), row.state));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            ("debian 12", Some("Debian:12"), CoverageState::Full),
            ("unknown distribution (deb) in b", None, CoverageState::None),
            ("ubuntu 22.04 in r", Some("Ubuntu:22.04:LTS"), CoverageState::Full),
        ]
    );
    let is_uncovered = |judgement: &super::Judgement| {
        judgement.problems.iter().any(|problem| problem.kind == ProblemKind::NoAdvisoryCoverage)
    };
    assert!(!is_uncovered(&judgement));
    inventory.nested_roots[1].distribution = distribution("debian", "8");
    let judgement = judge(&inventory, &database(&records)).unwrap();
    assert!(is_uncovered(&judgement));
    assert!(judgement.support_ends < judged(&records, distribution("debian", "12"), Vec::new()).support_ends);
}
