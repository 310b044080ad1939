//! Policy files: YAML in, a [`Policy`] or an error with line and column out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::pattern::PatternError;
use super::{
    Conditions, Exception, FailMode, FailModes, Glob, ImagePattern, PodRules, Policy, ProblemEffect,
    PurlPattern, RegistryRules, Rule, RuleEffect, Scope,
};
use crate::model::image::Platform;
use crate::model::package::PackageKind;
use crate::model::problem::{ProblemKind, Weight};
use crate::model::report::{FindingKind, Probability, Revision, Severity};
use crate::model::verdict::{Effect, Mode, PolicyName};

/// Raised whenever the same file could be judged differently.
const ENGINE_VERSION: u32 = 2;
/// A policy file is written by hand; more than this is a mistake.
const LARGEST_FILE: u64 = 4 << 20;

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read policy {}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any policy written by hand.
    #[error("policy {} has more than {LARGEST_FILE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Not YAML, an unknown key, a wrong value; the text names line and column.
    #[error("{0}")]
    Syntax(String),
    /// A rule or exception that contradicts itself or says nothing.
    #[error("{place}: {reason}")]
    Invalid {
        /// Which part: `rules[2] "high"`.
        place: String,
        /// What is wrong and how to repair it.
        reason: String,
    },
    /// Two files define the same policy.
    #[error("policy {name} is defined in {} and in {}; rename one", first.display(), second.display())]
    Duplicate {
        /// The name.
        name: PolicyName,
        /// The file read first.
        first: PathBuf,
        /// The file read after it.
        second: PathBuf,
    },
    /// An error in a file, with the file's name before it.
    #[error("{}: {source}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong in it.
        source: Box<PolicyError>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    version: u32,
    name: PolicyName,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    scope: RawScope,
    #[serde(default)]
    registries: Option<RawRegistries>,
    #[serde(default)]
    pods: PodRules,
    #[serde(default)]
    rules: Vec<RawRule>,
    #[serde(default)]
    problems: BTreeMap<ProblemKind, ProblemEffect>,
    #[serde(default)]
    exceptions: Vec<RawException>,
    #[serde(default)]
    advisories_max_age_days: Option<u32>,
    #[serde(default)]
    platforms: Vec<Platform>,
    #[serde(default = "wait")]
    on_unknown: FailMode,
    #[serde(default = "wait")]
    on_pending: FailMode,
    #[serde(default = "deny")]
    on_error: FailMode,
    #[serde(default = "deny")]
    on_stale: FailMode,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawScope {
    repositories: Vec<String>,
    namespaces: Vec<String>,
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegistries {
    allow: Vec<String>,
    #[serde(default = "deny_effect")]
    otherwise: Effect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    when: RawConditions,
    then: RuleEffect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConditions {
    #[serde(default)]
    severity: Vec<Severity>,
    #[serde(default)]
    kind: Vec<FindingKind>,
    fixable: Option<bool>,
    known_exploited: Option<bool>,
    epss_at_least: Option<f64>,
    #[serde(default)]
    ecosystem: Vec<PackageKind>,
    package: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawException {
    advisory: Option<String>,
    package: Option<String>,
    #[serde(default)]
    scope: RawScope,
    owner: String,
    reason: String,
    /// The last day on which it holds, UTC.
    expires: String,
}

fn wait() -> FailMode {
    FailMode::Wait
}

fn deny() -> FailMode {
    FailMode::Deny
}

fn deny_effect() -> Effect {
    Effect::Deny
}

impl Policy {
    /// Reads and parses one policy file.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let unreadable = |source| PolicyError::Io { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
            return Err(PolicyError::TooLarge(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text)
            .map_err(|source| PolicyError::InFile { path: path.to_owned(), source: Box::new(source) })
    }

    /// Parses the text of a policy file. Unknown keys are errors.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let raw: RawPolicy =
            serde_saphyr::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if raw.version != 1 {
            return Err(invalid("version", format!("{} is not known; expected 1", raw.version)));
        }
        if let Some(kind) = raw.problems.keys().find(|kind| kind.weight() == Weight::Informational) {
            let reason = "never holds up a verdict, so there is nothing to decide; remove the line";
            return Err(invalid(&format!("problems.{kind}"), reason));
        }
        let rules = raw.rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()?;
        let exceptions = raw.exceptions.into_iter().enumerate().map(exception).collect::<Result<_, _>>()?;
        let day = Duration::from_secs(24 * 60 * 60);
        Ok(Self {
            name: raw.name,
            mode: raw.mode,
            scope: scope("scope", raw.scope)?,
            rules,
            problems: raw.problems,
            exceptions,
            advisories_max_age: raw.advisories_max_age_days.map(|days| day * days),
            platforms: raw.platforms,
            fail_modes: FailModes {
                on_unknown: raw.on_unknown,
                on_pending: raw.on_pending,
                on_error: raw.on_error,
                on_stale: raw.on_stale,
            },
            registries: raw.registries.map(registries).transpose()?,
            pods: raw.pods,
            revision: Revision::of(format!("{ENGINE_VERSION}\n{text}").as_bytes()),
        })
    }
}

fn rule((at, raw): (usize, RawRule)) -> Result<Rule, PolicyError> {
    let place = format!("rules[{at}] {:?}", raw.name);
    let epss_at_least = match raw.when.epss_at_least {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            return Err(invalid(&place, format!("epss_at_least is a probability from 0 to 1, not {value}")));
        }
        other => other.map(Probability::new),
    };
    let when = Conditions {
        severity: raw.when.severity,
        kind: raw.when.kind,
        fixable: raw.when.fixable,
        known_exploited: raw.when.known_exploited,
        epss_at_least,
        ecosystem: raw.when.ecosystem,
        package: raw.when.package.map(|text| pattern(&place, text)).transpose()?,
    };
    Ok(Rule { name: raw.name, when, then: raw.then })
}

fn exception((at, raw): (usize, RawException)) -> Result<Exception, PolicyError> {
    let place = format!("exceptions[{at}]");
    if raw.advisory.is_none() && raw.package.is_none() {
        return Err(invalid(
            &place,
            "name an advisory, a package or both; an exception for everything is none",
        ));
    }
    for (key, text) in [("owner", &raw.owner), ("reason", &raw.reason)] {
        if text.trim().is_empty() {
            return Err(invalid(&place, format!("{key} is empty; somebody has to answer for an exception")));
        }
    }
    Ok(Exception {
        advisory: raw.advisory,
        package: raw.package.map(|text| pattern(&place, text)).transpose()?,
        scope: scope(&place, raw.scope)?,
        owner: raw.owner,
        reason: raw.reason,
        expires: end_of_day(&raw.expires).ok_or_else(|| {
            invalid(&place, format!("expires is a date like 2027-01-31, not {:?}", raw.expires))
        })?,
    })
}

fn pattern(place: &str, text: String) -> Result<PurlPattern, PolicyError> {
    PurlPattern::new(text).map_err(|error| invalid(place, error.to_string()))
}

fn scope(place: &str, raw: RawScope) -> Result<Scope, PolicyError> {
    let bad = |error: PatternError| invalid(place, error.to_string());
    let image = |text: String| ImagePattern::new(&text).map_err(bad);
    let glob = |text: String| Glob::new(text).map_err(bad);
    Ok(Scope {
        repositories: raw.repositories.into_iter().map(image).collect::<Result<_, _>>()?,
        namespaces: raw.namespaces.into_iter().map(glob).collect::<Result<_, _>>()?,
        labels: raw
            .labels
            .into_iter()
            .map(|(key, value)| Ok((key, glob(value)?)))
            .collect::<Result<_, PolicyError>>()?,
    })
}

fn registries(raw: RawRegistries) -> Result<RegistryRules, PolicyError> {
    let place = "registries";
    if raw.allow.is_empty() {
        return Err(invalid(place, "allow is empty; that would refuse every image"));
    }
    let bad = |error: PatternError| invalid(place, error.to_string());
    let allow = raw.allow.iter().map(|text| ImagePattern::new(text).map_err(bad));
    Ok(RegistryRules { allow: allow.collect::<Result<_, _>>()?, otherwise: raw.otherwise })
}

/// The first moment after the given day, UTC.
fn end_of_day(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(date.tomorrow().ok()?.at(0, 0, 0, 0)).ok()
}

fn invalid(place: &str, reason: impl Into<String>) -> PolicyError {
    PolicyError::Invalid { place: place.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULT_POLICY;

    fn check(text: &str, expected: Result<(), &str>) {
        match (Policy::parse(text), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(fragment)) => {
                assert!(error.to_string().contains(fragment), "{error} lacks {fragment:?}");
            }
            (parsed, expected) => panic!("{text}\ngave {parsed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_default_policy_parses() {
        let policy = Policy::parse(DEFAULT_POLICY).unwrap();
        assert_eq!(policy.name.as_str(), "default");
        assert_eq!(policy.rules.len(), 6);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        check("version: 1\nname: a\n", Ok(()));
        check("version: 1\nname: a\nrulez: []\n", Err("rulez"));
        check("version: 1\nname: a\nrulez: []\n", Err("line 3"));
        check("version: 2\nname: a\n", Err("expected 1"));
        check("version: 1\nname: Bad Name\n", Err("not a policy name"));
        check(
            "version: 1\nname: a\nrules: [{name: r, when: {severity: [terrible]}, then: deny}]",
            Err("terrible"),
        );
        check(
            "version: 1\nname: a\nrules: [{name: r, when: {epss_at_least: 7}, then: deny}]",
            Err("rules[0] \"r\""),
        );
        check("version: 1\nname: a\nproblems: {path-traversal: deny}", Err("nothing to decide"));
        check("version: 1\nname: a\nproblems: {no-such-thing: deny}", Err("no-such-thing"));
    }

    #[test]
    fn exceptions_have_an_owner_a_reason_and_an_end() {
        let with = |body: &str| format!("version: 1\nname: a\nexceptions: [{{{body}}}]");
        check(&with("advisory: CVE-1, owner: o, reason: r, expires: 2027-01-31"), Ok(()));
        check(&with("advisory: CVE-1, owner: o, reason: r"), Err("expires"));
        check(&with("advisory: CVE-1, owner: o, reason: r, expires: soon"), Err("expires is a date"));
        check(&with("owner: o, reason: r, expires: 2027-01-31"), Err("name an advisory"));
        check(&with("advisory: CVE-1, owner: '', reason: r, expires: 2027-01-31"), Err("owner is empty"));
        check(&with("package: left-pad, owner: o, reason: r, expires: 2027-01-31"), Err("not a purl"));
    }

    #[test]
    fn the_revision_follows_the_text() {
        let one = Policy::parse("version: 1\nname: a\n").unwrap();
        let other = Policy::parse("version: 1\nname: a\nmode: audit\n").unwrap();
        assert_ne!(one.revision, other.revision);
    }
}
