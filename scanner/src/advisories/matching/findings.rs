//! The findings of one package: questions asked, matches grouped, each group one finding.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::model::package::{Package, PackageKind};
use shared::model::report::{
    Confidence, CoverageState, Finding, FindingKind, InstalledPackage, PackageIndex,
};

use super::groups::{self, Group};
use super::matches::{Asker, Match, Matcher, Matches};
use super::modules::Installed;
use super::questions::{Asked, Question, Scope, Weight};
use super::ranges::Answer;
use super::{fixes, is_os, ratings, suppression};
use crate::advisories::DatabaseError;
use crate::advisories::versions::Scheme;
use crate::analyzers::registry;

/// Everything that advisories say about one package.
pub(super) fn of_package(
    scope: &Scope<'_>,
    matcher: &mut Matcher<'_>,
    installed: &InstalledPackage,
    index: PackageIndex,
    asked: &Asked<'_>,
) -> Result<Vec<Finding>, DatabaseError> {
    let questions = match asked {
        Asked::Questions(questions) => questions,
        Asked::NoAdvisories | Asked::NoVersion | Asked::Foreign | Asked::Unheard(_) | Asked::UnknownGroup => {
            return Ok(Vec::new());
        }
    };
    let asker = asker(scope, installed);
    let all = answers(matcher, questions, asker)?;
    if all.affecting.is_empty() {
        return Ok(Vec::new());
    }
    let scheme = questions.first().and_then(|question| Scheme::of_ecosystem(question.ecosystem));
    let pro = pro_fixes(scope, matcher, installed, questions)?;
    let mut findings = Vec::new();
    for group in groups::group(&all.affecting, &all.sparing, matcher)? {
        let kind = kind(&group.matches);
        let rated = ratings::rate(&group, kind, is_os(installed), matcher)?;
        let status = suppression::status(scope, installed, &group, kind, &all.sparing, matcher)?;
        let aliases = group.aliases();
        let names = aliases.iter().map(String::as_str).chain([group.id.as_str()]);
        let (known_exploited, epss) = matcher.exploitation(names)?;
        let fix = fixes::of_finding(&group.matches, scheme, coverage(scope, installed));
        let pro = pro.iter().find(|(flaw, _)| *flaw == group.id).map(|(_, version)| version.clone());
        let (summary, published) = about(&group, matcher)?;
        findings.push(Finding {
            advisories: group.advisories(),
            kind,
            package: index,
            severity: rated.severity,
            score: rated.score,
            vector: rated.vector,
            fix: suppression::with_pro(fix, pro),
            status,
            confidence: confidence(kind, &installed.package, &group.matches),
            known_exploited,
            epss,
            summary,
            published,
            fixed_since: fixed_since(installed, &group.matches),
            aliases,
            id: group.id,
        });
    }
    Ok(findings)
}

