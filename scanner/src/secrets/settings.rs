//! The image's config, history and annotations: variables, labels, commands, and what build arguments leave behind.
//!
//! The history is text that the image's author wrote; absence in it proves nothing.

use std::collections::BTreeMap;

use shared::model::document::ImageConfig;
use shared::model::layer::LayerIndex;
use shared::model::observation::{Observation, ObservationPlace, Visibility};

use super::{Secrets, command_line};
use crate::analyzers::FoundObservation;
use crate::image::history;

/// A text of the config, and where it stands: `config.Env[TOKEN]`, `history[3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where it stands.
    pub place: String,
    /// The text.
    pub text: String,
    /// The layer that a line of the history made.
    pub layer: Option<LayerIndex>,
}

impl Secrets {
    /// What is secret in the config of an image of so many layers. Texts come with places; see [`Described::all`].
    ///
    /// A variable's secret stands in the history as well; that is told once, with the line that set it.
    pub fn in_settings(&self, config: &ImageConfig, layers: usize) -> Vec<Observation> {
        let texts = Described::all(config, layers);
        let mut observations: Vec<Observation> = Vec::new();
        for observation in texts.iter().flat_map(|described| self.in_text(described)) {
            let same = observations
                .iter_mut()
                .take_while(|_| observation.place.created_by.is_some())
                .find(|known| is_of_variable(known) && known.fingerprint == observation.fingerprint);
            match same {
                Some(variable) => variable.place.created_by = observation.place.created_by,
                None => observations.push(observation),
            }
        }
        observations
    }

    /// What is secret in a manifest's annotations.
    pub fn in_annotations(&self, annotations: &BTreeMap<String, String>) -> Vec<Observation> {
        let texts =
            annotations.iter().map(|(name, value)| Described::new(format!("annotations[{name}]"), value));
        texts.flat_map(|described| self.in_text(&described)).collect()
    }

    /// What rules recognise; where none does, what a telling name or option gives away.
    fn in_text(&self, described: &Described) -> Vec<Observation> {
        let mut search = self.search_plain(described.text.len() as u64);
        search.feed(described.text.as_bytes());
        let mut found = search.finish().found;
        if found.is_empty() {
            found = command_line::search(self, described);
        }
        found.into_iter().map(|found| observation(found, described, self)).collect()
    }
}

fn is_of_variable(observation: &Observation) -> bool {
    observation.place.config.as_deref().is_some_and(|place| place.starts_with("config.Env["))
}

fn observation(found: FoundObservation, described: &Described, secrets: &Secrets) -> Observation {
    let document = if described.place.starts_with("annotations[") { "manifest" } else { "config" };
    let created_by = described.place.starts_with("history").then(|| secrets.without_secrets(&described.text));
    Observation {
        rule: found.rule,
        kind: found.kind,
        severity: found.severity,
        title: format!("{} in the image's {document}", found.title),
        remediation: found.remediation,
        place: ObservationPlace {
            config: Some(described.place.clone()),
            created_by,
            layer: described.layer,
            ..ObservationPlace::default()
        },
        visibility: Visibility::Visible,
        masked: found.masked,
        fingerprint: found.fingerprint,
        controls: found.controls,
    }
}

impl Described {
    fn new(place: String, text: &str) -> Self {
        Self { place, text: text.to_owned(), layer: None }
    }

    /// Every text of the config of an image of so many layers in which somebody could have left something.
    pub fn all(config: &ImageConfig, layers: usize) -> Vec<Self> {
        let runtime = &config.config;
        let mut texts = Vec::new();
        let mut add = |place: String, text: &str| texts.push(Self::new(place, text));
        for variable in &runtime.env {
            let name = variable.split('=').next().unwrap_or_default();
            add(format!("config.Env[{name}]"), variable);
        }
        for (name, value) in &runtime.labels {
            add(format!("config.Labels[{name}]"), value);
        }
        for (name, words) in [
            ("Entrypoint", &runtime.entrypoint),
            ("Cmd", &runtime.cmd),
            ("Healthcheck", &runtime.healthcheck.test),
        ] {
            add(format!("config.{name}"), &words.join(" "));
        }
        for ((number, line), layer) in config.history.iter().enumerate().zip(history::layers(config, layers))
        {
            let texts_of = [(&line.created_by, ""), (&line.comment, ".comment")];
            texts.extend(texts_of.into_iter().filter_map(|(text, kind)| {
                let place = format!("history[{number}]{kind}");
                Some(Self { layer, ..Self::new(place, text.as_deref()?) })
            }));
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(config: serde_json::Value) -> Vec<String> {
        let config: ImageConfig = serde_json::from_value(config).unwrap();
        let layers = config.history.iter().filter(|line| !line.empty_layer).count();
        let found = Secrets::built_in().in_settings(&config, layers);
        let told = found.iter().map(|one| {
            let line = if one.place.created_by.is_some() { " with its line" } else { "" };
            let layer = one.place.layer.map_or_else(String::new, |layer| format!(" and layer {}", layer.0));
            format!("{} {}{line}{layer}", one.rule, one.place.config.as_deref().unwrap_or_default())
        });
        told.collect()
    }

    #[test]
    fn a_variable_and_the_line_that_set_it_are_one_secret() {
        let config = json!({
            "config": {"Env": ["DB_PASSWORD=s3cr3t9"], "Cmd": ["app", "--token=t0k3n99"]},
            "history": [
                {"created_by": "ENV DB_PASSWORD=s3cr3t9", "empty_layer": true},
                {"created_by": "ENV DB_PASSWORD=0th3r88", "empty_layer": true},
                {"created_by": "COPY . /app"},
                {"created_by": "|1 TOKEN=f0urth7 /bin/sh -c make"},
            ],
        });
        assert_eq!(
            places(config),
            [
                "TW-CFG-ENV-SECRET config.Env[DB_PASSWORD] with its line",
                "TW-HIST-SECRET config.Cmd",
                "TW-HIST-SECRET history[1] with its line",
                "TW-HIST-SECRET history[3] with its line and layer 1",
            ]
        );
    }

    #[test]
    fn annotations_are_searched() {
        let login = format!("postgres://app:{}{}@db.internal/x", "q8Zr0v", "B2nLwX7t");
        let annotations = BTreeMap::from([("org.example.database".to_owned(), login)]);
        let found = Secrets::built_in().in_annotations(&annotations);
        assert_eq!(found[0].place.config.as_deref(), Some("annotations[org.example.database]"));
        assert!(found[0].title.ends_with("in the image's manifest"));
    }
}
