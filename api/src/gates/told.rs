//! A ruling as a flat JSON object, for gates whose policy language looks at fields.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use shared::model::digest::Digest;
use shared::model::verdict::{Counts, PolicyName, Verdict};

use super::ruling::{Answer, How, Ruling, TOLD_REASONS};

/// What is told about one image.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToldRuling {
    /// Whether it may run.
    pub allowed: bool,
    /// `pass`, `warn`, `fail`, `error`, `not_an_image`; or why there is none: `pending`, `unknown`,
    /// `registry_not_configured` …
    #[schema(example = "pass")]
    pub verdict: &'static str,
    /// The digest that was judged; a tag was resolved to it once.
    pub digest: Option<Digest>,
    /// The image by that digest: what to run instead of a tag.
    pub pinned: Option<String>,
    /// The policy that decided.
    pub policy: PolicyName,
    /// How many critical findings count.
    pub critical: u32,
    /// How many high ones.
    pub high: u32,
    /// When the image was examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub scanned_at: Option<Timestamp>,
    /// The worst reasons, if it is denied.
    pub reasons: Vec<String>,
    /// One paragraph for people.
    pub message: String,
}

impl ToldRuling {
    /// What is told about a ruling.
    pub(super) fn of(ruling: &Ruling) -> Self {
        let verdict = decisive(ruling);
        let counts = verdict.map_or_else(Counts::default, |verdict| verdict.counts);
        Self {
            allowed: ruling.answer == Answer::Allowed,
            verdict: word(ruling, verdict),
            digest: ruling.digest.clone(),
            pinned: pinned(ruling),
            policy: ruling.policy.clone(),
            critical: counts.critical,
            high: counts.high,
            scanned_at: verdict.map(|verdict| verdict.scanned_at),
            reasons: ruling.reasons.iter().take(TOLD_REASONS).map(|reason| reason.message.clone()).collect(),
            message: ruling.explain(),
        }
    }
}

/// The image by its digest.
pub(super) fn pinned(ruling: &Ruling) -> Option<String> {
    Some(ruling.image.as_ref()?.at(ruling.digest.as_ref()?))
}

/// Whether another answer may be had in a moment, so that nobody should remember this one.
pub(super) fn is_passing(ruling: &Ruling) -> bool {
    match ruling.how {
        How::Pending | How::Unknown | How::Stale | How::StoreUnavailable | How::UnresolvableTag => {
            ruling.answer == Answer::Denied
        }
        How::Judged
        | How::NotAnImage
        | How::Forbidden
        | How::UnreadableReference
        | How::RegistryNotConfigured
        | How::Error => false,
    }
}

fn decisive(ruling: &Ruling) -> Option<&Verdict> {
    ruling.verdicts.iter().map(Arc::as_ref).find(|verdict| verdict.policy == ruling.policy)
}

fn word(ruling: &Ruling, verdict: Option<&Verdict>) -> &'static str {
    match (ruling.how, verdict) {
        (How::Judged | How::NotAnImage | How::Error, Some(verdict)) => verdict.outcome.name(),
        (how, _) => how.name(),
    }
}
