//! Language packages that the distribution installed.

use serde_json::{Value, json};
use shared::model::package::{PackageKind, Purl};
use shared::model::report::{Distribution, Finding, FindingStatus, Suppression};

use super::{
    advisory, built_from, database, distribution, inventory, judge, only, package, suppressed, with,
};

/// A Python package owned by `python3-a`, built from `python-a`, judged with these records beside its own.
fn owned(
    own: Value,
    records: &[Value],
    distribution: Option<Distribution>,
    kind: PackageKind,
) -> (Finding, Purl) {
    let owner = built_from(package(kind, "python3-a", "2-r0"), "python-a", None);
    let mut inventory = inventory(distribution, vec![owner, package(PackageKind::PyPi, "a", "1.0")]);
    let purl = inventory.packages[0].purl.clone();
    inventory.packages[1].owned_by = Some(purl.clone());
    let mut all = vec![own];
    all.extend_from_slice(records);
    (only(judge(&inventory, &database(&all)).unwrap()), purl)
}

fn flaw() -> Value {
    with(advisory("GHSA-1", "PyPI", "a", "0..9"), json!({"aliases": ["CVE-2024-7"]}))
}

#[test]
fn what_the_distribution_repairs_is_kept_and_does_not_count() {
    let some = advisory("DSA-9-1", "Debian:12", "unrelated", "0..1");
    let (finding, owner) = owned(flaw(), &[some], distribution("debian", "12"), PackageKind::Deb);
    assert_eq!(finding.status, suppressed(Suppression::OwnedBy { purl: owner }));
}

#[test]
fn where_only_fixes_are_listed_an_unknown_cve_is_unassessed() {
    let alpine = |package: &str, cve: &str| {
        let record = advisory(&format!("ALPINE-{cve}"), "Alpine:v3.20", package, "0..1-r0");
        with(record, json!({"upstream": [cve]}))
    };
    let judge = |record: Value| owned(flaw(), &[record], distribution("alpine", "3.20.3"), PackageKind::Apk);
    let (known, owner) = judge(alpine("python-a", "CVE-2024-7"));
    assert_eq!(known.status, suppressed(Suppression::OwnedBy { purl: owner }));
    assert_eq!(judge(alpine("python-a", "CVE-2024-8")).0.status, FindingStatus::DistroUnassessed);
    assert_eq!(judge(alpine("other", "CVE-2024-7")).0.status, FindingStatus::DistroUnassessed);
}

#[test]
fn i4_an_owner_without_advisories_hides_nothing() {
    for distribution in [distribution("amzn", "2023"), distribution("debian", "12"), None] {
        let (finding, _) = owned(flaw(), &[], distribution, PackageKind::Deb);
        assert_eq!(finding.status, FindingStatus::Affected);
    }
}

/// NodeSource's Node.js brings npm, and npm's packages: Debian repairs neither.
#[test]
fn i4_an_owner_from_elsewhere_hides_nothing() {
    for (version, is_counted) in [("18.19.0+dfsg-6~deb12u2", false), ("20.11.1-1nodesource1", true)] {
        let node = package(PackageKind::Deb, "nodejs", version);
        let mut inventory =
            inventory(distribution("debian", "12"), vec![node, package(PackageKind::Npm, "tar", "6.1.0")]);
        inventory.packages[1].owned_by = Some(inventory.packages[0].purl.clone());
        let records =
            [advisory("GHSA-1", "npm", "tar", "0..7.0.0"), advisory("DSA-9-1", "Debian:12", "other", "0..1")];
        let finding = only(judge(&inventory, &database(&records)).unwrap());
        assert_eq!(finding.status == FindingStatus::Affected, is_counted, "{version}");
    }
}

#[test]
fn malware_in_an_owned_file_counts() {
    let malware = json!({"id": "MAL-2024-1", "modified": "2024-01-01T00:00:00Z",
                         "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}]});
    let some = advisory("DSA-9-1", "Debian:12", "unrelated", "0..1");
    let (finding, _) = owned(malware, &[some], distribution("debian", "12"), PackageKind::Deb);
    assert_eq!(finding.status, FindingStatus::Affected);
}
