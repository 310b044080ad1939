//! Java archives: a jar, war, ear and so on in; every Maven artifact in it out, nested archives included.
//!
//! Reading order: [`archive`] (which entries there are and what they contain), [`manifest`], [`name`] (file
//! names), [`classes`] (the packages that its code is in), [`identity`] (what an archive is, by all of these), [`log4j`] (what is told of it besides). Nested archives are read from memory, depth
//! first, each within what is left of the budgets. Formats: PKWARE APPNOTE, the JAR File Specification,
//! Maven's archiver (`META-INF/maven`), JEP 261 (jmod).

use std::borrow::Cow;

use sha1::{Digest, Sha1};
use shared::model::package::Package;
use shared::model::problem::{Problem, ProblemKind};

use self::archive::{Archive, ArchiveError, Content, DirectoryEnd, Entry};
use self::identity::{Coordinates, Facts};
use self::manifest::Manifest;
use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, FoundPackage, Trigger};
use crate::limits::Limits;

mod archive;
mod classes;
mod identity;
mod log4j;
mod manifest;
mod name;

/// Reads Java archives.
pub struct Java;

/// Extensions of files that are archives of Java code, in lower case.
const EXTENSIONS: [&str; 13] = [
    ".ear", ".far", ".hpi", ".jar", ".jmod", ".jpi", ".kar", ".lpkg", ".nar", ".par", ".rar", ".sar", ".war",
];

impl Analyzer for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn version(&self) -> u32 {
        4
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Extension(".jar"),
            Trigger::Extension(".war"),
            Trigger::Extension(".ear"),
            Trigger::Extension(".par"),
            Trigger::Extension(".sar"),
            Trigger::Extension(".nar"),
            Trigger::Extension(".jpi"),
            Trigger::Extension(".hpi"),
            Trigger::Extension(".kar"),
            Trigger::Extension(".far"),
            Trigger::Extension(".lpkg"),
            Trigger::Extension(".rar"),
            Trigger::Extension(".jmod"),
            Trigger::Magic(b"PK\x03\x04"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let path = String::from_utf8_lossy(file.path);
        // Java runs an archive whatever its name; names with an extension of letters say that they are
        // something else.
        extension(&path).is_some() || !has_lettered_extension(&path)
    }

    fn class(&self) -> FileClass {
        FileClass::Binary
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut walk =
            Walk { path: file.path, limits, found: Found::default(), entries: 0, read: 0, held: 0 };
        walk.visit(file.content, None, 0);
        walk.found
    }
}

/// The Java extension of a file name, whatever its case.
fn extension(path: &str) -> Option<&'static str> {
    let ends_with = |extension: &&str| {
        let tail = path.len().checked_sub(extension.len()).and_then(|start| path.as_bytes().get(start..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(extension.as_bytes()))
    };
    EXTENSIONS.into_iter().find(|extension| ends_with(extension))
}

fn has_lettered_extension(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| extension.contains(|c: char| c.is_ascii_alphabetic()))
}

/// What an entry is to this analyzer.
enum Interest {
    Manifest,
    /// `META-INF/maven/<group>/<artifact>/pom.properties`.
    Pom,
    /// `META-INF/maven/<group>/<artifact>/pom.xml`: its path, and which version it states.
    Directory(String, String),
    /// The class of [`log4j`] that gives it away.
    JndiLookup,
    Archive,
}

/// `None` for entries that are not looked at.
fn interest(name: &str) -> Option<Interest> {
    if name.eq_ignore_ascii_case("META-INF/MANIFEST.MF") {
        return Some(Interest::Manifest);
    }
    if let Some((front, file @ ("pom.properties" | "pom.xml"))) = name.rsplit_once('/') {
        let mut parts = front.rsplit('/');
        let (artifact, group) = (parts.next()?, parts.next()?);
        if parts.next() != Some("maven") || parts.next() != Some("META-INF") {
            return None;
        }
        return Some(match file {
            "pom.properties" => Interest::Pom,
            _ => Interest::Directory(group.to_owned(), artifact.to_owned()),
        });
    }
    if name.ends_with(log4j::JNDI_LOOKUP) {
        return Some(Interest::JndiLookup);
    }
    extension(name).map(|_| Interest::Archive)
}

/// The longest manifest that is read, in bytes.
const MANIFEST_BYTES: u64 = 10 << 20;
/// The longest `pom.properties` and `pom.xml` that are read, in bytes.
const POM_BYTES: u64 = 1 << 20;
/// Problems of one file that are listed one by one.
const MOST_PROBLEMS: usize = 50;
/// An entry that inflates to more than this must not inflate to more than `RATIO` times its size.
const SMALL_ENTRY: u64 = 64 << 20;
const RATIO: u64 = 1000;

