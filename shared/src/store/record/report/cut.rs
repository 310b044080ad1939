//! Cutting a report: its lists by layer.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, IntoInnerError, Write};

use serde::{Serialize, Serializer};

use super::{Contents, Group, HEAD, Head, Run};
use crate::model::digest::Digest;
use crate::model::layer::LayerIndex;
use crate::model::report::{
    Finding, InstalledPackage, Inventory, LinkedProgram, PackageIndex, Report, Subject,
};
use crate::store::record::{LARGEST_REPORT, RecordError};

/// Fast enough for every scan, and level 6 would gain only some percent.
const ZSTD_LEVEL: i32 = 3;

/// A report cut for the store.
pub(crate) struct Cut {
    /// What is this report's alone, as it is stored.
    pub(crate) head: Vec<u8>,
    /// What it may share.
    pub(crate) parts: Vec<Part>,
}

/// What a report may share with others, as JSON: whoever has it already need not compress it.
pub(crate) struct Part {
    /// Of the JSON; under this name it is kept.
    pub(crate) name: Digest,
    json: Vec<u8>,
}

impl Part {
    /// As it is stored.
    pub(crate) fn compressed(&self) -> io::Result<Vec<u8>> {
        zstd::bulk::compress(&self.json, ZSTD_LEVEL)
    }
}

/// A finding with its package's position in the contents beside it.
struct Within<'a>(&'a Finding, PackageIndex);

impl Serialize for Within<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Finding { package: self.1, ..self.0.clone() }.serialize(serializer)
    }
}

/// Cuts a report. Fails only if it is larger than what could be put together again.
pub(crate) fn cut_report(report: &Report) -> Result<Cut, RecordError> {
    let mut room = LARGEST_REPORT;
    let Some(inventory) = report.inventory() else {
        let head = Head::whole(Cow::Borrowed(report));
        return Ok(Cut { head: head.encoded(&mut room)?, parts: Vec::new() });
    };
    let grouped = Grouped::of(report, inventory);
    let mut parts = Vec::new();
    let mut groups = Vec::new();
    for (contents, findings) in &grouped.groups {
        let contents = part(contents, &mut room)?;
        let findings = (!findings.is_empty()).then(|| part(findings, &mut room)).transpose()?;
        groups.push(Group {
            contents: contents.name.clone(),
            findings: findings.as_ref().map(|part| part.name.clone()),
        });
        parts.extend([Some(contents), findings].into_iter().flatten());
    }
    let report = Cow::Owned(grouped.rest);
    let (packages, programs, findings) = (grouped.packages.0, grouped.programs.0, grouped.findings.0);
    let head = Head { report, groups, packages, programs, findings };
    Ok(Cut { head: head.encoded(&mut room)?, parts })
}

/// A report's lists by layer, and how they were mixed.
struct Grouped<'a> {
    groups: Vec<(Contents<&'a InstalledPackage, &'a LinkedProgram>, Vec<Within<'a>>)>,
    packages: Runs,
    programs: Runs,
    findings: Runs,
    /// The report without them.
    rest: Report,
}

impl<'a> Grouped<'a> {
    fn of(report: &'a Report, inventory: &'a Inventory) -> Self {
        let mut rest = without_lists(report, inventory);
        let layers: BTreeMap<LayerIndex, u32> = {
            let mut layers: Vec<LayerIndex> =
                inventory.packages.iter().map(|package| package.introduced_in).collect();
            layers.sort_unstable();
            layers.dedup();
            (1..).zip(layers).map(|(group, layer)| (layer, group)).collect()
        };
        let empty = || (Contents { packages: Vec::new(), programs: Vec::new() }, Vec::new());
        let mut groups: Vec<(Contents<_, _>, Vec<_>)> = layers.iter().map(|_| empty()).collect();
        let [mut packages, mut programs, mut findings] = [Runs::default(), Runs::default(), Runs::default()];

        let mut places = Vec::with_capacity(inventory.packages.len());
        let mut by_path = HashMap::new();
        for package in &inventory.packages {
            let group = layers[&package.introduced_in];
            let list = &mut groups[group as usize - 1].0.packages;
            places.push((group, PackageIndex(list.len() as u32)));
            list.push(package);
            packages.push(group);
            by_path.entry(package.path.as_str()).or_insert(group);
        }
        for program in &inventory.programs {
            let group = by_path.get(program.path.as_str()).copied().unwrap_or(0);
            match (group as usize).checked_sub(1) {
                Some(position) => groups[position].0.programs.push(program),
                None => of_image(&mut rest).programs.push(program.clone()),
            }
            programs.push(group);
        }
        for finding in &report.findings {
            // One about no package stays where it was, and as it was.
            let place = places.get(finding.package.0 as usize);
            match place {
                Some((group, index)) => groups[*group as usize - 1].1.push(Within(finding, *index)),
                None => rest.findings.push(finding.clone()),
            }
            findings.push(place.map_or(0, |(group, _)| *group));
        }
        Self { groups, packages, programs, findings, rest }
    }
}

