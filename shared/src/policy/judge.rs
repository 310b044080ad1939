//! The rules of one policy applied to one report.

use jiff::{SignedDuration, Timestamp};

use super::horizon::Horizon;
use super::reasons::{About, Draft, outcome_of, problem_reason, state_reasons};
use super::rule::{Match, Seen, is_fixable};
use super::ruling::Ruling;
use super::signature::SignatureRule;
use super::values::{FindingValues, ImageValues};
use super::{Circumstances, Policy};
use crate::model::problem::{Problem, ProblemKind, Weight};
use crate::model::report::{Finding, Report, Subject};
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
        let drafts = report.problems.iter().map(|problem| Draft::said(problem_reason(problem, Effect::Deny)));
        state_reasons(&mut verdict, drafts.collect());
        verdict.problems = report.problems.clone();
        verdict
    }

    fn judge_image(&self, report: &Report, circumstances: &Circumstances<'_>) -> Verdict {
        let now = circumstances.now;
        let mut verdict = self.verdict(report, Outcome::Pass, now);
        let mut horizon = Horizon::new(now);
        let values = ImageValues::new(report, now);
        let timed = self.problems_of_time(report, now, &mut horizon);
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        for problem in report.problems.iter().chain(&timed) {
            if problem.kind.weight() == Weight::Informational {
                continue;
            }
            verdict.problems.push(problem.clone());
            if let Some(effect) = self.effect_of(problem.kind) {
                drafts.push(Draft { effect, about: About::Problem(problem) });
            }
        }
        drafts.extend(self.image_reasons(report, &values, &mut horizon).into_iter().map(Draft::said));
        let observed = self.observation_reasons(report, circumstances, &mut horizon);
        drafts.extend(observed.into_iter().map(Draft::said));
        let licensed = self.license_reasons(report, circumstances, &mut horizon);
        drafts.extend(licensed.into_iter().map(Draft::said));
        for finding in &report.findings {
            // A finding about no package of the inventory cannot be: matching makes them from it.
            let Some(package) = report.package_of(finding) else {
                continue;
            };
            let seen =
                Seen { report, finding, package, image_values: &values, values: FindingValues::default() };
            let ruling = self.ruling(&seen, circumstances, &mut horizon);
            verdict.counts.count(finding, &ruling);
            if let Ruling::Spoken(spoken) = ruling {
                let effect = spoken.effect;
                drafts.push(Draft { effect, about: About::Finding { finding, package, spoken } });
            }
        }
        self.demand_signatures(report, &mut verdict, &mut drafts);
        state_reasons(&mut verdict, drafts);
        verdict.valid_until = horizon.next_change;
        verdict
    }

    /// What the rules about the image object to. Every one that matches speaks.
    pub(super) fn image_reasons(
        &self,
        report: &Report,
        values: &ImageValues<'_>,
        horizon: &mut Horizon,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for rule in &self.image_rules {
            let message = match rule.when.hold(report, values, horizon) {
                Match::No => continue,
                Match::Yes => format!("the image is what rule {} objects to", rule.name),
                Match::Unsure(why) => format!("rule {} cannot tell: {why}", rule.name),
            };
            reasons.push(Reason::of_rule(&rule.name, rule.then, message));
        }
        reasons
    }

    /// Adds a reason for every signature that is missing, and says what the outcome would be with them.
    pub(super) fn demand_signatures(
        &self,
        report: &Report,
        verdict: &mut Verdict,
        drafts: &mut Vec<Draft<'_>>,
    ) {
        let missing: Vec<Reason> = self.missing_signatures(report);
        if missing.is_empty() {
            return;
        }
        let if_signed = verdict.outcome.max(outcome_of(drafts.iter().map(|draft| draft.effect)));
        drafts.extend(missing.into_iter().map(Draft::said));
        let outcome = verdict.outcome.max(outcome_of(drafts.iter().map(|draft| draft.effect)));
        verdict.if_signed = (if_signed != outcome).then_some(if_signed);
    }

    pub(super) fn missing_signatures(&self, report: &Report) -> Vec<Reason> {
        let missing = self.signatures.iter().filter(|rule| !rule.is_met(report));
        let reason = |rule: &SignatureRule| {
            let message = match report.signatures.len() {
                0 => format!("no signature is known, and {} requires one", rule.name),
                count => format!("none of {count} signatures is by a key of {}", rule.name),
            };
            Reason::of_rule(&rule.name, rule.then, message)
        };
        missing.map(reason).collect()
    }

    /// Problems that come with time alone: stale advisories, a distribution out of support.
    pub(super) fn problems_of_time(
        &self,
        report: &Report,
        now: Timestamp,
        horizon: &mut Horizon,
    ) -> Vec<Problem> {
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
            // Of several distributions the report does not say whose day it is.
            let name = report
                .inventory()
                .filter(|inventory| inventory.nested_roots.is_empty())
                .and_then(|inventory| inventory.distribution.as_ref())
                .map_or("a distribution in the image", |distribution| distribution.name.as_str());
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
}

impl Counts {
    fn count(&mut self, finding: &Finding, ruling: &Ruling<'_>) {
        match ruling {
            Ruling::NotCounted | Ruling::Excepted(_) => self.suppressed += 1,
            Ruling::Unruled | Ruling::Ignored(_) | Ruling::Spoken(_) => {
                self.add(finding.severity);
                if is_fixable(finding) {
                    self.fixable += 1;
                }
            }
        }
    }
}
