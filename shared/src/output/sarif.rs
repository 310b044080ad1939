//! SARIF 2.1.0, for code scanning: one run an image, one rule a flaw, one result for each package that has it.
//!
//! Images have no source file, so results point at the repository's name as a path: without tag and digest, or
//! every rescan would close all alerts and open new ones. The fingerprint is made of flaw, package and
//! repository for the same reason. What could not be examined is a notification of the run (I4, I11).
//! Format: OASIS SARIF 2.1.0; the `security-severity` property as GitHub's code scanning reads it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Output;
use crate::model::digest::Digest;
use crate::model::image::ImageName;
use crate::model::report::{
    Coverage, CoverageState, Finding, FindingKind, FindingStatus, Fix, InstalledPackage, Report, Severity,
    Subject,
};

mod observations;

/// The format.
pub(super) struct Sarif;

impl Output for Sarif {
    fn name(&self) -> &'static str {
        "sarif"
    }

    fn media_type(&self) -> &'static str {
        "application/sarif+json"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        log(&[Examined { report, name: None }], &[])
    }

    fn render_named(&self, report: &Report, name: &ImageName) -> Vec<u8> {
        log(&[Examined { report, name: Some(name) }], &[])
    }
}

/// A report, and the name under which people know its image.
#[derive(Clone, Copy, Debug)]
pub struct Examined<'a> {
    /// The facts.
    pub report: &'a Report,
    /// Registry and repository, where they are known.
    pub name: Option<&'a ImageName>,
}

const SCHEMA: &str =
    "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/main/sarif-2.1/schema/sarif-schema-2.1.0.json";
/// Places of one package that are named.
const MOST_PLACES: usize = 5;
/// Longer texts of others are cut.
const LONGEST_TEXT: usize = 1000;

/// An image about which there is no report.
#[derive(Clone, Copy, Debug)]
pub struct Unexamined<'a> {
    /// As it was asked about.
    pub image: &'a str,
    /// The repository, where it is known.
    pub repository: Option<&'a str>,
    /// Why there is none.
    pub why: &'a str,
}

/// One log with a run for each report, and one that says so for each image that has none (I4).
pub fn log(examined: &[Examined<'_>], unexamined: &[Unexamined<'_>]) -> Vec<u8> {
    let runs: Vec<Value> = examined.iter().map(run).chain(unexamined.iter().map(failed_run)).collect();
    let log = json!({"$schema": SCHEMA, "version": "2.1.0", "runs": runs});
    serde_json::to_vec(&log).expect("a log has only strings and numbers")
}

/// One flaw in one package, wherever in the image that package is.
struct Group<'a> {
    finding: &'a Finding,
    package: &'a InstalledPackage,
    places: Vec<&'a InstalledPackage>,
}

impl<'a> Group<'a> {
    /// Another place; two packages of one file are one place.
    fn add(&mut self, package: &'a InstalledPackage) {
        if self.places.iter().all(|place| place.path != package.path) {
            self.places.push(package);
        }
    }
}

fn run(examined: &Examined<'_>) -> Value {
    let report = examined.report;
    let path = examined.name.map_or("image", |name| name.repository.as_str());
    let groups = groups(report);
    let mut rules: Vec<Value> = Vec::new();
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    let mut results = Vec::with_capacity(groups.len());
    for group in groups.values() {
        let id = group.finding.id.as_str();
        let position = *positions.entry(id).or_insert_with(|| {
            rules.push(rule(group));
            rules.len() - 1
        });
        results.push(result(group, position, path));
    }
    for observation in &report.observations {
        let position = *positions.entry(&observation.rule).or_insert_with(|| {
            rules.push(observations::rule(observation));
            rules.len() - 1
        });
        results.push(observations::result(observation, position, path));
    }
    let mut properties = Map::new();
    properties.insert("digest".to_owned(), json!(report.digest));
    if let Some(name) = examined.name {
        properties.insert("imageName".to_owned(), json!(name));
        properties.insert("repoDigests".to_owned(), json!([name.at(&report.digest)]));
    }
    properties.insert("suppressed".to_owned(), json!(report.findings.len() - counted(report).count()));
    json!({
        "tool": {"driver": {
            "name": "Tidewaiter",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        }},
        "automationDetails": {"id": category(path, report)},
        "invocations": [{
            "executionSuccessful": report.subject != Subject::Unreadable,
            "endTimeUtc": report.scanned_at,
            "toolExecutionNotifications": notifications(report),
        }],
        "originalUriBaseIds": {"IMAGEROOT": {"uri": "file:///"}},
        "results": results,
        "columnKind": "utf16CodeUnits",
        "properties": properties,
    })
}

