//! Packages of languages: names, overlapping sources, malware, platforms.

use serde_json::{Value, json};
use shared::model::functions::{FunctionHash, FunctionSet};
use shared::model::image::Platform;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::report::{
    Confidence, FindingKind, FindingStatus, Fix, LinkedProgram, Severity, Suppression,
};

use super::{
    advisory, affected, database, fixed, ids, inventory, judge, judged, only, package, suppressed, with,
    with_entry,
};

#[test]
fn names_match_as_their_ecosystem_compares_them_and_nowhere_else() {
    for (kind, namespace, name, ecosystem, listed, found) in [
        (PackageKind::PyPi, None, "ruamel-yaml", "PyPI", "Ruamel.Yaml", true),
        (PackageKind::Npm, None, "Foo", "npm", "foo", false),
        (PackageKind::Npm, Some("@babel"), "traverse", "npm", "@babel/traverse", true),
        (PackageKind::Npm, None, "requests", "PyPI", "requests", false),
        (PackageKind::Maven, Some("org.x"), "y", "Maven", "org.x:y", true),
        (PackageKind::Maven, Some("org.z"), "y", "Maven", "org.x:y", false),
        (PackageKind::Golang, None, "golang.org/x/net", "Go", "golang.org/x/net", true),
        (PackageKind::Cargo, None, "time", "crates.io", "time", true),
    ] {
        let record = advisory("X-1", ecosystem, listed, "0..9.0.0");
        let mut package = package(kind, name, "1.0.0");
        package.namespace = namespace.map(str::to_owned);
        let judgement = judged(&[record], None, vec![package]);
        assert_eq!(judgement.findings.len(), usize::from(found), "{name} and {ecosystem} {listed}");
    }
}

#[test]
fn gems_nuget_and_composer_packages_are_compared_as_their_systems_do() {
    for (kind, namespace, name, ecosystem, listed, affected, repaired) in [
        (PackageKind::Gem, None, "rack", "RubyGems", "rack", ["3.0.8", "3.0.9.a"], "3.0.9"),
        (
            PackageKind::NuGet,
            None,
            "Newtonsoft.Json",
            "NuGet",
            "newtonsoft.json",
            ["3.0.8", "3.0.9-beta"],
            "3.0.9.0",
        ),
        (
            PackageKind::Composer,
            Some("symfony"),
            "http-kernel",
            "Packagist",
            "Symfony/Http-Kernel",
            ["3.0.8", "3.0.9-RC1"],
            "3.0.9",
        ),
    ] {
        let record = advisory("GHSA-1", ecosystem, listed, "0..3.0.9");
        for (version, found) in affected.map(|version| (version, 1)).into_iter().chain([(repaired, 0)]) {
            let mut package = package(kind, name, version);
            package.namespace = namespace.map(str::to_owned);
            let judgement = judged(std::slice::from_ref(&record), None, vec![package]);
            assert_eq!(judgement.findings.len(), found, "{ecosystem} {version}");
        }
        let mut other = package(kind, "other", "1.0.0");
        other.namespace = namespace.map(str::to_owned);
        assert_eq!(judged(&[record], None, vec![other]).findings.len(), 0, "{ecosystem}");
    }
}

