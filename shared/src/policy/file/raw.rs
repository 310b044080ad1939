//! The shape of a policy file, version 1. Whatever is checked by hand knows where it stands.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::model::image::Platform;
use crate::model::observation::ObservationKind;
use crate::model::package::PackageKind;
use crate::model::problem::ProblemKind;
use crate::model::report::{FindingKind, Severity};
use crate::model::verdict::{Effect, Mode, PolicyName};
use crate::policy::{FailMode, GraceFrom, NoExpression, Origin, PodRules, ProblemEffect, RuleEffect};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    pub(super) version: Spanned<u32>,
    pub(super) name: PolicyName,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) scope: RawScope,
    #[serde(default)]
    pub(super) registries: Option<Spanned<RawRegistries>>,
    #[serde(default)]
    pub(super) pods: PodRules,
    #[serde(default)]
    pub(super) rules: Vec<Spanned<RawRule>>,
    #[serde(default)]
    pub(super) observations: Vec<Spanned<RawObservationRule>>,
    #[serde(default)]
    pub(super) licenses: Vec<Spanned<RawLicenseRule>>,
    #[serde(default)]
    pub(super) image: Vec<Spanned<RawImageRule>>,
    #[serde(default)]
    pub(super) signatures: Vec<Spanned<RawSignature>>,
    #[serde(default)]
    pub(super) problems: Option<Spanned<BTreeMap<ProblemKind, ProblemEffect>>>,
    #[serde(default)]
    pub(super) exceptions: Vec<Spanned<RawException>>,
    #[serde(default)]
    pub(super) advisories_max_age_days: Option<u32>,
    #[serde(default)]
    pub(super) platforms: Vec<Platform>,
    #[serde(default = "wait")]
    pub(super) on_unknown: FailMode,
    #[serde(default = "wait")]
    pub(super) on_pending: FailMode,
    #[serde(default = "deny")]
    pub(super) on_error: FailMode,
    #[serde(default = "deny")]
    pub(super) on_stale: FailMode,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawScope {
    pub(super) repositories: Vec<Spanned<String>>,
    pub(super) namespaces: Vec<Spanned<String>>,
    pub(super) labels: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegistries {
    pub(super) allow: Vec<Spanned<String>>,
    #[serde(default = "deny_effect")]
    pub(super) otherwise: Effect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) name: String,
    pub(super) when: RawConditions,
    pub(super) then: RuleEffect,
    #[serde(default)]
    pub(super) grace: Option<Spanned<RawGrace>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGrace {
    pub(super) days: u32,
    #[serde(default)]
    pub(super) from: GraceFrom,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConditions {
    #[serde(default)]
    pub(super) severity: Vec<Severity>,
    #[serde(default)]
    pub(super) kind: Vec<FindingKind>,
    pub(super) fixable: Option<bool>,
    pub(super) known_exploited: Option<bool>,
    pub(super) epss_at_least: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) ecosystem: Vec<PackageKind>,
    pub(super) package: Option<Spanned<String>>,
    pub(super) published_days_at_least: Option<u32>,
    pub(super) fix_days_at_least: Option<u32>,
    #[serde(default)]
    pub(super) origin: Vec<Origin>,
    pub(super) cel: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObservationRule {
    pub(super) name: String,
    pub(super) when: RawObservationConditions,
    pub(super) then: RuleEffect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObservationConditions {
    #[serde(default)]
    pub(super) kind: Vec<ObservationKind>,
    #[serde(default)]
    pub(super) severity: Vec<Severity>,
    #[serde(default)]
    pub(super) check: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) path: Vec<Spanned<String>>,
    pub(super) visible: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLicenseRule {
    pub(super) name: String,
    pub(super) when: RawLicenseConditions,
    pub(super) then: RuleEffect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLicenseConditions {
    #[serde(default)]
    pub(super) requires: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) beyond: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) stated: Vec<NoExpression>,
    #[serde(default)]
    pub(super) ecosystem: Vec<PackageKind>,
    pub(super) package: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImageRule {
    pub(super) name: String,
    pub(super) when: RawImageConditions,
    pub(super) then: Effect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImageConditions {
    pub(super) runs_as_root: Option<bool>,
    #[serde(default)]
    pub(super) exposes: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) lacks_labels: Vec<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, Spanned<String>>,
    pub(super) healthcheck: Option<bool>,
    pub(super) secrets_in_environment: Option<bool>,
    #[serde(default)]
    pub(super) environment: Vec<Spanned<String>>,
    pub(super) built_days_at_least: Option<u32>,
    pub(super) scanned_days_at_least: Option<u32>,
    pub(super) advisories_days_at_least: Option<u32>,
    pub(super) support_ends_within_days: Option<u32>,
    pub(super) cel: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignature {
    pub(super) name: String,
    pub(super) keys: Vec<Spanned<String>>,
    #[serde(default = "deny_effect")]
    pub(super) then: Effect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawException {
    pub(super) advisory: Option<String>,
    pub(super) package: Option<Spanned<String>>,
    pub(super) observation: Option<Spanned<String>>,
    pub(super) path: Option<Spanned<String>>,
    pub(super) license: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) scope: RawScope,
    pub(super) owner: Spanned<String>,
    pub(super) reason: Spanned<String>,
    /// The last day on which it holds, UTC.
    pub(super) expires: Option<Spanned<String>>,
}

fn wait() -> FailMode {
    FailMode::Wait
}

fn deny() -> FailMode {
    FailMode::Deny
}

fn deny_effect() -> Effect {
    Effect::Deny
}