fn failed_run(unexamined: &Unexamined<'_>) -> Value {
    let text = format!("{}: no verdict: {}", cut(unexamined.image), cut(unexamined.why));
    json!({
        "tool": {"driver": {"name": "Tidewaiter", "version": env!("CARGO_PKG_VERSION"), "rules": []}},
        "automationDetails": {"id": format!("tidewaiter/{}/", unexamined.repository.unwrap_or("image"))},
        "invocations": [{
            "executionSuccessful": false,
            "toolExecutionNotifications": [{"level": "error", "message": {"text": text}}],
        }],
        "results": [],
        "columnKind": "utf16CodeUnits",
    })
}

/// Uploads of different images, and of the platforms of one, must not take each other's place.
fn category(path: &str, report: &Report) -> String {
    let platform = report.inventory().and_then(|inventory| inventory.platform.as_ref());
    match platform {
        Some(platform) => format!("tidewaiter/{path}/{}/", platform.to_string().replace('/', "-")),
        None => format!("tidewaiter/{path}/"),
    }
}

/// The findings that count.
fn counted(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| match finding.status {
        FindingStatus::Affected | FindingStatus::DisputedRange => true,
        FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => false,
    })
}

/// In the report's order as far as the first of each group goes.
fn groups(report: &Report) -> BTreeMap<usize, Group<'_>> {
    let mut order: BTreeMap<(&str, &str, &str, Option<&str>), usize> = BTreeMap::new();
    let mut groups: BTreeMap<usize, Group<'_>> = BTreeMap::new();
    for finding in counted(report) {
        let Some(package) = report.package_of(finding) else { continue };
        let named = &package.package;
        let key =
            (finding.id.as_str(), named.kind.purl_type(), named.name.as_str(), named.namespace.as_deref());
        let next = order.len();
        let at = *order.entry(key).or_insert(next);
        groups.entry(at).or_insert_with(|| Group { finding, package, places: Vec::new() }).add(package);
    }
    groups
}

fn rule(group: &Group<'_>) -> Value {
    let Finding { id, severity, score, summary, kind, known_exploited, .. } = group.finding;
    let id = cut(id);
    let summary = summary.as_deref().map_or_else(|| id.clone(), cut);
    let mut tags = vec!["security".to_owned(), kind_name(*kind).to_owned(), severity.name().to_owned()];
    tags.extend(known_exploited.then(|| "known-exploited".to_owned()));
    let mut properties = json!({"precision": "very-high", "tags": tags});
    // Without a rating there is no number: no data is not zero.
    if let Some(number) = score.map(|score| score.to_string()).or_else(|| usual(*severity).map(str::to_owned))
    {
        properties["security-severity"] = json!(number);
    }
    json!({
        "id": id,
        "name": "PackageVulnerability",
        "shortDescription": {"text": summary},
        "fullDescription": {"text": format!("{id}: {summary}")},
        "defaultConfiguration": {"level": level(*severity)},
        "helpUri": help(&id),
        "help": {"text": format!(
            "{id}\nSeverity: {}\nPackage: {}\nFixed version: {}",
            severity.name().to_uppercase(),
            cut(&group.package.package.name),
            fixed(&group.finding.fix)
        )},
        "properties": properties,
    })
}

fn result(group: &Group<'_>, rule: usize, path: &str) -> Value {
    let Group { finding, package, places } = group;
    let (name, version) = (cut(&package.package.name), cut(&package.package.version));
    let mut found: Vec<String> = places.iter().take(MOST_PLACES).map(|place| cut(&place.path)).collect();
    if places.len() > MOST_PLACES {
        found.push(format!("and {} more", places.len() - MOST_PLACES));
    }
    let exploited = if finding.known_exploited { ", known to be exploited" } else { "" };
    let text = format!(
        "{name} {version} in {path} is affected by {} ({}{exploited}); {}. Found in {}",
        cut(&finding.id),
        finding.severity,
        advice(&finding.fix),
        found.join(", ")
    );
    json!({
        "ruleId": cut(&finding.id),
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [location(path, &found)],
        "partialFingerprints": {"tidewaiterFinding/v1": fingerprint(finding, package, path)},
        "properties": {"purl": package.purl, "layer": package.introduced_in},
    })
}

