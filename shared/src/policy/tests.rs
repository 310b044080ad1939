//! What a policy promises, as tables: one report, one policy, one moment.

use jiff::Timestamp;

use super::*;
use crate::model::digest::Digest;
use crate::model::package::PackageKind;
use crate::model::package::{Evidence, Package, Purl};
use crate::model::problem::Problem;
use crate::model::report::*;
use crate::model::verdict::{Outcome, Verdict};

mod conditions;
mod documents;
mod images;
mod laws;
mod licenses;
mod observations;

const NOW: &str = "2026-03-02T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn package(name: &str) -> InstalledPackage {
    let package = Package {
        kind: PackageKind::PyPi,
        namespace: None,
        name: name.to_owned(),
        version: "1.0".to_owned(),
        architecture: None,
        source: None,
        vendor: None,
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: Vec::new(),
        evidence: Evidence::Installed,
    };
    let purl = Purl::new(&package, None);
    InstalledPackage {
        package,
        purl,
        path: format!("{name}/METADATA"),
        introduced_in: crate::model::layer::LayerIndex(0),
        owned_by: None,
        nested_root: None,
    }
}

fn finding(id: &str, severity: Severity, fix: Fix) -> Finding {
    Finding {
        id: id.to_owned(),
        aliases: vec![format!("GHSA-{id}")],
        advisories: vec![format!("PYSEC-{id}")],
        kind: FindingKind::Vulnerability,
        package: PackageIndex(0),
        severity,
        score: None,
        vector: None,
        fix,
        status: FindingStatus::Affected,
        confidence: Confidence::Exact,
        known_exploited: false,
        epss: None,
        summary: None,
        published: None,
        fixed_since: None,
    }
}

fn fixed() -> Fix {
    Fix::Fixed { version: "2.0".to_owned() }
}

fn report(findings: Vec<Finding>, problems: Vec<Problem>) -> Report {
    Report {
        digest: Digest::of(b"image"),
        subject: Subject::Image(Box::new(Inventory {
            packages: vec![package("jinja2")],
            ..Inventory::default()
        })),
        revisions: ScanRevisions {
            analyzer: Revision::new("a"),
            database: Revision::new("d"),
            database_as_of: at("2026-03-01T00:00:00Z"),
        },
        scanned_at: at(NOW),
        findings,
        problems,
        coverage: Vec::new(),
        support_ends: None,
        observations: Vec::new(),
        signatures: Vec::new(),
        sboms: Vec::new(),
    }
}

fn default_policy() -> Policy {
    Policy::parse(DEFAULT_POLICY).unwrap()
}

fn with(policy: &str) -> Policy {
    Policy::parse(&format!("version: 1\nname: test\n{policy}")).unwrap()
}

fn judge(policy: &Policy, report: &Report) -> Verdict {
    policy.judge(report, &[], &Circumstances::anywhere(at(NOW)))
}

#[test]
fn the_default_policy_denies_what_can_be_repaired_and_warns_about_the_rest() {
    for (severity, fix, expected) in [
        (Severity::Critical, fixed(), Outcome::Fail),
        (Severity::High, fixed(), Outcome::Fail),
        (Severity::High, Fix::NoneYet, Outcome::Warn),
        (Severity::Medium, fixed(), Outcome::Pass),
        (Severity::Unknown, fixed(), Outcome::Warn),
    ] {
        let verdict = judge(&default_policy(), &report(vec![finding("CVE-1", severity, fix)], vec![]));
        assert_eq!(verdict.outcome, expected, "{severity}");
        assert_eq!(verdict.counts.total(), 1);
    }
}

#[test]
fn a_known_exploited_flaw_is_denied_whatever_its_severity() {
    let mut exploited = finding("CVE-1", Severity::Low, Fix::Unknown);
    exploited.known_exploited = true;
    let verdict = judge(&default_policy(), &report(vec![exploited], vec![]));
    assert_eq!(verdict.outcome, Outcome::Fail);
    assert!(verdict.reasons[0].message.contains("known to be exploited"), "{:?}", verdict.reasons);
}

#[test]
fn i4_a_blocking_problem_is_never_a_plain_pass_unless_the_policy_accepts_it() {
    for kind in
        ProblemKind::ALL.iter().filter(|kind| kind.weight() == crate::model::problem::Weight::Blocking)
    {
        let found = report(vec![], vec![Problem::new(*kind, "x")]);
        let by_default = judge(&default_policy(), &found);
        assert!(by_default.outcome > Outcome::Pass, "{kind} passes in silence");
        assert_eq!(judge(&with(""), &found).outcome, Outcome::Fail, "{kind} is denied where nobody names it");
        let accepting = with(&format!("problems: {{{kind}: accept}}"));
        let verdict = judge(&accepting, &found);
        assert_eq!(verdict.outcome, Outcome::Pass);
        assert_eq!(verdict.problems.len(), 1, "accepted, and still said");
    }
}

#[test]
fn informational_problems_hold_nothing_up() {
    let found = report(vec![], vec![Problem::new(ProblemKind::PathTraversal, "x")]);
    assert_eq!(judge(&with(""), &found).outcome, Outcome::Pass);
}

#[test]
fn an_exception_holds_until_its_day_has_passed_and_the_verdict_knows_when() {
    let policy = with(
        "rules: [{name: all, when: {}, then: deny}]\nexceptions: [{advisory: GHSA-CVE-1, package: 'pkg:pypi/*', owner: o, reason: r, expires: 2026-03-10}]",
    );
    let found = report(vec![finding("CVE-1", Severity::High, fixed())], vec![]);
    let before = policy.judge(&found, &[], &Circumstances::anywhere(at("2026-03-10T23:59:59Z")));
    assert_eq!((before.outcome, before.counts.suppressed), (Outcome::Pass, 1));
    assert_eq!(before.valid_until, Some(at("2026-03-11T00:00:00Z")));
    assert!(!before.is_current(&policy.revision, at("2026-03-11T00:00:00Z")));
    let after = policy.judge(&found, &[], &Circumstances::anywhere(at("2026-03-11T00:00:00Z")));
    assert_eq!(after.outcome, Outcome::Fail);
}

