//! Rules about the licences of packages, as SPDX expressions.
//!
//! Tried in order; for each package the first that matches decides. A package that says nothing about its licence, or
//! nothing that is an expression, is no case of the lists: `stated` is about those.

use std::collections::HashMap;

use spdx::identifiers::{EXCEPTIONS, LICENSES};

use super::horizon::Horizon;
use super::pattern::{Glob, PatternError, PurlPattern};
use super::rule::RuleEffect;
use super::{Circumstances, Exception, Policy};
use crate::model::license::{Stated, Term};
use crate::model::package::PackageKind;
use crate::model::report::{InstalledPackage, Report};
use crate::model::verdict::{Effect, Reason};

/// One rule about licences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseRule {
    /// For people, in reasons.
    pub name: String,
    /// Which packages; every condition that is given must hold.
    pub when: LicenseConditions,
    /// What then.
    pub then: RuleEffect,
}

/// Conditions of a rule about licences. `None` and empty mean: does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LicenseConditions {
    /// A deny list: the package cannot be used without one of these.
    pub requires: Vec<LicensePattern>,
    /// An allow list: the package cannot be used under these alone.
    pub beyond: Vec<LicensePattern>,
    /// There is no expression, and why.
    pub stated: Vec<NoExpression>,
    /// Of one of these packaging systems.
    pub ecosystem: Vec<PackageKind>,
    /// This package.
    pub package: Option<PurlPattern>,
}

/// Why a package has no licence expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoExpression {
    /// It says nothing.
    Missing,
    /// What it says is no SPDX expression.
    Unknown,
}

/// Licences, each half with `*`: `MIT`, `AGPL-*`, `GPL-2.0-only WITH Classpath-exception-2.0`. Without an exception
/// the licence is meant with every exception and with none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicensePattern {
    license: Glob,
    exception: Option<Glob>,
}

impl LicensePattern {
    /// A pattern from its text. One that no licence could ever match is refused: it would look like a rule.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let (license, exception) = match text.split_once(" WITH ") {
            Some((license, exception)) => (license, Some(exception)),
            None => (text, None),
        };
        let pattern = Self { license: Glob::new(license)?, exception: exception.map(Glob::new).transpose()? };
        let names_one = license.starts_with("LicenseRef-")
            || license.starts_with("DocumentRef-")
            || names_a_current_license(&Glob::new(license.strip_suffix('+').unwrap_or(license))?);
        let names_an_exception = pattern.exception.as_ref().is_none_or(|glob| {
            glob.as_str().starts_with("AdditionRef-")
                || EXCEPTIONS.iter().any(|listed| glob.matches(listed.name))
        });
        if names_one && names_an_exception {
            Ok(pattern)
        } else {
            Err(PatternError::License(text.chars().take(160).collect()))
        }
    }

    fn matches(&self, license: &str, exception: Option<&str>) -> bool {
        self.license.matches(license)
            && self.exception.as_ref().is_none_or(|glob| exception.is_some_and(|text| glob.matches(text)))
    }
}

/// Expressions are written with the names of today: `GPL-2.0` is `GPL-2.0-only` in all of them.
fn names_a_current_license(glob: &Glob) -> bool {
    let is_replaced =
        |name: &str| LICENSES.iter().any(|other| other.name.strip_suffix("-only") == Some(name));
    LICENSES
        .iter()
        .any(|listed| glob.matches(listed.name) && !listed.name.ends_with('+') && !is_replaced(listed.name))
}

fn is_listed(patterns: &[LicensePattern], license: &str, term: &Term) -> bool {
    patterns.iter().any(|pattern| pattern.matches(license, term.exception.as_deref()))
}

/// Whether a term can be met with the licences of an allow list alone.
fn is_allowed(patterns: &[LicensePattern], term: &Term) -> bool {
    is_listed(patterns, &term.license, term)
        || term.choices.iter().any(|choice| is_listed(patterns, choice, term))
}

/// Whether a term leaves no choice but licences of a deny list.
fn is_denied(patterns: &[LicensePattern], term: &Term) -> bool {
    is_listed(patterns, &term.license, term)
        || !term.choices.is_empty() && term.choices.iter().all(|choice| is_listed(patterns, choice, term))
}

