//! What SBOMs that are attached to an image claim to be in it, besides what was seen.
//!
//! In: claims, from where `fetch` has found them. Out: the report with them, matched again. A claim adds a package where
//! nothing has shown one of that name and version, and takes nothing away. What cannot be read is a problem of the report and
//! never a reason to have none.

mod fetch;

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::layer::LayerIndex;
use shared::model::package::Package;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{InstalledPackage, Inventory, Report, Subject};
use shared::model::sbom::{AttachedSbom, MOST_SBOMS};
use shared::registry::RegistryClient;

use crate::advisories::{Database, DatabaseError};
use crate::image::{in_purls, purl};
use crate::report::match_again;
use crate::scan::Scanned;

pub use fetch::{OfIndex, of_artifacts, of_image};

/// So many packages may be in an inventory because they are claimed by what is attached.
const MOST_CLAIMED: usize = 50_000;

/// What documents claim, and which could not be read.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    documents: Vec<Claimed>,
    problems: Vec<Problem>,
    /// Places of which an earlier problem is over.
    settled: Vec<String>,
}

/// What one document claims.
#[derive(Clone, Debug)]
struct Claimed {
    digest: Digest,
    packages: BTreeSet<Package>,
    /// What it lists and is no package, in words.
    missing: Option<String>,
}

impl Claims {
    /// Whether there is nothing to be changed in any report.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.problems.is_empty() && self.settled.is_empty()
    }

    /// Whether a report may be changed by them.
    pub fn concern(&self, report: &Report) -> bool {
        let has_news = !self.documents.is_empty() || !self.problems.is_empty();
        report.inventory().is_some()
            && (has_news || report.problems.iter().any(|problem| is_over(problem, self)))
    }

    /// These and others.
    pub fn extend(&mut self, others: Self) {
        self.documents.extend(others.documents);
        self.problems.extend(others.problems);
        self.settled.extend(others.settled);
    }

    /// Whoever may push an image may attach such a document to it, so that none of them takes a finding away.
    fn unused_vex(&mut self, document: &Digest) {
        let detail = "a VEX document is attached and not used; say in an exception of the policy what does not concern you";
        let problem = Problem::new(ProblemKind::VexIgnored, detail);
        self.problems.push(problem.at(AttachedSbom::place(document)));
    }

    fn unreadable(&mut self, place: impl Into<String>, why: &str) {
        let detail = format!("{why}; nothing that it claims is in the report");
        self.problems.push(Problem::new(ProblemKind::SbomUnreadable, detail).at(place.into()));
    }
}

/// The report of an image with what is claimed of it, matched with the same advisories again; `None` if that changes
/// nothing. `most` packages may be in an inventory.
pub fn claim(
    report: &Report,
    claims: &Claims,
    database: &Database,
    most: usize,
    now: Timestamp,
) -> Result<Option<Report>, DatabaseError> {
    if !claims.concern(report) {
        return Ok(None);
    }
    let mut changed = report.clone();
    let Subject::Image(inventory) = &mut changed.subject else { return Ok(None) };
    changed.problems.retain(|problem| !is_over(problem, claims));
    let mut claimed: usize = changed.sboms.iter().map(|sbom| sbom.claimed as usize).sum();
    for document in &claims.documents {
        if changed.sboms.iter().any(|known| known.digest == document.digest) {
            continue;
        }
        let place = AttachedSbom::place(&document.digest);
        if changed.sboms.len() >= MOST_SBOMS {
            let why = format!("{MOST_SBOMS} other SBOMs of this image were read before; this one was not");
            changed.problems.push(Problem::new(ProblemKind::SbomUnreadable, why).at(&place));
            continue;
        }
        let room = (MOST_CLAIMED.saturating_sub(claimed)).min(most.saturating_sub(inventory.packages.len()));
        let Added { count, beyond } = add(inventory, document, &place, room);
        claimed += count;
        if beyond > 0 {
            let detail =
                format!("{beyond} packages of the attached SBOM are beyond the limit and not inventoried");
            changed.problems.push(Problem::new(ProblemKind::PartialCoverage, detail).at(&place));
        }
        let missing = document.missing.iter();
        changed
            .problems
            .extend(missing.map(|detail| Problem::new(ProblemKind::PartialCoverage, detail).at(&place)));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        changed.sboms.push(AttachedSbom {
            digest: document.digest.clone(),
            packages: number(document.packages.len()),
            claimed: number(count),
        });
    }
    inventory.packages.sort_by(|one, other| (&one.purl, &one.path).cmp(&(&other.purl, &other.path)));
    for problem in &claims.problems {
        if !changed.problems.contains(problem) {
            changed.problems.push(problem.clone());
        }
    }
    if changed == *report { Ok(None) } else { match_again(changed, database, now).map(Some) }
}

