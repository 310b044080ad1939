//! The rules of one policy applied to one report.

use jiff::{SignedDuration, Timestamp};

use super::{Circumstances, Conditions, Exception, Policy};
use crate::model::package::Purl;
use crate::model::problem::{Problem, ProblemKind, Weight};
use crate::model::report::{Finding, FindingStatus, Fix, InstalledPackage, Report, Subject};
use crate::model::verdict::{Counts, Effect, Outcome, Reason, Verdict};

impl Policy {
    /// Judges a report. For an index, `children` are the verdicts of its children under this policy and in
    /// the same circumstances; a child without a verdict counts as one that could not be judged.
    pub fn judge(&self, report: &Report, children: &[Verdict], circumstances: &Circumstances<'_>) -> Verdict {
        let now = circumstances.now;
        match &report.subject {
            Subject::Image(_) => self.judge_image(report, circumstances),
            Subject::Index { children: listed } => self.fold(report, listed, children, now),
            Subject::Artifact { .. } => self.verdict(report, Outcome::NotAnImage, now),
            Subject::Unreadable => self.judge_unreadable(report, now),
        }
    }

    /// A verdict with nothing in it but the report's identity.
    pub(super) fn verdict(&self, report: &Report, outcome: Outcome, now: Timestamp) -> Verdict {
        Verdict {
            digest: report.digest.clone(),
            policy: self.name.clone(),
            mode: self.mode,
            outcome,
            reasons: Vec::new(),
            further_reasons: 0,
            counts: Counts::default(),
            problems: Vec::new(),
            children: Vec::new(),
            revisions: report.revisions.clone(),
            policy_revision: self.revision.clone(),
            scanned_at: report.scanned_at,
            as_of: now,
            valid_until: None,
            if_signed: None,
        }
    }

    fn judge_unreadable(&self, report: &Report, now: Timestamp) -> Verdict {
        let mut verdict = self.verdict(report, Outcome::Error, now);
        for problem in &report.problems {
            verdict.reasons.push(problem_reason(problem, Effect::Deny));
        }
        verdict.problems = report.problems.clone();
        verdict
    }

    fn judge_image(&self, report: &Report, circumstances: &Circumstances<'_>) -> Verdict {
        let now = circumstances.now;
        let mut verdict = self.verdict(report, Outcome::Pass, now);
        let mut horizon = Horizon::new(now);
        let mut reasons = Vec::new();

        let timed = self.problems_of_time(report, now, &mut horizon);
        for problem in report.problems.iter().chain(&timed) {
            if problem.kind.weight() == Weight::Informational {
                continue;
            }
            verdict.problems.push(problem.clone());
            if let Some(effect) = self.effect_of(problem.kind) {
                reasons.push(problem_reason(problem, effect));
            }
        }

        for finding in &report.findings {
            let Some(package) = report.package_of(finding) else {
                continue;
            };
            if !counts(finding) || self.excepted(finding, package, circumstances, &mut horizon) {
                verdict.counts.suppressed += 1;
                continue;
            }
            verdict.counts.add(finding.severity);
            if is_fixable(finding) {
                verdict.counts.fixable += 1;
            }
            if let Some((rule, effect)) = self.rule_for(finding, package) {
                reasons.push(finding_reason(rule, effect, finding, package));
            }
        }
        state_reasons(&mut verdict, reasons);
        verdict.valid_until = horizon.next_change;
        verdict
    }

    /// Problems that come with time alone: stale advisories, a distribution out of support.
    fn problems_of_time(&self, report: &Report, now: Timestamp, horizon: &mut Horizon) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(limit) = self.advisories_max_age {
            let as_of = report.revisions.database_as_of;
            let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
            if horizon.is_past(as_of.saturating_add(limit).unwrap_or(Timestamp::MAX)) {
                let detail = format!(
                    "the newest advisory is of {}, {} days old; update the advisory database",
                    as_of.strftime("%F"),
                    now.duration_since(as_of).as_hours() / 24
                );
                problems.push(Problem::new(ProblemKind::AdvisoriesStale, detail));
            }
        }
        if let Some(end) = report.support_ends
            && horizon.is_past(end)
        {
            let name = report
                .inventory()
                .and_then(|inventory| inventory.distribution.as_ref())
                .map_or("the distribution", |distribution| distribution.name.as_str());
            let detail =
                format!("advisories for {name} ended on {}: no news is no good news", end.strftime("%F"));
            problems.push(Problem::new(ProblemKind::AdvisoriesEnded, detail));
        }
        problems
    }

    pub(super) fn effect_of(&self, kind: ProblemKind) -> Option<Effect> {
        match self.problems.get(&kind) {
            Some(effect) => (*effect).into(),
            None => Some(Effect::Deny),
        }
    }

    fn excepted(
        &self,
        finding: &Finding,
        package: &InstalledPackage,
        circumstances: &Circumstances<'_>,
        horizon: &mut Horizon,
    ) -> bool {
        // All exceptions are looked at, so that the horizon is the end of the one that lasts longest.
        let ends = self
            .exceptions
            .iter()
            .filter(|exception| exception.scope.holds_at(circumstances.place))
            .filter(|exception| exception.covers(finding, &package.purl))
            .map(|exception| exception.expires)
            .max();
        match ends {
            Some(end) if circumstances.now < end => {
                horizon.note(end);
                true
            }
            Some(_) | None => false,
        }
    }

    fn rule_for(&self, finding: &Finding, package: &InstalledPackage) -> Option<(&str, Effect)> {
        let rule = self.rules.iter().find(|rule| rule.when.hold(finding, package))?;
        let effect: Option<Effect> = rule.then.into();
        Some((&rule.name, effect?))
    }
}

