//! From the shape of a policy file to a policy: what serde cannot check, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_saphyr::Spanned;

use super::raw::{
    RawConditions, RawException, RawGrace, RawImageConditions, RawImageRule, RawLicenseRule,
    RawObservationRule, RawPolicy, RawRegistries, RawRule, RawScope, RawSignature,
};
use super::{PolicyError, Position};
use crate::model::problem::{ProblemKind, Weight};
use crate::model::report::{Probability, Revision};
use crate::policy::signature::MOST_KEYS;
use crate::policy::{
    Conditions, Exception, Expression, FailModes, Glob, Grace, ImageConditions, ImagePattern, ImageRule,
    ObservationConditions, ObservationPattern, ObservationRule, Policy, ProblemEffect, PublicKey,
    PurlPattern, RegistryRules, Rule, RuleEffect, Scope, Sight, SignatureRule,
};

mod licenses;

use licenses::license_rule;

/// The longest grace: ten years are no grace.
const LONGEST_GRACE_DAYS: u32 = 3650;

/// A part of the file, to say in errors.
#[derive(Clone)]
struct Part<'a> {
    name: &'a str,
    at: Position,
}

impl Part<'_> {
    fn refuse(&self, reason: impl std::fmt::Display) -> PolicyError {
        PolicyError::Invalid { at: self.at, place: self.name.to_owned(), reason: reason.to_string() }
    }

    /// The same part, pointing at one of its values.
    fn at<T>(&self, value: &Spanned<T>) -> Part<'_> {
        Part { name: self.name, at: position(value) }
    }
}

fn position<T>(value: &Spanned<T>) -> Position {
    // What is not in the file at all (a default) is at its beginning.
    Position { line: value.referenced.line().max(1), column: value.referenced.column().max(1) }
}

pub(super) fn policy(raw: RawPolicy, source: Arc<str>, revision: Revision) -> Result<Policy, PolicyError> {
    let version = Part { name: "version", at: position(&raw.version) };
    if raw.version.value != 1 {
        return Err(version.refuse(format!("{} is not known; expected 1", raw.version.value)));
    }
    let top = Part { name: "scope", at: version.at };
    let mut names = Names::default();
    let day = Duration::from_secs(24 * 60 * 60);
    Ok(Policy {
        name: raw.name,
        mode: raw.mode,
        scope: scope(&top, raw.scope)?,
        rules: parts("rules", raw.rules, |part, raw| rule(part, raw, &mut names))?,
        observation_rules: parts("observations", raw.observations, |part, raw| {
            observation_rule(part, raw, &mut names)
        })?,
        license_rules: parts("licenses", raw.licenses, |part, raw| license_rule(part, raw, &mut names))?,
        image_rules: parts("image", raw.image, |part, raw| image_rule(part, raw, &mut names))?,
        signatures: parts("signatures", raw.signatures, |part, raw| signature(part, raw, &mut names))?,
        problems: raw.problems.map(problems).transpose()?.unwrap_or_default(),
        exceptions: parts("exceptions", raw.exceptions, exception)?,
        advisories_max_age: raw.advisories_max_age_days.map(|days| day * days),
        platforms: raw.platforms,
        fail_modes: FailModes {
            on_unknown: raw.on_unknown,
            on_pending: raw.on_pending,
            on_error: raw.on_error,
            on_stale: raw.on_stale,
        },
        registries: raw.registries.as_ref().map(registries).transpose()?,
        pods: raw.pods,
        source,
        revision,
    })
}

fn problems(
    raw: Spanned<BTreeMap<ProblemKind, ProblemEffect>>,
) -> Result<BTreeMap<ProblemKind, ProblemEffect>, PolicyError> {
    if let Some(kind) = raw.value.keys().find(|kind| kind.weight() == Weight::Informational) {
        let name = format!("problems.{kind}");
        let part = Part { name: &name, at: position(&raw) };
        return Err(part.refuse("never holds up a verdict, so there is nothing to decide; remove the line"));
    }
    Ok(raw.value)
}

