//! Which version repairs a flaw: read off the ranges of a record, then chosen among the records of a finding.

use std::cmp::Ordering;

use shared::model::report::{CoverageState, Fix};

use super::matches::Match;
use super::ranges::{self, Answer};
use crate::advisories::record::{StoredEntry, StoredEvent, StoredUrgency};
use crate::advisories::versions::Scheme;

/// What one record says about repairing one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RecordFix {
    /// This version repairs it.
    In(String),
    /// The range has no end.
    Open,
    /// Affected versions end somewhere, but the record does not say which version comes after.
    Unnamed,
}

/// The fix that a record states for `version`: the smallest fixed version above it, on the same major if there is
/// one, that no other entry of the record calls affected again.
pub(super) fn of_record(entries: &[StoredEntry<'_>], version: &str, scheme: Option<Scheme>) -> RecordFix {
    let events = || entries.iter().flat_map(|entry| &entry.ranges).flat_map(|range| &range.events);
    let Some(order) = scheme.or_else(|| uses_semver(entries).then_some(Scheme::Semver)) else {
        return RecordFix::Unnamed;
    };
    let repairs = |candidate: &str| {
        let mut answers = entries.iter().map(|entry| ranges::entry_affects(entry, candidate, scheme));
        order.compare(candidate, version) == Some(Ordering::Greater)
            && answers.all(|answer| answer == Answer::Unaffected)
    };
    let mut candidates: Vec<&str> = events()
        .filter_map(|event| match event {
            StoredEvent::Fixed(candidate) => Some(*candidate),
            StoredEvent::Always | StoredEvent::Introduced(_) | StoredEvent::LastAffected(_) => None,
        })
        .filter(|candidate| repairs(candidate))
        .collect();
    candidates.sort_by(|a, b| order.compare(a, b).unwrap_or(Ordering::Equal));
    let on_same_major = candidates.iter().find(|candidate| major(candidate) == major(version));
    if let Some(fix) = on_same_major.or(candidates.first()) {
        return RecordFix::In((*fix).to_owned());
    }
    let ends = |event: &StoredEvent<'_>| match event {
        StoredEvent::LastAffected(_) | StoredEvent::Fixed(_) => true,
        StoredEvent::Always | StoredEvent::Introduced(_) => false,
    };
    let never_ends = entries.iter().flat_map(|entry| &entry.ranges).any(|range| {
        range.limits.is_empty()
            && !range.events.iter().any(ends)
            && ranges::range_contains(range, version, scheme) != Answer::Unaffected
    });
    if never_ends { RecordFix::Open } else { RecordFix::Unnamed }
}

fn uses_semver(entries: &[StoredEntry<'_>]) -> bool {
    entries.iter().flat_map(|entry| &entry.ranges).any(|range| range.semver)
}

/// The first number of a version, epoch included: what people mean by "the same major".
fn major(version: &str) -> &str {
    let version = version.trim_start_matches(['v', 'V']);
    let end = version.find(|character: char| !character.is_ascii_digit() && character != ':');
    &version[..end.unwrap_or(version.len())]
}

/// The fix of a finding: the version that satisfies every record that states one.
pub(super) fn of_finding(matches: &[&Match], scheme: Option<Scheme>, coverage: CoverageState) -> Fix {
    let mut fix: Option<&str> = None;
    for found in matches {
        if let RecordFix::In(version) = &found.fix {
            let greater = |known: &str| {
                scheme.is_some_and(|scheme| scheme.compare(version, known) == Some(Ordering::Greater))
            };
            fix = match fix {
                Some(known) if !greater(known) => Some(known),
                Some(_) | None => Some(version),
            };
        }
    }
    if let Some(version) = fix {
        return Fix::Fixed { version: version.to_owned() };
    }
    if matches.iter().any(|found| found.urgency == Some(StoredUrgency::EndOfLife)) {
        return Fix::WillNotFix;
    }
    let open = matches.iter().any(|found| found.fix == RecordFix::Open);
    match coverage {
        CoverageState::Full if open => Fix::NoneYet,
        CoverageState::Full | CoverageState::FixedOnly | CoverageState::Partial | CoverageState::None => {
            Fix::Unknown
        }
    }
}
