//! OpenVEX 0.2.0: for each flaw, which packages of the image it concerns and what its state is.
//!
//! Format: openvex/spec `OPENVEX-SPEC.md`. A scanner sees versions, not code paths: "not affected" is said only
//! where the report has a reason that can be checked (the code is not linked in, the distribution repairs this copy
//! itself), and the reason is stated. Whoever knows more writes documents of their own.
//!
//! Where nothing was found there are no statements, although the schema asks for one: there is nothing true to state.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Output;
use super::wording::{TOOL, identity, second};
use crate::model::image::ImageName;
use crate::model::report::{Finding, FindingKind, FindingStatus, Fix, Report, Suppression};

/// The format.
pub(super) struct OpenVex;

impl Output for OpenVex {
    fn name(&self) -> &'static str {
        "openvex"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.openvex+json"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        serde_json::to_vec(&document(report, None)).expect("a document has only strings and numbers")
    }

    fn render_named(&self, report: &Report, name: &ImageName) -> Vec<u8> {
        serde_json::to_vec(&document(report, Some(name))).expect("a document has only strings and numbers")
    }
}

fn document(report: &Report, name: Option<&ImageName>) -> Document {
    Document {
        context: "https://openvex.dev/ns/v0.2.0",
        id: format!("https://tidewaiter.dev/vex/{}", identity(report, "openvex")),
        author: "Tidewaiter",
        role: "Scanner",
        timestamp: second(report.scanned_at),
        version: 1,
        tooling: format!("{TOOL}/{}", env!("CARGO_PKG_VERSION")),
        statements: statements(report, &product(report, name)),
    }
}

/// The image: `pkg:oci/app@sha256%3A…?repository_url=registry.example.com%2Fteam%2Fapp` (purl-spec, `oci`).
fn product(report: &Report, name: Option<&ImageName>) -> String {
    let digest = report.digest.as_str().replace(':', "%3A");
    match name {
        Some(name) => {
            let full = name.to_string();
            let short = full.rsplit('/').next().unwrap_or(&full);
            let address: String = url::form_urlencoded::byte_serialize(full.as_bytes()).collect();
            format!("pkg:oci/{short}@{digest}?repository_url={address}")
        }
        None => format!("pkg:oci/image@{digest}"),
    }
}

/// What is said about one flaw; flaws of which the same is true of several packages are one statement.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Said<'a> {
    flaw: &'a str,
    status: Status,
    action: Option<String>,
    impact: Option<String>,
}

fn statements(report: &Report, product: &str) -> Vec<Statement> {
    let mut said: BTreeMap<Said<'_>, (&Finding, Vec<Subcomponent>)> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| finding.kind != FindingKind::Informational) {
        let Some(package) = report.package_of(finding) else { continue };
        let part = Subcomponent { id: package.purl.to_string() };
        let (_, parts) = said.entry(said_of(finding)).or_insert_with(|| (finding, Vec::new()));
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    said.into_iter()
        .map(|(said, (finding, subcomponents))| Statement {
            vulnerability: vulnerability(finding),
            products: vec![Product { id: product.to_owned(), subcomponents }],
            status: said.status,
            justification: justification(&finding.status),
            impact_statement: said.impact,
            action_statement: said.action,
        })
        .collect()
}

fn said_of(finding: &Finding) -> Said<'_> {
    let (status, action, impact) = match &finding.status {
        FindingStatus::Affected => (Status::Affected, Some(action(&finding.fix)), None),
        FindingStatus::DisputedRange | FindingStatus::DistroUnassessed => {
            (Status::UnderInvestigation, None, None)
        }
        FindingStatus::Suppressed { reason } => (Status::NotAffected, None, Some(impact(reason))),
    };
    Said { flaw: &finding.id, status, action, impact }
}

fn vulnerability(finding: &Finding) -> Vulnerability {
    let others = finding.aliases.iter().filter(|alias| **alias != finding.id);
    Vulnerability { name: finding.id.clone(), aliases: others.cloned().collect() }
}

/// What somebody who is affected should do; the format asks for it.
fn action(fix: &Fix) -> String {
    match fix {
        Fix::Fixed { version } => format!("Upgrade to {version} or later."),
        Fix::ProOnly { version } => format!("Upgrade to {version} or later; only subscribers get it."),
        Fix::NoneYet => "There is no fix yet.".to_owned(),
        Fix::WillNotFix => "The distribution will not fix it; replace the package.".to_owned(),
        Fix::Unknown => "No fix is known.".to_owned(),
    }
}

fn impact(reason: &Suppression) -> String {
    match reason {
        Suppression::OwnedBy { purl } => {
            format!("The distribution repairs this copy itself, as part of {purl}.")
        }
        Suppression::KernelHeadersOnly => "Headers of a kernel that no container runs.".to_owned(),
        Suppression::NotLinked => "The vulnerable code is not linked in.".to_owned(),
        Suppression::PlatformNotAffected => "It concerns another operating system or machine.".to_owned(),
        Suppression::Negligible => "The distribution rates it as of no consequence.".to_owned(),
    }
}

/// The format's own word for the reason, where it has one that is true.
fn justification(status: &FindingStatus) -> Option<&'static str> {
    match status {
        FindingStatus::Suppressed { reason: Suppression::KernelHeadersOnly | Suppression::NotLinked } => {
            Some("vulnerable_code_not_present")
        }
        FindingStatus::Suppressed { .. }
        | FindingStatus::Affected
        | FindingStatus::DistroUnassessed
        | FindingStatus::DisputedRange => None,
    }
}

#[derive(Serialize)]
struct Document {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@id")]
    id: String,
    author: &'static str,
    role: &'static str,
    timestamp: String,
    version: u32,
    tooling: String,
    statements: Vec<Statement>,
}

#[derive(Serialize)]
struct Statement {
    vulnerability: Vulnerability,
    products: Vec<Product>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impact_statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_statement: Option<String>,
}

#[derive(Clone, Copy, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
enum Status {
    Affected,
    UnderInvestigation,
    NotAffected,
}

#[derive(Serialize)]
struct Vulnerability {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

#[derive(Serialize)]
struct Product {
    #[serde(rename = "@id")]
    id: String,
    subcomponents: Vec<Subcomponent>,
}

#[derive(Serialize, PartialEq)]
struct Subcomponent {
    #[serde(rename = "@id")]
    id: String,
}
