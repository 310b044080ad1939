//! SPDX 2.3 as JSON: what is in the image, with links to what is wrong with it.
//!
//! Format: spdx/spdx-spec `schemas/spdx-schema.json` at v2.3. SPDX 2.3 has no object for vulnerabilities:
//! each package refers to its advisories. What could not be seen is said by annotations (I4, I11).
//! Licences are stated as found in comments; where they make an SPDX expression it is what the package declares.

use serde::Serialize;

use super::Output;
use super::upgrades::counts;
use super::wording::{TOOL, advisory_url, algorithm, identity, second, sentence};
use crate::model::license;
use crate::model::report::{Finding, InstalledPackage, PackageIndex, Report, Subject};

/// The format.
pub(super) struct Spdx;

impl Output for Spdx {
    fn name(&self) -> &'static str {
        "spdx"
    }

    fn media_type(&self) -> &'static str {
        "application/spdx+json"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        serde_json::to_vec(&document(report)).expect("a document has only strings and numbers")
    }
}

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-image";
const NOT_SAID: &str = "NOASSERTION";

fn document(report: &Report) -> Document {
    let mut packages = vec![image(report)];
    packages.extend(contents(report));
    let contained = packages.iter().skip(1).map(|package| relationship(IMAGE, "CONTAINS", &package.id));
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", IMAGE)];
    relationships.extend(contained);
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: report.digest.to_string(),
        document_namespace: format!("https://tidewaiter.dev/spdx/{}", identity(report, "spdx")),
        creation_info: CreationInfo {
            created: second(report.scanned_at),
            creators: vec![format!("Tool: {}", tool())],
        },
        packages,
        relationships,
        annotations: annotations(report),
    }
}

fn tool() -> String {
    format!("{TOOL}-{}", env!("CARGO_PKG_VERSION"))
}

fn relationship(from: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship { spdx_element_id: from.to_owned(), relationship_type: kind, related: to.to_owned() }
}

fn image(report: &Report) -> Package {
    Package {
        primary_package_purpose: Some("CONTAINER"),
        version_info: report.digest.to_string(),
        checksums: vec![Checksum {
            algorithm: algorithm(&report.digest, ""),
            checksum_value: report.digest.encoded().to_owned(),
        }],
        ..Package::new(IMAGE, report.digest.as_str())
    }
}

fn contents(report: &Report) -> Vec<Package> {
    match &report.subject {
        Subject::Image(inventory) => inventory
            .packages
            .iter()
            .enumerate()
            .map(|(at, installed)| package(at, installed, &report.findings))
            .collect(),
        Subject::Index { children } => children
            .iter()
            .map(|child| Package {
                primary_package_purpose: Some("CONTAINER"),
                version_info: child.digest.to_string(),
                comment: child.platform.as_ref().map(ToString::to_string),
                ..Package::new(&format!("SPDXRef-image-{}", child.digest.encoded()), child.digest.as_str())
            })
            .collect(),
        Subject::Artifact { .. } | Subject::Unreadable => Vec::new(),
    }
}

fn package(at: usize, installed: &InstalledPackage, findings: &[Finding]) -> Package {
    let package = &installed.package;
    let name = match &package.namespace {
        Some(namespace) => format!("{namespace}/{}", package.name),
        None => package.name.clone(),
    };
    let mut references = vec![ExternalReference {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: installed.purl.to_string(),
    }];
    let own = findings.iter().filter(|finding| finding.package == PackageIndex(at as u32) && counts(finding));
    let mut advisories: Vec<String> = own.map(|finding| advisory_url(&finding.id)).collect();
    advisories.dedup();
    references.extend(advisories.into_iter().map(|reference_locator| ExternalReference {
        reference_category: "SECURITY",
        reference_type: "advisory",
        reference_locator,
    }));
    let licenses = package.licenses.join("; ");
    Package {
        version_info: package.version.clone(),
        source_info: Some(format!("found in {}", installed.path)),
        license_declared: license::expression(&package.licenses).unwrap_or_else(|| NOT_SAID.to_owned()),
        license_comments: Some(format!("as found: {licenses}")).filter(|_| !licenses.is_empty()),
        external_refs: references,
        ..Package::new(&format!("SPDXRef-Package-{at}"), &name)
    }
}

fn annotations(report: &Report) -> Vec<Annotation> {
    let annotation = |comment: String| Annotation {
        annotation_date: second(report.scanned_at),
        annotation_type: "OTHER",
        annotator: format!("Tool: {}", tool()),
        comment,
    };
    let problems = report
        .problems
        .iter()
        .map(|problem| annotation(format!("problem {}: {}", problem.kind.slug(), problem.detail)));
    let coverage = report.coverage.iter().map(|coverage| {
        let state = super::word(&coverage.state);
        annotation(format!("coverage of {}: {} packages, {state}", coverage.subject, coverage.packages))
    });
    let observations = report.observations.iter().map(|observation| annotation(sentence(observation)));
    problems.chain(coverage).chain(observations).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    version_info: String,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_comments: Option<String>,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalReference>,
}

impl Package {
    fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            version_info: String::new(),
            download_location: NOT_SAID,
            files_analyzed: false,
            primary_package_purpose: None,
            source_info: None,
            license_concluded: NOT_SAID,
            license_declared: NOT_SAID.to_owned(),
            license_comments: None,
            copyright_text: NOT_SAID,
            comment: None,
            checksums: Vec::new(),
            external_refs: Vec::new(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalReference {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    related: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Annotation {
    annotation_date: String,
    annotation_type: &'static str,
    annotator: String,
    comment: String,
}
