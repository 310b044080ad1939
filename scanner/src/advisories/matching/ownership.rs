//! Language packages that a distribution installed and repairs itself: their own version number lies.
//!
//! A Debian `python3-urllib3` is a deb and a Python distribution; the fix is back-ported, the Python version stays.
//! The distribution's advisories decide, if they can: where they list only fixes and do not know the CVE, nobody
//! has assessed it, and the finding says so instead of vanishing.

use shared::model::report::{CoverageState, FindingStatus, InstalledPackage, Suppression};

use super::groups::Group;
use super::matches::Matcher;
use super::questions::{Asked, Scope};
use crate::advisories::DatabaseError;

/// The status of a finding in an owned package; `None` if nobody owns it, or the owner has no advisories.
pub(super) fn status(
    scope: &Scope<'_>,
    installed: &InstalledPackage,
    group: &Group<'_>,
    matcher: &mut Matcher<'_>,
) -> Result<Option<FindingStatus>, DatabaseError> {
    let (Some(os), Some(purl)) = (scope.os(installed), &installed.owned_by) else {
        return Ok(None);
    };
    if os.coverage() == CoverageState::None {
        return Ok(None);
    }
    let Some(owner) = scope.owner(installed) else {
        return Ok(Some(FindingStatus::DistroUnassessed));
    };
    // What somebody else built, the distribution does not repair.
    let repaired = scope.repaired(owner).questions(owner);
    let coverage = if repaired.is_some() { CoverageState::FixedOnly } else { os.coverage() };
    let questions = match repaired.unwrap_or_else(|| os.questions(&owner.package)) {
        Asked::Questions(questions) => questions,
        Asked::Foreign | Asked::Unheard(_) => return Ok(None),
        Asked::NoAdvisories | Asked::NoVersion | Asked::UnknownGroup => Vec::new(),
    };
    let suppressed = FindingStatus::Suppressed { reason: Suppression::OwnedBy { purl: purl.clone() } };
    match coverage {
        CoverageState::Full => return Ok(Some(suppressed)),
        CoverageState::None | CoverageState::FixedOnly | CoverageState::Partial => {}
    }
    let names = group.matches.iter().flat_map(|found| &found.head.names);
    let names: Vec<&str> = names.map(String::as_str).chain([group.id.as_str()]).collect();
    for question in &questions {
        let assessed = matcher.cves_of(question.ecosystem, &question.name)?;
        if assessed.iter().any(|cve| names.contains(&cve.as_str())) {
            return Ok(Some(suppressed));
        }
    }
    Ok(Some(FindingStatus::DistroUnassessed))
}