#[test]
fn an_exception_for_another_package_changes_nothing() {
    let policy = with(
        "rules: [{name: all, when: {}, then: deny}]\nexceptions: [{package: 'pkg:pypi/flask', owner: o, reason: r, expires: 2027-03-10}]",
    );
    let found = report(vec![finding("CVE-1", Severity::High, fixed())], vec![]);
    assert_eq!(judge(&policy, &found).outcome, Outcome::Fail);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = with(
        "rules: [{name: not-ours, when: {package: 'pkg:pypi/jinja2'}, then: ignore}, {name: all, when: {}, then: deny}]",
    );
    let found = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
    let verdict = judge(&policy, &found);
    assert_eq!((verdict.outcome, verdict.counts.critical), (Outcome::Pass, 1));
}

#[test]
fn i4_advisories_too_old_or_ended_are_problems_of_time() {
    let mut found = report(vec![], vec![]);
    found.support_ends = Some(at("2026-06-30T00:00:00Z"));
    let policy = default_policy();
    let fresh = policy.judge(&found, &[], &Circumstances::anywhere(at(NOW)));
    assert_eq!(fresh.outcome, Outcome::Pass);
    assert_eq!(
        fresh.valid_until,
        Some(at("2026-03-15T00:00:00Z")),
        "fourteen days after the newest advisory"
    );
    let stale = policy.judge(&found, &[], &Circumstances::anywhere(at("2026-03-15T00:00:00Z")));
    assert_eq!((stale.outcome, stale.problems[0].kind), (Outcome::Warn, ProblemKind::AdvisoriesStale));
    let ended = policy.judge(&found, &[], &Circumstances::anywhere(at("2026-07-01T00:00:00Z")));
    assert!(ended.problems.iter().any(|problem| problem.kind == ProblemKind::AdvisoriesEnded));
}

#[test]
fn suppressed_findings_are_counted_apart() {
    let mut owned = finding("CVE-1", Severity::Critical, fixed());
    owned.status = FindingStatus::Suppressed { reason: Suppression::NotLinked };
    let verdict = judge(&default_policy(), &report(vec![owned], vec![]));
    assert_eq!((verdict.outcome, verdict.counts.total(), verdict.counts.suppressed), (Outcome::Pass, 0, 1));
}

fn index(children: &[(&str, &str)]) -> Report {
    let children = children
        .iter()
        .map(|(content, platform)| IndexChild {
            digest: Digest::of(content.as_bytes()),
            platform: Some(platform.parse().unwrap()),
        })
        .collect();
    Report { digest: Digest::of(b"index"), subject: Subject::Index { children }, ..report(vec![], vec![]) }
}

#[test]
fn the_worst_child_decides_unless_the_policy_names_platforms() {
    let index = index(&[("good", "linux/amd64"), ("bad", "linux/arm64")]);
    let judged = |policy: &Policy| {
        let good = Report { digest: Digest::of(b"good"), ..report(vec![], vec![]) };
        let bad = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
        let bad = Report { digest: Digest::of(b"bad"), ..bad };
        let children = [
            policy.judge(&good, &[], &Circumstances::anywhere(at(NOW))),
            policy.judge(&bad, &[], &Circumstances::anywhere(at(NOW))),
        ];
        policy.judge(&index, &children, &Circumstances::anywhere(at(NOW)))
    };
    let all = judged(&default_policy());
    assert_eq!((all.outcome, all.counts.critical, all.children.len()), (Outcome::Fail, 1, 2));
    assert!(all.reasons[0].message.starts_with("linux/arm64: CVE-1"), "{:?}", all.reasons);
    assert_eq!(judged(&with("platforms: [linux/amd64]")).outcome, Outcome::Pass);
    assert_eq!(judged(&with("platforms: [linux/s390x]")).outcome, Outcome::Fail, "never a pass by emptiness");
}

#[test]
fn i4_a_child_without_a_verdict_is_an_error() {
    let verdict = judge(&default_policy(), &index(&[("unseen", "linux/amd64")]));
    assert_eq!(verdict.outcome, Outcome::Error);
}

#[test]
fn what_is_no_image_is_never_called_clean() {
    let artifact = Subject::Artifact { artifact_type: "application/vnd.cncf.helm.config.v1+json".to_owned() };
    let found = Report { subject: artifact, ..report(vec![], vec![]) };
    assert_eq!(judge(&default_policy(), &found).outcome, Outcome::NotAnImage);
    let missing = Problem::new(ProblemKind::ImageMissing, "gone");
    let found = Report { subject: Subject::Unreadable, ..report(vec![], vec![missing]) };
    let verdict = judge(&default_policy(), &found);
    assert_eq!((verdict.outcome, verdict.reasons.len()), (Outcome::Error, 1));
}

#[test]
fn reasons_are_bounded_and_the_worst_come_first() {
    let mut findings: Vec<Finding> =
        (0..50).map(|n| finding(&format!("CVE-{n}"), Severity::High, fixed())).collect();
    findings.push(finding("CVE-worst", Severity::Critical, fixed()));
    let verdict = judge(&default_policy(), &report(findings, vec![]));
    assert_eq!((verdict.reasons.len(), verdict.further_reasons), (Verdict::MOST_REASONS, 31));
    assert_eq!(verdict.reasons[0].advisory.as_deref(), Some("CVE-worst"));
}
