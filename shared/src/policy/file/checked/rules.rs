//! Rules of a policy file about findings, observations, images and their signatures.

use serde_saphyr::Spanned;

use super::values::{expression, glob_table, globs, ports, purl};
use super::{Names, Part};
use crate::model::report::Probability;
use crate::policy::file::PolicyError;
use crate::policy::file::raw::{
    RawConditions, RawGrace, RawImageConditions, RawImageRule, RawObservationRule, RawRule, RawSignature,
};
use crate::policy::signature::MOST_KEYS;
use crate::policy::{
    Conditions, Grace, ImageConditions, ImageRule, ObservationConditions, ObservationRule, PublicKey, Rule,
    RuleEffect, Sight, SignatureRule,
};

/// The longest grace: ten years are no grace.
const LONGEST_GRACE_DAYS: u32 = 3650;

pub(super) fn rule(part: &Part<'_>, raw: RawRule, names: &mut Names) -> Result<Rule, PolicyError> {
    names.take(part, &raw.name)?;
    let grace =
        raw.grace.map(|raw_grace| grace(&part.at(&raw_grace), &raw_grace.value, raw.then)).transpose()?;
    Ok(Rule { when: conditions(part, raw.when)?, name: raw.name, then: raw.then, grace })
}

fn grace(part: &Part<'_>, raw: &RawGrace, then: RuleEffect) -> Result<Grace, PolicyError> {
    match then {
        RuleEffect::Deny => {}
        RuleEffect::Warn | RuleEffect::Ignore => {
            return Err(part.refuse("grace makes a rule warn instead of deny; this one never denies"));
        }
    }
    if !(1..=LONGEST_GRACE_DAYS).contains(&raw.days) {
        return Err(part.refuse(format!("grace has 1 to {LONGEST_GRACE_DAYS} days")));
    }
    Ok(Grace { days: raw.days, from: raw.from })
}

fn conditions(part: &Part<'_>, raw: RawConditions) -> Result<Conditions, PolicyError> {
    let epss_at_least = match raw.epss_at_least {
        Some(value) if !(0.0..=1.0).contains(&value.value) => {
            let reason = format!("epss_at_least is a probability from 0 to 1, not {}", value.value);
            return Err(part.at(&value).refuse(reason));
        }
        other => other.map(|value| Probability::new(value.value)),
    };
    Ok(Conditions {
        severity: raw.severity,
        kind: raw.kind,
        fixable: raw.fixable,
        known_exploited: raw.known_exploited,
        epss_at_least,
        ecosystem: raw.ecosystem,
        package: raw.package.map(|text| purl(part, text)).transpose()?,
        published_days_at_least: raw.published_days_at_least,
        fix_days_at_least: raw.fix_days_at_least,
        origin: raw.origin,
        cel: raw.cel.map(|text| expression(part, &text, Sight::Findings)).transpose()?,
    })
}

pub(super) fn observation_rule(
    part: &Part<'_>,
    raw: RawObservationRule,
    names: &mut Names,
) -> Result<ObservationRule, PolicyError> {
    names.take(part, &raw.name)?;
    let when = ObservationConditions {
        kind: raw.when.kind,
        severity: raw.when.severity,
        check: globs(part, raw.when.check)?,
        path: globs(part, raw.when.path)?,
        visible: raw.when.visible,
    };
    if when == ObservationConditions::default() {
        return Err(part.refuse("when is empty, so every observation would match; name a condition"));
    }
    Ok(ObservationRule { name: raw.name, when, then: raw.then })
}

pub(super) fn image_rule(
    part: &Part<'_>,
    raw: RawImageRule,
    names: &mut Names,
) -> Result<ImageRule, PolicyError> {
    names.take(part, &raw.name)?;
    let when = image_conditions(part, raw.when)?;
    if when == ImageConditions::default() {
        return Err(part.refuse("when is empty, so every image would match; name a condition"));
    }
    Ok(ImageRule { name: raw.name, when, then: raw.then })
}

fn image_conditions(part: &Part<'_>, raw: RawImageConditions) -> Result<ImageConditions, PolicyError> {
    Ok(ImageConditions {
        runs_as_root: raw.runs_as_root,
        exposes: ports(part, raw.exposes)?,
        lacks_labels: raw.lacks_labels,
        labels: glob_table(part, raw.labels)?,
        healthcheck: raw.healthcheck,
        secrets_in_environment: raw.secrets_in_environment,
        environment: globs(part, raw.environment)?,
        built_days_at_least: raw.built_days_at_least,
        scanned_days_at_least: raw.scanned_days_at_least,
        advisories_days_at_least: raw.advisories_days_at_least,
        support_ends_within_days: raw.support_ends_within_days,
        cel: raw.cel.map(|text| expression(part, &text, Sight::Image)).transpose()?,
    })
}

pub(super) fn signature(
    part: &Part<'_>,
    raw: RawSignature,
    names: &mut Names,
) -> Result<SignatureRule, PolicyError> {
    names.take(part, &raw.name)?;
    if raw.keys.is_empty() || raw.keys.len() > MOST_KEYS {
        return Err(part.refuse(format!("keys lists 1 to {MOST_KEYS} public keys")));
    }
    let key = |text: &Spanned<String>| {
        PublicKey::from_pem(&text.value).map_err(|error| part.at(text).refuse(error))
    };
    let keys = raw.keys.iter().map(key).collect::<Result<_, _>>()?;
    Ok(SignatureRule { name: raw.name, keys, then: raw.then })
}
