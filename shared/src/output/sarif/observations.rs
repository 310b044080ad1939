//! Secrets, misconfiguration and the like as SARIF: one rule a check, one result a place.

use serde_json::{Value, json};

use super::{cut, level, location, usual};
use crate::model::digest::Digest;
use crate::model::observation::Observation;
use crate::output::wording::place;

/// The rule of an observation's check.
pub(super) fn rule(observation: &Observation) -> Value {
    let id = cut(&observation.rule);
    let mut tags = vec!["security".to_owned(), observation.kind.to_string()];
    tags.extend(observation.controls.iter().map(|control| cut(control)));
    let mut properties = json!({"precision": "high", "tags": tags});
    if let Some(number) = usual(observation.severity) {
        properties["security-severity"] = json!(number);
    }
    json!({
        "id": id,
        "name": "ImageObservation",
        "shortDescription": {"text": cut(&observation.title)},
        "fullDescription": {"text": format!("{id}: {}", cut(&observation.title))},
        "defaultConfiguration": {"level": level(observation.severity)},
        "help": {"text": cut(&observation.remediation)},
        "properties": properties,
    })
}

/// The result of one place.
pub(super) fn result(observation: &Observation, rule: usize, path: &str) -> Value {
    let place = cut(&place(observation));
    let text =
        format!("{} in {path}, at {place}. {}", cut(&observation.title), cut(&observation.remediation));
    json!({
        "ruleId": cut(&observation.rule),
        "ruleIndex": rule,
        "level": level(observation.severity),
        "message": {"text": text},
        "locations": [location(path, &[place])],
        "partialFingerprints": {"tidewaiterFinding/v1": fingerprint(observation, path)},
        "properties": {"layer": observation.place.layer, "visibility": observation.visibility},
    })
}

/// The same for the next scan and the next tag: the check, the file and the secret decide, not the layer.
fn fingerprint(observation: &Observation, path: &str) -> String {
    let file = observation.place.path.as_deref().or(observation.place.config.as_deref()).unwrap_or_default();
    let secret = observation.fingerprint.as_deref().unwrap_or_default();
    Digest::of([&observation.rule, file, secret, path].join("\n").as_bytes()).encoded().to_owned()
}
