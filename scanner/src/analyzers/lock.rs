//! What text files that list packages share: [`PackageList`], which makes one of them an analyzer, whether it
//! speaks for the image's own project, and how its entries become packages.

use std::fmt::Display;

use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// A text file that lists packages: what is left to say about it for it to be an [`Analyzer`].
pub(super) trait PackageList: Send + Sync {
    /// See [`Analyzer::name`].
    const NAME: &'static str;
    /// See [`Analyzer::version`].
    const VERSION: u32 = 1;
    /// See [`Analyzer::triggers`].
    const TRIGGERS: &'static [Trigger];

    /// Whether a file that a trigger chose is one: any is that belongs to a project of the image.
    fn is_one(path: &str) -> bool {
        is_own(path)
    }

    /// What it means that such a file cannot be read at all: that packages were not seen (I4), or no more than that
    /// an odd file was skipped, where it could only have told of plans and inventory.
    fn loss(_path: &str) -> ProblemKind {
        ProblemKind::AnalyzerFailed
    }

    /// Enters what a file lists. Never panics and ends, whatever the text; see [`Analyzer::analyze`].
    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable>;
}

impl<T: PackageList> Analyzer for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn version(&self) -> u32 {
        T::VERSION
    }

    fn triggers(&self) -> &'static [Trigger] {
        T::TRIGGERS
    }

    /// A path that is not UTF-8 is offered, so that its problems can be told.
    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).map_or(true, T::is_one)
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut entries = Entries::new(file, limits);
        match T::read(file.path, &text(file.content), &mut entries) {
            Ok(()) => entries.finish(),
            Err(Unreadable(error)) => Found::problem(unreadable_problem(T::loss(file.path), file, &error)),
        }
    }
}

/// Why a file cannot be read at all, in words.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unreadable {
    /// What a reader of another syntax than those below says.
    pub(super) fn new(error: &dyn Display) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self::new(&error)
    }
}

impl From<serde_saphyr::Error> for Unreadable {
    fn from(error: serde_saphyr::Error) -> Self {
        Self::new(&error)
    }
}

impl From<quick_xml::Error> for Unreadable {
    fn from(error: quick_xml::Error) -> Self {
        Self::new(&error)
    }
}

impl From<toml::de::Error> for Unreadable {
    /// Without the excerpt of the file that the whole error shows.
    fn from(error: toml::de::Error) -> Self {
        Self::new(&error.message())
    }
}

/// Directories of packages that somebody else made: a lock file below one says what its author used.
const OTHERS: [&str; 7] =
    ["node_modules", "bower_components", "vendor", "site-packages", "dist-packages", "gems", ".cargo"];

/// Whether a lock file belongs to a project of the image rather than to a package that was installed.
pub(super) fn is_own(path: &str) -> bool {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let is_shared = directory == "usr/share" || directory.starts_with("usr/share/");
    !is_shared && directory.split('/').all(|part| !OTHERS.contains(&part))
}

/// [`is_own`] for a path of bytes; what is not UTF-8 is offered, so that its reader can say so.
pub(super) fn is_own_bytes(path: &[u8]) -> bool {
    std::str::from_utf8(path).map_or(true, is_own)
}

/// The longest name and the longest version of a package, in bytes.
const LONGEST_WORD: usize = 256;

/// A package by its name and version; `None` if either is none: empty, too long, or with blanks in it.
pub(super) fn package(kind: PackageKind, name: &str, version: &str, evidence: Evidence) -> Option<Package> {
    let is_word = |text: &str| {
        let is_allowed = |character: char| !character.is_whitespace() && !character.is_control();
        !text.is_empty() && text.len() <= LONGEST_WORD && text.chars().all(is_allowed)
    };
    (is_word(name) && is_word(version)).then(|| Package::new(kind, name, version, evidence))
}

/// The name of a file.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The text of a file without its byte order mark; bytes that are no text are replaced.
pub(super) fn text(content: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content))
}

/// A file that cannot be read at all: what it lists was not seen (I4).
pub(super) fn unreadable(file: &CapturedFile<'_>, error: &dyn Display) -> Found {
    Found::problem(unreadable_problem(ProblemKind::AnalyzerFailed, file, error))
}

