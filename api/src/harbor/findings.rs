//! Reports in Harbor's words. Pure.
//!
//! A problem that a policy does not accept is a row of its own among the vulnerabilities, so that Harbor's rule
//! against vulnerable images stops what could not be searched (I4): `Critical` where a policy denies it, `Low`
//! where it warns.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use shared::model::observation::{Observation, ObservationKind};
use shared::model::report::{Finding, FindingKind, FindingStatus, Fix, InstalledPackage, Report, Severity};
use shared::model::verdict::{Effect, Mode};
use shared::output;
use shared::policy::{Circumstances, Place, PolicySet};

use super::media::SbomFormat;
use super::refusal::Refusal;
use super::ticket::Ticket;

#[derive(Serialize)]
struct Vulnerability {
    id: String,
    package: String,
    version: String,
    fix_version: String,
    severity: &'static str,
    description: String,
    links: Vec<String>,
    artifact_digests: Vec<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_cvss: Option<Cvss>,
    cwe_ids: Vec<String>,
    vendor_attributes: Value,
    #[serde(skip)]
    rank: Severity,
}

#[derive(Serialize, Default)]
struct Cvss {
    #[serde(skip_serializing_if = "Option::is_none")]
    score_v3: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_v3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_v2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_v2: Option<String>,
}

/// The vulnerabilities of the reports: an image's own, or an index's and its images'.
pub(super) fn vulnerabilities(
    ticket: &Ticket,
    reports: &[Report],
    policies: &PolicySet,
    now: Timestamp,
) -> Vec<u8> {
    let mut rows: Vec<Vulnerability> =
        reports.iter().flat_map(|report| unseen(ticket, report, policies, now)).collect();
    rows.extend(reports.iter().flat_map(found));
    rows.extend(reports.iter().flat_map(malware));
    let worst = rows.iter().map(|row| row.rank).max().unwrap_or(Severity::Unknown);
    let mut body = head(ticket, reports);
    body["severity"] = named(worst).into();
    body["vulnerabilities"] = serde_json::to_value(rows).expect("a report has only strings and numbers");
    body.to_string().into_bytes()
}

/// Tidewaiter's own JSON; of an index, an array.
pub(super) fn raw(reports: &[Report]) -> Vec<u8> {
    let json = output::by_name("json").expect("this format is always there");
    match reports {
        [only] => json.render(only),
        several => {
            let rendered: Vec<Vec<u8>> = several.iter().map(|report| json.render(report)).collect();
            [b"[".as_slice(), &rendered.join(&b','), b"]"].concat()
        }
    }
}

/// The SBOM of an image.
pub(super) fn sbom(ticket: &Ticket, reports: &[Report], format: SbomFormat) -> Result<Vec<u8>, Refusal> {
    let [report] = reports else {
        return Err(Refusal::invalid("an index has no SBOM of its own; ask for those of its images"));
    };
    let output = output::by_name(format.output()).expect("this format is always there");
    let document: Value = serde_json::from_slice(&output.render(report)).expect("the format is JSON");
    let mut body = head(ticket, reports);
    body["vendor_attributes"] = json!({});
    body["media_type"] = format.media_type().into();
    body["sbom"] = document;
    Ok(body.to_string().into_bytes())
}

fn head(ticket: &Ticket, reports: &[Report]) -> Value {
    // An index is as old as the oldest of its images' reports.
    let generated_at = reports.iter().map(|report| report.scanned_at).min();
    json!({
        "generated_at": generated_at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        "artifact": {
            "repository": ticket.image.repository,
            "tag": ticket.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
            "digest": ticket.digest,
            "mime_type": ticket.mime_type,
        },
        "scanner": {"name": "Tidewaiter", "vendor": "Tidewaiter", "version": env!("CARGO_PKG_VERSION")},
    })
}

fn found(report: &Report) -> impl Iterator<Item = Vulnerability> {
    let counts = |finding: &&Finding| match finding.status {
        FindingStatus::Affected | FindingStatus::DisputedRange => true,
        FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => false,
    };
    report
        .findings
        .iter()
        .filter(counts)
        .filter_map(|finding| Some(vulnerability(report, finding, report.package_of(finding)?)))
}

