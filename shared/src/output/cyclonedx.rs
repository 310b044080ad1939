//! CycloneDX 1.6 as JSON: what is in the image, and what is wrong with it.
//!
//! Format: CycloneDX/specification `schema/bom-1.6.schema.json`. What could not be seen is said too: as
//! properties of the document, and by an `incomplete` composition (I4, I11). A finding that does not count
//! stays in the document with an analysis that says why.

use super::Output;
use super::wording::{TOOL, advisory_url, algorithm, identity, second, sentence};
use crate::model::layer::LayerIndex;
use crate::model::license;
use crate::model::package::Package;
use crate::model::problem::Weight;
use crate::model::report::{
    Finding, FindingStatus, Fix, InstalledPackage, Inventory, Report, Severity, Subject, Suppression,
};

mod document;

use document::{
    AffectedVersion, Affects, Analysis, Annotation, Annotator, Bom, Component, Composition, Dependency,
    Evidence, Hash, License, LicenseName, Metadata, Occurrence, Property, Rating, Reference, Source, Tools,
    Vulnerability,
};

/// The format.
pub(super) struct CycloneDx;

impl Output for CycloneDx {
    fn name(&self) -> &'static str {
        "cyclonedx"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.cyclonedx+json; version=1.6"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        serde_json::to_vec(&bom(report)).expect("a document has only strings and numbers")
    }
}

/// The `bom-ref` of the image itself.
const IMAGE: &str = "image";

fn bom(report: &Report) -> Bom {
    let components = components(report);
    let depends_on = components.iter().map(|component| component.bom_ref.clone()).collect();
    Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", identity(report, "cyclonedx")),
        version: 1,
        metadata: Metadata {
            timestamp: second(report.scanned_at),
            tools: Tools { components: vec![tool()] },
            component: image(report),
            properties: properties(report),
        },
        components,
        dependencies: vec![Dependency { reference: IMAGE.to_owned(), depends_on }],
        compositions: vec![Composition { aggregate: aggregate(report), assemblies: vec![IMAGE] }],
        vulnerabilities: report
            .findings
            .iter()
            .enumerate()
            .filter_map(|(number, finding)| Some(vulnerability(number, finding, report.package_of(finding)?)))
            .collect(),
        annotations: annotations(report),
    }
}

/// The format has no object for secrets and misconfiguration: they are remarks about the image.
fn annotations(report: &Report) -> Vec<Annotation> {
    let annotation = |(number, observation)| Annotation {
        bom_ref: format!("observation-{number}"),
        subjects: vec![IMAGE],
        annotator: Annotator {
            component: Component::new(&format!("annotator-{number}"), "application", TOOL),
        },
        timestamp: second(report.scanned_at),
        text: sentence(observation),
    };
    report.observations.iter().enumerate().map(annotation).collect()
}

fn tool() -> Component {
    Component {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..Component::new("tool", "application", TOOL)
    }
}

fn image(report: &Report) -> Component {
    Component {
        version: Some(report.digest.to_string()),
        hashes: vec![Hash {
            alg: algorithm(&report.digest, "-"),
            content: report.digest.encoded().to_owned(),
        }],
        ..Component::new(IMAGE, "container", report.digest.as_str())
    }
}

/// Nobody may read "nothing found" where something was not looked at.
fn aggregate(report: &Report) -> &'static str {
    match report.subject {
        Subject::Artifact { .. } | Subject::Unreadable => return "incomplete",
        Subject::Image(_) | Subject::Index { .. } => {}
    }
    let blocking = report.problems.iter().any(|problem| problem.kind.weight() == Weight::Blocking);
    if blocking { "incomplete" } else { "unknown" }
}

fn properties(report: &Report) -> Vec<Property> {
    let property = |name: &str, value: String| Property { name: format!("{TOOL}:{name}"), value };
    let mut properties = vec![
        property("revision:analyzer", report.revisions.analyzer.to_string()),
        property("revision:advisories", report.revisions.database.to_string()),
        property("advisories:as-of", second(report.revisions.database_as_of)),
    ];
    properties.extend(
        report
            .problems
            .iter()
            .map(|problem| property("problem", format!("{}: {}", problem.kind.slug(), problem.detail))),
    );
    properties.extend(report.coverage.iter().map(|coverage| {
        let state = super::word(&coverage.state);
        property("coverage", format!("{}: {} packages, {state}", coverage.subject, coverage.packages))
    }));
    properties
}

fn components(report: &Report) -> Vec<Component> {
    match &report.subject {
        Subject::Image(inventory) => distribution(inventory)
            .into_iter()
            .chain(inventory.packages.iter().enumerate().map(|(at, package)| library(at, package, inventory)))
            .collect(),
        Subject::Index { children } => children
            .iter()
            .map(|child| Component {
                version: Some(child.digest.to_string()),
                description: child.platform.as_ref().map(ToString::to_string),
                ..Component::new(child.digest.as_str(), "container", child.digest.as_str())
            })
            .collect(),
        Subject::Artifact { .. } | Subject::Unreadable => Vec::new(),
    }
}

