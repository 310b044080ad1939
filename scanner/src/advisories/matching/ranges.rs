//! Whether a version is affected: ranges sorted once when the database is built, walked for every question.
//!
//! The rules are those of the OSV schema, "Evaluation". What cannot be ordered is `Undecidable`, never "no".

use std::cmp::Ordering;

use crate::advisories::osv::{Event, Range, RangeOrder};
use crate::advisories::record::{StoredEntry, StoredEvent, StoredRange};
use crate::advisories::versions::Scheme;

/// The answer to "is this version affected?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// No.
    Unaffected,
    /// A version could not be ordered, so nobody can say.
    Undecidable,
    /// Yes.
    Affected,
}

/// Prepares a range: events sorted by version, ends before beginnings where versions are equal.
///
/// `None` if nothing begins in it: such a range is invalid and contains nothing.
pub fn prepare<'a>(range: &'a Range, ecosystem: Option<Scheme>) -> Option<StoredRange<'a>> {
    let semver = match range.order {
        RangeOrder::Semver => true,
        RangeOrder::Ecosystem => false,
    };
    let mut prepared = StoredRange {
        semver,
        decidable: true,
        events: Vec::with_capacity(range.events.len()),
        limits: Vec::new(),
        doubtful_from: None,
    };
    let scheme = order_of(semver, ecosystem);
    let (mut unlimited, mut never) = (false, false);
    for event in &range.events {
        match event {
            Event::Introduced(version) if version == "0" => prepared.events.push(StoredEvent::Always),
            Event::Introduced(version) => prepared.events.push(StoredEvent::Introduced(version)),
            Event::Fixed(version) if version == "0" => never = true,
            Event::Fixed(version) => {
                let (first, last) = stated_ends(version, scheme);
                prepared.doubtful_from = prepared.doubtful_from.or(first);
                prepared.events.push(StoredEvent::Fixed(last));
            }
            Event::LastAffected(version) => prepared.events.push(StoredEvent::LastAffected(version)),
            Event::Limit(version) if version == "*" => unlimited = true,
            Event::Limit(version) => prepared.limits.push(version),
        }
    }
    if never {
        // "Fixed in 0": nothing lies before it, so what began at 0 never was.
        prepared.events.retain(|event| *event != StoredEvent::Always);
    }
    if unlimited {
        prepared.limits.clear();
    }
    let begins = |event: &StoredEvent<'_>| matches!(event, StoredEvent::Always | StoredEvent::Introduced(_));
    if !prepared.events.iter().any(begins) {
        return None;
    }
    let orderable = |version: &str| scheme.is_some_and(|scheme| scheme.compare(version, version).is_some());
    let versions = prepared.events.iter().filter_map(|event| version_of(*event));
    prepared.decidable = versions.chain(prepared.limits.iter().copied()).all(orderable);
    if let (true, Some(scheme)) = (prepared.decidable, scheme) {
        prepared.events.sort_by(|a, b| in_order(*a, *b, scheme));
        close_single_versions(&mut prepared.events, scheme);
    }
    Some(prepared)
}

/// A publisher once wrote two versions into one event: `7.2.4, 6.11.4`. Between them nobody can say.
fn stated_ends(version: &str, scheme: Option<Scheme>) -> (Option<&str>, &str) {
    let (Some(scheme), true) = (scheme, version.contains(',')) else {
        return (None, version);
    };
    let mut parts: Vec<&str> = version.split(',').map(str::trim).collect();
    if parts.iter().any(|part| scheme.compare(part, part).is_none()) {
        return (None, version);
    }
    parts.sort_by(|a, b| scheme.compare(a, b).unwrap_or(Ordering::Equal));
    match (parts.first(), parts.last()) {
        (Some(first), Some(last)) => (Some(first), last),
        _ => (None, version),
    }
}

/// The order that a range's versions are meant in.
fn order_of(semver: bool, ecosystem: Option<Scheme>) -> Option<Scheme> {
    match (semver, ecosystem) {
        // Where the ecosystem has an order it agrees with its own SEMVER ranges, and is the better judge.
        (_, Some(scheme)) => Some(scheme),
        (true, None) => Some(Scheme::Semver),
        (false, None) => None,
    }
}

