//! Sample values for tests: a plausible report of a small Debian image, and verdicts about it.

use jiff::Timestamp;

use super::digest::Digest;
use super::image::Platform;
use super::layer::{Layer, LayerIndex};
use super::package::{Evidence, Package, PackageKind, Purl, PurlDistribution, SourcePackage};
use super::problem::{Problem, ProblemKind};
use super::report::{
    Confidence, Coverage, CoverageState, Distribution, Finding, FindingKind, FindingStatus, Fix,
    InstalledPackage, Inventory, PackageIndex, Probability, Report, Revision, ScanRevisions, Score, Severity,
    Subject,
};
use super::verdict::{Counts, Effect, Mode, Outcome, PolicyName, Reason, Verdict};

/// A moment, given as RFC 3339.
pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a test gives a legal time")
}

/// A policy's name.
pub(crate) fn policy(name: &str) -> PolicyName {
    name.parse().expect("a test gives a legal policy name")
}

/// The revisions of a scan with the given advisory database.
pub(crate) fn revisions(database: &str) -> ScanRevisions {
    ScanRevisions {
        analyzer: Revision::new("analyzers-7"),
        database: Revision::new(database),
        database_as_of: time("2026-11-20T04:05:06.789Z"),
    }
}

/// An image with two packages, one finding and one remark.
pub(crate) fn report(digest: &Digest) -> Report {
    let libc = Package {
        kind: PackageKind::Deb,
        namespace: None,
        name: "libc6".to_owned(),
        version: "2.36-9+deb12u1".to_owned(),
        architecture: Some("amd64".to_owned()),
        source: Some(SourcePackage { name: "glibc".to_owned(), version: None }),
        vendor: None,
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: vec!["LGPL-2.1-or-later".to_owned()],
        evidence: Evidence::Installed,
    };
    let jinja = Package {
        kind: PackageKind::PyPi,
        name: "jinja2".to_owned(),
        version: "2.11.2".to_owned(),
        architecture: None,
        source: None,
        licenses: Vec::new(),
        ..libc.clone()
    };
    let debian = PurlDistribution { namespace: "debian", id: "debian", version: "12" };
    let installed = |package: Package, path: &str, layer: u16| InstalledPackage {
        purl: Purl::new(&package, Some(debian)),
        package,
        path: path.to_owned(),
        introduced_in: LayerIndex(layer),
        owned_by: None,
        nested_root: None,
    };
    let inventory = Inventory {
        repositories: Vec::new(),
        nested_roots: Vec::new(),
        platform: Some(Platform::linux_amd64()),
        distribution: Some(Distribution {
            id: "debian".to_owned(),
            version: "12".to_owned(),
            codename: Some("bookworm".to_owned()),
            like: Vec::new(),
            name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        }),
        layers: vec![layer(b"base", "ADD rootfs.tar.xz /"), layer(b"app", "RUN pip install jinja2==2.11.2")],
        settings: None,
        base: None,
        programs: Vec::new(),
        packages: vec![
            installed(libc, "var/lib/dpkg/status", 0),
            installed(jinja, "usr/lib/python3/dist-packages/Jinja2-2.11.2.dist-info/METADATA", 1),
        ],
    };
    Report {
        digest: digest.clone(),
        subject: Subject::Image(Box::new(inventory)),
        revisions: revisions("db-1"),
        scanned_at: time("2026-11-21T10:00:00Z"),
        findings: vec![finding()],
        problems: vec![Problem::new(ProblemKind::RecordSkipped, "one stanza has no version")],
        coverage: vec![Coverage {
            subject: "pypi".to_owned(),
            ecosystem: Some("PyPI".to_owned()),
            packages: 1,
            state: CoverageState::Full,
        }],
        support_ends: Some(time("2028-06-30T00:00:00Z")),
        observations: Vec::new(),
        signatures: Vec::new(),
        sboms: Vec::new(),
    }
}

fn layer(content: &[u8], created_by: &str) -> Layer {
    Layer {
        digest: Digest::of(content),
        diff_id: Some(Digest::of(&[content, b".tar"].concat())),
        size_bytes: 29_124_154,
        created_by: Some(created_by.to_owned()),
    }
}

fn finding() -> Finding {
    Finding {
        id: "CVE-2024-22195".to_owned(),
        aliases: vec!["GHSA-h5c8-rqwp-cp95".to_owned()],
        advisories: vec!["GHSA-h5c8-rqwp-cp95".to_owned()],
        kind: FindingKind::Vulnerability,
        package: PackageIndex(1),
        severity: Severity::Medium,
        score: Some(Score::new(5.4)),
        vector: Some("CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N".to_owned()),
        fix: Fix::Fixed { version: "3.1.3".to_owned() },
        status: FindingStatus::Affected,
        confidence: Confidence::Exact,
        known_exploited: false,
        epss: Some(Probability::new(0.00123)),
        summary: Some("Jinja vulnerable to HTML attribute injection".to_owned()),
        published: Some(time("2024-01-11T15:20:48Z")),
        fixed_since: None,
    }
}

/// What a policy thinks of that report.
pub(crate) fn verdict(report: &Report, policy_name: &str, outcome: Outcome) -> Verdict {
    let mut counts = Counts::default();
    for finding in &report.findings {
        counts.add(finding.severity);
    }
    Verdict {
        digest: report.digest.clone(),
        policy: policy(policy_name),
        mode: Mode::Enforce,
        outcome,
        reasons: vec![Reason {
            rule: "fixable".to_owned(),
            effect: Effect::Deny,
            message: "jinja2 2.11.2 has a medium flaw that 3.1.3 repairs".to_owned(),
            advisory: Some("CVE-2024-22195".to_owned()),
            severity: Some(Severity::Medium),
            purl: Some("pkg:pypi/jinja2@2.11.2".to_owned()),
            fixed_version: Some("3.1.3".to_owned()),
            problem: None,
        }],
        further_reasons: 0,
        counts,
        problems: Vec::new(),
        children: Vec::new(),
        revisions: report.revisions.clone(),
        policy_revision: Revision::new("policy-3"),
        scanned_at: report.scanned_at,
        as_of: time("2026-11-21T10:00:01Z"),
        valid_until: Some(time("2027-01-01T00:00:00Z")),
        if_signed: None,
    }
}
