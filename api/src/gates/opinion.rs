//! One policy's opinion about one image: what was found, folded with the policy's fail modes. Pure.

use std::sync::Arc;
use std::time::Duration;

use shared::model::image::ImageName;
use shared::model::verdict::{Effect, Mode, Outcome, Reason, Verdict};
use shared::policy::{FailMode, Policy};

use super::archive::Finding;
use super::question::{Enqueue, Purpose};
use super::ruling::{Answer, How, TOLD_REASONS};
use super::tags::{Identity, Known};

/// What is known about one image when a policy is asked.
pub(super) struct Facts<'a> {
    pub(super) purpose: Purpose,
    pub(super) identity: &'a Identity,
    /// What is known about the digest, if there is one.
    pub(super) finding: &'a Finding,
    /// Why the digest could not be queued, if it should have been.
    pub(super) unqueued: Option<&'a str>,
    pub(super) enqueue: Enqueue,
    /// How long was waited for verdicts, if anything was.
    pub(super) waited: Option<Duration>,
}

/// What one policy thinks.
pub(super) struct Opinion {
    pub(super) policy: Arc<Policy>,
    pub(super) answer: Answer,
    pub(super) how: How,
    /// Those that deny, worst first.
    pub(super) denials: Vec<Reason>,
    /// What it wants people to know, worst first.
    pub(super) remarks: Vec<String>,
    pub(super) further: u32,
    pub(super) verdict: Option<Arc<Verdict>>,
}

/// What `policy` thinks of an image.
pub(super) fn form(policy: &Arc<Policy>, facts: &Facts<'_>) -> Opinion {
    let (image, registry) = match facts.identity {
        Identity::Unreadable { reason } => {
            return denied(policy, How::UnreadableReference, "unreadable-reference", reason);
        }
        Identity::Unresolved { image, reason } => {
            let opinion =
                by_mode(policy, policy.fail_modes.on_error, How::UnresolvableTag, "on_error", reason);
            return under_admission(opinion, image);
        }
        Identity::Foreign { image } => return under_admission(foreign(policy, image), image),
        Identity::Found { image, registry, .. } => (image, *registry),
    };
    let opinion = match (facts.finding, registry) {
        (Finding::Judged(verdict), _) => judged(policy, verdict, facts.purpose),
        (Finding::Stale(verdict), _) => stale(policy, verdict, facts),
        (Finding::Unknown | Finding::Pending, Known::Unconfigured) => foreign(policy, image),
        (Finding::Pending, Known::Configured) => {
            let message = unjudged("is waiting to be scanned", policy.fail_modes.on_pending, facts);
            by_mode(policy, policy.fail_modes.on_pending, How::Pending, "on_pending", &message)
        }
        (Finding::Unknown, Known::Configured) => {
            let message = unjudged("has never been scanned", policy.fail_modes.on_unknown, facts);
            by_mode(policy, policy.fail_modes.on_unknown, How::Unknown, "on_unknown", &message)
        }
        (Finding::Unavailable { reason }, _) => {
            let message = format!("verdicts cannot be looked up now ({reason}); try again");
            by_mode(policy, policy.fail_modes.on_error, How::StoreUnavailable, "on_error", &message)
        }
    };
    under_admission(opinion, image)
}

/// Adds what speaks against the request itself, whatever is in the image.
fn under_admission(mut opinion: Opinion, image: &ImageName) -> Opinion {
    let (denials, warnings): (Vec<_>, Vec<_>) =
        opinion.policy.admission_reasons(image).into_iter().partition(|reason| reason.effect == Effect::Deny);
    opinion.remarks.splice(0..0, warnings.into_iter().map(|reason| reason.message));
    if !denials.is_empty() {
        if opinion.answer == Answer::Allowed {
            opinion.how = How::Forbidden;
            opinion.answer = Answer::Denied;
        }
        opinion.denials.splice(0..0, denials);
    }
    opinion
}

fn judged(policy: &Arc<Policy>, verdict: &Arc<Verdict>, purpose: Purpose) -> Opinion {
    let opinion = match (verdict.outcome, purpose) {
        (Outcome::Pass | Outcome::Warn, _) => plain(policy, Answer::Allowed, How::Judged),
        (Outcome::NotAnImage, Purpose::Volume | Purpose::Pull) => {
            plain(policy, Answer::Allowed, How::NotAnImage)
        }
        (Outcome::NotAnImage, Purpose::Container) => {
            let reason =
                "this is no image (a chart, a signature or another artifact), so no container can run it";
            denied(policy, How::NotAnImage, "not_an_image", reason)
        }
        (Outcome::Fail, _) => plain(policy, Answer::Denied, How::Judged),
        (Outcome::Error, _) => match policy.fail_modes.on_error {
            FailMode::Allow => {
                let mut opinion = plain(policy, Answer::Allowed, How::Error);
                opinion.remarks.push("it could not be examined, and on_error allows that".to_owned());
                opinion
            }
            FailMode::Deny | FailMode::Wait => plain(policy, Answer::Denied, How::Error),
        },
    };
    with_verdict(opinion, verdict)
}

