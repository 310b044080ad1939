//! A report for people at a terminal: worst first, what to upgrade beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, Width};

use super::Output;
use crate::model::report::{
    Coverage, CoverageState, Finding, FindingStatus, Fix, InstalledPackage, PackageIndex, Report, Severity,
    Subject,
};

/// The format.
pub(super) struct Table;

impl Output for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn media_type(&self) -> &'static str {
        "text/plain; charset=utf-8"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        let mut text = String::new();
        text.push_str(&heading(report));
        text.push_str(&findings(report));
        text.push_str(&problems(report));
        text.push_str(&coverage(&report.coverage));
        text.into_bytes()
    }
}

/// Terminals are at least so wide.
const COLUMNS: u16 = 80;
/// More names than this a row are counted, not listed.
const MOST_NAMES: usize = 4;

fn heading(report: &Report) -> String {
    match &report.subject {
        Subject::Image(inventory) => {
            let system =
                inventory.distribution.as_ref().map_or("no distribution", |found| found.name.as_str());
            let platform = inventory.platform.as_ref().map(ToString::to_string).unwrap_or_default();
            format!(
                "{}  {platform}\n{}, {} packages in {} layers\n",
                report.digest,
                plain(system),
                inventory.packages.len(),
                inventory.layers.len()
            )
        }
        Subject::Index { children } => {
            let mut text = format!("{}  index of {} images\n", report.digest, children.len());
            for child in children {
                let platform = child.platform.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
                let _ = writeln!(text, "  {platform:<16} {}", child.digest);
            }
            text
        }
        Subject::Artifact { artifact_type } => {
            format!("{}\nnot an image: {}; nothing was searched\n", report.digest, plain(artifact_type))
        }
        Subject::Unreadable => format!("{}\ncould not be examined\n", report.digest),
    }
}

/// One row a package, worst first: what is wrong with it, and the version that repairs most of it.
fn findings(report: &Report) -> String {
    let mut by_package: BTreeMap<PackageIndex, Vec<&Finding>> = BTreeMap::new();
    let mut suppressed = 0_usize;
    for finding in &report.findings {
        match finding.status {
            FindingStatus::Affected | FindingStatus::DisputedRange => {
                by_package.entry(finding.package).or_default().push(finding);
            }
            FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => suppressed += 1,
        }
    }
    let counted: usize = by_package.values().map(Vec::len).sum();
    if report.inventory().is_none() {
        return String::new();
    }
    let mut text = format!("\n{}\n", summary(report, counted, suppressed));
    if counted == 0 {
        return text;
    }
    let mut rows: Vec<(&InstalledPackage, Vec<&Finding>)> = by_package
        .into_values()
        .filter_map(|findings| Some((report.package_of(findings.first()?)?, findings)))
        .collect();
    rows.sort_by_key(|(package, findings)| {
        let worst = findings.iter().map(|finding| (finding.known_exploited, finding.severity)).max();
        (std::cmp::Reverse(worst), std::cmp::Reverse(findings.len()), package.purl.clone())
    });
    text.push_str(&grid(&rows));
    text
}

fn summary(report: &Report, counted: usize, suppressed: usize) -> String {
    let mut parts = Vec::new();
    for severity in Severity::WORST_FIRST {
        let of = |finding: &&Finding| {
            finding.severity == severity
                && matches!(finding.status, FindingStatus::Affected | FindingStatus::DisputedRange)
        };
        let number = report.findings.iter().filter(of).count();
        if number > 0 {
            parts.push(format!("{number} {severity}"));
        }
    }
    let listed = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let apart = if suppressed == 0 { String::new() } else { format!(" ({suppressed} more suppressed)") };
    format!("{counted} findings{listed}{apart}")
}

fn grid(rows: &[(&InstalledPackage, Vec<&Finding>)]) -> String {
    let mut grid = Grid::new();
    grid.load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(COLUMNS)
        .set_header(["SEVERITY", "PACKAGE", "INSTALLED", "UPGRADE TO", "ADVISORIES"]);
    for (package, findings) in rows {
        let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Unknown);
        let exploited = if findings.iter().any(|finding| finding.known_exploited) { " !" } else { "" };
        grid.add_row([
            format!("{worst}{exploited}"),
            plain(&package.package.name),
            plain(&package.package.version),
            upgrade(findings),
            names(findings),
        ]);
    }
    if let Some(column) = grid.column_mut(4) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(18)));
        column.set_cell_alignment(CellAlignment::Left);
    }
    grid.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The fixes of a package's findings: usually one version repairs all.
fn upgrade(findings: &[&Finding]) -> String {
    let mut versions: Vec<String> = Vec::new();
    for finding in findings {
        match &finding.fix {
            Fix::Fixed { version } | Fix::ProOnly { version } => {
                let version = plain(version);
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
            Fix::NoneYet | Fix::WillNotFix | Fix::Unknown => {}
        }
    }
    match versions.as_slice() {
        [] => "no fix".to_owned(),
        _ => versions.join("\n"),
    }
}

fn names(findings: &[&Finding]) -> String {
    let mut names: Vec<String> = findings.iter().take(MOST_NAMES).map(|finding| plain(&finding.id)).collect();
    if findings.len() > MOST_NAMES {
        names.push(format!("and {} more", findings.len() - MOST_NAMES));
    }
    names.join("\n")
}

fn problems(report: &Report) -> String {
    if report.problems.is_empty() {
        return String::new();
    }
    let mut text = "\nproblems\n".to_owned();
    for problem in &report.problems {
        let _ = writeln!(text, "  {}", plain(&problem.to_string()));
    }
    text
}

fn coverage(rows: &[Coverage]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = "\ncovered\n".to_owned();
    for row in rows {
        let state = match row.state {
            CoverageState::Full => "fixed and unfixed flaws",
            CoverageState::FixedOnly => "fixed flaws only",
            CoverageState::Partial => "in part",
            CoverageState::None => "no advisories: no data is not no findings",
        };
        let against = row.ecosystem.as_deref().map(|name| format!(" against {name}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "  {}: {} packages{}, {state}",
            plain(&row.subject),
            row.packages,
            plain(&against)
        );
    }
    text
}

/// A text from an image, made harmless for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
