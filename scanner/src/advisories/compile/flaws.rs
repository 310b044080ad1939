//! Joins records that speak about the same flaw, and collects what all of them together know about it.
//!
//! Records are joined by their ids and aliases, transitively. A record that speaks about several CVEs joins
//! nothing, or one announcement of a distribution would glue thirty flaws into one; and where a chain of aliases
//! would still join two CVEs, nothing of that chain is believed beyond each record's own words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::gather::Kept;
use crate::advisories::osv::cve_in;
use crate::advisories::record::StoredFlaw;

/// A disjoint-set forest over small integers.
#[derive(Default)]
struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    fn grow(&mut self) -> usize {
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}

/// Completes the names of every record by those of its flaw; returns what is known about each flaw, by name.
pub(super) fn resolve(advisories: &mut BTreeMap<String, Kept>) -> BTreeMap<String, StoredFlaw> {
    let components = components(advisories);
    for kept in advisories.values_mut() {
        let head = &mut kept.head;
        let component = head.names.first().and_then(|name| components.get(name));
        if let (Some(names), false) = (component, head.withdrawn) {
            head.names.clone_from(names);
            if head.cves.is_empty() {
                head.cves = names.iter().filter(|name| is_cve(name)).cloned().collect();
            }
        }
    }
    let mut flaws: BTreeMap<String, (u8, StoredFlaw)> = BTreeMap::new();
    for kept in advisories.values() {
        contribute(kept, &mut flaws);
    }
    flaws.into_iter().map(|(name, (_, flaw))| (name, flaw)).collect()
}

fn is_cve(name: &str) -> bool {
    cve_in(name) == Some(name)
}

/// From each name to all names of its flaw, for the flaws that no chain of aliases glues to another.
fn components(advisories: &BTreeMap<String, Kept>) -> HashMap<String, Vec<String>> {
    let mut forest = Forest::default();
    let mut nodes: HashMap<&str, usize> = HashMap::new();
    let of_one_flaw = || advisories.values().filter(|kept| !kept.head.withdrawn).map(|kept| &kept.head.names);
    for names in of_one_flaw() {
        let mut first = None;
        for name in names {
            let node = *nodes.entry(name).or_insert_with(|| forest.grow());
            forest.join(*first.get_or_insert(node), node);
        }
    }
    let mut members: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (name, node) in &nodes {
        members.entry(forest.root(*node)).or_default().insert(name);
    }
    let mut components = HashMap::new();
    for names in members.into_values() {
        if names.iter().filter(|name| is_cve(name)).count() > 1 {
            continue;
        }
        let all: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        components.extend(all.iter().map(|name| (name.clone(), all.clone())));
    }
    components
}

/// The name under which people know a flaw: the CVE, else the GHSA, else the first.
pub(crate) fn canonical(names: &[String]) -> Option<&str> {
    let cve = names.iter().find(|name| is_cve(name));
    let ghsa = || names.iter().find(|name| name.starts_with("GHSA-"));
    cve.or_else(ghsa).or(names.first()).map(String::as_str)
}

/// Adds what a record of just one flaw says about it; the CVE's own record before GitHub's before others.
fn contribute(kept: &Kept, flaws: &mut BTreeMap<String, (u8, StoredFlaw)>) {
    let head = &kept.head;
    let Some(name) = canonical(&head.names) else {
        return;
    };
    if head.withdrawn || (name == head.id && head.names.len() == 1) {
        return;
    }
    let rank = match head.id.as_str() {
        id if id.starts_with("CVE-") => 0,
        id if id.starts_with("GHSA-") => 1,
        _ => 2,
    };
    let (rated_by, flaw) = flaws
        .entry(name.to_owned())
        .or_insert((u8::MAX, StoredFlaw { rating: None, word: None, published: None, summary: None }));
    if head.rating.is_some() && rank < *rated_by {
        flaw.rating.clone_from(&head.rating);
        *rated_by = rank;
    }
    flaw.word = flaw.word.max(head.database_word);
    flaw.published = match (flaw.published, head.published) {
        (Some(known), Some(other)) => Some(known.min(other)),
        (known, other) => known.or(other),
    };
    if flaw.summary.is_none() || rank == 1 {
        flaw.summary = head.summary.clone().or(flaw.summary.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisories::record::{StoredAdvisory, StoredRating};
    use shared::model::report::{FindingKind, Severity};

    fn kept(id: &str, names: &[&str], rating: Option<Severity>) -> (String, Kept) {
        let mut names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        names.push(id.to_owned());
        names.sort();
        let cves = names.iter().filter(|name| is_cve(name)).cloned().collect();
        let rating = rating.map(|severity| StoredRating { severity, score: None, vector: None });
        let head = StoredAdvisory {
            id: id.to_owned(),
            modified: 0,
            published: Some(i64::try_from(id.len()).unwrap()),
            withdrawn: false,
            kind: FindingKind::Vulnerability,
            cves,
            names,
            rating,
            distribution_word: None,
            database_word: None,
            summary: None,
        };
        (id.to_owned(), Kept { head, entries: Vec::new() })
    }

    #[test]
    fn names_are_completed_through_other_records() {
        let mut advisories = BTreeMap::from([
            kept("PYSEC-1", &["GHSA-a"], None),
            kept("GHSA-a", &["CVE-2020-0001"], Some(Severity::High)),
        ]);
        let flaws = resolve(&mut advisories);
        assert_eq!(advisories["PYSEC-1"].head.names, ["CVE-2020-0001", "GHSA-a", "PYSEC-1"]);
        assert_eq!(advisories["PYSEC-1"].head.cves, ["CVE-2020-0001"]);
        let flaw = &flaws["CVE-2020-0001"];
        assert_eq!(flaw.rating.as_ref().map(|rating| rating.severity), Some(Severity::High));
    }

    #[test]
    fn a_chain_of_aliases_never_glues_two_cves() {
        let mut advisories = BTreeMap::from([
            kept("GHSA-a", &["CVE-2020-0001"], None),
            kept("PYSEC-1", &["GHSA-a", "CVE-2020-0002"], None),
        ]);
        resolve(&mut advisories);
        assert_eq!(advisories["GHSA-a"].head.names, ["CVE-2020-0001", "GHSA-a"]);
        assert_eq!(advisories["PYSEC-1"].head.names, ["CVE-2020-0002", "GHSA-a", "PYSEC-1"]);
    }
}
