//! GitHub Actions: annotations on the run, a summary of the step, and outputs for the next one.
//!
//! Formats: "Workflow commands for GitHub Actions". Texts come from images: escaped for each of the three.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use shared::model::verdict::{Effect, Mode, Verdict};

use super::{Asked, pinned};
use crate::Exit;
use crate::args::CheckFormat;

/// GitHub shows at most ten annotations of a kind for each step.
const MOST_ANNOTATIONS: usize = 10;

/// Where GitHub Actions wants to hear from us.
pub(super) struct Actions {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Actions {
    /// If this runs in GitHub Actions.
    pub(super) fn here() -> Option<Self> {
        let file =
            |variable: &str| std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
        (std::env::var("GITHUB_ACTIONS").ok()? == "true")
            .then(|| Self { summary: file("GITHUB_STEP_SUMMARY"), output: file("GITHUB_OUTPUT") })
    }

    /// Says it in all three ways; annotations only beside text, since they go to the same place.
    pub(super) fn tell(&self, asked: &[Asked], worst: Exit, format: CheckFormat) -> anyhow::Result<()> {
        match format {
            CheckFormat::Text => print!("{}", annotations(asked)),
            CheckFormat::Json | CheckFormat::Sarif | CheckFormat::Junit => {}
        }
        if let Some(path) = &self.summary {
            append(path, &summary(asked))?;
        }
        if let Some(path) = &self.output {
            append(path, &outputs(asked, worst))?;
        }
        Ok(())
    }
}

fn append(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    let file = std::fs::File::options().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn annotations(asked: &[Asked]) -> String {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for one in asked {
        let verdict = match one.answer.verdict() {
            Ok(verdict) => verdict,
            Err(why) => {
                errors.push(annotation("error", "no verdict", &format!("{}: {why}", one.image)));
                continue;
            }
        };
        let title = |verdict: &Verdict| format!("{} by policy {}", verdict.outcome, verdict.policy);
        match one.answer.exit() {
            Exit::Pass => {}
            Exit::Fail | Exit::NoVerdict | Exit::Usage if verdict.reasons.is_empty() => {
                errors.push(annotation("error", &title(verdict), &one.image));
            }
            Exit::Fail | Exit::NoVerdict | Exit::Usage => {}
        }
        for reason in &verdict.reasons {
            let text = format!("{}: {}", one.image, reason.message);
            match (reason.effect, verdict.mode) {
                (Effect::Deny, Mode::Enforce) => errors.push(annotation("error", &title(verdict), &text)),
                (Effect::Deny, Mode::Audit) | (Effect::Warn, _) => {
                    warnings.push(annotation("warning", &title(verdict), &text));
                }
            }
        }
    }
    let shown = errors.into_iter().take(MOST_ANNOTATIONS).chain(warnings.into_iter().take(MOST_ANNOTATIONS));
    shown.collect()
}

fn annotation(kind: &str, title: &str, text: &str) -> String {
    let data = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let title = title.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let title = title.replace(':', "%3A").replace(',', "%2C");
    format!("::{kind} title=Tidewaiter%3A {title}::{}\n", super::text::plain(&data))
}

fn summary(asked: &[Asked]) -> String {
    let mut text = String::from(
        "### Tidewaiter\n\n| image | verdict | critical | high | medium | low | digest |\n|---|---|---|---|---|---|---|\n",
    );
    for one in asked {
        let digest = one.digest.as_ref().map_or_else(|| "-".to_owned(), |digest| format!("`{digest}`"));
        let _ = match one.answer.verdict() {
            Ok(verdict) => {
                let counts = &verdict.counts;
                writeln!(
                    text,
                    "| {} | **{}** | {} | {} | {} | {} | {digest} |",
                    markdown(&one.image),
                    verdict.outcome,
                    counts.critical,
                    counts.high,
                    counts.medium,
                    counts.low
                )
            }
            Err(_) => {
                writeln!(text, "| {} | **no verdict** | - | - | - | - | {digest} |", markdown(&one.image))
            }
        };
    }
    text.push('\n');
    for one in asked {
        let reasons: Vec<String> = match one.answer.verdict() {
            Ok(verdict) => verdict.reasons.iter().map(|reason| markdown(&reason.message)).collect(),
            Err(why) => vec![markdown(why)],
        };
        if !reasons.is_empty() {
            let _ = writeln!(text, "**{}**\n\n- {}\n", markdown(&one.image), reasons.join("\n- "));
        }
    }
    text
}

/// Text that neither leaves its table cell nor becomes markup.
fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '!' | '#' => {
                safe.push('\\');
                safe.push(character);
            }
            control if control.is_control() => safe.push('\u{fffd}'),
            usual => safe.push(usual),
        }
    }
    safe
}

/// `verdict`, `digest` (of the first image) and `images` (all of them, pinned, as a JSON array), one a line.
fn outputs(asked: &[Asked], worst: Exit) -> String {
    let verdict = match worst {
        Exit::Pass => "pass",
        Exit::Fail => "fail",
        Exit::NoVerdict | Exit::Usage => "none",
    };
    let digest =
        asked.first().and_then(|one| one.digest.as_ref()).map(ToString::to_string).unwrap_or_default();
    let images: Vec<String> = asked.iter().filter_map(pinned).collect();
    format!("verdict={verdict}\ndigest={digest}\nimages={}\n", serde_json::json!(images))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::Answer;

    fn failed(image: &str, why: &str) -> Asked {
        let answer = Answer::Failed(why.to_owned());
        Asked { image: image.to_owned(), name: None, digest: None, answer, took: std::time::Duration::ZERO }
    }

    #[test]
    fn a_hostile_text_stays_inside_its_annotation_its_cell_and_its_line() {
        let hostile = "evil%\r\n::stop-commands::x\n| <script> `a` ::set-output name=x::";
        let asked = [failed("r.io/a:1", hostile)];
        let text = annotations(&asked);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with("::error title=Tidewaiter%3A no verdict::r.io/a:1: evil%25%0D%0A::stop"),
            "{text}"
        );
        let told = summary(&asked);
        assert!(
            !told.contains("<script>") && !told.contains("\n::stop") && told.contains("\\| &lt;script&gt;"),
            "{told}"
        );
        assert_eq!(outputs(&asked, Exit::NoVerdict), "verdict=none\ndigest=\nimages=[]\n");
    }
}