fn vulnerability(report: &Report, finding: &Finding, installed: &InstalledPackage) -> Vulnerability {
    let package = &installed.package;
    let name = match &package.namespace {
        Some(namespace) => format!("{namespace}/{}", package.name),
        None => package.name.clone(),
    };
    let rank = match finding.kind {
        FindingKind::Vulnerability | FindingKind::Informational => finding.severity,
        // Harbor has no word for it, and nothing is worse.
        FindingKind::Malware => Severity::Critical,
    };
    let others = finding.aliases.iter().filter(|id| **id != finding.id);
    Vulnerability {
        id: finding.id.clone(),
        package: name,
        version: package.version.clone(),
        fix_version: match &finding.fix {
            Fix::Fixed { version } => version.clone(),
            Fix::NoneYet | Fix::WillNotFix | Fix::ProOnly { .. } | Fix::Unknown => String::new(),
        },
        severity: named(rank),
        description: finding.summary.clone().unwrap_or_default(),
        links: std::iter::once(&finding.id).chain(others).map(|id| output::advisory_url(id)).collect(),
        artifact_digests: vec![report.digest.clone()],
        preferred_cvss: cvss(finding),
        cwe_ids: Vec::new(),
        vendor_attributes: json!({"tidewaiter": {
            "purl": installed.purl,
            "path": installed.path,
            "advisories": finding.advisories,
            "fix": finding.fix,
            "confidence": finding.confidence,
            "known_exploited": finding.known_exploited,
            "epss": finding.epss,
            "vector": finding.vector,
        }}),
        rank,
    }
}

/// Files that are malware are no packages, but Harbor decides by what is in this list alone.
fn malware(report: &Report) -> impl Iterator<Item = Vulnerability> {
    let is_malware = |observation: &&Observation| observation.kind == ObservationKind::Malware;
    report.observations.iter().filter(is_malware).map(|observation| Vulnerability {
        id: observation.rule.clone(),
        package: observation.place.path.clone().unwrap_or_else(|| IMAGE.to_owned()),
        version: report.digest.short().to_owned(),
        fix_version: String::new(),
        severity: named(observation.severity),
        description: format!("{}. {}", observation.title, observation.remediation),
        links: Vec::new(),
        artifact_digests: vec![report.digest.clone()],
        preferred_cvss: None,
        cwe_ids: Vec::new(),
        vendor_attributes: json!({"tidewaiter": {
            "observation": observation.rule,
            "layer": observation.place.layer,
            "visibility": observation.visibility,
        }}),
        rank: observation.severity,
    })
}

/// In the place of a package, where something is wrong with none of them.
const IMAGE: &str = "the image itself";

/// Harbor has room for CVSS 2 and 3; a vector of version 4 is in the vendor's attributes.
fn cvss(finding: &Finding) -> Option<Cvss> {
    let (score, vector) = (finding.score.map(f64::from), finding.vector.clone()?);
    match vector.split('/').next() {
        Some("CVSS:3.0" | "CVSS:3.1") => {
            Some(Cvss { score_v3: score, vector_v3: Some(vector), ..Cvss::default() })
        }
        Some(first) if first.starts_with("AV:") => {
            Some(Cvss { score_v2: score, vector_v2: Some(vector), ..Cvss::default() })
        }
        Some(_) | None => None,
    }
}

/// What stood between a report and the whole truth, and is not accepted by every policy that covers the image.
fn unseen(ticket: &Ticket, report: &Report, policies: &PolicySet, now: Timestamp) -> Vec<Vulnerability> {
    // An index's problems are those of its images, which have their own rows.
    if report.inventory().is_none() {
        return Vec::new();
    }
    let place = Place { image: Some(ticket.image.clone()), ..Place::default() };
    let mut worst: BTreeMap<(&'static str, String), Severity> = BTreeMap::new();
    for policy in policies.covering(&place) {
        let verdict = policy.judge(report, &[], &Circumstances { now, place: Some(&place) });
        for reason in verdict.reasons {
            let Some(problem) = reason.problem else { continue };
            let severity = match (reason.effect, policy.mode) {
                (Effect::Deny, Mode::Enforce) => Severity::Critical,
                (Effect::Deny, Mode::Audit) | (Effect::Warn, _) => Severity::Low,
            };
            let row = worst.entry((problem.slug(), reason.message)).or_insert(severity);
            *row = severity.max(*row);
        }
    }
    let row = |((slug, message), rank): ((&str, String), Severity)| Vulnerability {
        id: format!("TIDEWAITER-{}", slug.to_ascii_uppercase()),
        package: IMAGE.to_owned(),
        version: report.digest.short().to_owned(),
        fix_version: String::new(),
        severity: named(rank),
        description: message,
        links: Vec::new(),
        artifact_digests: vec![report.digest.clone()],
        preferred_cvss: None,
        cwe_ids: Vec::new(),
        vendor_attributes: json!({"tidewaiter": {"problem": slug}}),
        rank,
    };
    worst.into_iter().map(row).collect()
}

/// The severity as Harbor spells it. It ranks words that it does not know above `Critical`.
fn named(severity: Severity) -> &'static str {
    match severity {
        Severity::Unknown => "Unknown",
        Severity::Negligible => "Negligible",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}
