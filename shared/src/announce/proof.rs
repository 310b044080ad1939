//! Proof follows the verdict: what is attached to an image is replaced when its verdict changes without a scan, because a
//! policy or time changed it.

use jiff::Timestamp;

use crate::config::AttestConfig;
use crate::model::event::VerdictEvent;
use crate::model::image::RegistryHost;
use crate::model::job::Job;
use crate::model::verdict::{Outcome, PolicyName};

/// Which verdicts are attached to their images.
pub(super) enum Proof {
    /// None.
    Nothing,
    /// Those of these policies, at these registries; `None` means all.
    Of { policies: Option<Vec<PolicyName>>, registries: Option<Vec<RegistryHost>> },
}

impl Proof {
    /// As configured.
    pub(super) fn new(config: &AttestConfig) -> Self {
        match config {
            AttestConfig::Off | AttestConfig::Restore(_) => Self::Nothing,
            AttestConfig::On(attesting) => Self::Of {
                policies: attesting.policies.clone(),
                registries: attesting.trust.registries.clone(),
            },
        }
    }

    /// The job that replaces what is attached, where the image was seen last. Nothing where nobody knows where it
    /// lives, and where such a verdict is never attached.
    pub(super) fn job(&self, event: &VerdictEvent) -> Option<Job> {
        let Self::Of { policies, registries } = self else { return None };
        let is_stated = match event.data.verdict {
            Outcome::Pass | Outcome::Warn | Outcome::Fail => true,
            Outcome::Error | Outcome::NotAnImage => false,
        };
        let is_meant = policies.as_ref().is_none_or(|names| names.contains(&event.data.policy));
        let covers = |host: &RegistryHost| registries.as_ref().is_none_or(|hosts| hosts.contains(host));
        let image = event.images().find(|image| covers(&image.registry))?;
        (is_stated && is_meant).then(|| Job::attest(image, event.data.digest.clone(), Timestamp::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::announce::sample::event;
    use crate::model::job::Task;

    fn only(policy: Option<&str>, registry: Option<&str>) -> Proof {
        Proof::Of {
            policies: policy.map(|name| vec![name.parse().unwrap()]),
            registries: registry.map(|host| vec![host.parse().unwrap()]),
        }
    }

    #[test]
    fn only_what_is_ever_attached_is_attached_again() {
        let place = event().images().next().unwrap();
        for (proof, verdict, wanted) in [
            (Proof::Nothing, Outcome::Fail, false),
            (only(None, None), Outcome::Fail, true),
            (only(None, None), Outcome::Pass, true),
            (only(None, None), Outcome::Error, false),
            (only(None, None), Outcome::NotAnImage, false),
            (only(Some("default"), Some(place.registry.as_str())), Outcome::Warn, true),
            (only(Some("other"), None), Outcome::Fail, false),
            (only(None, Some("elsewhere.example.com")), Outcome::Fail, false),
        ] {
            let mut event = event();
            event.data.verdict = verdict;
            let job = proof.job(&event);
            assert_eq!(job.is_some(), wanted, "{verdict}");
            if let Some(job) = job {
                let expected = Task::Attest { image: place.clone(), digest: event.data.digest };
                assert_eq!(job.task, expected);
            }
        }
    }

    #[test]
    fn an_image_that_was_seen_nowhere_has_no_place_for_proof() {
        let mut event = event();
        event.data.places.clear();
        assert!(only(None, None).job(&event).is_none());
    }
}
