//! Reasons: sorted worst first, and put into words only if they are kept.

use std::cmp::Reverse;

use super::ruling::Spoken;
use crate::model::problem::Problem;
use crate::model::report::{Finding, Fix, InstalledPackage, Severity};
use crate::model::verdict::{Effect, Outcome, Reason, Verdict};

/// A reason before anybody knows whether it is among those that are kept.
pub(super) struct Draft<'a> {
    pub(super) effect: Effect,
    pub(super) about: About<'a>,
}

/// What a reason is about.
pub(super) enum About<'a> {
    Finding {
        finding: &'a Finding,
        package: &'a InstalledPackage,
        spoken: Spoken<'a>,
    },
    Problem(&'a Problem),
    /// The image itself, a missing signature, a child: said already.
    Said(Reason),
}

impl Draft<'_> {
    pub(super) fn said(reason: Reason) -> Self {
        Self { effect: reason.effect, about: About::Said(reason) }
    }

    /// Denials first; then what concerns the whole image, then findings by severity.
    fn rank(&self) -> (Reverse<Effect>, u8, Reverse<Option<Severity>>) {
        let (place, severity) = match &self.about {
            About::Said(reason) if reason.advisory.is_none() => (0, None),
            About::Problem(_) => (0, None),
            About::Said(reason) => (1, reason.severity),
            About::Finding { finding, .. } => (1, Some(finding.severity)),
        };
        (Reverse(self.effect), place, Reverse(severity))
    }

    fn put(self) -> Reason {
        match self.about {
            About::Finding { finding, package, spoken } => finding_reason(&spoken, finding, package),
            About::Problem(problem) => problem_reason(problem, self.effect),
            About::Said(reason) => reason,
        }
    }
}

/// The outcome that reasons with these effects make.
pub(super) fn outcome_of(effects: impl Iterator<Item = Effect>) -> Outcome {
    match effects.max() {
        Some(Effect::Deny) => Outcome::Fail,
        Some(Effect::Warn) => Outcome::Warn,
        None => Outcome::Pass,
    }
}

/// Puts the worst reasons first, keeps as many as a verdict may have, and sets the outcome.
pub(super) fn state_reasons(verdict: &mut Verdict, mut drafts: Vec<Draft<'_>>) {
    let outcome = outcome_of(drafts.iter().map(|draft| draft.effect));
    verdict.outcome = verdict.outcome.max(outcome);
    // Stable: the report's own order, worst findings first, decides among equals.
    drafts.sort_by_key(Draft::rank);
    let further = drafts.len().saturating_sub(Verdict::MOST_REASONS);
    verdict.further_reasons =
        verdict.further_reasons.saturating_add(u32::try_from(further).unwrap_or(u32::MAX));
    verdict.reasons = drafts.into_iter().take(Verdict::MOST_REASONS).map(Draft::put).collect();
}

fn finding_reason(spoken: &Spoken<'_>, finding: &Finding, package: &InstalledPackage) -> Reason {
    let fixed_version = match &finding.fix {
        Fix::Fixed { version } => Some(version.clone()),
        Fix::NoneYet | Fix::WillNotFix | Fix::ProOnly { .. } | Fix::Unknown => None,
    };
    let exploited = if finding.known_exploited { ", known to be exploited" } else { "" };
    let mut message = format!(
        "{} ({}{exploited}) in {} {}: {}",
        finding.id,
        finding.severity,
        package.package.name,
        package.package.version,
        remedy(&finding.fix)
    );
    if let Some(until) = spoken.grace_until {
        message.push_str(&format!("; denied from {}", until.strftime("%F %H:%M UTC")));
    }
    if let Some(doubt) = &spoken.doubt {
        message.push_str(&format!("; the rule may be about something else, but {doubt}"));
    }
    Reason {
        rule: spoken.rule.name.clone(),
        effect: spoken.effect,
        message,
        advisory: Some(finding.id.clone()),
        severity: Some(finding.severity),
        purl: Some(package.purl.to_string()),
        fixed_version,
        problem: None,
    }
}

/// What can be done about a finding.
pub(super) fn remedy(fix: &Fix) -> String {
    match fix {
        Fix::Fixed { version } => format!("fixed in {version}"),
        Fix::NoneYet => "no fix yet".to_owned(),
        Fix::WillNotFix => "will not be fixed".to_owned(),
        Fix::ProOnly { version } => format!("fixed for subscribers in {version}"),
        Fix::Unknown => "no fix known".to_owned(),
    }
}

pub(super) fn problem_reason(problem: &Problem, effect: Effect) -> Reason {
    Reason {
        problem: Some(problem.kind),
        ..Reason::of_rule(problem.kind.slug(), effect, problem.to_string())
    }
}
