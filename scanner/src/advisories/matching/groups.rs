//! Which matches speak about the same flaw: one group a flaw, a record about several CVEs in each of theirs.

use std::collections::{BTreeMap, BTreeSet};

use shared::model::package::{Level, PackageKind};

use super::matches::{Linkage, Match, Matcher};
use crate::advisories::DatabaseError;
use crate::advisories::compile::canonical;
use crate::advisories::record::{RecordNumber, StoredAdvisory};

/// All matches of one flaw in one package.
#[derive(Debug)]
pub(super) struct Group<'m> {
    /// The name by which people know the flaw.
    pub(super) id: String,
    /// In the order of record ids.
    pub(super) matches: Vec<&'m Match>,
}

/// Records that announce fixes for flaws which have a record of their own in the same distribution.
fn own_record_of(announcement: &str, cve: &str) -> Option<String> {
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| announcement.starts_with(prefix));
    if is(&["DSA-", "DLA-", "DTSA-"]) {
        Some(format!("DEBIAN-{cve}"))
    } else if is(&["USN-"]) {
        Some(format!("UBUNTU-{cve}"))
    } else {
        None
    }
}

/// Groups the matches of one package.
///
/// Where a distribution has a record of its own for a CVE and that record speaks about this package, it decides;
/// the announcement that names many CVEs only adds where that record is missing.
pub(super) fn group<'m>(
    matches: &'m [Match],
    sparing: &[RecordNumber],
    matcher: &Matcher<'_>,
) -> Result<Vec<Group<'m>>, DatabaseError> {
    let mut groups: BTreeMap<String, Vec<&Match>> = BTreeMap::new();
    for found in matches {
        for id in flaws_of(&found.head) {
            if let Some(own) = own_record_of(&found.head.id, id)
                && let Some(number) = matcher.number_of(&own)?
                && sparing.contains(&number)
            {
                continue;
            }
            groups.entry(id.to_owned()).or_default().push(found);
        }
    }
    let groups = groups.into_iter().map(|(id, mut matches)| {
        matches.sort_by(|a, b| a.head.id.cmp(&b.head.id));
        Group { id, matches }
    });
    Ok(groups.collect())
}

/// The flaws that a record speaks about: each of its CVEs, or the one that has no CVE.
fn flaws_of(head: &StoredAdvisory) -> Vec<&str> {
    if head.cves.is_empty() {
        return vec![canonical(&head.names).unwrap_or(&head.id)];
    }
    head.cves.iter().map(String::as_str).collect()
}

impl Group<'_> {
    /// Whether the linker left out all that carries the flaw, by the records that say what does. Those of Go's own
    /// database must all say it; copies of them elsewhere cannot.
    pub(super) fn is_not_linked(&self) -> bool {
        let says = |found: &&&Match| found.linkage != Linkage::Unknown || found.head.id.starts_with("GO-");
        let saying = self.matches.iter().filter(says);
        Linkage::of_all(saying.map(|found| found.linkage)) == Linkage::NotLinked
    }

    /// Every other name of the flaw, sorted.
    pub(super) fn aliases(&self) -> Vec<String> {
        let single = self.matches.iter().filter(|found| found.head.cves.len() <= 1);
        let names: BTreeSet<&String> = single.flat_map(|found| &found.head.names).collect();
        names.into_iter().filter(|name| **name != self.id).cloned().collect()
    }

    /// The records that say so, sorted.
    pub(super) fn advisories(&self) -> Vec<String> {
        let ids: BTreeSet<&String> = self.matches.iter().map(|found| &found.head.id).collect();
        ids.into_iter().cloned().collect()
    }

    /// Whether another record of the same flaw and package says "not affected", and no record that knows better
    /// says "affected": Go's and Rust's own databases know their ranges better than copies.
    pub(super) fn is_disputed(
        &self,
        kind: PackageKind,
        sparing: &[RecordNumber],
        matcher: &Matcher<'_>,
    ) -> Result<bool, DatabaseError> {
        let native = match kind {
            PackageKind::Golang => Some("GO-"),
            PackageKind::Cargo => Some("RUSTSEC-"),
            kind if kind.level() == Level::Os => return Ok(false),
            _ => None,
        };
        let says_native = |id: &str| native.is_some_and(|native| id.starts_with(native));
        if sparing.is_empty() || self.matches.iter().any(|found| says_native(&found.head.id)) {
            return Ok(false);
        }
        let names = self.matches.iter().flat_map(|found| &found.head.names);
        let names: BTreeSet<&String> = names.collect();
        for name in names {
            if let Some(number) = matcher.number_of(name)?
                && sparing.contains(&number)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