/// Checks every element of a list, each as a part of its own.
fn parts<R: Named, T>(
    list: &str,
    raw: Vec<Spanned<R>>,
    mut check: impl FnMut(&Part<'_>, R) -> Result<T, PolicyError>,
) -> Result<Vec<T>, PolicyError> {
    let checked = raw.into_iter().enumerate().map(|(index, raw)| {
        let name = match raw.value.name() {
            Some(name) => format!("{list}[{index}] {name:?}"),
            None => format!("{list}[{index}]"),
        };
        check(&Part { name: &name, at: position(&raw) }, raw.value)
    });
    checked.collect()
}

/// What a part of the file calls itself.
trait Named {
    fn name(&self) -> Option<&str>;
}

impl Named for RawRule {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Named for RawObservationRule {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Named for RawLicenseRule {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Named for RawImageRule {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Named for RawSignature {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Named for RawException {
    fn name(&self) -> Option<&str> {
        None
    }
}

/// The names of rules: reasons name them, so no two may be called the same.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn take(&mut self, part: &Part<'_>, name: &str) -> Result<(), PolicyError> {
        if name.trim().is_empty() {
            return Err(part.refuse("name is empty; reasons name the rule that spoke"));
        }
        if self.0.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(part.refuse("another rule of this policy has the same name; rename one"))
        }
    }
}

fn rule(part: &Part<'_>, raw: RawRule, names: &mut Names) -> Result<Rule, PolicyError> {
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

fn observation_rule(
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

/// What an exception says about observations: a check, and perhaps a file.
fn observation_pattern(
    part: &Part<'_>,
    check: Option<Spanned<String>>,
    path: Option<Spanned<String>>,
) -> Result<Option<ObservationPattern>, PolicyError> {
    let mut path = globs(part, path.into_iter().collect())?;
    let Some(check) = globs(part, check.into_iter().collect())?.pop() else {
        return match path.pop() {
            Some(_) => Err(part.refuse("path says where an observation is; name the observation too")),
            None => Ok(None),
        };
    };
    Ok(Some(ObservationPattern { check, path: path.pop() }))
}

fn image_rule(part: &Part<'_>, raw: RawImageRule, names: &mut Names) -> Result<ImageRule, PolicyError> {
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

fn signature(part: &Part<'_>, raw: RawSignature, names: &mut Names) -> Result<SignatureRule, PolicyError> {
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

fn exception(part: &Part<'_>, raw: RawException) -> Result<Exception, PolicyError> {
    let observation = observation_pattern(part, raw.observation, raw.path)?;
    let license = raw.license.map(|text| glob(part, text)).transpose()?;
    let is_about_findings = raw.advisory.is_some() || raw.package.is_some();
    match (&observation, &license) {
        (None, None) if !is_about_findings => {
            let reason = "name an advisory, a package or both, an observation or a license; an exception for everything is none";
            return Err(part.refuse(reason));
        }
        (Some(_), None) if is_about_findings => {
            return Err(part.refuse("an exception is about findings or about observations; make it two"));
        }
        (None, Some(_)) if raw.advisory.is_some() => {
            return Err(part.refuse("an exception is about findings or about licences; make it two"));
        }
        (Some(_), Some(_)) => {
            return Err(part.refuse("an exception is about observations or about licences; make it two"));
        }
        (None, None) | (Some(_), None) | (None, Some(_)) => {}
    }
    for (key, text) in [("owner", &raw.owner), ("reason", &raw.reason)] {
        if text.value.trim().is_empty() {
            let reason = format!("{key} is empty; somebody has to answer for an exception");
            return Err(part.at(text).refuse(reason));
        }
    }
    let expires = raw.expires.as_ref().ok_or_else(|| {
        part.refuse("expires is missing; an exception needs a last day, for example expires: 2027-01-31")
    })?;
    let end = end_of_day(&expires.value).ok_or_else(|| {
        part.at(expires).refuse(format!("expires is a date like 2027-01-31, not {:?}", expires.value))
    })?;
    Ok(Exception {
        advisory: raw.advisory,
        package: raw.package.map(|text| purl(part, text)).transpose()?,
        observation,
        license,
        scope: scope(part, raw.scope)?,
        owner: raw.owner.value,
        reason: raw.reason.value,
        expires: end,
        position: part.at,
    })
}

fn registries(raw: &Spanned<RawRegistries>) -> Result<RegistryRules, PolicyError> {
    let part = Part { name: "registries", at: position(raw) };
    if raw.value.allow.is_empty() {
        return Err(part.refuse("allow is empty; that would refuse every image"));
    }
    let allow = raw.value.allow.iter().map(|text| image(&part, text)).collect::<Result<_, _>>()?;
    Ok(RegistryRules { allow, otherwise: raw.value.otherwise })
}

fn scope(part: &Part<'_>, raw: RawScope) -> Result<Scope, PolicyError> {
    Ok(Scope {
        repositories: raw.repositories.iter().map(|text| image(part, text)).collect::<Result<_, _>>()?,
        namespaces: globs(part, raw.namespaces)?,
        labels: glob_table(part, raw.labels)?,
    })
}

fn image(part: &Part<'_>, text: &Spanned<String>) -> Result<ImagePattern, PolicyError> {
    ImagePattern::new(&text.value).map_err(|error| part.at(text).refuse(error))
}

fn purl(part: &Part<'_>, text: Spanned<String>) -> Result<PurlPattern, PolicyError> {
    let place = part.at(&text);
    PurlPattern::new(text.value).map_err(|error| place.refuse(error))
}

fn glob(part: &Part<'_>, text: Spanned<String>) -> Result<Glob, PolicyError> {
    let place = part.at(&text);
    Glob::new(text.value).map_err(|error| place.refuse(error))
}

fn globs(part: &Part<'_>, texts: Vec<Spanned<String>>) -> Result<Vec<Glob>, PolicyError> {
    texts.into_iter().map(|text| glob(part, text)).collect()
}

/// Patterns of ports. A number that is no port's would never match, and look like a rule all the same.
fn ports(part: &Part<'_>, texts: Vec<Spanned<String>>) -> Result<Vec<Glob>, PolicyError> {
    for text in &texts {
        let number = text.value.split('/').next().unwrap_or_default();
        if number.parse::<u64>().is_ok_and(|port| port == 0 || port > u64::from(u16::MAX)) {
            return Err(part.at(text).refuse("exposes lists ports from 1 to 65535, like 22 or \"53/udp\""));
        }
    }
    globs(part, texts)
}

fn glob_table(
    part: &Part<'_>,
    texts: BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, Glob>, PolicyError> {
    texts.into_iter().map(|(key, text)| Ok((key, glob(part, text)?))).collect()
}

fn expression(part: &Part<'_>, text: &Spanned<String>, sight: Sight) -> Result<Expression, PolicyError> {
    Expression::compile(&text.value, sight).map_err(|error| part.at(text).refuse(format!("cel: {error}")))
}

/// The first moment after the given day, UTC.
fn end_of_day(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(date.tomorrow().ok()?.at(0, 0, 0, 0)).ok()
}
