//! The verdict of an index: the worst of its children decides, unless the policy names platforms.

use jiff::Timestamp;

use super::Policy;
use super::horizon::Horizon;
use super::reasons::{About, Draft, state_reasons};
use crate::model::problem::Weight;
use crate::model::report::{IndexChild, Report};
use crate::model::verdict::{ChildVerdict, Effect, Outcome, Reason, Verdict};

impl Policy {
    /// Folds the verdicts of the children that matter. A child that has none counts as an error: an
    /// aggregate never passes by emptiness. The index answers for signatures itself: what its children lack
    /// does not matter to whoever asks for it.
    pub(super) fn fold(
        &self,
        report: &Report,
        listed: &[IndexChild],
        judged: &[Verdict],
        now: Timestamp,
    ) -> Verdict {
        let mut verdict = self.verdict(report, Outcome::Pass, now);
        let mut horizon = Horizon::new(now);
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        for problem in report.problems.iter().filter(|problem| problem.kind.weight() == Weight::Blocking) {
            verdict.problems.push(problem.clone());
            if let Some(effect) = self.effect_of(problem.kind) {
                drafts.push(Draft { effect, about: About::Problem(problem) });
            }
        }
        let mut worst = Outcome::Pass;
        let mut searched = 0_u32;
        for child in listed.iter().filter(|child| self.cares_about(child)) {
            searched += 1;
            let found = judged.iter().find(|verdict| verdict.digest == child.digest);
            let outcome =
                found.map_or(Outcome::Error, |verdict| verdict.if_signed.unwrap_or(verdict.outcome));
            worst = worst.max(outcome);
            verdict.children.push(ChildVerdict {
                digest: child.digest.clone(),
                platform: child.platform.clone(),
                outcome,
            });
            match found {
                Some(found) => {
                    verdict.counts = verdict.counts.plus(found.counts);
                    verdict.further_reasons = verdict.further_reasons.saturating_add(found.further_reasons);
                    verdict.problems.extend(found.problems.iter().cloned());
                    let kept = found.reasons.iter().filter(|reason| !self.is_about_signatures(reason));
                    drafts.extend(kept.map(|reason| Draft::said(of_child(reason, child))));
                    if let Some(moment) = found.valid_until {
                        horizon.note(moment);
                    }
                }
                None => drafts.push(Draft::said(unjudged(child))),
            }
        }
        if searched == 0 {
            let message = "the index has no image for any platform that the policy names";
            drafts.push(Draft::said(Reason::of_rule("platforms", Effect::Deny, message)));
        }
        verdict.outcome = worst;
        self.demand_signatures(report, &mut verdict, &mut drafts);
        state_reasons(&mut verdict, drafts);
        verdict.valid_until = horizon.next_change;
        verdict
    }

    fn is_about_signatures(&self, reason: &Reason) -> bool {
        reason.advisory.is_none()
            && reason.problem.is_none()
            && self.signatures.iter().any(|rule| rule.name == reason.rule)
    }

    pub(super) fn cares_about(&self, child: &IndexChild) -> bool {
        let Some(platform) = &child.platform else {
            return true;
        };
        self.platforms.is_empty() || self.platforms.iter().any(|wanted| platform.satisfies(wanted))
    }
}

fn of_child(reason: &Reason, child: &IndexChild) -> Reason {
    Reason { message: format!("{}: {}", called(child), reason.message), ..reason.clone() }
}

fn unjudged(child: &IndexChild) -> Reason {
    let message = format!("{}: this image of the index could not be judged", called(child));
    Reason::of_rule("children", Effect::Deny, message)
}

pub(super) fn called(child: &IndexChild) -> String {
    child.platform.as_ref().map_or_else(|| child.digest.short().to_owned(), ToString::to_string)
}