impl LicenseConditions {
    fn hold(&self, package: &InstalledPackage, stated: &Stated) -> bool {
        (self.ecosystem.is_empty() || self.ecosystem.contains(&package.package.kind))
            && self.package.as_ref().is_none_or(|pattern| pattern.matches(&package.purl))
            && self.hold_for(stated)
    }

    fn hold_for(&self, stated: &Stated) -> bool {
        let is_about_terms = !self.requires.is_empty() || !self.beyond.is_empty();
        match stated {
            Stated::Missing => !is_about_terms && self.stands_for(NoExpression::Missing),
            Stated::Unknown => !is_about_terms && self.stands_for(NoExpression::Unknown),
            Stated::Known(terms) => {
                self.stated.is_empty()
                    && (self.requires.is_empty() || !terms.are_met(|term| !is_denied(&self.requires, term)))
                    && (self.beyond.is_empty() || !terms.are_met(|term| is_allowed(&self.beyond, term)))
            }
        }
    }

    fn stands_for(&self, case: NoExpression) -> bool {
        self.stated.is_empty() || self.stated.contains(&case)
    }
}

impl Policy {
    /// What the policy objects to among the licences of a report's packages.
    pub(super) fn license_reasons(
        &self,
        report: &Report,
        circumstances: &Circumstances<'_>,
        horizon: &mut Horizon,
    ) -> Vec<Reason> {
        let packages = report.inventory().map(|inventory| inventory.packages.as_slice()).unwrap_or_default();
        if self.license_rules.is_empty() {
            return Vec::new();
        }
        // An image has thousands of packages and a few dozen licences.
        let mut known: HashMap<&[String], Stated> = HashMap::new();
        let mut reasons = Vec::new();
        for package in packages {
            let texts = package.package.licenses.as_slice();
            let stated = known.entry(texts).or_insert_with(|| Stated::of(texts));
            let Some(rule) = self.license_rules.iter().find(|rule| rule.when.hold(package, stated)) else {
                continue;
            };
            let effect = match rule.then {
                RuleEffect::Ignore => continue,
                RuleEffect::Warn => Effect::Warn,
                RuleEffect::Deny => Effect::Deny,
            };
            let said = said(texts, stated);
            match self.license_exception(&said, package, circumstances) {
                Some(exception) => horizon.note(exception.expires),
                None => reasons.push(reason(rule, effect, package, stated, &said)),
            }
        }
        reasons
    }

    /// The exception that holds longest.
    fn license_exception(
        &self,
        said: &str,
        package: &InstalledPackage,
        circumstances: &Circumstances<'_>,
    ) -> Option<&Exception> {
        let holding = self.exceptions.iter().filter(|exception| {
            circumstances.now < exception.expires
                && exception.scope.holds_at(circumstances.place)
                && exception.license.as_ref().is_some_and(|glob| glob.matches(said))
                && exception.package.as_ref().is_none_or(|pattern| pattern.matches(&package.purl))
        });
        holding.max_by_key(|exception| exception.expires)
    }
}

/// What is said about the licence: the expression, or the texts as they are; nothing where there are none.
fn said(texts: &[String], stated: &Stated) -> String {
    match stated {
        Stated::Missing => String::new(),
        Stated::Unknown => texts.join(", "),
        Stated::Known(terms) => terms.to_string(),
    }
}

fn reason(
    rule: &LicenseRule,
    effect: Effect,
    package: &InstalledPackage,
    stated: &Stated,
    said: &str,
) -> Reason {
    /// Some packages have a whole licence pasted in.
    const LONGEST: usize = 200;
    let purl = package.purl.to_string();
    let shown: String = said
        .chars()
        .take(LONGEST)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let message = match stated {
        Stated::Missing => format!("{purl} says nothing about its licence: rule {}", rule.name),
        Stated::Unknown => {
            format!("{purl} has a licence that is no SPDX expression, {shown:?}: rule {}", rule.name)
        }
        Stated::Known(_) => format!("{purl} is under {shown}: rule {}", rule.name),
    };
    Reason { purl: Some(purl), ..Reason::of_rule(&rule.name, effect, message) }
}
