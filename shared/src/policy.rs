//! Opinions: a policy file becomes a [`Policy`]; policy × report × now becomes a verdict. Pure.
//!
//! Reading order: the types here, `file` (YAML in, errors with line and column out), `judge` (the rules
//! applied to one report), `fold` (an index's children into one verdict).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::image::Platform;
use crate::model::package::PackageKind;
use crate::model::problem::ProblemKind;
use crate::model::report::{FindingKind, Probability, Revision, Severity};
use crate::model::verdict::{Effect, Mode, PolicyName};

mod admission;
mod file;
mod fold;
mod judge;
mod pattern;
mod place;
mod pods;
mod set;

#[cfg(test)]
mod tests;

pub use admission::RegistryRules;
pub use file::PolicyError;
pub use pattern::{Glob, ImagePattern, PatternError, PurlPattern};
pub use place::{Circumstances, Place, Scope};
pub use pods::{Level, PodRule, PodRules};
pub use set::PolicySet;

/// The policy that applies where no other is configured; useful as it stands.
pub const DEFAULT_POLICY: &str = include_str!("policy/default.yaml");

/// What is allowed to run, and who answers for the exceptions.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What users type in `?policy=`.
    pub name: PolicyName,
    /// Whether gates obey it.
    pub mode: Mode,
    /// Where it judges; everywhere if it says nothing.
    pub scope: Scope,
    /// Tried in order for each finding; the first that matches decides about that finding.
    pub rules: Vec<Rule>,
    /// What each kind of blocking problem does; a kind that is not named is denied (I4).
    pub problems: BTreeMap<ProblemKind, ProblemEffect>,
    /// Findings that somebody answers for, for a while.
    pub exceptions: Vec<Exception>,
    /// How old the newest advisory may be before the report counts as stale.
    pub advisories_max_age: Option<Duration>,
    /// The children of an index that matter; empty means all.
    pub platforms: Vec<Platform>,
    /// What a gate does where there is no verdict.
    pub fail_modes: FailModes,
    /// Where images may come from; judged at the gate, which knows what was asked for.
    pub registries: Option<RegistryRules>,
    /// What the Kubernetes gate thinks of pods.
    pub pods: PodRules,
    /// Equal revisions judge equally (I6).
    pub revision: Revision,
}

/// One rule about findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// For people, in reasons.
    pub name: String,
    /// Which findings; every condition that is given must hold.
    pub when: Conditions,
    /// What then.
    pub then: RuleEffect,
}

/// Conditions of a rule. `None` and empty mean: does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// One of these severities. `unknown` has to be named.
    pub severity: Vec<Severity>,
    /// One of these kinds.
    pub kind: Vec<FindingKind>,
    /// Whether a version without the flaw exists.
    pub fixable: Option<bool>,
    /// Whether it is in the catalogue of known exploited vulnerabilities.
    pub known_exploited: Option<bool>,
    /// At least this probability of exploitation.
    pub epss_at_least: Option<Probability>,
    /// One of these packaging systems.
    pub ecosystem: Vec<PackageKind>,
    /// A purl, or its beginning up to a `*`.
    pub package: Option<PurlPattern>,
}

/// What a rule does with a finding that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleEffect {
    /// The verdict fails.
    Deny,
    /// The verdict is at best a warning.
    Warn,
    /// Nothing; later rules are not asked.
    Ignore,
}

/// What a kind of blocking problem does to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemEffect {
    /// The verdict fails.
    Deny,
    /// The verdict is at best a warning.
    Warn,
    /// The policy knows about it and lets it pass.
    Accept,
}

/// Somebody answers for a finding until a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The advisory, by any of its names; or any advisory of the package.
    pub advisory: Option<String>,
    /// The package; or any package with the advisory.
    pub package: Option<PurlPattern>,
    /// Where it holds; everywhere if it says nothing.
    pub scope: Scope,
    /// Who answers for it.
    pub owner: String,
    /// Why it is acceptable.
    pub reason: String,
    /// The first moment at which it no longer holds.
    pub expires: Timestamp,
}

/// What a gate does where there is no verdict to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailModes {
    /// Nobody has ever heard of the digest.
    pub on_unknown: FailMode,
    /// It is queued or being scanned.
    pub on_pending: FailMode,
    /// It could not be examined.
    pub on_error: FailMode,
    /// Its verdict is past its `valid_until` and cannot be derived again.
    pub on_stale: FailMode,
}

/// One fail mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailMode {
    /// Let it pass.
    Allow,
    /// Stop it.
    Deny,
    /// Wait for the verdict as long as the caller allows, then stop it.
    Wait,
}

impl From<RuleEffect> for Option<Effect> {
    fn from(effect: RuleEffect) -> Self {
        match effect {
            RuleEffect::Deny => Some(Effect::Deny),
            RuleEffect::Warn => Some(Effect::Warn),
            RuleEffect::Ignore => None,
        }
    }
}

impl From<ProblemEffect> for Option<Effect> {
    fn from(effect: ProblemEffect) -> Self {
        match effect {
            ProblemEffect::Deny => Some(Effect::Deny),
            ProblemEffect::Warn => Some(Effect::Warn),
            ProblemEffect::Accept => None,
        }
    }
}
