//! A changed verdict as it is told to the world: one CloudEvents 1.0 event, the same on every way out.
//!
//! Its JSON is the structured form of the event (`application/cloudevents+json`; CloudEvents 1.0.2 §3 and its
//! JSON format). It is made once a change and travels as it is: in the feed, on the broker, in the job that
//! posts it to a webhook. So every retry says the same under the same id.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::Cause;
use super::digest::Digest;
use super::image::{ImageName, RegistryHost, Repository, Tag};
use super::report::Severity;
use super::verdict::{Counts, Effect, Mode, Outcome, PolicyName, Reason};

/// The type of every event that says that a verdict changed.
pub const VERDICT_CHANGED: &str = "dev.tidewaiter.verdict.changed.v1";

/// The media type of the structured form.
pub const STRUCTURED: &str = "application/cloudevents+json";

/// One change of a verdict, told as a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VerdictEvent {
    /// The version of CloudEvents: always `1.0`.
    pub specversion: SpecVersion,
    /// Unique for its `source`; the same for every repetition of the same change.
    pub id: String,
    /// Who says so: `server.public_url`.
    pub source: String,
    /// Always `dev.tidewaiter.verdict.changed.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `registry/repository@digest`, or the digest alone where nobody knows where the image lives.
    pub subject: String,
    /// When the verdict changed.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// What changed.
    pub data: VerdictChanged,
}

/// The only version of CloudEvents that is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum SpecVersion {
    /// 1.0.
    #[serde(rename = "1.0")]
    V1,
}

/// What changed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictChanged {
    /// The registry where it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryHost>,
    /// The repository where it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// What was judged.
    pub digest: Digest,
    /// The tags under which it was seen in that repository, newest first.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// Every repository where it was seen, newest first; at most [`VerdictEvent::MOST_PLACES`].
    #[serde(default)]
    pub places: Vec<EventPlace>,
    /// Which policy judged.
    pub policy: PolicyName,
    /// Whether that policy enforces or only watches.
    pub mode: Mode,
    /// The verdict now.
    pub verdict: Outcome,
    /// The verdict before: an outcome, or `pending`.
    #[schema(value_type = String, example = "pass")]
    pub previous: Previous,
    /// Why it changed.
    pub cause: Cause,
    /// How many findings count, by severity.
    pub counts: EventCounts,
    /// Why, worst first; at most [`VerdictEvent::MOST_REASONS`]. Empty where the verdict changed again meanwhile.
    #[serde(default)]
    pub reasons: Vec<EventReason>,
    /// How many further reasons the verdict has.
    #[serde(default)]
    pub further_reasons: u32,
    /// What speaks against it that did not before, in words.
    #[serde(default)]
    pub appeared: Vec<String>,
    /// What spoke against it and no longer does, in words.
    #[serde(default)]
    pub settled: Vec<String>,
    /// Where the whole report is.
    pub report_uri: String,
}

/// One repository where an image was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventPlace {
    /// The registry.
    pub registry: RegistryHost,
    /// The repository.
    pub repository: Repository,
    /// Tags, newest first.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// What was thought before: an outcome, or `pending` where this is the first verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Previous {
    /// Nothing was thought yet.
    Pending,
    /// This.
    Known(Outcome),
}

/// How many findings count, by severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventCounts {
    /// Critical.
    pub critical: u32,
    /// High.
    pub high: u32,
    /// Medium.
    pub medium: u32,
    /// Low.
    pub low: u32,
    /// Negligible.
    pub negligible: u32,
    /// Not rated by anybody.
    pub unknown: u32,
}

/// One reason behind the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventReason {
    /// The rule that spoke.
    pub rule: String,
    /// What the rule wants.
    pub effect: Effect,
    /// One sentence for people.
    pub message: String,
    /// The finding's id, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory: Option<String>,
    /// Severity of that finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The package concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// The version that repairs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_version: Option<String>,
}

/// The name of an endpoint that is told: the name of its section under `notify`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointName(String);

/// A text that cannot name an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an endpoint; expected at most 63 letters, digits, dashes and underscores")]
pub struct EndpointNameError(String);

impl VerdictEvent {
    /// The most places that an event names: what it takes must fit into one message of the broker.
    pub const MOST_PLACES: usize = 16;
    /// The most tags that it names of each place.
    pub const MOST_TAGS: usize = 8;
    /// The most reasons that it gives; the report has all of them.
    pub const MOST_REASONS: usize = 5;

