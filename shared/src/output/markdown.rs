//! A report as Markdown, for comments on a change and summaries of a CI job.
//!
//! GitHub's flavour (tables). Texts come from images and advisories: nothing in them may become markup, a link, a
//! mention or HTML.

use std::fmt::Write as _;

use super::Output;
use super::upgrades::{Upgrade, Upgrades};
use super::wording::{advisory_url, place};
use crate::model::image::ImageName;
use crate::model::observation::Observation;
use crate::model::report::{Coverage, CoverageState, Report, Subject};

/// The format.
pub(super) struct Markdown;

impl Output for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn media_type(&self) -> &'static str {
        "text/markdown; charset=utf-8"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        render(report, None)
    }

    fn render_named(&self, report: &Report, name: &ImageName) -> Vec<u8> {
        render(report, Some(name))
    }
}

/// Comments have a bounded length; what is left out is counted.
const MOST_ROWS: usize = 100;
/// Names of findings in one row.
const MOST_NAMES: usize = 4;

fn render(report: &Report, name: Option<&ImageName>) -> Vec<u8> {
    let mut text = heading(report, name);
    if report.inventory().is_some() {
        let upgrades = Upgrades::of(report);
        let _ = writeln!(text, "\n**{}**\n", upgrades.summary());
        text.push_str(&findings(&upgrades));
        text.push_str(&observations(&report.observations));
    }
    text.push_str(&problems(report));
    text.push_str(&coverage(&report.coverage));
    text.into_bytes()
}

fn heading(report: &Report, name: Option<&ImageName>) -> String {
    let title = name.map_or_else(|| "Image".to_owned(), |name| plain(&name.to_string()));
    let what = match &report.subject {
        Subject::Image(inventory) => {
            let system =
                inventory.distribution.as_ref().map_or("no distribution", |found| found.name.as_str());
            format!(
                "{}, {} packages in {} layers",
                plain(system),
                inventory.packages.len(),
                inventory.layers.len()
            )
        }
        Subject::Index { children } => {
            format!("an index of {} images: each has a report of its own", children.len())
        }
        Subject::Artifact { artifact_type } => {
            format!("not an image but {}: nothing was searched", plain(artifact_type))
        }
        Subject::Unreadable => "could not be examined".to_owned(),
    };
    format!("## {title}\n\n`{}`: {what}\n", report.digest)
}

fn findings(upgrades: &Upgrades<'_>) -> String {
    if upgrades.rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| Severity | Package | Installed | Upgrade to | Advisories |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in upgrades.rows.iter().take(MOST_ROWS) {
        text.push_str(&finding_row(row));
    }
    text.push_str(&more(upgrades.rows.len(), "packages"));
    text
}

fn finding_row(row: &Upgrade<'_>) -> String {
    let exploited = if row.is_exploited() { " (exploited)" } else { "" };
    let versions = row.versions();
    let upgrade = match versions.as_slice() {
        [] => "no fix".to_owned(),
        versions => versions.iter().map(|version| plain(version)).collect::<Vec<_>>().join(", "),
    };
    let (names, further) = row.names(MOST_NAMES);
    let mut names: Vec<String> =
        names.iter().map(|name| format!("[{}]({})", plain(name), advisory_url(name))).collect();
    if further > 0 {
        names.push(format!("and {further} more"));
    }
    format!(
        "| {}{exploited} | {} | {} | {upgrade} | {} |\n",
        row.severity(),
        plain(&row.package.package.name),
        plain(&row.package.package.version),
        names.join(", ")
    )
}

fn observations(observations: &[Observation]) -> String {
    if observations.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n| Severity | What | Where | Rule |\n| --- | --- | --- | --- |\n");
    for observation in observations.iter().take(MOST_ROWS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            observation.severity,
            plain(&observation.title),
            plain(&place(observation)),
            plain(&observation.rule)
        );
    }
    text.push_str(&more(observations.len(), "observations"));
    text
}

fn more(number: usize, of: &str) -> String {
    match number.saturating_sub(MOST_ROWS) {
        0 => String::new(),
        further => format!("\nand {further} more {of}\n"),
    }
}

fn problems(report: &Report) -> String {
    if report.problems.is_empty() {
        return String::new();
    }
    let mut text = "\n**What could not be seen**\n\n".to_owned();
    for problem in report.problems.iter().take(MOST_ROWS) {
        let _ = writeln!(text, "- {}", plain(&problem.to_string()));
    }
    text.push_str(&more(report.problems.len(), "problems"));
    text
}

fn coverage(rows: &[Coverage]) -> String {
    let silent = rows.iter().filter(|row| row.state == CoverageState::None);
    let mut text = String::new();
    for row in silent {
        let _ = writeln!(
            text,
            "- no advisories for {} packages of {}: no data is not no findings",
            row.packages,
            plain(&row.subject)
        );
    }
    if text.is_empty() { text } else { format!("\n**Not covered**\n\n{text}") }
}

/// A text that is only a text: bounded, on one line, and nothing in it means anything to Markdown, to HTML, or to
/// those who link `@names` and `#numbers`.
fn plain(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut plain = String::new();
    for character in text.chars().take(LONGEST) {
        match character {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '@' => plain.push_str("&#64;"),
            '#' => plain.push_str("&#35;"),
            '|' => plain.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '~' => {
                plain.push('\\');
                plain.push(character);
            }
            // A bare address becomes a link; this one does not.
            ':' => plain.push_str("&#58;"),
            control if control.is_control() => plain.push('\u{fffd}'),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_texts_from_images_are_no_markup() {
        for (text, expected) in [
            ("libc6", "libc6"),
            ("a|b", "a&#124;b"),
            ("<script>", "&lt;script&gt;"),
            ("[x](http://evil)", "\\[x\\]\\(http&#58;//evil\\)"),
            ("@team", "&#64;team"),
            ("a\nb", "a\u{fffd}b"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
