//! The image's config and history: variables, labels, commands, and what build arguments leave behind.
//!
//! The history is text that the image's author wrote; absence in it proves nothing.

use shared::model::document::ImageConfig;
use shared::model::observation::{Observation, ObservationPlace, Visibility};

use super::Secrets;
use crate::analyzers::FoundObservation;

/// A text of the config, and where it stands: `config.Env[TOKEN]`, `history[3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where it stands.
    pub place: String,
    /// The text.
    pub text: String,
}

impl Secrets {
    /// What is secret in an image's config. Texts come with places; see [`Described::all`].
    pub fn in_settings(&self, config: &ImageConfig) -> Vec<Observation> {
        let texts = Described::all(config);
        texts.iter().flat_map(|described| self.in_text(described)).collect()
    }

    fn in_text(&self, described: &Described) -> Vec<Observation> {
        let mut search = self.search_plain(described.text.len() as u64);
        search.feed(described.text.as_bytes());
        search.finish().found.into_iter().map(|found| observation(found, described, self)).collect()
    }
}

fn observation(found: FoundObservation, described: &Described, secrets: &Secrets) -> Observation {
    let created_by = described.place.starts_with("history").then(|| secrets.without_secrets(&described.text));
    Observation {
        rule: found.rule,
        kind: found.kind,
        severity: found.severity,
        title: format!("{} in the image's config", found.title),
        remediation: found.remediation,
        place: ObservationPlace {
            config: Some(described.place.clone()),
            created_by,
            ..ObservationPlace::default()
        },
        visibility: Visibility::Visible,
        masked: found.masked,
        fingerprint: found.fingerprint,
        controls: found.controls,
    }
}

impl Described {
    /// Every text of a config in which somebody could have left something.
    pub fn all(config: &ImageConfig) -> Vec<Self> {
        let runtime = &config.config;
        let mut texts = Vec::new();
        let mut add = |place: String, text: &str| texts.push(Self { place, text: text.to_owned() });
        for variable in &runtime.env {
            let name = variable.split('=').next().unwrap_or_default();
            add(format!("config.Env[{name}]"), variable);
        }
        for (name, value) in &runtime.labels {
            add(format!("config.Labels[{name}]"), value);
        }
        for (number, line) in config.history.iter().enumerate() {
            if let Some(command) = &line.created_by {
                add(format!("history[{number}]"), command);
            }
            if let Some(comment) = &line.comment {
                add(format!("history[{number}].comment"), comment);
            }
        }
        texts
    }
}
