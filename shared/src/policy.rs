//! Opinions: a policy file becomes a [`Policy`]; policy × report × now becomes a verdict. Pure.
//!
//! Reading order: the types here, `file` (YAML in, errors with line and column out), `rule` and `image_rule`,
//! `observation_rule`, `license_rule` (conditions), `ruling` (what becomes of one finding), `judge` (the rules applied to one report), `fold` (an
//! index's children into one verdict), `explain` (all of it in words); `place`, `admission` and `pods` are for
//! gates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::image::Platform;
use crate::model::problem::ProblemKind;
use crate::model::report::Revision;
use crate::model::verdict::{Effect, Mode, PolicyName};

mod admission;
mod explain;
mod expression;
mod file;
mod fold;
mod horizon;
mod image_rule;
mod judge;
mod license_rule;
mod observation_rule;
mod pattern;
mod place;
mod pods;
mod reasons;
mod rule;
mod ruling;
mod schema;
mod set;
mod signature;
mod values;

#[cfg(test)]
mod tests;

pub use admission::RegistryRules;
pub use explain::{Decision, Explained, Explanation};
pub use expression::{Expression, ExpressionError, Sight};
pub use file::{PolicyError, Position};
pub use image_rule::{ImageConditions, ImageRule, looks_secret};
pub use license_rule::{LicenseConditions, LicensePattern, LicenseRule, NoExpression};
pub use observation_rule::{ObservationConditions, ObservationPattern, ObservationRule};
pub use pattern::{Glob, ImagePattern, PatternError, PurlPattern};
pub use place::{Circumstances, Place, Scope};
pub use pods::{Level, PodRule, PodRules};
pub use rule::{Conditions, Grace, GraceFrom, Origin, Rule, RuleEffect};
pub use schema::schema;
pub use set::PolicySet;
pub use signature::{KeyError, PublicKey, SignatureRule};

/// The policy that applies where no other is configured; useful as it stands.
pub const DEFAULT_POLICY: &str = include_str!("policy/default.yaml");

impl Policy {
    /// The exceptions that no longer hold. They change nothing; somebody should remove or renew them.
    pub fn expired_exceptions(&self, now: Timestamp) -> impl Iterator<Item = &Exception> {
        self.exceptions.iter().filter(move |exception| exception.expires <= now)
    }
}

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
    /// Tried in order for each observation; the first that matches decides about it.
    pub observation_rules: Vec<ObservationRule>,
    /// Tried in order for each package; the first that matches decides about its licence.
    pub license_rules: Vec<LicenseRule>,
    /// What the image itself must not be; every one that matches speaks.
    pub image_rules: Vec<ImageRule>,
    /// Signatures that images must have.
    pub signatures: Vec<SignatureRule>,
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
    /// The text that it was made of.
    pub source: Arc<str>,
    /// Equal revisions judge equally (I6).
    pub revision: Revision,
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
    /// The observations, if it is about some; it is about no finding then.
    pub observation: Option<ObservationPattern>,
    /// The licence expression, or text, that it is about; it is about no finding then.
    pub license: Option<Glob>,
    /// Where it holds; everywhere if it says nothing.
    pub scope: Scope,
    /// Who answers for it.
    pub owner: String,
    /// Why it is acceptable.
    pub reason: String,
    /// The first moment at which it no longer holds.
    pub expires: Timestamp,
    /// Where it stands in its file.
    pub position: Position,
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

impl From<ProblemEffect> for Option<Effect> {
    fn from(effect: ProblemEffect) -> Self {
        match effect {
            ProblemEffect::Deny => Some(Effect::Deny),
            ProblemEffect::Warn => Some(Effect::Warn),
            ProblemEffect::Accept => None,
        }
    }
}
