//! What a policy makes of one finding; verdicts and explanations are both made of this.

use std::borrow::Cow;

use jiff::Timestamp;

use super::horizon::Horizon;
use super::rule::{Match, Rule, Seen, counts};
use super::{Circumstances, Exception, Policy};
use crate::model::package::Purl;
use crate::model::report::Finding;
use crate::model::verdict::Effect;

/// What a policy makes of one finding.
pub(super) enum Ruling<'p> {
    /// The report itself says that it does not count.
    NotCounted,
    /// Somebody answers for it.
    Excepted(&'p Exception),
    /// No rule is about it.
    Unruled,
    /// A rule says that it does not matter.
    Ignored(&'p Rule),
    /// A rule objects.
    Spoken(Spoken<'p>),
}

/// A rule's objection.
pub(super) struct Spoken<'p> {
    pub(super) rule: &'p Rule,
    pub(super) effect: Effect,
    /// The rule denies, and only warns until then.
    pub(super) grace_until: Option<Timestamp>,
    /// Why it is not sure that the rule is about this finding.
    pub(super) doubt: Option<Cow<'static, str>>,
}

impl Policy {
    pub(super) fn ruling(
        &self,
        seen: &Seen<'_>,
        circumstances: &Circumstances<'_>,
        horizon: &mut Horizon,
    ) -> Ruling<'_> {
        if !counts(seen.finding) {
            return Ruling::NotCounted;
        }
        if let Some(exception) = self.exception_for(seen.finding, &seen.package.purl, circumstances) {
            horizon.note(exception.expires);
            return Ruling::Excepted(exception);
        }
        self.rule_for(seen, horizon)
    }

    /// The exception that holds longest: its end is when the verdict changes.
    fn exception_for(
        &self,
        finding: &Finding,
        purl: &Purl,
        circumstances: &Circumstances<'_>,
    ) -> Option<&Exception> {
        let holding = self.exceptions.iter().filter(|exception| {
            circumstances.now < exception.expires
                && exception.scope.holds_at(circumstances.place)
                && exception.covers(finding, purl)
        });
        holding.max_by_key(|exception| exception.expires)
    }

    /// The first rule that surely matches decides, and every unsure one before it that is stricter.
    fn rule_for(&self, seen: &Seen<'_>, horizon: &mut Horizon) -> Ruling<'_> {
        let mut worst: Option<Spoken<'_>> = None;
        for rule in &self.rules {
            let doubt = match rule.when.hold(seen, horizon) {
                Match::No => continue,
                Match::Yes => None,
                Match::Unsure(why) => Some(why),
            };
            let sure = doubt.is_none();
            let Some((effect, grace_until)) = rule.effect(seen.finding, horizon) else {
                if sure {
                    return worst.map_or(Ruling::Ignored(rule), Ruling::Spoken);
                }
                continue;
            };
            if worst.as_ref().is_none_or(|worst| effect > worst.effect) {
                worst = Some(Spoken { rule, effect, grace_until, doubt });
            }
            if sure {
                break;
            }
        }
        worst.map_or(Ruling::Unruled, Ruling::Spoken)
    }
}

impl Exception {
    pub(super) fn covers(&self, finding: &Finding, purl: &Purl) -> bool {
        let names = |id: &String| {
            finding.id == *id || finding.aliases.contains(id) || finding.advisories.contains(id)
        };
        self.observation.is_none()
            && self.license.is_none()
            && self.advisory.as_ref().is_none_or(names)
            && self.package.as_ref().is_none_or(|pattern| pattern.matches(purl))
    }
}
