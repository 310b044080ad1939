//! What expressions see: `finding`, `pkg` and `image` as tables (`package` is a reserved word of CEL). Ages are in whole days.

use std::cell::OnceCell;
use std::collections::HashMap;

use cel::Value;
use jiff::Timestamp;

use super::horizon::Horizon;
use super::image_rule::{created, looks_secret};
use super::rule::{Origin, Seen, is_fixable, origin_of};
use crate::model::report::{Finding, Fix, Probability, Report};
use crate::model::settings::Settings;

/// The fields of `finding`.
pub(super) const FINDING: &[&str] = &[
    "id",
    "aliases",
    "advisories",
    "kind",
    "severity",
    "score",
    "fixable",
    "fixed_version",
    "known_exploited",
    "epss",
    "confidence",
    "published_days",
    "fix_days",
];
/// The fields of `pkg`.
pub(super) const PACKAGE: &[&str] = &[
    "purl",
    "ecosystem",
    "namespace",
    "name",
    "version",
    "source",
    "path",
    "nested_root",
    "layer",
    "origin",
    "licenses",
];
/// The fields of `image`.
pub(super) const IMAGE: &[&str] = &[
    "platform",
    "distribution",
    "layers",
    "packages",
    "base",
    "configuration_known",
    "user",
    "runs_as_root",
    "ports",
    "labels",
    "environment",
    "secrets_in_environment",
    "healthcheck",
    "built_days",
    "scanned_days",
    "advisories_days",
    "support_days",
];
/// The fields of all of them that are true or false.
pub(super) const BOOLEAN: &[&str] = &[
    "fixable",
    "known_exploited",
    "configuration_known",
    "runs_as_root",
    "secrets_in_environment",
    "healthcheck",
];

/// `image`, made once a report if anybody asks.
pub(super) struct ImageValues<'a> {
    report: &'a Report,
    now: Timestamp,
    value: OnceCell<Value>,
}

/// `finding` and `pkg`, made once a finding if anybody asks.
#[derive(Default)]
pub(super) struct FindingValues(OnceCell<(Value, Value)>);

