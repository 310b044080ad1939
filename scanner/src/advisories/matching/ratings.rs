//! Which of several ratings a finding carries.
//!
//! The distribution about its own packages; else a CVSS vector of an advisory of just this flaw; else the advisory
//! database's word; else what any record of the same flaw says. Nobody has said anything: `unknown`, which is
//! neither low nor none.

use shared::model::report::{FindingKind, Score, Severity};

use super::groups::Group;
use super::matches::{Match, Matcher};
use crate::advisories::DatabaseError;
use crate::advisories::record::{StoredRating, StoredUrgency};

/// A severity and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rated {
    pub(super) severity: Severity,
    pub(super) score: Option<Score>,
    pub(super) vector: Option<String>,
}

impl From<Severity> for Rated {
    fn from(severity: Severity) -> Self {
        Self { severity, score: None, vector: None }
    }
}

impl From<StoredRating> for Rated {
    fn from(rating: StoredRating) -> Self {
        Self { severity: rating.severity, score: rating.score, vector: rating.vector }
    }
}

/// Rates a finding. `is_os`: the package came with the distribution, whose own rating then comes first.
pub(super) fn rate(
    group: &Group<'_>,
    kind: FindingKind,
    is_os: bool,
    matcher: &mut Matcher<'_>,
) -> Result<Rated, DatabaseError> {
    match kind {
        FindingKind::Malware => return Ok(Severity::Critical.into()),
        FindingKind::Vulnerability | FindingKind::Informational => {}
    }
    let matches = &group.matches;
    if is_os && let Some(severity) = matches.iter().filter_map(|found| by_distribution(found)).max() {
        return Ok(severity.into());
    }
    if let Some(rating) = best_vector(matches.iter().filter(|found| is_single(found)).copied()) {
        return Ok(rating.into());
    }
    if let Some(word) = matches.iter().filter_map(|found| found.head.database_word).max() {
        return Ok(word.into());
    }
    let flaw = matcher.flaw(&group.id)?;
    if let Some(flaw) = flaw {
        if let Some(rating) = &flaw.rating {
            return Ok(rating.clone().into());
        }
        if let Some(word) = flaw.word {
            return Ok(word.into());
        }
    }
    // The vector of an announcement of several flaws is that of the worst of them: better than nothing.
    let advisory_level = best_vector(matches.iter().copied());
    Ok(advisory_level.map_or(Severity::Unknown.into(), Into::into))
}

fn is_single(found: &Match) -> bool {
    found.head.cves.len() <= 1
}

/// Ubuntu's priority, Debian's urgency, the word of an announcement.
fn by_distribution(found: &Match) -> Option<Severity> {
    let urgency = found.urgency.and_then(|urgency| match urgency {
        StoredUrgency::Unimportant => Some(Severity::Negligible),
        StoredUrgency::Low => Some(Severity::Low),
        StoredUrgency::Medium => Some(Severity::Medium),
        StoredUrgency::High => Some(Severity::High),
        StoredUrgency::EndOfLife => None,
    });
    urgency.or(found.head.distribution_word)
}

/// The worst of the vectors, so that the order of records decides nothing.
fn best_vector<'m>(matches: impl Iterator<Item = &'m Match>) -> Option<StoredRating> {
    let ratings = matches.filter_map(|found| found.rating.as_ref().or(found.head.rating.as_ref()));
    ratings.max_by_key(|rating| (rating.severity, rating.score, &rating.vector)).cloned()
}
