//! The last step: what was found in an image, and what advisories say about it, become a report.

use jiff::Timestamp;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{Inventory, Report, Revision, ScanRevisions, Subject};

use crate::advisories::matching::{Judgement, judge};
use crate::advisories::{Database, DatabaseError};
use crate::image::Examination;
use crate::image::examine::worst_first;
use crate::misconfig::age;

/// The report about an examined image, matched against `database`.
pub fn assemble(
    examination: Examination,
    database: &Database,
    now: Timestamp,
) -> Result<Report, DatabaseError> {
    let Examination { digest, subject, observations, problems, analyzer } = examination;
    let report = Report {
        digest,
        subject,
        revisions: revisions(analyzer, database),
        scanned_at: now,
        findings: Vec::new(),
        observations,
        problems,
        coverage: Vec::new(),
        support_ends: None,
        signatures: Vec::new(),
        sboms: Vec::new(),
    };
    with_judgement(report, database)
}

/// The same image matched against other advisories: from the inventory alone, nothing is pulled.
pub fn match_again(mut report: Report, database: &Database, now: Timestamp) -> Result<Report, DatabaseError> {
    report.revisions = revisions(report.revisions.analyzer, database);
    report.scanned_at = now;
    report.findings.clear();
    report.coverage.clear();
    report.support_ends = None;
    report.problems.retain(|problem| !is_of_matching(problem));
    with_judgement(report, database)
}

/// Whether matching found a problem, and finds it again. What it finds concerns no single file; an SBOM with gaps does.
fn is_of_matching(problem: &Problem) -> bool {
    problem.path.is_none() && MATCHING_PROBLEMS.contains(&problem.kind)
}

const MATCHING_PROBLEMS: [ProblemKind; 4] = [
    ProblemKind::NoAdvisoryCoverage,
    ProblemKind::PartialCoverage,
    ProblemKind::ApproximateDistribution,
    ProblemKind::RepositoryAssumed,
];

fn revisions(analyzer: Revision, database: &Database) -> ScanRevisions {
    ScanRevisions { analyzer, database: database.revision().clone(), database_as_of: database.as_of() }
}

fn with_judgement(mut report: Report, database: &Database) -> Result<Report, DatabaseError> {
    let inventory: Option<&Inventory> = match &report.subject {
        Subject::Image(inventory) => Some(inventory),
        Subject::Index { .. } | Subject::Artifact { .. } | Subject::Unreadable => None,
    };
    if let Some(inventory) = inventory {
        let Judgement { findings, problems, coverage, support_ends } = judge(inventory, database)?;
        report.findings = findings;
        report.problems.extend(problems);
        report.coverage = coverage;
        report.support_ends = support_ends;
        let of_the_day = age::judge(inventory, support_ends, report.scanned_at);
        report.observations.retain(|observation| !age::IDS.contains(&observation.rule.as_str()));
        report.observations.extend(of_the_day);
        report.observations.sort_by(|one, other| worst_first(one).cmp(&worst_first(other)));
    }
    Ok(report)
}