/// The repository's name as a path, and the places in the image.
fn location(path: &str, places: &[String]) -> Value {
    let logical: Vec<Value> = places.iter().map(|place| json!({"fullyQualifiedName": place})).collect();
    json!({
        "physicalLocation": {
            "artifactLocation": {"uri": path, "uriBaseId": "IMAGEROOT"},
            "region": {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1},
        },
        "logicalLocations": logical,
    })
}

/// The same for the next scan, the next tag and the next version that still has the flaw.
fn fingerprint(finding: &Finding, package: &InstalledPackage, path: &str) -> String {
    let named = &package.package;
    let namespace = named.namespace.as_deref().unwrap_or_default();
    let parts = [&finding.id, named.kind.purl_type(), namespace, &named.name, path];
    Digest::of(parts.join("\n").as_bytes()).encoded().to_owned()
}

/// What the run could not see.
fn notifications(report: &Report) -> Vec<Value> {
    let problems = report.problems.iter().map(|problem| ("warning", problem.to_string()));
    let silent = |coverage: &&Coverage| coverage.state == CoverageState::None;
    let uncovered = report.coverage.iter().filter(silent).map(|coverage| {
        (
            "warning",
            format!(
                "no advisories for {} packages of {}: no data is not no findings",
                coverage.packages, coverage.subject
            ),
        )
    });
    let shape = match &report.subject {
        Subject::Image(_) => None,
        Subject::Index { children } => {
            Some(("warning", format!("an index of {} images: each has a report of its own", children.len())))
        }
        Subject::Artifact { artifact_type } => {
            Some(("note", format!("not an image but {artifact_type}: nothing was searched")))
        }
        Subject::Unreadable => Some(("error", "the image could not be examined".to_owned())),
    };
    let told = problems.chain(uncovered).chain(shape);
    told.map(|(level, text)| json!({"level": level, "message": {"text": cut(&text)}})).collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Negligible | Severity::Unknown => "note",
    }
}

/// The middle of the range where only a word was given.
fn usual(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Critical => Some("9.5"),
        Severity::High => Some("8.0"),
        Severity::Medium => Some("5.5"),
        Severity::Low => Some("2.0"),
        Severity::Negligible => Some("0.1"),
        Severity::Unknown => None,
    }
}

fn kind_name(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Vulnerability => "vulnerability",
        FindingKind::Malware => "malware",
        FindingKind::Informational => "informational",
    }
}

fn fixed(fix: &Fix) -> String {
    match fix {
        Fix::Fixed { version } | Fix::ProOnly { version } => cut(version),
        Fix::NoneYet | Fix::WillNotFix | Fix::Unknown => "none".to_owned(),
    }
}

fn advice(fix: &Fix) -> String {
    match fix {
        Fix::Fixed { version } => format!("fixed in {}", cut(version)),
        Fix::ProOnly { version } => format!("fixed in {} for subscribers", cut(version)),
        Fix::NoneYet => "no fix yet".to_owned(),
        Fix::WillNotFix => "it will not be fixed".to_owned(),
        Fix::Unknown => "no fix known".to_owned(),
    }
}

/// Where people can read about a flaw. The id may come from anywhere: it is one encoded path segment.
fn help(id: &str) -> String {
    let base = match id.split('-').next() {
        Some("CVE") => "https://nvd.nist.gov/vuln/detail/",
        Some("GHSA") => "https://github.com/advisories/",
        Some(_) | None => "https://osv.dev/vulnerability/",
    };
    let mut address = url::Url::parse(base).expect("these are URLs");
    if let Ok(mut segments) = address.path_segments_mut() {
        segments.pop_if_empty().push(id);
    }
    address.into()
}

/// A text from elsewhere: bounded, and without control characters.
fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