fn unreadable_problem(kind: ProblemKind, file: &CapturedFile<'_>, error: &dyn Display) -> Problem {
    let name = file_name(file.path);
    Problem::new(kind, format!("{name} cannot be read: {error}")).at(file.path)
}

/// The packages of one list, bounded, each once.
pub(super) struct Entries<'a> {
    path: &'a str,
    most: usize,
    packages: std::collections::BTreeSet<Package>,
    skipped: u32,
    is_full: bool,
    problems: Vec<Problem>,
}

impl<'a> Entries<'a> {
    /// No entries yet.
    pub(super) fn new(file: &CapturedFile<'a>, limits: &Limits) -> Self {
        Self {
            path: file.path,
            most: limits.packages,
            packages: std::collections::BTreeSet::new(),
            skipped: 0,
            is_full: false,
            problems: Vec::new(),
        }
    }

    /// Adds a package; `None` counts as an entry that names none.
    pub(super) fn add(&mut self, package: Option<Package>) {
        match package {
            None => self.skipped += 1,
            Some(_) if self.packages.len() >= self.most => self.is_full = true,
            Some(package) => {
                self.packages.insert(package);
            }
        }
    }

    /// Notes what is wrong with the list as a whole.
    pub(super) fn note(&mut self, kind: ProblemKind, detail: &str) {
        self.problems.push(Problem::new(kind, detail).at(self.path));
    }

    /// What was found, with one problem for all entries that name no package.
    pub(super) fn finish(self) -> Found {
        let mut found = Found { problems: self.problems, ..Found::default() };
        for package in self.packages {
            found.push(package);
        }
        let name = file_name(self.path);
        if self.skipped > 0 {
            let detail = format!("{} entries of {name} name no package and version", self.skipped);
            found.problems.push(Problem::new(ProblemKind::RecordSkipped, detail).at(self.path));
        }
        if self.is_full {
            let detail = format!("{name} lists more than {} packages", self.most);
            found.problems.push(Problem::new(ProblemKind::LimitExceeded, detail).at(self.path));
        }
        found
    }
}

#[cfg(test)]
pub(super) mod sample {
    //! How tests of lock files ask an analyzer and write down its answer.

    use shared::model::package::Purl;

    use super::*;
    use crate::analyzers::{Analyzer, Candidate};

    /// What an analyzer makes of a file, if it is offered it and wants it.
    pub(in crate::analyzers) fn analyze(analyzer: &dyn Analyzer, path: &str, content: &[u8]) -> Found {
        let head = &content[..content.len().min(64)];
        let candidate = Candidate { path: path.as_bytes(), size: content.len() as u64, mode: 0o644, head };
        let is_offered = analyzer.triggers().iter().any(|trigger| fits(*trigger, path, content));
        match is_offered && analyzer.wants(&candidate) {
            true => analyzer.analyze(&CapturedFile { path, mode: 0o644, content }, &Limits::default()),
            false => Found::default(),
        }
    }

    /// Whether a trigger chooses a file.
    fn fits(trigger: Trigger, path: &str, content: &[u8]) -> bool {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        match trigger {
            Trigger::Path(exact) => path == exact,
            Trigger::Name(exact) => name == exact,
            Trigger::Extension(end) => name.ends_with(end),
            Trigger::Parent(end) => parent.ends_with(end),
            Trigger::Below(folder, exact) => {
                name == exact && format!("/{parent}/").contains(&format!("/{folder}/"))
            }
            Trigger::Magic(magic) => content.starts_with(magic),
        }
    }

    /// One line a package, `purl evidence`, then one line a problem, its slug.
    pub(in crate::analyzers) fn check(analyzer: &dyn Analyzer, path: &str, content: &str, expected: &[&str]) {
        let found = analyze(analyzer, path, content.as_bytes());
        let packages = found.packages.iter().map(|found| {
            let purl = Purl::new(&found.package, None);
            let purl = purl.as_str().strip_prefix("pkg:").unwrap_or(purl.as_str()).to_owned();
            format!("{purl} {:?}", found.package.evidence)
        });
        let problems = found.problems.iter().map(|problem| problem.kind.to_string());
        let lines: Vec<String> = packages.chain(problems).collect();
        assert_eq!(lines, expected, "{path}: {content}");
    }
}

#[cfg(test)]
mod tests;