#[test]
fn the_smaller_ecosystems_are_asked_by_their_own_names_and_orders() {
    for (kind, namespace, name, ecosystem, listed, affected, repaired) in [
        (PackageKind::Hex, None, "plug", "Hex", "plug", "1.0.3", "1.0.4"),
        (PackageKind::Pub, None, "agent_dart", "Pub", "agent_dart", "1.0.0-dev.28", "1.0.0-dev.29"),
        (
            PackageKind::Swift,
            Some("github.com/Vapor"),
            "vapor",
            "SwiftURL",
            "https://github.com/vapor/vapor.git",
            "4.29.3",
            "4.29.4",
        ),
        (PackageKind::Cran, None, "png", "CRAN", "png", "0.1-8", "0.1-9"),
        (PackageKind::Bioconductor, None, "limma", "Bioconductor", "limma", "3.50.1", "3.50.2"),
        (PackageKind::Hackage, None, "aeson", "Hackage", "aeson", "2.0.0.9", "2.0.1.0"),
        (PackageKind::Hackage, None, "ghc", "GHC", "ghc", "9.2.4", "9.2.5"),
        (PackageKind::Julia, None, "HTTP", "Julia", "HTTP", "1.9.9+1", "1.10.0"),
        (PackageKind::Conan, None, "zlib", "ConanCenter", "zlib", "1.2.11", "1.2.12"),
        (PackageKind::Opam, None, "cohttp", "opam", "cohttp", "5.3.0~beta", "5.3.0"),
        (
            PackageKind::GitHubActions,
            Some("tj-actions"),
            "changed-files",
            "GitHub Actions",
            "tj-actions/changed-files",
            "v45.0.7",
            "46.0.1",
        ),
        (PackageKind::VsCode, Some("acme"), "theme", "VSCode", "acme/theme", "1.0.0", "1.0.1"),
    ] {
        let record = advisory("X-1", ecosystem, listed, &format!("0..{repaired}"));
        for (version, found) in [(affected, 1), (repaired, 0)] {
            let mut package = package(kind, name, version);
            package.namespace = namespace.map(str::to_owned);
            let judgement = judged(std::slice::from_ref(&record), None, vec![package]);
            assert_eq!(judgement.findings.len(), found, "{ecosystem} {version}");
        }
    }
}

#[test]
fn go_s_own_releases_match_with_and_without_their_prefix() {
    let record = advisory("GO-1", "Go", "stdlib", "0..1.20.1");
    for (version, found) in [("go1.20.0", 1), ("1.20.0", 1), ("v1.19.0", 1), ("go1.20.1", 0)] {
        let judgement = judged(
            std::slice::from_ref(&record),
            None,
            vec![package(PackageKind::Golang, "stdlib", version)],
        );
        assert_eq!(judgement.findings.len(), found, "{version}");
    }
}

#[test]
fn ghsa_cve_and_pysec_are_one_finding_that_keeps_all_ids() {
    let records = [
        with(advisory("PYSEC-1", "PyPI", "a", "0..2.0"), json!({"aliases": ["GHSA-1"]})),
        with(advisory("GHSA-1", "PyPI", "a", "0..2.0"), json!({"aliases": ["CVE-2024-0007"]})),
    ];
    let finding = only(judged(&records, None, vec![package(PackageKind::PyPi, "a", "1.0")]));
    assert_eq!(finding.id, "CVE-2024-0007");
    assert_eq!(finding.aliases, ["GHSA-1", "PYSEC-1"]);
    assert_eq!(finding.advisories, ["GHSA-1", "PYSEC-1"]);
    assert_eq!((finding.fix, finding.confidence), (fixed("2.0"), Confidence::Exact));
}

#[test]
fn the_flaw_s_own_database_decides_and_a_disagreement_of_equals_is_said() {
    let check = |kind, ecosystem: &str, yes: &str, no: &str, expected: Option<FindingStatus>| {
        let alias = json!({"aliases": ["CVE-2024-0007"]});
        let records = [
            with(advisory(yes, ecosystem, "a", "0..2.0.0"), alias.clone()),
            with(advisory(no, ecosystem, "a", "0..1.0.0"), alias),
        ];
        let judgement = judged(&records, None, vec![package(kind, "a", "1.5.0")]);
        assert_eq!(judgement.findings.first().map(|finding| finding.status.clone()), expected, "{yes} {no}");
    };
    check(PackageKind::PyPi, "PyPI", "GHSA-1", "PYSEC-1", Some(FindingStatus::DisputedRange));
    check(PackageKind::Golang, "Go", "GO-1", "GHSA-1", Some(FindingStatus::Affected));
    check(PackageKind::Golang, "Go", "GHSA-1", "GO-1", Some(FindingStatus::DisputedRange));
    check(PackageKind::Cargo, "crates.io", "RUSTSEC-1", "GHSA-1", Some(FindingStatus::Affected));
}

