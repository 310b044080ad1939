//! Verdicts: one policy's opinion about one report at one time.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::image::Platform;
use super::problem::{Problem, ProblemKind};
use super::report::{Revision, ScanRevisions, Severity};

/// The name of a policy: what users type in `?policy=`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "default")]
pub struct PolicyName(Arc<str>);

/// A text that cannot name a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a policy name; expected at most 63 lower-case letters, digits and dashes")]
pub struct PolicyNameError(String);

impl PolicyName {
    /// The policy that decides where nobody names another.
    pub fn default_policy() -> Self {
        Self("default".into())
    }

    /// Whether it is [`PolicyName::default_policy`].
    pub fn is_default(&self) -> bool {
        &*self.0 == "default"
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PolicyName {
    type Error = PolicyNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !text.is_empty() && text.len() <= 63 && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(PolicyNameError(text.chars().take(80).collect()))
        }
    }
}

impl std::str::FromStr for PolicyName {
    type Err = PolicyNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<PolicyName> for String {
    fn from(name: PolicyName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One policy's judgement of one digest.
///
/// A pure function of (report, policy, now): it can be derived again from the stored report at any time
/// without touching the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Verdict {
    /// What was judged.
    pub digest: Digest,
    /// By which policy.
    pub policy: PolicyName,
    /// Whether that policy enforces or only watches.
    pub mode: Mode,
    /// The judgement.
    pub outcome: Outcome,
    /// Why, worst first; at most [`Verdict::MOST_REASONS`].
    pub reasons: Vec<Reason>,
    /// How many further reasons were left out.
    pub further_reasons: u32,
    /// How many findings count, by severity.
    pub counts: Counts,
    /// The report's blocking problems, accepted by the policy or not.
    pub problems: Vec<Problem>,
    /// For an index: the verdict of each child.
    #[serde(default)]
    pub children: Vec<ChildVerdict>,
    /// What the facts depend on.
    pub revisions: ScanRevisions,
    /// Revision of the policy.
    pub policy_revision: Revision,
    /// When the report was made.
    #[schema(value_type = String, format = DateTime)]
    pub scanned_at: Timestamp,
    /// When this judgement was made.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// When time alone will change it: an exception expires, advisories become too old.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
    /// What the outcome would be with every signature that the policy requires; absent where it is the same.
    /// An index answers for its children with its own signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_signed: Option<Outcome>,
}

impl Verdict {
    /// The most reasons that are kept.
    pub const MOST_REASONS: usize = 20;

    /// Whether the verdict still says what this policy revision would say at `now`.
    pub fn is_current(&self, policy_revision: &Revision, now: Timestamp) -> bool {
        self.policy_revision == *policy_revision && self.valid_until.is_none_or(|until| now < until)
    }
}

/// The judgement, from best to worst.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Signature, SBOM, chart …: nothing was searched, nothing can be started.
    NotAnImage,
    /// Nothing that the policy objects to.
    Pass,
    /// Something that the policy wants people to know.
    Warn,
    /// The policy objects.
    Fail,
    /// The digest could not be judged at all.
    Error,
}

impl Outcome {
    /// The name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAnImage => "not_an_image",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }

    /// How one says that something has this outcome.
    pub const fn said(self) -> &'static str {
        match self {
            Self::NotAnImage => "not an image",
            Self::Pass => "passing",
            Self::Warn => "warning",
            Self::Fail => "failing",
            Self::Error => "not to be judged",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether a policy's judgement binds gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Gates deny what fails.
    #[default]
    Enforce,
    /// Gates never deny; they say what they would have done.
    Audit,
}

/// One reason behind a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reason {
    /// The rule that spoke.
    pub rule: String,
    /// What the rule wants.
    pub effect: Effect,
    /// One sentence for people.
    pub message: String,
    /// The finding's id, if it is about one.
    #[serde(default)]
    pub advisory: Option<String>,
    /// Severity of that finding.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The package concerned.
    #[serde(default)]
    pub purl: Option<String>,
    /// The version that repairs it.
    #[serde(default)]
    pub fixed_version: Option<String>,
    /// The problem, if it is about one.
    #[serde(default)]
    pub problem: Option<ProblemKind>,
}

impl Reason {
    /// A reason that is about no finding and no problem.
    pub fn of_rule(rule: impl Into<String>, effect: Effect, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            effect,
            message: message.into(),
            advisory: None,
            severity: None,
            purl: None,
            fixed_version: None,
            problem: None,
        }
    }
}

/// What a rule does to a verdict.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Says so, and lets it pass.
    Warn,
    /// Fails it.
    Deny,
}

/// How many findings count, by severity; suppressed and excepted ones apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
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
    /// Those of all severities that have a fix.
    pub fixable: u32,
    /// In the report, but not counted: owned by the distribution, excepted, not linked …
    pub suppressed: u32,
}

impl Counts {
    /// Counts one finding of this severity.
    pub fn add(&mut self, severity: Severity) {
        let counter = match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Negligible => &mut self.negligible,
            Severity::Unknown => &mut self.unknown,
        };
        *counter += 1;
    }

    /// The findings of all severities.
    pub fn total(&self) -> u32 {
        self.critical + self.high + self.medium + self.low + self.negligible + self.unknown
    }

    /// The sum of two images' counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            critical: self.critical + other.critical,
            high: self.high + other.high,
            medium: self.medium + other.medium,
            low: self.low + other.low,
            negligible: self.negligible + other.negligible,
            unknown: self.unknown + other.unknown,
            fixable: self.fixable + other.fixable,
            suppressed: self.suppressed + other.suppressed,
        }
    }
}

/// A child's part in an index's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChildVerdict {
    /// The child's manifest.
    pub digest: Digest,
    /// What it is built for.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Its own judgement.
    pub outcome: Outcome,
}

/// What is known when somebody asks about a digest (I10: `Pending` only where nothing is known yet).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Never heard of it.
    Unknown,
    /// Accepted, not yet judged.
    Pending(Pending),
    /// Judged; a newer scan may be queued all the same.
    Known(Arc<Verdict>),
}

/// The marker of a digest that waits for its first verdict (I3: it always has an end).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pending {
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When the marker expires; after that the digest must be asked for again.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_names_are_fit_for_urls_and_keys() {
        for (text, accepted) in
            [("default", true), ("prod-2", true), ("", false), ("Prod", false), ("a/b", false)]
        {
            assert_eq!(text.parse::<PolicyName>().is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn the_worst_outcome_is_the_greatest() {
        assert!(Outcome::Error > Outcome::Fail && Outcome::Fail > Outcome::Warn);
        assert!(Outcome::Warn > Outcome::Pass && Outcome::Pass > Outcome::NotAnImage);
    }
}
