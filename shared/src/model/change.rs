//! Changes: what became of a verdict, and why.
//!
//! In: the verdict that stood, or none, and the one that takes its place. Out: a [`Change`], or nothing where
//! people would see no difference. Pure: what caused a change is read off what both verdicts depend on.
//!
//! A change is a new outcome, a new mode, or another set of reasons. A reason is the same one whatever its
//! rule is called and however its sentence counts days, so a policy that was only reworded and advisories
//! that grew a day older leave no trace in the history.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::problem::ProblemKind;
use super::report::{Revision, ScanRevisions};
use super::verdict::{Counts, Effect, Mode, Outcome, PolicyName, Reason, Verdict};

/// The place of a change among others: milliseconds since 1970, and a number within them. Grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChangeId {
    milliseconds: u64,
    number: u64,
}

/// A text that is no place of a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a change; expected milliseconds and a number, like 1796200000000-0")]
pub struct ChangeIdError(String);

/// What became of one policy's verdict about one digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// What was judged.
    pub digest: Digest,
    /// By which policy.
    pub policy: PolicyName,
    /// Whether that policy enforces or only watches.
    pub mode: Mode,
    /// The judgement before; nothing for the first one.
    pub from: Option<Outcome>,
    /// The judgement from now on.
    pub to: Outcome,
    /// Why.
    pub cause: Cause,
    /// When the new judgement was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How many findings count now.
    pub counts: Counts,
    /// The reasons that were not there before, worst first; at most [`Change::MOST_REASONS`].
    pub appeared: Vec<String>,
    /// The reasons that are no longer there; at most [`Change::MOST_REASONS`].
    pub settled: Vec<String>,
    /// What the facts depend on now.
    pub revisions: ScanRevisions,
    /// Revision of the policy now.
    pub policy_revision: Revision,
}

/// A change, and where it stands: in the history of its digest, or in the feed of all digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recorded {
    /// Its place. Those of one digest's history grow, and so do those of the feed; they are not the same.
    #[schema(value_type = String, example = "1796200000000-0")]
    pub id: ChangeId,
    /// What became of the verdict.
    #[serde(flatten)]
    pub change: Change,
}

/// Why a verdict changed. Where several things changed at once, the first of these that did is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing was known before.
    FirstVerdict,
    /// It could not be judged before, and now it could.
    Recovered,
    /// It was searched again: by newer analyzers, or because somebody asked.
    NewScan,
    /// What is known about packages changed.
    Advisories,
    /// The policy changed.
    Policy,
    /// An image of the index changed its own verdict.
    Children,
    /// Somebody answered for a finding until now.
    ExceptionExpired,
    /// Time passed: a grace period ended, advisories grew too old, support ended.
    Time,
}

/// What makes a reason the same one in two verdicts.
type Identity<'a> = (Effect, Option<&'a str>, Option<&'a str>, Option<ProblemKind>, Option<&'a str>);

impl Change {
    /// The most reasons that are told of each kind.
    pub const MOST_REASONS: usize = 5;

    /// What `to` changes for people, where `from` stood before. `None` if nothing.
    pub fn between(from: Option<&Verdict>, to: &Verdict) -> Option<Self> {
        let unchanged = from.is_some_and(|from| {
            from.outcome == to.outcome && from.mode == to.mode && identities(from) == identities(to)
        });
        if unchanged {
            return None;
        }
        Some(Self {
            digest: to.digest.clone(),
            policy: to.policy.clone(),
            mode: to.mode,
            from: from.map(|from| from.outcome),
            to: to.outcome,
            cause: from.map_or(Cause::FirstVerdict, |from| Cause::of(from, to)),
            at: to.as_of,
            counts: to.counts,
            appeared: missing(to, from),
            settled: from.map(|from| missing(from, Some(to))).unwrap_or_default(),
            revisions: to.revisions.clone(),
            policy_revision: to.policy_revision.clone(),
        })
    }