#[test]
fn the_fix_is_the_smallest_on_the_same_major_that_is_not_affected_again() {
    let ranges = |ranges: &[&str]| {
        let mut record = advisory("GHSA-1", "npm", "a", ranges[0]);
        let entries: Vec<_> = ranges.iter().map(|range| affected("npm", "a", range)).collect();
        record["affected"] = json!(entries);
        record
    };
    for (record, version, expected) in [
        (ranges(&["0..1.5.0", "2.0.0..2.1.0"]), "1.0.0", fixed("1.5.0")),
        (ranges(&["0..1.5.0", "2.0.0..2.1.0"]), "2.0.5", fixed("2.1.0")),
        (ranges(&["0..=1.4.0", "2.0.0..2.1.0"]), "1.0.0", fixed("2.1.0")),
        // 1.5.0 ends the first range and lies in the second.
        (ranges(&["0..1.5.0", "1.2.0..1.6.0"]), "1.0.0", fixed("1.6.0")),
        (ranges(&["0.."]), "1.0.0", Fix::NoneYet),
        (ranges(&["0..=1.4.0"]), "1.0.0", Fix::Unknown),
    ] {
        let finding =
            only(judged(std::slice::from_ref(&record), None, vec![package(PackageKind::Npm, "a", version)]));
        assert_eq!(finding.fix, expected, "{version} in {record}");
    }
}

#[test]
fn two_records_of_one_flaw_are_repaired_by_the_version_that_satisfies_both() {
    let alias = json!({"aliases": ["CVE-2024-0007"]});
    let records = [
        with(advisory("PYSEC-1", "PyPI", "a", "0..1.9"), alias.clone()),
        with(advisory("GHSA-1", "PyPI", "a", "0..1.10"), alias),
    ];
    let finding = only(judged(&records, None, vec![package(PackageKind::PyPi, "a", "1.0")]));
    assert_eq!(finding.fix, fixed("1.10"));
}

#[test]
fn a_record_about_several_cves_is_a_finding_each_and_glues_none() {
    let record =
        with(advisory("GHSA-1", "npm", "a", "0..2.0.0"), json!({"aliases": ["CVE-2024-7", "CVE-2024-8"]}));
    let judgement = judged(&[record], None, vec![package(PackageKind::Npm, "a", "1.0.0")]);
    assert_eq!(ids(&judgement), ["CVE-2024-7", "CVE-2024-8"]);
    assert!(judgement.findings.iter().all(|finding| finding.aliases.is_empty()));
    assert!(judgement.findings.iter().all(|finding| finding.advisories == ["GHSA-1"]));
}

#[test]
fn unmaintained_crates_are_informational() {
    let record = advisory("RUSTSEC-1", "crates.io", "a", "0..");
    let record = with_entry(record, json!({"database_specific": {"informational": "unmaintained"}}));
    let finding = only(judged(&[record], None, vec![package(PackageKind::Cargo, "a", "1.0.0")]));
    assert_eq!((finding.kind, finding.severity), (FindingKind::Informational, Severity::Unknown));
}

#[test]
fn malware_is_critical_and_counts_whatever_else_is_said() {
    let exact = |version: &str| {
        json!({"id": "MAL-2024-1", "modified": "2024-01-01T00:00:00Z",
               "affected": [{"package": {"ecosystem": "npm", "name": "a"}, "versions": [version]}]})
    };
    let package = || vec![package(PackageKind::Npm, "a", "1.0.0")];
    let finding = only(judged(&[exact("1.0.0")], None, package()));
    assert_eq!((finding.kind, finding.severity), (FindingKind::Malware, Severity::Critical));
    assert_eq!(finding.status, FindingStatus::Affected);
    assert_eq!(ids(&judged(&[exact("1.0.1")], None, package())), [""; 0]);
    let withdrawn = with(exact("1.0.0"), json!({"withdrawn": "2024-02-02T00:00:00Z"}));
    assert_eq!(ids(&judged(&[withdrawn], None, package())), [""; 0]);
}