    /// The event as JSON, in the structured form.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an event has only strings and numbers")
    }

    /// Its data alone, which is the body of the binary form.
    pub fn data_to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.data).expect("an event has only strings and numbers")
    }

    /// Every repository that it names.
    pub fn images(&self) -> impl Iterator<Item = ImageName> {
        self.data.places.iter().map(EventPlace::image)
    }
}

impl EventPlace {
    /// Registry and repository.
    pub fn image(&self) -> ImageName {
        ImageName { registry: self.registry.clone(), repository: self.repository.clone() }
    }
}

impl Previous {
    /// The name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Known(outcome) => outcome.name(),
        }
    }
}

impl From<Previous> for &'static str {
    fn from(previous: Previous) -> Self {
        previous.name()
    }
}

impl From<Option<Outcome>> for Previous {
    fn from(outcome: Option<Outcome>) -> Self {
        outcome.map_or(Self::Pending, Self::Known)
    }
}

impl TryFrom<String> for Previous {
    type Error = OutcomeNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Previous {
    type Err = OutcomeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::Pending.name() { Ok(Self::Pending) } else { outcome(text).map(Self::Known) }
    }
}

/// A text that is no outcome of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no outcome; expected not_an_image, pass, warn, fail or error")]
pub struct OutcomeNameError(String);

/// The outcome of that name.
pub fn outcome(text: &str) -> Result<Outcome, OutcomeNameError> {
    let all = [Outcome::NotAnImage, Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Error];
    let found = all.into_iter().find(|outcome| outcome.name() == text);
    found.ok_or_else(|| OutcomeNameError(text.chars().take(40).collect()))
}

impl From<Counts> for EventCounts {
    fn from(counts: Counts) -> Self {
        let Counts { critical, high, medium, low, negligible, unknown, fixable: _, suppressed: _ } = counts;
        Self { critical, high, medium, low, negligible, unknown }
    }
}

impl From<&Reason> for EventReason {
    fn from(reason: &Reason) -> Self {
        let reason = reason.clone();
        Self {
            rule: reason.rule,
            effect: reason.effect,
            message: reason.message,
            advisory: reason.advisory,
            severity: reason.severity,
            purl: reason.purl,
            fixed_version: reason.fixed_version,
        }
    }
}

impl EndpointName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointName {
    type Err = EndpointNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !text.is_empty() && text.len() <= 63 && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(EndpointNameError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for EndpointName {
    type Error = EndpointNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EndpointName> for String {
    fn from(name: EndpointName) -> Self {
        name.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::announce::sample;

    #[test]
    fn the_structured_form_is_what_the_manual_shows() {
        let written: Value = serde_json::from_slice(&sample::event().to_json()).unwrap();
        let digest = "sha256:5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51";
        assert_eq!(
            written,
            json!({
                "specversion": "1.0",
                "id": "9d8b0b5e3c8e4c559f9e6f9b2c1d7a01",
                "source": "https://tidewaiter.example.com",
                "type": "dev.tidewaiter.verdict.changed.v1",
                "subject": format!("registry.example.com:5000/team/app@{digest}"),
                "time": "2026-03-02T09:31:40Z",
                "datacontenttype": "application/json",
                "data": {
                    "registry": "registry.example.com:5000",
                    "repository": "team/app",
                    "digest": digest,
                    "tags": ["1.4.2"],
                    "places": [
                        {"registry": "registry.example.com:5000", "repository": "team/app", "tags": ["1.4.2"]},
                        {"registry": "mirror.example.com", "repository": "team/app", "tags": []},
                    ],
                    "policy": "default",
                    "mode": "enforce",
                    "verdict": "fail",
                    "previous": "pending",
                    "cause": "first_verdict",
                    "counts": {"critical": 0, "high": 1, "medium": 0, "low": 0, "negligible": 0, "unknown": 0},
                    "reasons": [],
                    "furtherReasons": 0,
                    "appeared": ["CVE-2023-4911 is high and has a fix"],
                    "settled": [],
                    "reportUri": format!("https://tidewaiter.example.com/v1/reports/{digest}"),
                },
            })
        );
    }

    #[test]
    fn an_event_reads_back_as_the_same_bytes() {
        let event = sample::event();
        let read: VerdictEvent = serde_json::from_slice(&event.to_json()).unwrap();
        assert_eq!((read.to_json(), &read), (event.to_json(), &event));
    }

    #[test]
    fn names_of_endpoints_are_fit_for_keys_and_labels() {
        for (text, accepted) in [("ops", true), ("Ops_2-eu", true), ("", false), ("a.b", false), ("ü", false)]
        {
            assert_eq!(text.parse::<EndpointName>().is_ok(), accepted, "{text:?}");
        }
    }
}
