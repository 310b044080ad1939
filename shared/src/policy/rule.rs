//! Rules about findings, and what their conditions say about one finding.
//!
//! A condition can be unsure: a date or an origin is not known, an expression fails. What is unsure never
//! makes a verdict better: it counts as a match for rules that deny or warn, and as none for rules that ignore.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::horizon::{Horizon, days_after};
use super::pattern::PurlPattern;
use super::values::{FindingValues, ImageValues};
use crate::model::package::PackageKind;
use crate::model::report::{
    Finding, FindingKind, FindingStatus, Fix, InstalledPackage, Probability, Report, Severity,
};
use crate::model::verdict::Effect;

/// One rule about findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// For people, in reasons.
    pub name: String,
    /// Which findings; every condition that is given must hold.
    pub when: Conditions,
    /// What then.
    pub then: RuleEffect,
    /// How long it only warns.
    pub grace: Option<Grace>,
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
    /// At least this probability of exploitation; a flaw without one is below every bound.
    pub epss_at_least: Option<Probability>,
    /// One of these packaging systems.
    pub ecosystem: Vec<PackageKind>,
    /// A purl, or its beginning up to a `*`.
    pub package: Option<PurlPattern>,
    /// Published at least so many days ago.
    pub published_days_at_least: Option<u32>,
    /// Its fix known for at least so many days.
    pub fix_days_at_least: Option<u32>,
    /// From the base image, or from what was built on it.
    pub origin: Vec<Origin>,
    /// Whatever else an expression can say.
    pub cel: Option<Expression>,
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

/// Days in which a rule that denies only warns, so that people can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// So many times 24 hours.
    pub days: u32,
    /// Since when.
    pub from: GraceFrom,
}

/// Since when a grace counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraceFrom {
    /// Since the flaw was published.
    #[default]
    Published,
    /// Since its fix is known.
    Fix,
}

/// Who brought a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The base image.
    Base,
    /// What was built on it.
    App,
}

/// What conditions say about something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Match {
    No,
    Yes,
    /// It cannot be said, and this is why.
    Unsure(Cow<'static, str>),
}

impl Match {
    pub(super) fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Both hold. The first doubt is kept, and a sure no outweighs every doubt.
    pub(super) fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unsure(why) => match other() {
                Self::No => Self::No,
                Self::Yes | Self::Unsure(_) => Self::Unsure(why),
            },
        }
    }
}

/// A finding with everything that conditions may look at.
pub(super) struct Seen<'a> {
    pub(super) report: &'a Report,
    pub(super) finding: &'a Finding,
    pub(super) package: &'a InstalledPackage,
    pub(super) image_values: &'a ImageValues<'a>,
    pub(super) values: FindingValues,
}

impl Conditions {
    pub(super) fn hold(&self, seen: &Seen<'_>, horizon: &mut Horizon) -> Match {
        let Seen { finding, package, .. } = seen;
        let facts = (self.severity.is_empty() || self.severity.contains(&finding.severity))
            && (self.kind.is_empty() || self.kind.contains(&finding.kind))
            && self.fixable.is_none_or(|wanted| wanted == is_fixable(finding))
            && self.known_exploited.is_none_or(|wanted| wanted == finding.known_exploited)
            && self.epss_at_least.is_none_or(|least| finding.epss.is_some_and(|epss| epss >= least))
            && (self.ecosystem.is_empty() || self.ecosystem.contains(&package.package.kind))
            && self.package.as_ref().is_none_or(|pattern| pattern.matches(&package.purl));
        Match::of(facts)
            .and(|| self.fits_origin(seen))
            .and(|| self.is_old_enough(finding, horizon))
            .and(|| self.is_fixed_long_enough(finding, horizon))
            .and(|| match &self.cel {
                Some(expression) => expression.holds(seen.image_values, Some(seen), horizon),
                None => Match::Yes,
            })
    }

    fn fits_origin(&self, seen: &Seen<'_>) -> Match {
        if self.origin.is_empty() {
            return Match::Yes;
        }
        match origin_of(seen.report, seen.package) {
            Some(origin) => Match::of(self.origin.contains(&origin)),
            None => Match::Unsure(Cow::Borrowed("the image does not say which layers are its base's")),
        }
    }

    fn is_old_enough(&self, finding: &Finding, horizon: &mut Horizon) -> Match {
        match (self.published_days_at_least, finding.published) {
            (None, _) => Match::Yes,
            (Some(days), Some(published)) => Match::of(horizon.is_aged(published, days)),
            (Some(_), None) => Match::Unsure(Cow::Borrowed("nobody says when it was published")),
        }
    }

    fn is_fixed_long_enough(&self, finding: &Finding, horizon: &mut Horizon) -> Match {
        match (self.fix_days_at_least, finding.fixed_since) {
            (None, _) => Match::Yes,
            (Some(_), _) if !is_fixable(finding) => Match::No,
            (Some(days), Some(since)) => Match::of(horizon.is_aged(since, days)),
            (Some(_), None) => Match::Unsure(Cow::Borrowed("nobody says since when there is a fix")),
        }
    }
}

impl Rule {
    /// What the rule does with a finding that it matches, and until when it is lenient.
    pub(super) fn effect(
        &self,
        finding: &Finding,
        horizon: &mut Horizon,
    ) -> Option<(Effect, Option<Timestamp>)> {
        match self.then {
            RuleEffect::Ignore => None,
            RuleEffect::Warn => Some((Effect::Warn, None)),
            RuleEffect::Deny => Some(match self.grace.and_then(|grace| grace.ends(finding, horizon)) {
                Some(until) => (Effect::Warn, Some(until)),
                None => (Effect::Deny, None),
            }),
        }
    }
}

impl Grace {
    /// When the leniency that holds now ends. There is none without a date, nor before that date.
    fn ends(self, finding: &Finding, horizon: &mut Horizon) -> Option<Timestamp> {
        let since = match self.from {
            GraceFrom::Published => finding.published?,
            GraceFrom::Fix => finding.fixed_since?,
        };
        let end = days_after(since, self.days);
        (horizon.is_past(since) && !horizon.is_past(end)).then_some(end)
    }
}

/// Which part of the image brought a package; `None` where the image does not say.
pub(super) fn origin_of(report: &Report, package: &InstalledPackage) -> Option<Origin> {
    let layers = report.inventory()?.base.as_ref()?.layers?;
    Some(if package.introduced_in.0 < layers { Origin::Base } else { Origin::App })
}

/// Whether a finding counts at all.
pub(super) fn counts(finding: &Finding) -> bool {
    match finding.status {
        FindingStatus::Affected | FindingStatus::DisputedRange => true,
        FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => false,
    }
}

pub(super) fn is_fixable(finding: &Finding) -> bool {
    match finding.fix {
        Fix::Fixed { .. } => true,
        Fix::NoneYet | Fix::WillNotFix | Fix::ProOnly { .. } | Fix::Unknown => false,
    }
}