    /// The change as one sentence for people.
    pub fn sentence(&self) -> String {
        let mut sentence = match self.from {
            None => format!("{} ({})", self.to.said(), self.cause),
            Some(from) if from == self.to => format!("still {}, {}", self.to.said(), self.cause),
            Some(from) => format!("{}, was {}: {}", self.to.said(), from.said(), self.cause),
        };
        if let Some(reason) = self.appeared.first() {
            sentence.push_str(&format!("; {reason}{}", others(self.appeared.len())));
        }
        if let Some(reason) = self.settled.first() {
            sentence.push_str(&format!("; no longer {reason}{}", others(self.settled.len())));
        }
        sentence
    }
}

impl Cause {
    fn of(from: &Verdict, to: &Verdict) -> Self {
        let (before, now) = (&from.revisions, &to.revisions);
        if from.outcome == Outcome::Error && to.outcome != Outcome::Error {
            Self::Recovered
        } else if before.analyzer != now.analyzer {
            Self::NewScan
        } else if before.database != now.database {
            Self::Advisories
        } else if from.policy_revision != to.policy_revision {
            Self::Policy
        } else if from.scanned_at != to.scanned_at {
            Self::NewScan
        } else if from.children != to.children {
            Self::Children
        } else if to.counts.suppressed < from.counts.suppressed {
            Self::ExceptionExpired
        } else {
            Self::Time
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FirstVerdict => "first verdict",
            Self::Recovered => "it could be judged again",
            Self::NewScan => "it was scanned again",
            Self::Advisories => "advisory data changed",
            Self::Policy => "the policy changed",
            Self::Children => "an image of the index changed",
            Self::ExceptionExpired => "an exception expired",
            Self::Time => "time passed",
        })
    }
}

fn identities(verdict: &Verdict) -> BTreeSet<Identity<'_>> {
    verdict.reasons.iter().map(identity).collect()
}

fn identity(reason: &Reason) -> Identity<'_> {
    let (advisory, purl) = (reason.advisory.as_deref(), reason.purl.as_deref());
    // Only a reason about nothing else is known by its sentence.
    let sentence = match (advisory, reason.problem) {
        (None, None) => Some(reason.message.as_str()),
        (Some(_), _) | (_, Some(_)) => None,
    };
    (reason.effect, advisory, purl, reason.problem, sentence)
}

/// The reasons of `verdict` that `other` does not have. None where `other` left some out: they may be among those.
fn missing(verdict: &Verdict, other: Option<&Verdict>) -> Vec<String> {
    if other.is_some_and(|other| other.further_reasons > 0) {
        return Vec::new();
    }
    let known = other.map(identities).unwrap_or_default();
    let missing = verdict.reasons.iter().filter(|reason| !known.contains(&identity(reason)));
    missing.map(|reason| reason.message.clone()).take(Change::MOST_REASONS).collect()
}

fn others(listed: usize) -> String {
    match listed {
        0 | 1 => String::new(),
        Change::MOST_REASONS => " and more".to_owned(),
        more => format!(" and {} more", more - 1),
    }
}

impl ChangeId {
    /// The place `number` within a millisecond since 1970.
    pub const fn new(milliseconds: u64, number: u64) -> Self {
        Self { milliseconds, number }
    }

    /// The place for something that happens `now`, after `self`, even if the clock was set back.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        match u64::try_from(now.as_millisecond()) {
            Ok(milliseconds) if milliseconds > self.milliseconds => Self { milliseconds, number: 0 },
            Ok(_) | Err(_) => Self { number: self.number + 1, ..self },
        }
    }

    /// Milliseconds since 1970, and the number within them.
    pub(crate) fn parts(self) -> (u64, u64) {
        (self.milliseconds, self.number)
    }

    /// Bytes that sort as the places do.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.milliseconds) << 64) | u128::from(self.number)).to_be_bytes()
    }

    /// Reads what [`ChangeId::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { milliseconds: (both >> 64) as u64, number: both as u64 }
    }
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.number)
    }
}

impl FromStr for ChangeId {
    type Err = ChangeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u64>().ok()).flatten()
        };
        let parsed = text
            .split_once('-')
            .and_then(|(milliseconds, count)| Some(Self::new(number(milliseconds)?, number(count)?)));
        parsed.ok_or_else(|| ChangeIdError(text.chars().take(60).collect()))
    }
}

impl TryFrom<String> for ChangeId {
    type Error = ChangeIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ChangeId> for String {
    fn from(id: ChangeId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests;