/// The first moment after `now` at which time alone changes a verdict.
pub(super) struct Horizon {
    now: Timestamp,
    pub(super) next_change: Option<Timestamp>,
}

impl Horizon {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, next_change: None }
    }

    /// Notes a moment that will change something, unless it has passed.
    pub(super) fn note(&mut self, moment: Timestamp) {
        if moment > self.now {
            self.next_change = Some(self.next_change.map_or(moment, |earlier| earlier.min(moment)));
        }
    }

    fn is_past(&mut self, moment: Timestamp) -> bool {
        self.note(moment);
        moment <= self.now
    }
}

/// Puts the worst reasons first, keeps as many as a verdict may have, and sets the outcome.
pub(super) fn state_reasons(verdict: &mut Verdict, mut reasons: Vec<Reason>) {
    let denied = reasons.iter().any(|reason| reason.effect == Effect::Deny);
    let warned = reasons.iter().any(|reason| reason.effect == Effect::Warn);
    // Stable: the report's own order, worst findings first, decides among equals.
    reasons
        .sort_by_key(|reason| std::cmp::Reverse((reason.effect, reason.problem.is_some(), reason.severity)));
    let kept = reasons.len().min(Verdict::MOST_REASONS);
    verdict.further_reasons = u32::try_from(reasons.len() - kept).unwrap_or(u32::MAX);
    reasons.truncate(kept);
    verdict.reasons = reasons;
    let outcome = match (denied, warned) {
        (true, _) => Outcome::Fail,
        (false, true) => Outcome::Warn,
        (false, false) => Outcome::Pass,
    };
    verdict.outcome = verdict.outcome.max(outcome);
}

fn counts(finding: &Finding) -> bool {
    match finding.status {
        FindingStatus::Affected | FindingStatus::DisputedRange => true,
        FindingStatus::Suppressed { .. } | FindingStatus::DistroUnassessed => false,
    }
}

fn is_fixable(finding: &Finding) -> bool {
    match finding.fix {
        Fix::Fixed { .. } => true,
        Fix::NoneYet | Fix::WillNotFix | Fix::ProOnly { .. } | Fix::Unknown => false,
    }
}

impl Conditions {
    fn hold(&self, finding: &Finding, package: &InstalledPackage) -> bool {
        (self.severity.is_empty() || self.severity.contains(&finding.severity))
            && (self.kind.is_empty() || self.kind.contains(&finding.kind))
            && self.fixable.is_none_or(|wanted| wanted == is_fixable(finding))
            && self.known_exploited.is_none_or(|wanted| wanted == finding.known_exploited)
            && self.epss_at_least.is_none_or(|least| finding.epss.is_some_and(|epss| epss >= least))
            && (self.ecosystem.is_empty() || self.ecosystem.contains(&package.package.kind))
            && self.package.as_ref().is_none_or(|pattern| pattern.matches(&package.purl))
    }
}

impl Exception {
    fn covers(&self, finding: &Finding, purl: &Purl) -> bool {
        let names = |id: &String| {
            finding.id == *id || finding.aliases.contains(id) || finding.advisories.contains(id)
        };
        self.advisory.as_ref().is_none_or(names)
            && self.package.as_ref().is_none_or(|pattern| pattern.matches(purl))
    }
}

fn finding_reason(rule: &str, effect: Effect, finding: &Finding, package: &InstalledPackage) -> Reason {
    let (fixed_version, remedy) = match &finding.fix {
        Fix::Fixed { version } => (Some(version.clone()), format!("fixed in {version}")),
        Fix::NoneYet => (None, "no fix yet".to_owned()),
        Fix::WillNotFix => (None, "will not be fixed".to_owned()),
        Fix::ProOnly { version } => (None, format!("fixed for subscribers in {version}")),
        Fix::Unknown => (None, "no fix known".to_owned()),
    };
    let exploited = if finding.known_exploited { ", known to be exploited" } else { "" };
    Reason {
        rule: rule.to_owned(),
        effect,
        message: format!(
            "{} ({}{exploited}) in {} {}: {remedy}",
            finding.id, finding.severity, package.package.name, package.package.version
        ),
        advisory: Some(finding.id.clone()),
        severity: Some(finding.severity),
        purl: Some(package.purl.to_string()),
        fixed_version,
        problem: None,
    }
}

pub(super) fn problem_reason(problem: &Problem, effect: Effect) -> Reason {
    Reason {
        rule: problem.kind.slug().to_owned(),
        effect,
        message: problem.to_string(),
        advisory: None,
        severity: None,
        purl: None,
        fixed_version: None,
        problem: Some(problem.kind),
    }
}