impl<'a> ImageValues<'a> {
    pub(super) fn new(report: &'a Report, now: Timestamp) -> Self {
        Self { report, now, value: OnceCell::new() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn value(&self) -> Value {
        self.value.get_or_init(|| image(self.report, self.now)).clone()
    }

    /// Notes when one of the ages becomes another one.
    pub(super) fn note_ages(&self, horizon: &mut Horizon) {
        let report = self.report;
        let moments = [
            created(report),
            Some(report.scanned_at),
            Some(report.revisions.database_as_of),
            report.support_ends,
        ];
        for moment in moments.into_iter().flatten() {
            horizon.age_in_days(moment);
        }
    }
}

impl FindingValues {
    pub(super) fn of(&self, seen: &Seen<'_>, now: Timestamp) -> (Value, Value) {
        self.0.get_or_init(|| (finding(seen.finding, now), package(seen))).clone()
    }
}

/// Notes when one of a finding's ages becomes another one.
pub(super) fn note_ages(finding: &Finding, horizon: &mut Horizon) {
    for moment in [finding.published, finding.fixed_since].into_iter().flatten() {
        horizon.age_in_days(moment);
    }
}

fn days(since: Option<Timestamp>, now: Timestamp) -> Value {
    since.map_or(Value::Null, |since| Value::Int(Horizon::new(now).age_in_days(since)))
}

fn table<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::from(HashMap::from(fields))
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> Value {
    Value::from(texts.into_iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>())
}

/// The name of a unit variant as it is written in reports.
fn written(value: &impl serde::Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Value::from(text),
        Ok(_) | Err(_) => Value::Null,
    }
}

fn finding(finding: &Finding, now: Timestamp) -> Value {
    let fixed_version = match &finding.fix {
        Fix::Fixed { version } => version.as_str(),
        Fix::NoneYet | Fix::WillNotFix | Fix::ProOnly { .. } | Fix::Unknown => "",
    };
    table([
        ("id", Value::from(finding.id.as_str())),
        ("aliases", texts(&finding.aliases)),
        ("advisories", texts(&finding.advisories)),
        ("kind", written(&finding.kind)),
        ("severity", Value::from(finding.severity.name())),
        ("score", finding.score.map_or(Value::Null, |score| Value::Float(score.value()))),
        ("fixable", Value::Bool(is_fixable(finding))),
        ("fixed_version", Value::from(fixed_version)),
        ("known_exploited", Value::Bool(finding.known_exploited)),
        ("epss", Value::Float(finding.epss.map_or(0.0, Probability::value))),
        ("confidence", written(&finding.confidence)),
        ("published_days", days(finding.published, now)),
        ("fix_days", days(finding.fixed_since, now)),
    ])
}

fn package(seen: &Seen<'_>) -> Value {
    let installed = seen.package;
    let package = &installed.package;
    let origin = match origin_of(seen.report, installed) {
        Some(Origin::Base) => "base",
        Some(Origin::App) => "app",
        None => "unknown",
    };
    table([
        ("purl", Value::from(installed.purl.as_str())),
        ("ecosystem", Value::from(package.kind.purl_type())),
        ("namespace", Value::from(package.namespace.as_deref().unwrap_or_default())),
        ("name", Value::from(package.name.as_str())),
        ("version", Value::from(package.version.as_str())),
        ("source", Value::from(package.source.as_ref().map_or("", |source| source.name.as_str()))),
        ("path", Value::from(installed.path.as_str())),
        ("nested_root", Value::from(installed.nested_root.as_deref().unwrap_or_default())),
        ("layer", Value::Int(i64::from(installed.introduced_in.0))),
        ("origin", Value::from(origin)),
        ("licenses", texts(&package.licenses)),
    ])
}

fn image(report: &Report, now: Timestamp) -> Value {
    let inventory = report.inventory();
    let distribution = inventory.and_then(|inventory| inventory.distribution.as_ref());
    let base = inventory.and_then(|inventory| inventory.base.as_ref());
    let known = inventory.and_then(|inventory| inventory.settings.as_ref());
    let said = |text: Option<&String>| Value::from(text.map_or("", String::as_str));
    let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let of = |fact: fn(&Settings) -> Value| known.map_or(Value::Null, fact);
    let labels = |settings: &Settings| {
        let labels = settings.labels.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str())));
        Value::from(labels.collect::<HashMap<_, _>>())
    };
    table([
        ("platform", {
            let platform = inventory.and_then(|inventory| inventory.platform.as_ref());
            Value::from(platform.map_or_else(String::new, ToString::to_string))
        }),
        (
            "distribution",
            table([
                ("id", said(distribution.map(|distribution| &distribution.id))),
                ("version", said(distribution.map(|distribution| &distribution.version))),
                ("codename", said(distribution.and_then(|distribution| distribution.codename.as_ref()))),
            ]),
        ),
        ("layers", count(inventory.map_or(0, |inventory| inventory.layers.len()))),
        ("packages", count(inventory.map_or(0, |inventory| inventory.packages.len()))),
        (
            "base",
            table([
                ("name", said(base.and_then(|base| base.name.as_ref()))),
                ("digest", said(base.and_then(|base| base.digest.as_ref()))),
            ]),
        ),
        ("configuration_known", Value::Bool(known.is_some())),
        ("user", of(|settings| Value::from(settings.user.as_str()))),
        ("runs_as_root", of(|settings| Value::Bool(settings.runs_as_root()))),
        ("ports", of(|settings| texts(&settings.exposed_ports))),
        ("labels", of(labels)),
        ("environment", of(|settings| texts(&settings.environment))),
        (
            "secrets_in_environment",
            of(|settings| Value::Bool(settings.environment.iter().any(|name| looks_secret(name)))),
        ),
        ("healthcheck", of(|settings| Value::Bool(settings.healthcheck))),
        ("built_days", days(created(report), now)),
        ("scanned_days", days(Some(report.scanned_at), now)),
        ("advisories_days", days(Some(report.revisions.database_as_of), now)),
        ("support_days", {
            // Days that are left; negative after the end.
            report.support_ends.map_or(Value::Null, |end| Value::Int(-Horizon::new(now).age_in_days(end)))
        }),
    ])
}