/// One file being read, with what is used up of its budgets.
struct Walk<'f> {
    path: &'f str,
    limits: &'f Limits,
    found: Found,
    /// Entries of all archives so far.
    entries: u64,
    /// Bytes read out of all entries so far.
    read: u64,
    /// Bytes of nested archives that are in memory now.
    held: u64,
}

impl Walk<'_> {
    /// Reads one archive and those in it. `inner` is its path inside the file; none for the file itself.
    ///
    /// Recursion ends at `archive_depth`.
    fn visit(&mut self, bytes: &[u8], inner: Option<&str>, depth: u32) {
        let most_entries = self.limits.archive_entries.saturating_sub(self.entries);
        let archive = match Archive::open(bytes, most_entries, |name| interest(name).is_some()) {
            Ok(archive) => archive,
            Err(error) => return self.unreadable(inner, &error),
        };
        let is_java = archive.has_classes || !archive.entries.is_empty();
        if extension(self.path).is_none() && !is_java {
            // Another kind of zip that has no extension.
            return;
        }
        self.entries += archive.total;
        self.report_directory(&archive, inner);
        let facts = self.facts(&archive, inner);
        let has_jndi_lookup = facts.has_jndi_lookup;
        let packages = facts.packages();
        if has_jndi_lookup && !packages.iter().any(|package| package.name == "log4j-core") {
            self.found.observations.push(log4j::nameless(inner));
        }
        for mut package in packages {
            if package.namespace.is_none() {
                // By this Maven Central can be asked what it is.
                let sha1 = hex::encode(Sha1::digest(bytes));
                package.qualifiers.insert("checksum".to_owned(), format!("sha1:{sha1}"));
            }
            self.push(package, inner);
        }
        for entry in &archive.entries {
            if matches!(interest(&entry.name), Some(Interest::Archive)) {
                self.nested(&archive, entry, inner, depth + 1);
            }
        }
    }

    fn nested(&mut self, archive: &Archive<'_>, entry: &Entry, inner: Option<&str>, depth: u32) {
        let path = match inner {
            Some(inner) => format!("{inner}!/{}", entry.name),
            None => entry.name.clone(),
        };
        if depth > self.limits.archive_depth {
            let detail = format!("archives are nested deeper than {}", self.limits.archive_depth);
            return self.problem(ProblemKind::LimitExceeded, Some(&path), &detail);
        }
        // Stored archives are read in place and cost no memory.
        let most = match entry.is_stored() {
            true => u64::MAX,
            false => self.limits.binary_bytes.saturating_sub(self.held),
        };
        let Some(content) = self.content(archive, entry, most, inner) else {
            return;
        };
        let held = match &content.bytes {
            Cow::Borrowed(_) => 0,
            Cow::Owned(bytes) => bytes.len() as u64,
        };
        self.held += held;
        self.visit(&content.bytes, Some(&path), depth);
        self.held -= held;
    }

    /// What identifies an archive.
    fn facts(&mut self, archive: &Archive<'_>, inner: Option<&str>) -> Facts {
        let file = inner.unwrap_or(self.path);
        let file = file.rsplit('/').next().unwrap_or(file);
        let stem = extension(file).map_or(file, |extension| &file[..file.len() - extension.len()]);
        let mut facts = Facts {
            stem: stem.to_owned(),
            // A jmod is a part of the JDK, whose version says everything; its own would be noise.
            has_classes: archive.has_classes && extension(file) != Some(".jmod"),
            classes: archive.classes.clone(),
            ..Facts::default()
        };
        let mut projects = Vec::new();
        for entry in &archive.entries {
            match interest(&entry.name) {
                Some(Interest::Manifest) if facts.manifest.is_none() => {
                    let content = self.content(archive, entry, MANIFEST_BYTES, inner);
                    facts.manifest = content.map(|content| Manifest::parse(&content.bytes));
                }
                Some(Interest::Pom) => {
                    if let Some(content) = self.content(archive, entry, POM_BYTES, inner) {
                        self.pom(&content, &mut facts, inner);
                    }
                }
                Some(Interest::Directory(group, artifact)) => {
                    if let Some(content) = self.content(archive, entry, POM_BYTES, inner) {
                        projects.extend(Coordinates::of_project(&group, &artifact, &content.bytes));
                    }
                    facts.directories.push((group, artifact));
                }
                Some(Interest::JndiLookup) => facts.has_jndi_lookup = true,
                Some(Interest::Manifest | Interest::Archive) | None => {}
            }
        }
        // A `pom.properties` was written by the build, `pom.xml` before it.
        for project in projects {
            if !facts.poms.iter().any(|pom| pom.group == project.group && pom.artifact == project.artifact) {
                facts.poms.push(project);
            }
        }
        facts
    }

    fn pom(&mut self, content: &Content<'_>, facts: &mut Facts, inner: Option<&str>) {
        match Coordinates::parse(&content.bytes) {
            Some(pom) if facts.poms.contains(&pom) => {}
            Some(pom) => facts.poms.push(pom),
            None => {
                let detail = "a pom.properties that states no group, artifact and version";
                self.problem(ProblemKind::RecordSkipped, inner, detail);
            }
        }
    }

    /// The content of an entry, counted; a problem where it cannot be had.
    fn content<'a>(
        &mut self,
        archive: &Archive<'a>,
        entry: &Entry,
        most: u64,
        inner: Option<&str>,
    ) -> Option<Content<'a>> {
        let left = self.limits.archive_bytes.saturating_sub(self.read);
        let most = most.min(left).min(SMALL_ENTRY.max(entry.compressed().saturating_mul(RATIO)));
        match archive.read(entry, most) {
            Ok(content) => {
                self.read += content.bytes.len() as u64;
                if !content.is_intact {
                    let detail = format!("{} does not have its checksum", entry.name);
                    self.problem(ProblemKind::RecordSkipped, inner, &detail);
                }
                Some(content)
            }
            Err(error) => {
                if let ArchiveError::TooLarge(size) = error {
                    // It was produced before it was found to be too much.
                    self.read = self.read.saturating_add(size);
                }
                let detail = format!("{} cannot be read: {error}", entry.name);
                self.problem(kind_of(&error), inner, &detail);
                None
            }
        }
    }

    /// What is wrong with an archive's directory, if anything is.
    fn report_directory(&mut self, archive: &Archive<'_>, inner: Option<&str>) {
        for mismatch in &archive.mismatches {
            self.problem(ProblemKind::ZipViewMismatch, inner, mismatch);
        }
        match archive.end {
            DirectoryEnd::Complete => {}
            DirectoryEnd::Damaged => {
                self.problem(ProblemKind::AnalyzerFailed, inner, "the archive's directory is damaged");
            }
            DirectoryEnd::TooMany => {
                let detail = format!("an archive with more than {} entries", self.limits.archive_entries);
                self.problem(ProblemKind::LimitExceeded, inner, &detail);
            }
        }
    }

    /// A file that is named like an archive and is not one at all is nothing that Java could load either.
    fn unreadable(&mut self, inner: Option<&str>, error: &ArchiveError) {
        let is_named_so = extension(inner.unwrap_or(self.path)).is_some();
        if is_named_so && *error != ArchiveError::NotAnArchive {
            let detail = format!("a Java archive cannot be read: {error}");
            self.problem(kind_of(error), inner, &detail);
        }
    }

    fn push(&mut self, package: Package, inner: Option<&str>) {
        if self.found.packages.len() < self.limits.packages {
            self.found.packages.push(FoundPackage { package, inner_path: inner.map(str::to_owned) });
        } else {
            let detail = format!("more than {} packages in one archive", self.limits.packages);
            self.problem(ProblemKind::LimitExceeded, None, &detail);
        }
    }

    /// Adds a problem unless it is there already; after a number of them, only the first of each kind.
    fn problem(&mut self, kind: ProblemKind, inner: Option<&str>, detail: &str) {
        let place = match inner {
            Some(inner) => format!("{}!/{inner}", self.path),
            None => self.path.to_owned(),
        };
        let problem = Problem::new(kind, detail).at(place);
        let problems = &mut self.found.problems;
        let is_new_kind = problems.iter().all(|listed| listed.kind != kind);
        if (problems.len() < MOST_PROBLEMS || is_new_kind) && !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

/// The wanted entries of a zip archive of another language, by name; what cannot be read is said in words.
pub(super) fn zip_entries(
    bytes: &[u8],
    limits: &Limits,
    wanted: impl Fn(&str) -> bool,
) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let archive = match Archive::open(bytes, limits.archive_entries, wanted) {
        Ok(archive) => archive,
        Err(error) => return (Vec::new(), vec![error.to_string()]),
    };
    let mut flaws = archive.mismatches.clone();
    if archive.end != DirectoryEnd::Complete {
        flaws.push("its central directory is not read to its end".to_owned());
    }
    let mut left = limits.archive_bytes.min(limits.capture_bytes);
    let mut entries = Vec::new();
    for entry in &archive.entries {
        match archive.read(entry, left.min(limits.text_bytes)) {
            Ok(content) => {
                left -= content.bytes.len() as u64;
                entries.push((entry.name.clone(), content.bytes.into_owned()));
            }
            Err(error) => {
                flaws.push(format!("{}: {error}", entry.name));
                break;
            }
        }
    }
    (entries, flaws)
}

fn kind_of(error: &ArchiveError) -> ProblemKind {
    match error {
        ArchiveError::TooLarge(_) => ProblemKind::LimitExceeded,
        ArchiveError::NotAnArchive
        | ArchiveError::NoDirectory
        | ArchiveError::Encrypted
        | ArchiveError::Method(_)
        | ArchiveError::Damaged => ProblemKind::AnalyzerFailed,
    }
}

#[cfg(test)]
mod tests;
