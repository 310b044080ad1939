//! What was judged and what was not: coverage rows for everything present, problems for everything missing (I11).

use std::collections::{BTreeMap, BTreeSet};

use shared::model::package::{Level, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{Coverage, CoverageState};

use super::questions::{Asked, Scope};
use crate::advisories::ecosystems::{self, Fit};

/// Counts packages while they are judged.
pub(super) struct Tally<'s> {
    scope: &'s Scope<'s>,
    /// OS packages under their kind, language packages under theirs.
    kinds: BTreeMap<PackageKind, Counted>,
}

#[derive(Default)]
struct Counted {
    judged: u32,
    unpublished: u32,
    unversioned: u32,
    foreign: u32,
    ungrouped: u32,
    /// The ecosystems that programs were judged with; other packages have one for all of their kind.
    consulted: BTreeSet<String>,
    /// Of those judged: their database does not say what source they were built from, and advisories name sources.
    sourceless: u32,
}

impl<'s> Tally<'s> {
    pub(super) fn new(scope: &'s Scope<'s>) -> Self {
        Self { scope, kinds: BTreeMap::new() }
    }

    /// Counts one package.
    pub(super) fn count(&mut self, package: &Package, asked: &Asked<'_>) {
        let counted = self.kinds.entry(package.kind).or_default();
        let counter = match asked {
            Asked::Questions(_) => &mut counted.judged,
            Asked::NoAdvisories => &mut counted.unpublished,
            Asked::NoVersion => &mut counted.unversioned,
            Asked::Foreign => &mut counted.foreign,
            Asked::UnknownGroup => &mut counted.ungrouped,
        };
        *counter = counter.saturating_add(1);
        if let (PackageKind::Generic, Asked::Questions(questions)) = (package.kind, asked) {
            counted.consulted.extend(questions.iter().map(|question| question.ecosystem.to_owned()));
        }
        let asks_by_source = matches!(asked, Asked::Questions(_)) && package.kind.level() == Level::Os;
        if asks_by_source && package.source.is_none() && self.scope.is_named_by_source() {
            counted.sourceless = counted.sourceless.saturating_add(1);
        }
    }

    /// The rows, in the order of kinds, and what stands between them and the whole truth.
    pub(super) fn finish(self) -> (Vec<Coverage>, Vec<Problem>) {
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        for (kind, counted) in &self.kinds {
            let row = self.row(*kind, counted);
            counted.explain(&row, &mut problems);
            rows.push(row);
        }
        let has_os = self.kinds.keys().any(|kind| kind.level() == Level::Os);
        if has_os {
            self.explain_distribution(&mut problems);
        }
        (rows, problems)
    }

    fn row(&self, kind: PackageKind, counted: &Counted) -> Coverage {
        let (subject, ecosystem, state) = match kind.level() {
            Level::Os => self.distribution_row(kind),
            Level::Language if !counted.consulted.is_empty() => {
                let state =
                    if counted.unpublished == 0 { CoverageState::Full } else { CoverageState::Partial };
                let ecosystems: Vec<&str> = counted.consulted.iter().map(String::as_str).collect();
                (kind.purl_type().to_owned(), Some(ecosystems.join(", ")), state)
            }
            Level::Language => {
                let ecosystem = ecosystems::of_kind(kind);
                let known = ecosystem.is_some_and(|name| self.scope.database.has_ecosystem(name));
                let state = if known { CoverageState::Full } else { CoverageState::None };
                (kind.purl_type().to_owned(), ecosystem.map(str::to_owned), state)
            }
        };
        Coverage { subject, ecosystem, packages: counted.judged, state }
    }

    /// A kind that the distribution's advisories do not speak about has a row of its own.
    fn distribution_row(&self, kind: PackageKind) -> (String, Option<String>, CoverageState) {
        if self.scope.os.as_ref().is_some_and(|os| os.ecosystems.kind != kind) {
            return (kind.purl_type().to_owned(), None, CoverageState::None);
        }
        let subject = match &self.scope.inventory.distribution {
            Some(distribution) if distribution.version.is_empty() => distribution.id.clone(),
            Some(distribution) => format!("{} {}", distribution.id, distribution.version),
            None => format!("unknown distribution ({kind})"),
        };
        match &self.scope.os {
            Some(os) => {
                let wanted = os.ecosystems.names.first().map(String::as_str);
                let known = wanted.filter(|name| os.names.contains(name));
                let ecosystem = known.or(os.names.first().copied()).or(wanted).map(str::to_owned);
                (subject, ecosystem, os.coverage())
            }
            None => (subject, None, CoverageState::None),
        }
    }

    fn explain_distribution(&self, problems: &mut Vec<Problem>) {
        let Some(os) = &self.scope.os else {
            return;
        };
        let mut add = |kind, detail: String| problems.push(Problem::new(kind, detail));
        let (name, ecosystem) = (&os.distribution.name, os.names.join(", "));
        match (os.coverage(), os.ecosystems.fit) {
            (CoverageState::None, _) | (_, Fit::Exact) => {}
            (_, Fit::Approximate) => add(
                ProblemKind::ApproximateDistribution,
                format!("{name} is judged with the advisories of a related distribution: {ecosystem}"),
            ),
            (_, Fit::RepositoryAssumed) => add(
                ProblemKind::RepositoryAssumed,
                format!("which repositories of {name} the image uses is assumed: {ecosystem}"),
            ),
        }
        match os.coverage() {
            CoverageState::Partial => add(
                ProblemKind::PartialCoverage,
                format!("advisories of {ecosystem} cover only a part of the distribution's repositories"),
            ),
            CoverageState::Full | CoverageState::FixedOnly | CoverageState::None => {}
        }
    }
}

impl Counted {
    /// What is missing for one kind of package.
    fn explain(&self, row: &Coverage, problems: &mut Vec<Problem>) {
        let subject = &row.subject;
        let mut add = |kind, detail: String| problems.push(Problem::new(kind, detail));
        if self.unpublished > 0 {
            let detail = match &row.ecosystem {
                Some(ecosystem) if row.state == CoverageState::Partial => format!(
                    "{ecosystem} does not speak about {} packages of {subject}: they are not judged",
                    self.unpublished
                ),
                Some(ecosystem) => format!(
                    "the advisory database has nothing for {ecosystem}: {} packages of {subject} are not judged",
                    self.unpublished
                ),
                None => format!(
                    "nobody publishes advisories for {subject}: {} packages are not judged",
                    self.unpublished
                ),
            };
            add(ProblemKind::NoAdvisoryCoverage, detail);
        }
        if self.foreign > 0 {
            let detail = format!(
                "{} packages come from elsewhere than {subject}, whose advisories do not cover them",
                self.foreign
            );
            add(ProblemKind::NoAdvisoryCoverage, detail);
        }
        if self.unversioned > 0 {
            let detail =
                format!("{} packages of {subject} state no version and are not judged", self.unversioned);
            add(ProblemKind::PartialCoverage, detail);
        }
        if self.sourceless > 0 {
            let detail = format!(
                "{} packages of {subject} do not state their source; advisories for sources of other names were not found",
                self.sourceless
            );
            add(ProblemKind::PartialCoverage, detail);
        }
        if self.ungrouped > 0 {
            let detail = format!(
                "{} archives of {subject} state no group, and what they are named fits none or several packages",
                self.ungrouped
            );
            add(ProblemKind::PartialCoverage, detail);
        }
    }
}
