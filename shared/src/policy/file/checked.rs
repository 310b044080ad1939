//! From the shape of a policy file to a policy: what serde cannot check, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::raw::{
    RawException, RawImageRule, RawLicenseRule, RawObservationRule, RawPolicy, RawRegistries, RawRule,
    RawScope, RawSignature,
};
use super::{PolicyError, Position};
use crate::model::problem::{ProblemKind, Weight};
use crate::model::report::Revision;
use crate::policy::{FailModes, Policy, ProblemEffect, RegistryRules, Scope};

mod exceptions;
mod licenses;
mod rules;
mod values;

use exceptions::exception;
use licenses::license_rule;
use rules::{image_rule, observation_rule, rule, signature};
use values::{glob_table, globs, image};

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
