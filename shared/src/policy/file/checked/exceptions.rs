//! Exceptions of a policy file: what each is about, who answers for it, and its last day.

use serde_saphyr::Spanned;

use super::values::{end_of_day, glob, globs, purl};
use super::{Part, scope};
use crate::policy::file::PolicyError;
use crate::policy::file::raw::RawException;
use crate::policy::{Exception, ObservationPattern};

pub(super) fn exception(part: &Part<'_>, raw: RawException) -> Result<Exception, PolicyError> {
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