fn version_of(event: StoredEvent<'_>) -> Option<&str> {
    match event {
        StoredEvent::Always => None,
        StoredEvent::Introduced(version)
        | StoredEvent::Fixed(version)
        | StoredEvent::LastAffected(version) => Some(version),
    }
}

fn in_order(a: StoredEvent<'_>, b: StoredEvent<'_>, scheme: Scheme) -> Ordering {
    let begins = |event: StoredEvent<'_>| matches!(event, StoredEvent::Introduced(_));
    in_order_of_versions(a, b, scheme).then(begins(a).cmp(&begins(b)))
}

fn in_order_of_versions(a: StoredEvent<'_>, b: StoredEvent<'_>, scheme: Scheme) -> Ordering {
    match (version_of(a), version_of(b)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(first), Some(second)) => scheme.compare(first, second).unwrap_or(Ordering::Equal),
    }
}

/// "Introduced in 3, last affected 3" is how advisories say "just 3": where nothing was affected before, the end
/// belongs after the beginning of the same version. Where something was, it ends there and begins again.
fn close_single_versions(events: &mut [StoredEvent<'_>], scheme: Scheme) {
    let same = |a: &StoredEvent<'_>, b: &StoredEvent<'_>| in_order_of_versions(*a, *b, scheme).is_eq();
    let mut affected = false;
    for group in events.chunk_by_mut(same) {
        let begins = group.iter().any(|event| matches!(event, StoredEvent::Introduced(_)));
        if begins && !affected {
            group.sort_by_key(|event| matches!(event, StoredEvent::LastAffected(_)));
        }
        affected = matches!(group.last(), Some(StoredEvent::Always | StoredEvent::Introduced(_)));
    }
}

/// Whether an entry affects a version of its package.
pub fn entry_affects(entry: &StoredEntry<'_>, version: &str, ecosystem: Option<Scheme>) -> Answer {
    if lists(&entry.versions, version, ecosystem) {
        return Answer::Affected;
    }
    let answers = entry.ranges.iter().map(|range| range_contains(range, version, ecosystem));
    answers.max().unwrap_or(Answer::Unaffected)
}

/// Whether a version stands in a list: as the very same text, or equal in the ecosystem's order.
fn lists(versions: &[&str], version: &str, scheme: Option<Scheme>) -> bool {
    let equal =
        |listed: &str| scheme.is_some_and(|scheme| scheme.compare(listed, version) == Some(Ordering::Equal));
    versions.contains(&version) || versions.iter().any(|listed| equal(listed))
}

/// Whether a range contains a version.
pub fn range_contains(range: &StoredRange<'_>, version: &str, ecosystem: Option<Scheme>) -> Answer {
    let Some(scheme) = order_of(range.semver, ecosystem) else {
        // An ecosystem without an order: only versions by name can be compared, and a range that spans
        // everything needs no order.
        let everything = range.events == [StoredEvent::Always] && range.limits.is_empty();
        return if everything { Answer::Affected } else { Answer::Undecidable };
    };
    if !range.decidable {
        return Answer::Undecidable;
    }
    walk(range, version, scheme).unwrap_or(Answer::Undecidable)
}

/// Walks the sorted events; `None` if a comparison fails after all.
fn walk(range: &StoredRange<'_>, version: &str, scheme: Scheme) -> Option<Answer> {
    let mut affected = false;
    for event in &range.events {
        match event {
            StoredEvent::Always => affected = scheme.compare(version, version).map(|_| true)?,
            StoredEvent::Introduced(start) => affected |= scheme.compare(version, start)?.is_ge(),
            StoredEvent::Fixed(end) => affected &= scheme.compare(version, end)?.is_lt(),
            StoredEvent::LastAffected(end) => affected &= scheme.compare(version, end)?.is_le(),
        }
    }
    if !affected {
        return Some(Answer::Unaffected);
    }
    let mut below_a_limit = range.limits.is_empty();
    for limit in &range.limits {
        below_a_limit |= scheme.compare(version, limit)?.is_lt();
    }
    if !below_a_limit {
        return Some(Answer::Unaffected);
    }
    match range.doubtful_from {
        Some(from) if scheme.compare(version, from)?.is_ge() => Some(Answer::Undecidable),
        Some(_) | None => Some(Answer::Affected),
    }
}

#[cfg(test)]
mod tests;