/// The answers to all questions; a record that a deciding question speaks about is not asked again.
fn answers(
    matcher: &mut Matcher<'_>,
    questions: &[Question<'_>],
    asker: Asker<'_>,
) -> Result<Matches, DatabaseError> {
    let mut all = Matches::default();
    let mut decided = BTreeSet::new();
    for question in questions {
        let mut matches = matcher.ask(question, asker)?;
        matches.affecting.retain(|found| !decided.contains(&found.number));
        match question.weight {
            Weight::Adds => {}
            Weight::Decides => {
                decided.extend(matches.affecting.iter().map(|found| found.number));
                decided.extend(&matches.sparing);
            }
        }
        all.affecting.extend(matches.affecting);
        all.sparing.extend(matches.sparing);
    }
    if questions.len() < 2 {
        return Ok(all);
    }
    let affects = |number| all.affecting.iter().any(|found| found.number == number);
    all.sparing.retain(|number| !affects(*number));
    Ok(all)
}

fn asker<'p>(scope: &Scope<'p>, installed: &'p InstalledPackage) -> Asker<'p> {
    let package = &installed.package;
    Asker {
        binary: is_os(installed).then_some(package.name.as_str()),
        module: (package.kind == PackageKind::Rpm)
            .then_some(Installed { version: &package.version, label: package.module.as_deref() }),
        platform: scope.platform(),
        functions: scope.functions(installed),
    }
}

/// How much the advisories of a package can say about fixes.
fn coverage(scope: &Scope<'_>, installed: &InstalledPackage) -> CoverageState {
    if scope.is_repaired(installed) {
        return CoverageState::FixedOnly;
    }
    match scope.os(installed) {
        Some(os) if is_os(installed) => os.coverage(),
        Some(_) | None => CoverageState::Full,
    }
}

/// The worst kind among the records.
fn kind(matches: &[&Match]) -> FindingKind {
    let any = |kind| matches.iter().any(|found| found.head.kind == kind);
    if any(FindingKind::Malware) {
        FindingKind::Malware
    } else if any(FindingKind::Vulnerability) && !any(FindingKind::Informational) {
        FindingKind::Vulnerability
    } else {
        // RustSec's own judgement that something is only unsound outranks a copy that does not know the word.
        FindingKind::Informational
    }
}

/// How sure a finding is. Whoever publishes malware takes the names of internal packages on purpose: of a package from
/// another registry its advisory may not speak at all. Other advisories speak of what such a registry has copies of.
fn confidence(kind: FindingKind, package: &Package, matches: &[&Match]) -> Confidence {
    let stated = surest(matches);
    match kind {
        FindingKind::Malware if registry::is_other(package) => stated.max(Confidence::NameCollision),
        FindingKind::Malware | FindingKind::Vulnerability | FindingKind::Informational => stated,
    }
}

/// The surest of the matches that say "affected".
fn surest(matches: &[&Match]) -> Confidence {
    let sure = matches.iter().filter(|found| found.answer == Answer::Affected);
    sure.map(|found| found.confidence).min().unwrap_or(Confidence::UnparsableVersion)
}

/// For Ubuntu: the fixes that subscribers get, by flaw.
fn pro_fixes(
    scope: &Scope<'_>,
    matcher: &mut Matcher<'_>,
    installed: &InstalledPackage,
    questions: &[Question<'_>],
) -> Result<Vec<(String, String)>, DatabaseError> {
    let os = scope.os(installed).filter(|_| !scope.is_repaired(installed));
    let pro = os.and_then(|os| os.pro_of(&installed.package));
    let (Some(ecosystem), true, Some(first)) = (pro, is_os(installed), questions.first()) else {
        return Ok(Vec::new());
    };
    let question = Question { ecosystem, ..first.clone() };
    let mut fixes = Vec::new();
    for found in matcher.ask(&question, asker(scope, installed))?.affecting {
        if let fixes::RecordFix::In(version) = &found.fix {
            fixes.extend(found.head.cves.iter().map(|cve| (cve.clone(), version.clone())));
        }
    }
    Ok(fixes)
}

/// When the fix became known: a distribution publishes its announcement (DSA, USN, RHSA …) when the repaired package
/// appears. A record named after the flaw itself, or of a language's database, says nothing about that.
fn fixed_since(installed: &InstalledPackage, matches: &[&Match]) -> Option<Timestamp> {
    if !is_os(installed) {
        return None;
    }
    let fixes = matches.iter().filter(|found| matches!(found.fix, fixes::RecordFix::In(_)));
    let announced = fixes.filter(|found| !found.head.id.contains("CVE-"));
    let seconds = announced.filter_map(|found| found.head.published).min()?;
    Timestamp::from_second(seconds).ok()
}

/// One line about a flaw, and when it was first published: by a record of just this flaw, else by any record of it,
/// else by an announcement, which comes after the flaw.
fn about(
    group: &Group<'_>,
    matcher: &mut Matcher<'_>,
) -> Result<(Option<String>, Option<Timestamp>), DatabaseError> {
    let single = || group.matches.iter().filter(|found| found.head.cves.len() <= 1);
    let mut summary = single().find_map(|found| found.head.summary.clone());
    let mut published = single().filter_map(|found| found.head.published).min();
    if (summary.is_none() || published.is_none())
        && let Some(flaw) = matcher.flaw(&group.id)?
    {
        summary = summary.or_else(|| flaw.summary.clone());
        published = published.or(flaw.published);
    }
    let announced = || group.matches.iter().find_map(|found| found.head.summary.clone());
    let announced_at = || group.matches.iter().filter_map(|found| found.head.published).min();
    let published = published.or_else(announced_at);
    let published = published.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok((summary.or_else(announced), published))
}