/// Whether a problem that an earlier look left is over: what could not be read then was read now.
fn is_over(problem: &Problem, claims: &Claims) -> bool {
    let is_about = |place: &str| problem.path.as_deref() == Some(place);
    problem.kind == ProblemKind::SbomUnreadable
        && (claims.settled.iter().any(|place| is_about(place))
            || claims.documents.iter().any(|document| is_about(&AttachedSbom::place(&document.digest))))
}

/// What became of a document's packages.
struct Added {
    count: usize,
    beyond: usize,
}

/// Adds what nothing else shows, as long as there is room.
fn add(inventory: &mut Inventory, document: &Claimed, place: &str, room: usize) -> Added {
    let shown = inventory.packages.iter().map(|shown| shown.purl.without_qualifiers().to_owned());
    let mut known: HashSet<String> = shown.collect();
    let distribution = inventory.distribution.as_ref().map(in_purls);
    let past_last = LayerIndex(u16::try_from(inventory.layers.len()).unwrap_or(u16::MAX));
    let mut added = Added { count: 0, beyond: 0 };
    for package in &document.packages {
        let purl = purl(package, distribution);
        if !known.insert(purl.without_qualifiers().to_owned()) {
            continue;
        }
        if added.count >= room {
            added.beyond += 1;
            continue;
        }
        added.count += 1;
        inventory.packages.push(InstalledPackage {
            package: package.clone(),
            purl,
            path: place.to_owned(),
            introduced_in: past_last,
            owned_by: None,
            nested_root: None,
        });
    }
    added
}

/// Reports of a scan without queue or store, with what is claimed of their images.
pub async fn of_scanned(
    scanned: Scanned,
    client: &RegistryClient,
    name: &ImageName,
    database: &Database,
    most: usize,
) -> Result<Scanned, DatabaseError> {
    let Scanned { report, children } = scanned;
    let now = Timestamp::now();
    let claimed = |report: Report, claims: &Claims| {
        Ok::<Report, DatabaseError>(claim(&report, claims, database, most, now)?.unwrap_or(report))
    };
    let of_index = match report.subject {
        Subject::Index { .. } => Some(OfIndex::read(client, name, &report.digest).await),
        Subject::Image(_) | Subject::Artifact { .. } | Subject::Unreadable => None,
    };
    let mut with_claims = Vec::with_capacity(children.len());
    for child in children {
        let mut claims = of_image(client, name, &child.digest, &[]).await;
        if let Some(of_index) = &of_index {
            claims.extend(of_index.of_child(client, name, &child.digest).await);
        }
        with_claims.push(claimed(child, &claims)?);
    }
    let report = match report.subject {
        Subject::Image(_) => {
            let claims = of_image(client, name, &report.digest, &[]).await;
            claimed(report, &claims)?
        }
        Subject::Index { .. } | Subject::Artifact { .. } | Subject::Unreadable => report,
    };
    Ok(Scanned { report, children: with_claims })
}

#[cfg(test)]
mod tests;
