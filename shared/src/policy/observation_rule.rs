//! Rules about observations: secrets, misconfiguration, malware, signs of evasion.
//!
//! Tried in order; for each observation the first that matches decides. Nothing is unsure about an observation: it
//! was seen.

use super::horizon::Horizon;
use super::pattern::Glob;
use super::rule::RuleEffect;
use super::{Circumstances, Exception, Policy};
use crate::model::observation::{Observation, ObservationKind, Visibility};
use crate::model::report::{Report, Severity};
use crate::model::verdict::{Effect, Reason};

/// One rule about observations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationRule {
    /// For people, in reasons.
    pub name: String,
    /// Which observations; every condition that is given must hold.
    pub when: ObservationConditions,
    /// What then.
    pub then: RuleEffect,
}

/// Conditions of a rule about observations. `None` and empty mean: does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservationConditions {
    /// One of these kinds.
    pub kind: Vec<ObservationKind>,
    /// One of these severities.
    pub severity: Vec<Severity>,
    /// Found by one of these checks: `TW-CFG-USER`, `TW-SEC-*`.
    pub check: Vec<Glob>,
    /// In one of these files.
    pub path: Vec<Glob>,
    /// Whether a container would see it.
    pub visible: Option<bool>,
}

/// Which observations an exception is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationPattern {
    /// The check: `TW-SEC-PRIVATE-KEY`, `TW-SEC-*`.
    pub check: Glob,
    /// The file; any if it says nothing.
    pub path: Option<Glob>,
}

impl ObservationConditions {
    fn hold(&self, observation: &Observation) -> bool {
        let path = observation.place.path.as_deref();
        let is_visible = observation.visibility == Visibility::Visible;
        (self.kind.is_empty() || self.kind.contains(&observation.kind))
            && (self.severity.is_empty() || self.severity.contains(&observation.severity))
            && (self.check.is_empty() || self.check.iter().any(|glob| glob.matches(&observation.rule)))
            && (self.path.is_empty()
                || path.is_some_and(|path| self.path.iter().any(|glob| glob.matches(path))))
            && self.visible.is_none_or(|visible| visible == is_visible)
    }
}

impl ObservationPattern {
    fn covers(&self, observation: &Observation) -> bool {
        let in_file = |glob: &Glob| observation.place.path.as_deref().is_some_and(|path| glob.matches(path));
        self.check.matches(&observation.rule) && self.path.as_ref().is_none_or(in_file)
    }
}

impl Policy {
    /// What the policy objects to among a report's observations.
    pub(super) fn observation_reasons(
        &self,
        report: &Report,
        circumstances: &Circumstances<'_>,
        horizon: &mut Horizon,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for observation in &report.observations {
            let Some(rule) = self.observation_rules.iter().find(|rule| rule.when.hold(observation)) else {
                continue;
            };
            let effect = match rule.then {
                RuleEffect::Ignore => continue,
                RuleEffect::Warn => Effect::Warn,
                RuleEffect::Deny => Effect::Deny,
            };
            match self.exception_about(observation, circumstances) {
                Some(exception) => horizon.note(exception.expires),
                None => reasons.push(reason(rule, effect, observation)),
            }
        }
        reasons
    }

    /// The exception that holds longest.
    fn exception_about(
        &self,
        observation: &Observation,
        circumstances: &Circumstances<'_>,
    ) -> Option<&Exception> {
        let holding = self.exceptions.iter().filter(|exception| {
            circumstances.now < exception.expires
                && exception.scope.holds_at(circumstances.place)
                && exception.observation.as_ref().is_some_and(|pattern| pattern.covers(observation))
        });
        holding.max_by_key(|exception| exception.expires)
    }
}

fn reason(rule: &ObservationRule, effect: Effect, observation: &Observation) -> Reason {
    let place = &observation.place;
    let mut message = format!("{} ({})", observation.title, observation.severity);
    if let Some(path) = place.path.as_deref().or(place.config.as_deref()) {
        message.push_str(&format!(": {path}"));
    }
    if let (Some(_), Some(line)) = (&place.path, place.line) {
        message.push_str(&format!(" line {line}"));
    }
    match observation.visibility {
        Visibility::Visible => {}
        Visibility::Overwritten { by } => {
            message.push_str(&format!(", overwritten by layer {} and still in layer", by.0));
        }
        Visibility::Deleted { by } => {
            message.push_str(&format!(", deleted by layer {} and still in layer", by.0));
        }
    }
    if let (Some(layer), false) = (place.layer, observation.visibility == Visibility::Visible) {
        message.push_str(&format!(" {}", layer.0));
    }
    Reason { severity: Some(observation.severity), ..Reason::of_rule(&rule.name, effect, message) }
}
