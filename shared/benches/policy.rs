//! How long a policy thinks about a report with 500 findings; the budget is 200 µs with the default policy.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::model::report::Report;
use shared::policy::{Circumstances, DEFAULT_POLICY, Policy};

/// A report with 200 packages and so many findings, of every severity, every other one with a fix.
fn report(findings: usize) -> Report {
    let package = |n: usize| {
        json!({
            "package": {"kind": "deb", "name": format!("lib{n}"), "version": "1.0", "evidence": "installed"},
            "purl": format!("pkg:deb/debian/lib{n}@1.0?distro=debian-12"),
            "path": "var/lib/dpkg/status",
            "introduced_in": n % 12,
        })
    };
    let severities = ["critical", "high", "medium", "low", "negligible", "unknown"];
    let finding = |n: usize| {
        let fix = if n.is_multiple_of(2) {
            json!({"state": "fixed", "version": "2.0"})
        } else {
            json!({"state": "none-yet"})
        };
        json!({
            "id": format!("CVE-2026-{n}"),
            "aliases": [format!("GHSA-{n}")],
            "advisories": [format!("DSA-{n}")],
            "kind": "vulnerability",
            "package": n % 200,
            "severity": severities[n % severities.len()],
            "fix": fix,
            "status": {"state": "affected"},
            "confidence": "exact",
            "known_exploited": n.is_multiple_of(97),
            "epss": 0.01,
            "published": "2026-01-05T00:00:00Z",
        })
    };
    let value = json!({
        "digest": format!("sha256:{}", "a".repeat(64)),
        "subject": {
            "kind": "image",
            "layers": [],
            "packages": (0..200).map(package).collect::<Vec<Value>>(),
        },
        "revisions": {"analyzer": "a", "database": "d", "database_as_of": "2026-03-01T00:00:00Z"},
        "scanned_at": "2026-03-01T00:00:00Z",
        "findings": (0..findings).map(finding).collect::<Vec<Value>>(),
        "problems": [],
        "coverage": [],
    });
    serde_json::from_value(value).expect("the shape of a report")
}

const WITH_CEL: &str = "
version: 1
name: cel
rules:
  - {name: likely, when: {cel: 'finding.epss > 0.5 || finding.known_exploited'}, then: deny}
  - {name: libraries, when: {severity: [critical, high], cel: 'pkg.name.startsWith(\"lib\") && finding.published_days > 30'}, then: warn}
";

fn policies(criterion: &mut Criterion) {
    let report = report(500);
    let now: Timestamp = "2026-03-02T12:00:00Z".parse().expect("a time");
    let circumstances = Circumstances::anywhere(now);
    let exceptions: String = (0..100)
        .map(|n| format!("  - {{advisory: CVE-2020-{n}, owner: o, reason: r, expires: 2027-01-01}}\n"))
        .collect();
    let many_exceptions = format!("{DEFAULT_POLICY}\nexceptions:\n{exceptions}");
    let mut group = criterion.benchmark_group("500 findings");
    for (name, text) in [("default", DEFAULT_POLICY), ("100 exceptions", &many_exceptions), ("cel", WITH_CEL)]
    {
        let policy = Policy::parse(text).expect("a policy");
        group.bench_function(name, |bencher| {
            bencher.iter(|| policy.judge(black_box(&report), &[], &circumstances));
        });
    }
    group.finish();
}

criterion_group!(benches, policies);
criterion_main!(benches);
