//! Misconfiguration: what an image asks for more than it needs, and what was built carelessly.
//!
//! Facts in (config, history, the squashed tree, accounts), [`Observation`]s out; pure. What runs is judged by the
//! final config and the visible files; a command of the history is judged whatever came of it. One check and one cause
//! make one observation, with a few paths in its title and the number of the others.
//!
//! `history` makes commands of history lines; `config`, `commands` and `files` are the checks, a table each; `facts` is
//! what checks want to know of the tree; `age` what depends on the day. Adding a check: a function, and a line in a table.

use shared::model::document::ImageConfig;
use shared::model::layer::LayerIndex;
use shared::model::observation::{Observation, ObservationKind, ObservationPlace, Visibility};
use shared::model::report::Severity;

use crate::secrets::Secrets;
use history::Step;

pub(crate) mod age;
mod commands;
mod config;
pub(crate) mod facts;
mod files;
mod history;

pub(crate) use facts::{Facts, Trait};

/// Every check. Adding a family: a file, and a line here.
const FAMILIES: &[&[Check]] = &[config::CHECKS, commands::CHECKS, files::CHECKS];

/// A check: what it is called, how bad what it finds is, what to do, and who else asks for it.
struct Check {
    id: &'static str,
    severity: Severity,
    remediation: &'static str,
    controls: &'static [&'static str],
    judge: fn(&Image<'_>) -> Vec<Finding>,
}

/// What a check found; the rest is the check's own.
struct Finding {
    title: String,
    severity: Option<Severity>,
    place: ObservationPlace,
}

impl Finding {
    fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), severity: None, place: ObservationPlace::default() }
    }

    /// Worse, or less bad, than the check usually finds.
    fn rated(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    fn in_config(mut self, place: impl Into<String>) -> Self {
        self.place.config = Some(place.into());
        self
    }

    /// In these files of one layer. Only a single one is the place: an exception for one path must not cover others.
    fn in_files(mut self, layer: u16, paths: &[&str]) -> Self {
        if let [path] = paths {
            self.place.path = Some((*path).to_owned());
        }
        self.place.layer = Some(LayerIndex(layer));
        self
    }

    /// In a line of the history, and in the layer that it made.
    fn in_step(mut self, step: &Step<'_>, image: &Image<'_>) -> Self {
        self.place.config = Some(format!("history[{}]", step.number));
        self.place.layer = step.layer;
        self.place.created_by = Some(image.shown(step.text));
        self
    }
}

/// What checks judge.
pub(crate) struct Image<'a> {
    config: &'a ImageConfig,
    steps: Vec<Step<'a>>,
    facts: &'a Facts,
    secrets: &'a Secrets,
}

impl<'a> Image<'a> {
    /// An image of so many layers.
    pub(crate) fn new(
        config: &'a ImageConfig,
        layers: usize,
        facts: &'a Facts,
        secrets: &'a Secrets,
    ) -> Self {
        Self { config, steps: history::steps(config, layers), facts, secrets }
    }

    /// Everything that is wrong with it, in no order.
    pub(crate) fn judge(&self) -> Vec<Observation> {
        let checks = FAMILIES.iter().copied().flatten();
        checks
            .flat_map(|check| (check.judge)(self).into_iter().map(|found| check.observation(found)))
            .collect()
    }

    fn is_windows(&self) -> bool {
        self.config.os.eq_ignore_ascii_case("windows")
    }

    /// The last line of the history that has this instruction: the cause of a setting.
    fn cause(&self, instruction: &str, finding: Finding) -> Finding {
        let step = self.steps.iter().rev().find(|step| step.instruction.eq_ignore_ascii_case(instruction));
        Finding {
            place: ObservationPlace {
                created_by: step.map(|step| self.shown(step.text)),
                layer: step.and_then(|step| step.layer),
                ..finding.place
            },
            ..finding
        }
    }

    /// A history line for people.
    fn shown(&self, text: &str) -> String {
        /// Enough to recognise the line; all of it is in the image.
        const LONGEST: usize = 500;
        self.secrets.without_secrets(text).chars().take(LONGEST).collect()
    }
}

impl Check {
    fn observation(&self, found: Finding) -> Observation {
        observation(self.id, found.severity.unwrap_or(self.severity), self.remediation, self.controls, found)
    }
}

fn observation(
    id: &str,
    severity: Severity,
    remediation: &str,
    controls: &[&str],
    found: Finding,
) -> Observation {
    Observation {
        rule: id.to_owned(),
        kind: ObservationKind::Misconfiguration,
        severity,
        title: found.title,
        remediation: remediation.to_owned(),
        place: found.place,
        visibility: Visibility::Visible,
        masked: None,
        fingerprint: None,
        controls: controls.iter().map(|control| (*control).to_owned()).collect(),
    }
}

/// The first few of some things, shortened, and how many more there are.
fn few(things: &[&str]) -> String {
    /// More are not read by anybody.
    const SHOWN: usize = 5;
    /// Characters of one.
    const LONGEST: usize = 200;
    let shown: Vec<String> =
        things.iter().take(SHOWN).map(|thing| thing.chars().take(LONGEST).collect()).collect();
    match things.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
