//! The opinions of all policies that cover an image become one ruling: the strictest enforcing one wins. Pure.

use std::cmp::Reverse;

use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::verdict::{PolicyName, Reason};
use url::Url;

use super::legible::legible;
use super::opinion::Opinion;
use super::ruling::{Answer, How, Ruling, TOLD_REASONS};
use super::tags::Identity;

/// At most this much of what a caller wrote is repeated.
const SHOWN: usize = 300;

/// What a caller wrote, fit to be shown: cut, and without control characters.
pub(super) fn shown(asked: &str) -> String {
    if asked.trim().is_empty() {
        return "an image without a name".to_owned();
    }
    legible(asked, SHOWN)
}

/// The ruling about one image.
pub(super) fn fold(
    asked: &str,
    identity: &Identity,
    opinions: Vec<Opinion>,
    more: impl FnOnce(How, &PolicyName) -> Url,
) -> Ruling {
    let (image, digest) = named(identity);
    let decisive = decisive(&opinions);
    let policy = decisive.map_or_else(PolicyName::default_policy, |opinion| opinion.policy.name.clone());
    let how = decisive.map_or(How::Judged, |opinion| opinion.how);
    let enforced = decisive.filter(|opinion| opinion.enforces());
    let answer = enforced.map_or(Answer::Allowed, |opinion| opinion.answer);
    let mut ruling = Ruling {
        asked: shown(asked),
        image,
        digest,
        answer,
        how,
        more: match answer {
            Answer::Denied => Some(more(how, &policy)),
            Answer::Allowed => None,
        },
        policy,
        reasons: Vec::new(),
        further_reasons: 0,
        warnings: Vec::new(),
        verdicts: Vec::new(),
    };
    for opinion in opinions {
        let name = &opinion.policy.name;
        match (opinion.answer, opinion.enforces()) {
            (Answer::Denied, true) => {
                ruling.further_reasons = ruling.further_reasons.saturating_add(opinion.further);
                ruling.reasons.extend(opinion.denials);
            }
            (Answer::Denied, false) => {
                let told = told(&opinion.denials, opinion.further);
                ruling.warnings.extend(told.map(|reason| format!("{name} (audit) would deny: {reason}")));
            }
            (Answer::Allowed, _) => {}
        }
        ruling.warnings.extend(opinion.remarks.iter().map(|remark| format!("{name}: {remark}")));
        ruling.verdicts.extend(opinion.verdict);
    }
    // Stable: each policy has its worst first already.
    ruling.reasons.sort_by_key(|reason| Reverse((reason.effect, reason.problem.is_some(), reason.severity)));
    ruling
}

/// The opinion that the answer follows: the first enforcing one that denies; else the first enforcing one
/// that had to be generous; else the first enforcing one; else the first.
fn decisive(opinions: &[Opinion]) -> Option<&Opinion> {
    let enforcing = || opinions.iter().filter(|opinion| opinion.enforces());
    let by_judgement = |opinion: &&Opinion| matches!(opinion.how, How::Judged | How::NotAnImage);
    enforcing()
        .find(|opinion| opinion.answer == Answer::Denied)
        .or_else(|| enforcing().find(|opinion| !by_judgement(opinion)))
        .or_else(|| enforcing().next())
        .or_else(|| opinions.first())
}

/// The worst reasons, and how many there are besides.
fn told(reasons: &[Reason], further: u32) -> impl Iterator<Item = String> {
    let left = reasons.len().saturating_sub(TOLD_REASONS) + further as usize;
    let rest = (left > 0).then(|| format!("{left} more reasons"));
    reasons.iter().take(TOLD_REASONS).map(|reason| reason.message.clone()).chain(rest)
}

fn named(identity: &Identity) -> (Option<ImageName>, Option<Digest>) {
    match identity {
        Identity::Unreadable { .. } => (None, None),
        Identity::Unresolved { image, .. } | Identity::Foreign { image } => (Some(image.clone()), None),
        Identity::Found { image, digest, .. } => (Some(image.clone()), Some(digest.clone())),
    }
}