#[test]
fn malware_that_has_the_name_of_another_registry_s_package_counts_and_may_be_a_collision() {
    let malware = || {
        json!({"id": "MAL-2024-1", "modified": "2024-01-01T00:00:00Z",
               "affected": [{"package": {"ecosystem": "npm", "name": "a"}, "versions": ["1.0.0"]}]})
    };
    let vulnerability = || advisory("GHSA-1", "npm", "a", "0..2.0.0");
    for (registry, evidence, record, confidence) in [
        (None, Evidence::Installed, malware(), Confidence::Exact),
        (Some("npm.acme.example"), Evidence::Installed, malware(), Confidence::NameCollision),
        (Some("npm.acme.example"), Evidence::Declared, malware(), Confidence::NameCollision),
        (None, Evidence::Declared, malware(), Confidence::Declared),
        (Some("npm.acme.example"), Evidence::Installed, vulnerability(), Confidence::Exact),
    ] {
        let kind = match record["id"] == "MAL-2024-1" {
            true => (FindingKind::Malware, Severity::Critical),
            false => (FindingKind::Vulnerability, Severity::Unknown),
        };
        let mut package = package(PackageKind::Npm, "a", "1.0.0");
        package.evidence = evidence;
        package.qualifiers.extend(registry.map(|host| ("repository_url".to_owned(), host.to_owned())));
        let finding = only(judged(&[record], None, vec![package]));
        assert_eq!((finding.kind, finding.severity), kind);
        assert_eq!((finding.status, finding.confidence), (FindingStatus::Affected, confidence));
    }
}

#[test]
fn flaws_of_other_systems_are_kept_and_do_not_count() {
    let imports = |goos: &[&str]| json!({"ecosystem_specific": {"imports": [{"path": "os", "goos": goos}]}});
    let record = |goos: &[&str]| with_entry(advisory("GO-1", "Go", "stdlib", "0..1.20.1"), imports(goos));
    for (goos, platform, expected) in [
        (vec!["windows"], Some(Platform::linux_amd64()), suppressed(Suppression::PlatformNotAffected)),
        (vec!["windows", "linux"], Some(Platform::linux_amd64()), FindingStatus::Affected),
        (vec![], Some(Platform::linux_amd64()), FindingStatus::Affected),
        (vec!["windows"], None, FindingStatus::Affected),
    ] {
        let mut inventory = inventory(None, vec![package(PackageKind::Golang, "stdlib", "go1.20.0")]);
        inventory.platform = platform;
        let finding = only(judge(&inventory, &database(&[record(&goos)])).unwrap());
        assert_eq!(finding.status, expected, "{goos:?}");
    }
}

#[test]
fn an_archive_without_group_is_matched_only_if_one_package_can_be_meant() {
    let one = advisory("GHSA-1", "Maven", "org.x:core", "0..2.0");
    let other = advisory("GHSA-2", "Maven", "com.y:core", "0..2.0");
    let core = || vec![package(PackageKind::Maven, "core", "1.0")];
    assert_eq!(only(judged(std::slice::from_ref(&one), None, core())).confidence, Confidence::InferredGroup);
    let both = judged(&[one, other], None, core());
    assert_eq!((both.findings.len(), both.problems.len()), (0, 1));
}

#[test]
fn an_inferred_group_decides_only_as_far_as_advisories_know_it() {
    let known = || {
        let names = ["org.x:core", "org.x.old:core", "com.y:core", "org.x:lone"];
        let name =
            |(number, name): (usize, &&str)| advisory(&format!("GHSA-{number}"), "Maven", name, "0..2.0");
        names.iter().enumerate().map(name).collect::<Vec<_>>()
    };
    let maven = |artifact: &str| package(PackageKind::Maven, artifact, "1.0");
    let inferred = |group: &str, artifact: &str| Package {
        namespace: Some(group.to_owned()),
        evidence: Evidence::Inferred,
        ..maven(artifact)
    };
    let hinted = |hint: &str, artifact: &str| Package { vendor: Some(hint.to_owned()), ..maven(artifact) };
    for (package, expected, problems) in [
        (inferred("org.x", "core"), &["GHSA-0"][..], 0),
        (inferred("com.y", "core"), &["GHSA-2"], 0),
        // Advisories know it, though not by this group: nobody can say, and the report says that.
        (inferred("com.z", "core"), &[], 1),
        (inferred("com.z", "lone"), &[], 1),
        (inferred("org.x.new", "lone"), &["GHSA-3"], 0),
        (inferred("com.z", "unheard"), &[], 0),
        (hinted("org.x.core.impl", "core"), &["GHSA-0"], 0),
        (hinted("org.x.old.impl", "core"), &["GHSA-1"], 0),
        (hinted("com.z", "core"), &[], 1),
        (hinted("com.z", "lone"), &["GHSA-3"], 0),
    ] {
        let case = format!("{package:?}");
        let judged = judged(&known(), None, vec![package]);
        assert_eq!((ids(&judged), judged.problems.len()), (expected.to_vec(), problems), "{case}");
        let confidences = judged.findings.iter().map(|finding| finding.confidence);
        assert!(confidences.eq(expected.iter().map(|_| Confidence::InferredGroup)), "{case}");
    }
}

