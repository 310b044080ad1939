//! What somebody wants to be told of: policies, transitions, repositories.

use std::fmt;
use std::str::FromStr;

use crate::model::event::{OutcomeNameError, Previous, VerdictEvent, outcome};
use crate::model::verdict::{Outcome, PolicyName};
use crate::policy::ImagePattern;

/// Which events somebody wants; a list that is empty excludes nothing, but see `outcomes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Only what these policies think.
    pub policies: Vec<PolicyName>,
    /// Only these changes. Where none is named: all, but that something new is no image. Every signature, chart and
    /// attestation is such a something, our own too, and nobody acts on it.
    pub outcomes: Vec<Transition>,
    /// Only images that were seen in one of these repositories.
    pub repositories: Vec<ImagePattern>,
}

/// A change from one outcome to another, either of which may be anything: `fail`, `pass->fail`, `*->fail`,
/// `pending->warn`, `fail->*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    from: Option<Previous>,
    to: Option<Outcome>,
}

/// Why a text is no transition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write one like fail, pass->fail, pending->fail or fail->*")]
pub struct TransitionError(#[from] OutcomeNameError);

impl Interest {
    /// Whether somebody with this interest is to be told.
    pub fn includes(&self, event: &VerdictEvent) -> bool {
        let data = &event.data;
        let policy = self.policies.is_empty() || self.policies.contains(&data.policy);
        let outcome = match self.outcomes.as_slice() {
            [] => (data.previous, data.verdict) != (Previous::Pending, Outcome::NotAnImage),
            wanted => wanted.iter().any(|transition| transition.includes(data.previous, data.verdict)),
        };
        let seen = |pattern: &ImagePattern| event.images().any(|image| pattern.matches(&image));
        policy && outcome && (self.repositories.is_empty() || self.repositories.iter().any(seen))
    }
}

impl Transition {
    /// Whether a change from `from` to `to` is meant.
    pub fn includes(&self, from: Previous, to: Outcome) -> bool {
        self.from.is_none_or(|wanted| wanted == from) && self.to.is_none_or(|wanted| wanted == to)
    }
}

impl FromStr for Transition {
    type Err = TransitionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("->").unwrap_or(("*", text));
        let from = Some(from.trim()).filter(|from| *from != "*").map(str::parse).transpose()?;
        let to = Some(to.trim()).filter(|to| *to != "*").map(outcome).transpose()?;
        Ok(Self { from, to })
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.map_or("*", Previous::name);
        write!(f, "{from}->{}", self.to.map_or("*", Outcome::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::sample::event;

    #[test]
    fn transitions_are_written_as_people_say_them() {
        let (pending, pass) = (Previous::Pending, Previous::Known(Outcome::Pass));
        for (text, from, to, included) in [
            ("fail", pending, Outcome::Fail, true),
            ("fail", pass, Outcome::Warn, false),
            ("pass->fail", pass, Outcome::Fail, true),
            ("pass -> fail", pass, Outcome::Fail, true),
            ("pass->fail", pending, Outcome::Fail, false),
            ("pending->*", pending, Outcome::Pass, true),
            ("*->*", pass, Outcome::Error, true),
        ] {
            let transition: Transition = text.parse().unwrap();
            assert_eq!(transition.includes(from, to), included, "{text}: {from:?} {to}");
            assert_eq!(transition.to_string().parse::<Transition>().unwrap(), transition);
        }
        for text in ["", "failed", "pass->", "->fail", "fail->pending", "pass=>fail"] {
            assert!(text.parse::<Transition>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_interest_in_nothing_particular_is_one_in_everything() {
        let pattern = |text: &str| vec![ImagePattern::new(text).unwrap()];
        let default = || vec![PolicyName::default_policy()];
        let policy = |name: &str| vec![name.parse::<PolicyName>().unwrap()];
        let fail = || vec!["fail".parse::<Transition>().unwrap()];
        let pass = || vec!["pass".parse::<Transition>().unwrap()];
        for (interest, included) in [
            (Interest::default(), true),
            (Interest { policies: default(), ..Interest::default() }, true),
            (Interest { policies: policy("prod"), ..Interest::default() }, false),
            (Interest { outcomes: fail(), ..Interest::default() }, true),
            (Interest { outcomes: pass(), ..Interest::default() }, false),
            (
                Interest { repositories: pattern("registry.example.com:5000/team/*"), ..Interest::default() },
                true,
            ),
            (Interest { repositories: pattern("mirror.example.com/*"), ..Interest::default() }, true),
            (Interest { repositories: pattern("*/other/*"), ..Interest::default() }, false),
            (Interest { policies: default(), outcomes: pass(), ..Interest::default() }, false),
        ] {
            assert_eq!(interest.includes(&event()), included, "{interest:?}");
        }
    }

    #[test]
    fn that_something_new_is_no_image_is_told_only_to_those_who_ask() {
        let of = |previous, verdict| {
            let mut event = event();
            (event.data.previous, event.data.verdict) = (previous, verdict);
            event
        };
        let artifact = of(Previous::Pending, Outcome::NotAnImage);
        let was_one = of(Previous::Known(Outcome::Pass), Outcome::NotAnImage);
        let asks = |text: &str| Interest { outcomes: vec![text.parse().unwrap()], ..Interest::default() };
        assert!(!Interest::default().includes(&artifact));
        assert!(Interest::default().includes(&was_one));
        assert!(asks("*->*").includes(&artifact) && asks("not_an_image").includes(&artifact));
    }
}
