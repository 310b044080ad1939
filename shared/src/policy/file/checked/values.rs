//! Single values of a policy file that serde takes for texts: patterns, expressions, days.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_saphyr::Spanned;

use super::Part;
use crate::policy::file::PolicyError;
use crate::policy::{Expression, Glob, ImagePattern, PurlPattern, Sight};

pub(super) fn image(part: &Part<'_>, text: &Spanned<String>) -> Result<ImagePattern, PolicyError> {
    ImagePattern::new(&text.value).map_err(|error| part.at(text).refuse(error))
}

pub(super) fn purl(part: &Part<'_>, text: Spanned<String>) -> Result<PurlPattern, PolicyError> {
    let place = part.at(&text);
    PurlPattern::new(text.value).map_err(|error| place.refuse(error))
}

pub(super) fn glob(part: &Part<'_>, text: Spanned<String>) -> Result<Glob, PolicyError> {
    let place = part.at(&text);
    Glob::new(text.value).map_err(|error| place.refuse(error))
}

pub(super) fn globs(part: &Part<'_>, texts: Vec<Spanned<String>>) -> Result<Vec<Glob>, PolicyError> {
    texts.into_iter().map(|text| glob(part, text)).collect()
}

/// Patterns of ports. A number that is no port's would never match, and look like a rule all the same.
pub(super) fn ports(part: &Part<'_>, texts: Vec<Spanned<String>>) -> Result<Vec<Glob>, PolicyError> {
    for text in &texts {
        let number = text.value.split('/').next().unwrap_or_default();
        if number.parse::<u64>().is_ok_and(|port| port == 0 || port > u64::from(u16::MAX)) {
            return Err(part.at(text).refuse("exposes lists ports from 1 to 65535, like 22 or \"53/udp\""));
        }
    }
    globs(part, texts)
}

pub(super) fn glob_table(
    part: &Part<'_>,
    texts: BTreeMap<String, Spanned<String>>,
) -> Result<BTreeMap<String, Glob>, PolicyError> {
    texts.into_iter().map(|(key, text)| Ok((key, glob(part, text)?))).collect()
}

pub(super) fn expression(
    part: &Part<'_>,
    text: &Spanned<String>,
    sight: Sight,
) -> Result<Expression, PolicyError> {
    Expression::compile(&text.value, sight).map_err(|error| part.at(text).refuse(format!("cel: {error}")))
}

/// The first moment after the given day, UTC.
pub(super) fn end_of_day(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(date.tomorrow().ok()?.at(0, 0, 0, 0)).ok()
}
