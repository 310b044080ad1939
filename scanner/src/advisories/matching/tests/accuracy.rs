//! A hundred and more packages against real records, with what a reader of the record would say.
//!
//! The rows and the records are in `fixtures/accuracy`, so that they can be read without the code.

use shared::model::package::PackageKind;
use shared::model::report::{Distribution, FindingStatus};

use super::{Package, Value, built_from, database, distribution, inventory, judge, package};
use crate::advisories::Database;

const RECORDS: &str = include_str!("../../../../fixtures/accuracy/advisories.jsonl");
const ROWS: &str = include_str!("../../../../fixtures/accuracy/expectations.md");

/// What a record says about a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// A finding that counts.
    Affected,
    /// No finding names the record.
    Clean,
    /// A finding that does not count.
    Suppressed,
    /// A finding that counts until somebody says which of two records is right.
    Disputed,
    /// A finding whose distribution has not said anything.
    Unassessed,
}

struct Row<'a> {
    distribution: Option<Distribution>,
    package: Package,
    record: &'a str,
    answer: Answer,
    text: &'a str,
}

impl<'a> Row<'a> {
    fn read(text: &'a str) -> Self {
        let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
        let [on, kind, name, version, source, record, answer, _because] = cells[..] else {
            panic!("{text}: not eight cells");
        };
        let kind: PackageKind = kind.parse().unwrap();
        Self {
            distribution: on.split_once(' ').and_then(|(id, release)| distribution(id, release)),
            package: sourced(named(kind, name, version), source),
            record,
            answer: match answer {
                "affected" => Answer::Affected,
                "clean" => Answer::Clean,
                "suppressed" => Answer::Suppressed,
                other => panic!("{text}: {other} is no answer"),
            },
            text,
        }
    }

    fn judged(&self, database: &Database) -> Answer {
        let inventory = inventory(self.distribution.clone(), vec![self.package.clone()]);
        let findings = judge(&inventory, database).unwrap().findings;
        let names = |advisories: &[String]| advisories.iter().any(|id| id == self.record);
        match findings.iter().find(|finding| names(&finding.advisories)).map(|finding| &finding.status) {
            None => Answer::Clean,
            Some(FindingStatus::Affected) => Answer::Affected,
            Some(FindingStatus::Suppressed { .. }) => Answer::Suppressed,
            Some(FindingStatus::DisputedRange) => Answer::Disputed,
            Some(FindingStatus::DistroUnassessed) => Answer::Unassessed,
        }
    }
}

/// The package with the namespace that an analyzer would have put apart.
fn named(kind: PackageKind, name: &str, version: &str) -> Package {
    let split = match kind {
        PackageKind::Maven => name.split_once(':'),
        PackageKind::Npm | PackageKind::Composer | PackageKind::Swift => name.rsplit_once('/'),
        _ => None,
    };
    let (namespace, own) = split.map_or((None, name), |(namespace, own)| (Some(namespace.to_owned()), own));
    Package { namespace, ..package(kind, own, version) }
}

fn sourced(package: Package, source: &str) -> Package {
    match source.split_once(' ') {
        Some((name, version)) => built_from(package, name, Some(version)),
        None if source.is_empty() => package,
        None => built_from(package, source, None),
    }
}

#[test]
fn every_row_is_answered_as_the_record_says() {
    let records: Vec<Value> = RECORDS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let known: Vec<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
    let database = database(&records);
    let rows: Vec<Row<'_>> =
        ROWS.lines().filter(|line| line.starts_with("| ")).skip(1).map(Row::read).collect();
    let mut wrong = Vec::new();
    for row in &rows {
        assert!(known.contains(&row.record), "{} is not among the records", row.record);
        let answer = row.judged(&database);
        if answer != row.answer {
            wrong.push(format!("{answer:?}: {}", row.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let negative = rows.iter().filter(|row| row.answer != Answer::Affected).count();
    assert!(rows.len() >= 60 && negative * 2 >= rows.len(), "{negative} of {} rows are negative", rows.len());
}
