//! Inventory and database in, findings out: a pure function of both.
//!
//! Each package asks one or more [`questions`] (which ecosystem, which name, which version); the database answers
//! with [`matches`]; those are grouped into one finding for each flaw of each package in its place, rated, given
//! a fix and a status. What could not be judged is in the problems and in the coverage, never left out (I4, I11).

mod artifacts;
mod coverage;
mod findings;
mod fixes;
mod groups;
mod matches;
mod modules;
mod ownership;
mod questions;
pub mod ranges;
mod ratings;
mod repaired;
mod suppression;

use std::cmp::Reverse;

use jiff::Timestamp;
use shared::model::package::{Evidence, Level};
use shared::model::problem::Problem;
use shared::model::report::{
    Coverage, Finding, FindingStatus, InstalledPackage, Inventory, PackageIndex, Severity,
};

use super::ecosystems;
use super::{Database, DatabaseError};
use matches::Matcher;
use questions::Scope;

/// What a database says about an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Findings that count before those that do not; among them worst first.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub problems: Vec<Problem>,
    /// What was judged, and with which advisories (I11).
    pub coverage: Vec<Coverage>,
    /// When advisories for the distribution stop, or for one in it: the first of these days.
    pub support_ends: Option<Timestamp>,
}

/// Judges every package of an inventory. The same inventory and revision give the same judgement.
pub fn judge(inventory: &Inventory, database: &Database) -> Result<Judgement, DatabaseError> {
    Judge::new(database)?.judge(inventory)
}

/// Judges many inventories by one database and remembers what they have in common: for judging a whole fleet again.
pub struct Judge<'d> {
    database: &'d Database,
    matcher: Matcher<'d>,
}

impl<'d> Judge<'d> {
    /// A judge who has not seen anything yet.
    pub fn new(database: &'d Database) -> Result<Self, DatabaseError> {
        Ok(Self { database, matcher: database.guarded(|| Matcher::new(database))? })
    }

    /// Judges every package of an inventory; what was judged before changes nothing but the time that it takes.
    pub fn judge(&mut self, inventory: &Inventory) -> Result<Judgement, DatabaseError> {
        let database = self.database;
        database.guarded(|| self.judge_all(inventory))
    }

    fn judge_all(&mut self, inventory: &Inventory) -> Result<Judgement, DatabaseError> {
        let matcher = &mut self.matcher;
        matcher.forget_excess();
        let scope = Scope::new(inventory, self.database);
        let mut coverage = coverage::Tally::new(&scope);
        let mut findings = Vec::new();
        for (index, installed) in (0..).zip(&inventory.packages) {
            if installed.package.evidence == Evidence::Unmatched {
                continue;
            }
            let asked = scope.questions(installed, matcher)?;
            coverage.count(installed, &asked);
            let found = findings::of_package(&scope, matcher, installed, PackageIndex(index), &asked)?;
            findings.extend(found);
        }
        findings.sort_by(|a, b| order(a).cmp(&order(b)));
        let (coverage, problems) = coverage.finish();
        let own = (&inventory.distribution, inventory.repositories.as_slice());
        let nested = inventory.nested_roots.iter();
        let nested = nested.map(|root| (&root.distribution, root.repositories.as_slice()));
        let ends = std::iter::once(own).chain(nested).filter_map(|(distribution, repositories)| {
            ecosystems::support_ends(distribution.as_ref()?, repositories)
        });
        let support_ends = ends.min();
        Ok(Judgement { findings, problems, coverage, support_ends })
    }
}

/// Counted before suppressed, worst first, exploited first, then by score; ids and places make it unique.
fn order(finding: &Finding) -> impl Ord + '_ {
    let counts = match finding.status {
        FindingStatus::Affected => 0,
        FindingStatus::DisputedRange => 1,
        FindingStatus::DistroUnassessed => 2,
        FindingStatus::Suppressed { .. } => 3,
    };
    let rank = Severity::WORST_FIRST.iter().position(|severity| *severity == finding.severity);
    (counts, rank, Reverse(finding.known_exploited), Reverse(finding.score), &finding.id, finding.package)
}

/// Whether the distribution's package manager installed it.
fn is_os(installed: &InstalledPackage) -> bool {
    installed.package.kind.level() == Level::Os
}

#[cfg(test)]
mod tests;
