//! Rules about licences.

use serde_saphyr::Spanned;

use super::super::PolicyError;
use super::super::raw::RawLicenseRule;
use super::values::purl;
use super::{Names, Part};
use crate::policy::{LicenseConditions, LicensePattern, LicenseRule};

/// SPDX lists some seven hundred.
const MOST_LICENSES: usize = 1000;

pub(super) fn license_rule(
    part: &Part<'_>,
    raw: RawLicenseRule,
    names: &mut Names,
) -> Result<LicenseRule, PolicyError> {
    names.take(part, &raw.name)?;
    let when = LicenseConditions {
        requires: patterns(part, &raw.when.requires)?,
        beyond: patterns(part, &raw.when.beyond)?,
        stated: raw.when.stated,
        ecosystem: raw.when.ecosystem,
        package: raw.when.package.map(|text| purl(part, text)).transpose()?,
    };
    if when == LicenseConditions::default() {
        return Err(part.refuse("when is empty, so every package would match; name a condition"));
    }
    let has_lists = !when.requires.is_empty() || !when.beyond.is_empty();
    if has_lists && !when.stated.is_empty() {
        let reason = "stated is about packages without an expression, the lists are about those with one; make it two rules";
        return Err(part.refuse(reason));
    }
    Ok(LicenseRule { name: raw.name, when, then: raw.then })
}

fn patterns(part: &Part<'_>, texts: &[Spanned<String>]) -> Result<Vec<LicensePattern>, PolicyError> {
    if texts.len() > MOST_LICENSES {
        return Err(part.refuse(format!("a list names at most {MOST_LICENSES} licences; use patterns")));
    }
    let pattern = |text: &Spanned<String>| {
        LicensePattern::new(&text.value).map_err(|error| part.at(text).refuse(error))
    };
    texts.iter().map(pattern).collect()
}