fn distribution(inventory: &Inventory) -> Option<Component> {
    let found = inventory.distribution.as_ref()?;
    Some(Component {
        version: Some(found.version.clone()).filter(|version| !version.is_empty()),
        description: Some(found.name.clone()),
        ..Component::new("distribution", "operating-system", &found.id)
    })
}

fn library(at: usize, installed: &InstalledPackage, inventory: &Inventory) -> Component {
    let package = &installed.package;
    let LayerIndex(layer) = installed.introduced_in;
    let layer = inventory.layers.get(usize::from(layer));
    Component {
        group: package.namespace.clone(),
        version: Some(package.version.clone()),
        purl: Some(installed.purl.to_string()),
        licenses: licenses(package),
        evidence: Some(Evidence { occurrences: vec![Occurrence { location: installed.path.clone() }] }),
        properties: layer
            .map(|layer| Property { name: format!("{TOOL}:layer"), value: layer.digest.to_string() })
            .into_iter()
            .collect(),
        ..Component::new(&package_ref(at), "library", &package.name)
    }
}

/// One expression where the texts make one, else the texts as they were found.
fn licenses(package: &Package) -> Vec<License> {
    if let Some(expression) = license::expression(&package.licenses) {
        return vec![License::Expression { expression }];
    }
    let texts = package.licenses.iter().filter(|text| !text.is_empty());
    texts.map(|name| License::Named { license: LicenseName { name: name.clone() } }).collect()
}

/// A package may be in an image twice; its place in the inventory tells the copies apart.
fn package_ref(at: usize) -> String {
    format!("package-{at}")
}

fn vulnerability(number: usize, finding: &Finding, package: &InstalledPackage) -> Vulnerability {
    Vulnerability {
        bom_ref: format!("finding-{number}"),
        id: finding.id.clone(),
        source: Source { url: advisory_url(&finding.id) },
        references: finding
            .aliases
            .iter()
            .chain(finding.advisories.iter().filter(|id| !finding.aliases.contains(id)))
            .filter(|id| **id != finding.id)
            .map(|id| Reference { id: id.clone(), source: Source { url: advisory_url(id) } })
            .collect(),
        ratings: vec![rating(finding)],
        description: finding.summary.clone(),
        recommendation: recommendation(&finding.fix),
        published: finding.published.map(second),
        analysis: analysis(&finding.status),
        affects: vec![Affects {
            reference: package_ref(finding.package.0 as usize),
            versions: vec![AffectedVersion {
                version: package.package.version.clone(),
                status: match finding.status {
                    FindingStatus::Affected | FindingStatus::DisputedRange => "affected",
                    FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => "unknown",
                },
            }],
        }],
    }
}

fn rating(finding: &Finding) -> Rating {
    let method = finding.vector.as_deref().map(|vector| match vector.split('/').next() {
        Some("CVSS:3.0") => "CVSSv3",
        Some("CVSS:3.1") => "CVSSv31",
        Some("CVSS:4.0") => "CVSSv4",
        Some(_) | None => "CVSSv2",
    });
    Rating {
        score: finding.score.map(f64::from),
        severity: match finding.severity {
            Severity::Negligible => "info",
            rated @ (Severity::Unknown
            | Severity::Low
            | Severity::Medium
            | Severity::High
            | Severity::Critical) => rated.name(),
        },
        method,
        vector: finding.vector.clone(),
    }
}

fn recommendation(fix: &Fix) -> Option<String> {
    match fix {
        Fix::Fixed { version } => Some(format!("Upgrade to {version}")),
        Fix::ProOnly { version } => Some(format!("Upgrade to {version}, which only subscribers get")),
        Fix::NoneYet => Some("There is no fix yet".to_owned()),
        Fix::WillNotFix => Some("The distribution will not repair it".to_owned()),
        Fix::Unknown => None,
    }
}

/// Nothing for what counts: a scanner cannot say more than that the version is affected.
fn analysis(status: &FindingStatus) -> Option<Analysis> {
    let analysis = |state, justification, detail: String| Some(Analysis { state, justification, detail });
    match status {
        FindingStatus::Affected => None,
        FindingStatus::DisputedRange => {
            analysis(Some("in_triage"), None, "two sources disagree about the affected versions".to_owned())
        }
        FindingStatus::DistroUnassessed => {
            analysis(Some("in_triage"), None, "the distribution's data do not say either way".to_owned())
        }
        FindingStatus::Suppressed { reason } => match reason {
            Suppression::OwnedBy { purl } => analysis(
                Some("false_positive"),
                None,
                format!("the distribution repairs this copy itself, as part of {purl}"),
            ),
            Suppression::KernelHeadersOnly => analysis(
                Some("not_affected"),
                Some("code_not_present"),
                "headers of a kernel that no container runs".to_owned(),
            ),
            Suppression::NotLinked => analysis(
                Some("not_affected"),
                Some("code_not_present"),
                "the vulnerable code is not linked in".to_owned(),
            ),
            Suppression::PlatformNotAffected => analysis(
                Some("not_affected"),
                Some("requires_environment"),
                "it concerns another operating system or machine".to_owned(),
            ),
            Suppression::Negligible => {
                analysis(None, None, "the distribution rates it as of no consequence".to_owned())
            }
        },
    }
}
