//! A report at rest: a head, and parts that other reports have as well.
//!
//! Images share layers, and most of what a report says follows from a layer: which packages it brings, and what
//! advisories say about those. Both are cut into parts, one a layer, which are kept by the digest of their JSON: a
//! further image on a known base adds a head and the parts of its own layers. Packages and findings are parts of
//! their own, for new advisories change only the latter.
//!
//! | value | bytes |
//! |---|---|
//! | head, version 2 | 1 version byte, then the JSON of [`Head`] as one zstd frame |
//! | report, version 1 | 1 version byte, then the JSON of [`Report`] as one zstd frame |
//! | part | the JSON of [`Contents`] or of a list of findings as one zstd frame |
//!
//! Lists are put together again in the order that they had. A finding in a part names its package by the position
//! in the contents beside it, since the position in the report is another one in every image.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{LARGEST_REPORT, RecordError, inflate};
use crate::model::digest::Digest;
use crate::model::report::{InstalledPackage, LinkedProgram, PackageIndex, Report, Subject};

mod cut;

pub(crate) use cut::{Cut, Part, cut_report};

const WHOLE: u8 = 1;
const HEAD: u8 = 2;

/// What is one report's alone, and how to put the rest together.
#[derive(Serialize, Deserialize)]
pub(crate) struct Head<'a> {
    /// Without what is in parts.
    report: Cow<'a, Report>,
    #[serde(default)]
    groups: Vec<Group>,
    #[serde(default)]
    packages: Vec<Run>,
    #[serde(default)]
    programs: Vec<Run>,
    #[serde(default)]
    findings: Vec<Run>,
}

/// The parts of one layer.
#[derive(Serialize, Deserialize)]
struct Group {
    contents: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    findings: Option<Digest>,
}

/// The next so many of a list come from this group, counted from 1; 0 is the head itself.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Run(u32, u32);

/// What a layer brings.
#[derive(Serialize, Deserialize)]
struct Contents<P, L> {
    packages: Vec<P>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    programs: Vec<L>,
}

impl<'a> Head<'a> {
    fn whole(report: Cow<'a, Report>) -> Self {
        let (groups, packages, programs, findings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { report, groups, packages, programs, findings }
    }

    /// The head of the report of `digest` from its bytes.
    pub(crate) fn decode(digest: &Digest, bytes: &[u8]) -> Result<Self, RecordError> {
        let head = match bytes.split_first() {
            None => return Err(RecordError::Empty),
            Some((&WHOLE, frame)) => {
                Self::whole(Cow::Owned(serde_json::from_slice(&inflate(frame, LARGEST_REPORT)?)?))
            }
            Some((&HEAD, frame)) => serde_json::from_slice(&inflate(frame, LARGEST_REPORT)?)?,
            Some((&version, _)) => return Err(RecordError::Version(version)),
        };
        if head.report.digest != *digest {
            return Err(RecordError::Misplaced(head.report.digest.clone()));
        }
        Ok(head)
    }

    /// The names of the parts, in the order in which [`Head::join`] wants them.
    pub(crate) fn parts(&self) -> Vec<Digest> {
        let names = self.groups.iter().flat_map(|group| [Some(&group.contents), group.findings.as_ref()]);
        names.flatten().cloned().collect()
    }

    /// The report, with its parts as they are stored.
    pub(crate) fn join<B: AsRef<[u8]>>(self, parts: Vec<B>) -> Result<Report, RecordError> {
        let mut report = self.report.into_owned();
        if self.groups.is_empty() {
            return Ok(report);
        }
        let Subject::Image(inventory) = &mut report.subject else {
            return Err(RecordError::Torn("only images have parts"));
        };
        let mut room = LARGEST_REPORT;
        let mut parts = parts.into_iter();
        let mut next = |name: &Digest| {
            let bytes = parts.next().ok_or(RecordError::Torn("a part is missing"))?;
            whole_part(name, bytes.as_ref(), &mut room)
        };
        let mut packages = vec![std::mem::take(&mut inventory.packages)];
        let mut programs = vec![std::mem::take(&mut inventory.programs)];
        let mut findings = vec![std::mem::take(&mut report.findings)];
        for group in &self.groups {
            let contents: Contents<InstalledPackage, LinkedProgram> = read(&next(&group.contents)?)?;
            packages.push(contents.packages);
            programs.push(contents.programs);
            findings.push(match &group.findings {
                Some(name) => read(&next(name)?)?,
                None => Vec::new(),
            });
        }
        let mut positions: Vec<Vec<PackageIndex>> = packages.iter().map(|_| Vec::new()).collect();
        let mut count = 0;
        mix(&self.packages, packages, |group, package| {
            positions[group].push(PackageIndex(count));
            count += 1;
            inventory.packages.push(package);
            Ok(())
        })?;
        mix(&self.programs, programs, |_, program| {
            inventory.programs.push(program);
            Ok(())
        })?;
        mix(&self.findings, findings, |group, mut finding| {
            if group > 0 {
                let position = positions[group].get(finding.package.0 as usize);
                finding.package = *position.ok_or(RecordError::Torn("a finding is about no package"))?;
            }
            report.findings.push(finding);
            Ok(())
        })?;
        Ok(report)
    }
}

/// The JSON of a part; a damaged one must not be read as another one.
fn whole_part(name: &Digest, bytes: &[u8], room: &mut u64) -> Result<Vec<u8>, RecordError> {
    let json = inflate(bytes, *room)?;
    *room -= json.len() as u64;
    if name.matches(&json) { Ok(json) } else { Err(RecordError::Torn("a part is not what its name says")) }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, RecordError> {
    Ok(serde_json::from_slice(json)?)
}

/// Hands out the members of the lists in the order of the runs; every one must have its turn.
fn mix<T>(
    runs: &[Run],
    lists: Vec<Vec<T>>,
    mut take: impl FnMut(usize, T) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let torn = RecordError::Torn("its lists do not fit together");
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    for Run(group, count) in runs {
        let group = *group as usize;
        let Some(list) = lists.get_mut(group).filter(|list| list.len() >= *count as usize) else {
            return Err(torn);
        };
        for member in list.take(*count as usize) {
            take(group, member)?;
        }
    }
    if lists.iter().all(|list| list.len() == 0) { Ok(()) } else { Err(torn) }
}

#[cfg(test)]
mod tests;