#[test]
fn flaws_in_functions_that_are_not_linked_are_kept_and_do_not_count() {
    let imports = |imports: Value| json!({"ecosystem_specific": {"imports": imports}});
    let go = |text: Value| with_entry(advisory("GO-1", "Go", "a.b/c", "0..1.2.0"), imports(text));
    let copy = with(advisory("GHSA-1", "Go", "a.b/c", "0..1.2.0"), json!({"aliases": ["GO-1"]}));
    let linked: &[(&str, &str)] = &[("a.b/c", ""), ("a.b/c/x", ""), ("a.b/c/x", "F"), ("a.b/c/x", "T.M")];
    let not_linked = || suppressed(Suppression::NotLinked);
    let affected = || FindingStatus::Affected;
    for (records, program, expected) in [
        (vec![go(json!([{"path": "a.b/c/x", "symbols": ["T.N", "G"]}]))], Some(linked), not_linked()),
        (vec![go(json!([{"path": "a.b/c/x", "symbols": ["T.N", "F"]}]))], Some(linked), affected()),
        (vec![go(json!([{"path": "a.b/c/x", "symbols": ["T.M"]}]))], Some(linked), affected()),
        (vec![go(json!([{"path": "a.b/c/y", "symbols": ["F"]}]))], Some(linked), not_linked()),
        // A whole package.
        (vec![go(json!([{"path": "a.b/c/y"}]))], Some(linked), not_linked()),
        (vec![go(json!([{"path": "a.b/c/y"}, {"path": "a.b/c/x"}]))], Some(linked), affected()),
        // GitHub's copy does not know the functions; Go's record decides for both.
        (vec![go(json!([{"path": "a.b/c/y"}])), copy.clone()], Some(linked), not_linked()),
        (vec![go(json!([])), copy.clone()], Some(linked), affected()),
        (vec![copy], Some(linked), affected()),
        // Nothing is known of the program, or of the module in it.
        (vec![go(json!([{"path": "a.b/c/y"}]))], None, affected()),
        (vec![go(json!([{"path": "a.b/c/y"}]))], Some(&[("x.y/replacement", "F")][..]), affected()),
        (vec![go(json!([{"path": "a.b/c/y"}, {"symbols": ["F"]}]))], Some(linked), affected()),
    ] {
        let mut inventory = inventory(None, vec![package(PackageKind::Golang, "a.b/c", "v1.0.0")]);
        inventory.programs = program.into_iter().map(program_of).collect();
        let finding = only(judge(&inventory, &database(&records)).unwrap());
        assert_eq!(finding.status, expected, "{records:?} {program:?}");
    }
}

/// The program that test packages lie in.
fn program_of(functions: &[(&str, &str)]) -> LinkedProgram {
    let hash = |(path, symbol): &(&str, &str)| match *symbol {
        "" => FunctionHash::of_package(path.as_bytes()),
        symbol => FunctionHash::of_function(path.as_bytes(), symbol.as_bytes()),
    };
    let functions = FunctionSet::new(functions.iter().map(hash).collect()).unwrap();
    LinkedProgram { path: "evidence".to_owned(), functions }
}

#[test]
fn a_lock_file_s_word_is_marked() {
    let mut declared = package(PackageKind::Npm, "a", "1.0.0");
    declared.evidence = Evidence::Declared;
    let finding = only(judged(&[advisory("GHSA-1", "npm", "a", "0..2.0.0")], None, vec![declared]));
    assert_eq!(finding.confidence, Confidence::Declared);
}