/// A stale verdict's own judgement counts where the policy allows staleness: never better than it was.
fn stale(policy: &Arc<Policy>, verdict: &Arc<Verdict>, facts: &Facts<'_>) -> Opinion {
    let message = unjudged("has a verdict that is out of date", policy.fail_modes.on_stale, facts);
    match policy.fail_modes.on_stale {
        FailMode::Allow => {
            let mut opinion = judged(policy, verdict, facts.purpose);
            opinion.how = How::Stale;
            opinion.remarks.insert(0, message);
            opinion
        }
        FailMode::Deny | FailMode::Wait => denied(policy, How::Stale, "on_stale", &message),
    }
}

/// Nothing is known, and nothing will be: the image's registry may not be contacted (I8).
fn foreign(policy: &Arc<Policy>, image: &ImageName) -> Opinion {
    let message = format!(
        "registry {} is not configured, so its images are never scanned; add it under [registries], or push the image to a registry that is",
        image.registry
    );
    by_mode(policy, policy.fail_modes.on_unknown, How::RegistryNotConfigured, "on_unknown", &message)
}

/// What is the matter with a digest without a current verdict, and what to do.
fn unjudged(state: &str, mode: FailMode, facts: &Facts<'_>) -> String {
    match (facts.unqueued, facts.enqueue, mode, facts.waited) {
        (Some(reason), _, _, _) => {
            format!("this digest {state}, and it could not be queued: {reason}; try again")
        }
        (None, Enqueue::DryRun, _, _) => {
            format!("this digest {state}; a dry run has nothing scanned, the real request will")
        }
        (None, Enqueue::Allowed, FailMode::Wait, Some(waited)) => format!(
            "this digest {state}; no verdict came within {:.1} s; it is queued, try again in a moment",
            waited.as_secs_f64()
        ),
        (None, Enqueue::Allowed, FailMode::Wait | FailMode::Allow | FailMode::Deny, _) => {
            format!("this digest {state}; it is queued, try again in a moment")
        }
    }
}

fn by_mode(policy: &Arc<Policy>, mode: FailMode, how: How, rule: &str, message: &str) -> Opinion {
    match mode {
        FailMode::Allow => {
            let mut opinion = plain(policy, Answer::Allowed, how);
            opinion.remarks.push(format!("{rule} allows it although {message}"));
            opinion
        }
        FailMode::Deny | FailMode::Wait => denied(policy, how, rule, message),
    }
}

fn denied(policy: &Arc<Policy>, how: How, rule: &str, message: &str) -> Opinion {
    let mut opinion = plain(policy, Answer::Denied, how);
    opinion.denials.push(Reason::of_rule(rule, Effect::Deny, message));
    opinion
}

fn plain(policy: &Arc<Policy>, answer: Answer, how: How) -> Opinion {
    Opinion {
        policy: Arc::clone(policy),
        answer,
        how,
        denials: Vec::new(),
        remarks: Vec::new(),
        further: 0,
        verdict: None,
    }
}

/// Takes over what the verdict says: its denials where it denies, else what it warns about.
fn with_verdict(mut opinion: Opinion, verdict: &Arc<Verdict>) -> Opinion {
    let (denials, warnings): (Vec<&Reason>, Vec<&Reason>) =
        verdict.reasons.iter().partition(|reason| reason.effect == Effect::Deny);
    match opinion.answer {
        Answer::Denied => {
            opinion.denials.extend(denials.into_iter().cloned());
            opinion.further = verdict.further_reasons;
            if opinion.denials.is_empty() {
                let message = format!("its verdict is {}", verdict.outcome.name());
                opinion.denials.push(Reason::of_rule("verdict", Effect::Deny, message));
            }
        }
        Answer::Allowed => {
            let told = warnings.iter().chain(&denials).take(TOLD_REASONS);
            opinion.remarks.extend(told.map(|reason| reason.message.clone()));
        }
    }
    opinion.verdict = Some(Arc::clone(verdict));
    opinion
}

impl Opinion {
    /// Whether it can deny, or only say that it would.
    pub(super) fn enforces(&self) -> bool {
        match self.policy.mode {
            Mode::Enforce => true,
            Mode::Audit => false,
        }
    }
}

#[cfg(test)]
mod tests;
