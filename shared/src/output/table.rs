//! A report for people at a terminal: worst first, what to upgrade beside it.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, Width};

use super::Output;
use super::upgrades::{Upgrade, Upgrades};
use super::wording::place;
use crate::model::observation::Observation;
use crate::model::report::{Coverage, CoverageState, Report, Severity, Subject};

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
        text.push_str(&observations(&report.observations));
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

fn findings(report: &Report) -> String {
    if report.inventory().is_none() {
        return String::new();
    }
    let upgrades = Upgrades::of(report);
    let text = format!("\n{}\n", upgrades.summary());
    if upgrades.rows.is_empty() { text } else { text + &grid(&upgrades.rows) }
}

fn grid(rows: &[Upgrade<'_>]) -> String {
    let mut grid = Grid::new();
    grid.load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(COLUMNS)
        .set_header(["SEVERITY", "PACKAGE", "INSTALLED", "UPGRADE TO", "ADVISORIES"]);
    for row in rows {
        let exploited = if row.is_exploited() { " !" } else { "" };
        grid.add_row([
            format!("{}{exploited}", row.severity()),
            plain(&row.package.package.name),
            plain(&row.package.package.version),
            upgrade(row),
            names(row),
        ]);
    }
    if let Some(column) = grid.column_mut(4) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(18)));
        column.set_cell_alignment(CellAlignment::Left);
    }
    lines(&grid)
}

fn upgrade(row: &Upgrade<'_>) -> String {
    let versions: Vec<String> = row.versions().into_iter().map(plain).collect();
    if versions.is_empty() { "no fix".to_owned() } else { versions.join("\n") }
}

fn names(row: &Upgrade<'_>) -> String {
    let (names, further) = row.names(MOST_NAMES);
    let mut names: Vec<String> = names.into_iter().map(plain).collect();
    if further > 0 {
        names.push(format!("and {further} more"));
    }
    names.join("\n")
}

/// Secrets, misconfiguration and the like; those without consequence are counted, not listed.
fn observations(observations: &[Observation]) -> String {
    let matters = |observation: &&Observation| observation.severity > Severity::Negligible;
    let listed: Vec<&Observation> = observations.iter().filter(matters).collect();
    if observations.is_empty() {
        return String::new();
    }
    let word = if observations.len() == 1 { "observation" } else { "observations" };
    let mut text = format!("\n{} {word} about the image itself\n", observations.len());
    if !listed.is_empty() {
        let mut grid = Grid::new();
        grid.load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(COLUMNS)
            .set_header(["SEVERITY", "WHAT", "WHERE"]);
        for observation in &listed {
            grid.add_row([
                observation.severity.to_string(),
                plain(&observation.title),
                plain(&place(observation)),
            ]);
        }
        text.push_str(&lines(&grid));
    }
    let unlisted = observations.len() - listed.len();
    if unlisted > 0 {
        let _ = writeln!(text, "  and {unlisted} of no consequence; --format json has them");
    }
    text
}

fn lines(grid: &Grid) -> String {
    grid.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
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