/// Everything of an image's report but what goes into parts.
fn without_lists(report: &Report, inventory: &Inventory) -> Report {
    let inventory = Inventory {
        platform: inventory.platform.clone(),
        distribution: inventory.distribution.clone(),
        repositories: inventory.repositories.clone(),
        nested_roots: inventory.nested_roots.clone(),
        layers: inventory.layers.clone(),
        packages: Vec::new(),
        programs: Vec::new(),
        settings: inventory.settings.clone(),
        base: inventory.base.clone(),
    };
    Report {
        digest: report.digest.clone(),
        subject: Subject::Image(Box::new(inventory)),
        revisions: report.revisions.clone(),
        scanned_at: report.scanned_at,
        findings: Vec::new(),
        observations: report.observations.clone(),
        problems: report.problems.clone(),
        coverage: report.coverage.clone(),
        support_ends: report.support_ends,
        signatures: report.signatures.clone(),
        sboms: report.sboms.clone(),
    }
}

/// The inventory of a report that has groups.
fn of_image(report: &mut Report) -> &mut Inventory {
    match &mut report.subject {
        Subject::Image(inventory) => inventory,
        Subject::Index { .. } | Subject::Artifact { .. } | Subject::Unreadable => {
            unreachable!("only images have lists")
        }
    }
}

/// From which groups the members of a list come, in its order.
#[derive(Default)]
struct Runs(Vec<Run>);

impl Runs {
    fn push(&mut self, group: u32) {
        match self.0.last_mut() {
            Some(Run(last, count)) if *last == group => *count += 1,
            Some(_) | None => self.0.push(Run(group, 1)),
        }
    }
}

fn part(value: &impl Serialize, room: &mut u64) -> Result<Part, RecordError> {
    let json = bounded(Vec::new(), value, room)?;
    Ok(Part { name: Digest::of(&json), json })
}

/// Writes JSON, as long as there is room for it.
fn bounded<W: Write>(inner: W, value: &impl Serialize, room: &mut u64) -> Result<W, RecordError> {
    let mut bounded = Bounded { inner, room };
    match serde_json::to_writer(&mut bounded, value) {
        Err(_) if *bounded.room == 0 => Err(RecordError::TooLarge(LARGEST_REPORT)),
        written => Ok(written.map(|()| bounded.inner)?),
    }
}

impl Head<'_> {
    fn encoded(&self, room: &mut u64) -> Result<Vec<u8>, RecordError> {
        let mut encoder = zstd::Encoder::new(vec![HEAD], ZSTD_LEVEL).map_err(RecordError::Compression)?;
        // A damaged report must not be read as another one.
        encoder.include_checksum(true).map_err(RecordError::Compression)?;
        // JSON is written a few bytes at a time, and each write to the compressor has a price.
        let written = bounded(BufWriter::with_capacity(1 << 16, encoder), self, room)?;
        let encoder = written.into_inner().map_err(IntoInnerError::into_error);
        encoder.and_then(zstd::Encoder::finish).map_err(RecordError::Compression)
    }
}

/// Lets so many bytes through and fails at the next one.
struct Bounded<'r, W> {
    inner: W,
    room: &'r mut u64,
}

impl<W: Write> Write for Bounded<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if length > *self.room {
            *self.room = 0;
            return Err(io::Error::other("too large"));
        }
        *self.room -= length;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
