//! The ledger of one package database: packages and owned files go in under limits, damage is counted.
//!
//! Whatever is wrong inside a package database may hide a package, so any damage becomes one blocking
//! problem that says what was first found and how much more there is; what was readable is kept.

use std::fmt::Display;

use shared::model::package::Package;
use shared::model::problem::{Problem, ProblemKind};

use super::{CapturedFile, Checksum, Found, OwnedFile, OwnedFiles};
use crate::limits::Limits;

/// Owned files of one database. The largest distributions have a tenth of this.
const MOST_OWNED_FILES: usize = 1_000_000;

/// All owned paths of one database, in bytes. A directory written once may stand before a million names,
/// so the size of the input does not bound this.
const MOST_OWNED_TEXT: usize = 64 << 20;

/// All texts of all packages of one database, in bytes. Many tags of an rpm header may point to one text.
const MOST_PACKAGE_TEXT: usize = 128 << 20;

/// The longest text that a package keeps, in bytes. Names and versions have a hundredth of this, the longest
/// licence lists a quarter.
const LONGEST_TEXT: usize = 16 << 10;

/// What has been read of one database so far.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    path: &'a str,
    limits: &'a Limits,
    found: Found,
    owned_files: usize,
    owned_text: usize,
    package_text: usize,
    exceeded: Option<&'static str>,
    first_damage: Option<String>,
    damages: usize,
    first_skipped: Option<String>,
}

impl<'a> Ledger<'a> {
    /// An empty ledger for this file.
    pub(super) fn new(file: &CapturedFile<'a>, limits: &'a Limits) -> Self {
        Self {
            path: file.path,
            limits,
            found: Found::default(),
            owned_files: 0,
            owned_text: 0,
            package_text: 0,
            exceeded: None,
            first_damage: None,
            damages: 0,
            first_skipped: None,
        }
    }

    /// Enters a package, unless there are too many, or it has no name: those are problems of their own.
    pub(super) fn package(&mut self, package: Package) {
        if package.name.is_empty() {
            self.damage("a package has no name");
            return;
        }
        self.package_text = self.package_text.saturating_add(text_of(&package));
        if self.found.packages.len() < self.limits.packages && self.package_text <= MOST_PACKAGE_TEXT {
            self.found.push(package);
        } else {
            self.exceeded = Some("more packages than may be read");
        }
    }

    /// Enters the files of one package; a package without any is not entered.
    pub(super) fn owner(&mut self, owner: OwnedFiles) {
        if !owner.files.is_empty() {
            self.found.owned.push(owner);
        }
    }

    /// An owned file `directory/name`, unless its path or all of them together are too long.
    pub(super) fn file(
        &mut self,
        directory: &[u8],
        name: &[u8],
        checksum: Option<Checksum>,
    ) -> Option<OwnedFile> {
        let directory = without_leading_slash(directory);
        let length = directory.len().saturating_add(name.len()).saturating_add(1);
        if length > self.limits.path_bytes {
            self.skipped("an owned path is longer than a path can be");
            return None;
        }
        let mut path = String::from_utf8_lossy(directory).into_owned();
        if !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        path.push_str(&String::from_utf8_lossy(without_leading_slash(name)));
        self.owned_text = self.owned_text.saturating_add(path.len());
        self.owned_files = self.owned_files.saturating_add(1);
        if self.owned_files > MOST_OWNED_FILES || self.owned_text > MOST_OWNED_TEXT {
            self.exceeded = Some("more owned files than may be read");
            return None;
        }
        Some(OwnedFile { path, checksum })
    }

    /// Notes that the file is the write-ahead log of the database of this name beside it.
    pub(super) fn log_of(&mut self, database: &str) {
        self.found.log_of = Some(database.to_owned());
    }

    /// Notes that something could not be read. Only the first is put into words: there may be millions.
    pub(super) fn damage(&mut self, what: impl Display) {
        self.damages = self.damages.saturating_add(1);
        self.first_damage.get_or_insert_with(|| what.to_string());
    }

    /// Notes that something was left out that can hide no package: an entry of a list of owned files.
    pub(super) fn skipped(&mut self, what: impl Display) {
        self.first_skipped.get_or_insert_with(|| what.to_string());
    }

    /// Whether reading on is pointless because a limit was reached.
    pub(super) fn is_full(&self) -> bool {
        self.exceeded.is_some()
    }

    /// Everything that was read, with the problems that stood in the way.
    pub(super) fn close(mut self) -> Found {
        if let Some(first) = self.first_damage {
            let detail = match self.damages - 1 {
                0 => first,
                more => format!("{first} (and {more} more)"),
            };
            let problem = Problem::new(ProblemKind::DatabaseUnreadable, detail).at(self.path);
            self.found.problems.push(problem);
        }
        if let Some(first) = self.first_skipped {
            let problem = Problem::new(ProblemKind::RecordSkipped, first).at(self.path);
            self.found.problems.push(problem);
        }
        if let Some(what) = self.exceeded {
            let problem = Problem::new(ProblemKind::LimitExceeded, what).at(self.path);
            self.found.problems.push(problem);
        }
        self.found
    }
}

/// The lines of a text database without their endings, `\n` or `\r\n`, with their numbers from 1.
pub(super) fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let lines = content.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).zip(1..).map(|(line, number)| (number, line))
}

/// A value as text: undecodable bytes become U+FFFD, surrounding white space goes, and what is longer than any
/// honest value is cut.
pub(super) fn text(value: &[u8]) -> String {
    let value = value.trim_ascii();
    String::from_utf8_lossy(&value[..value.len().min(LONGEST_TEXT)]).into_owned()
}

/// How many bytes the texts of a package take.
fn text_of(package: &Package) -> usize {
    let optional = [&package.architecture, &package.vendor, &package.module];
    let source = package.source.iter().flat_map(|source| [Some(&source.name), source.version.as_ref()]);
    let texts = [Some(&package.name), Some(&package.version)].into_iter().chain(source);
    let texts = texts.chain(optional.map(Option::as_ref)).flatten().chain(&package.licenses);
    texts.map(String::len).sum()
}

/// `/usr/bin/a`, `./usr/bin/a` and `usr/bin/a` are one path from the root.
fn without_leading_slash(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b".").filter(|rest| rest.starts_with(b"/")).unwrap_or(path);
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    &path[start..]
}

#[cfg(test)]
mod tests {
    use shared::model::package::{Evidence, PackageKind};

    use super::*;
    use crate::analyzers::Analyzer as _;
    use crate::analyzers::apk::Apk;

    const FILE: CapturedFile<'_> = CapturedFile { path: "db", mode: 0o644, content: b"" };

    #[test]
    fn i7_a_long_directory_before_many_names_does_not_grow_without_bound() {
        let limits = Limits::default();
        let mut ledger = Ledger::new(&FILE, &limits);
        let directory = vec![b'd'; 4000];
        let files = (0..100_000).filter_map(|_| ledger.file(&directory, b"f", None)).count();
        assert!((16_000..20_000).contains(&files), "{files}");
        let found = ledger.close();
        assert_eq!(found.problems[0].kind, ProblemKind::LimitExceeded);
    }

    #[test]
    fn i7_long_texts_that_many_packages_share_do_not_grow_without_bound() {
        let limits = Limits::default();
        let mut ledger = Ledger::new(&FILE, &limits);
        let long = text(&vec![b'x'; 1 << 20]);
        assert_eq!(long.len(), LONGEST_TEXT);
        for _ in 0..20_000 {
            ledger.package(Package {
                kind: PackageKind::Rpm,
                namespace: None,
                name: "a".to_owned(),
                version: "1".to_owned(),
                architecture: None,
                source: None,
                vendor: Some(long.clone()),
                module: None,
                qualifiers: std::collections::BTreeMap::new(),
                licenses: Vec::new(),
                evidence: Evidence::Installed,
            });
        }
        assert!(ledger.is_full());
        let found = ledger.close();
        assert!((8_000..8_200).contains(&found.packages.len()), "{}", found.packages.len());
        assert_eq!(found.problems[0].kind, ProblemKind::LimitExceeded);
    }

    #[test]
    fn i4_more_packages_than_allowed_are_said_to_be_missing() {
        let limits = Limits { packages: 2, ..Limits::default() };
        let content = b"P:a\nV:1\n\nP:b\nV:1\n\nP:c\nV:1\n\n";
        let file = CapturedFile { path: "lib/apk/db/installed", mode: 0, content };
        let found = Apk.analyze(&file, &limits);
        assert_eq!(found.packages.len(), 2);
        assert_eq!(found.problems[0].kind, ProblemKind::LimitExceeded);
    }

    #[test]
    fn i4_a_package_whose_name_is_white_space_is_damage() {
        let limits = Limits::default();
        let mut ledger = Ledger::new(&FILE, &limits);
        ledger.package(Package::new(PackageKind::Rpm, text(b" \t"), "1", Evidence::Installed));
        let found = ledger.close();
        assert_eq!(found.packages, []);
        assert_eq!(found.problems[0].kind, ProblemKind::DatabaseUnreadable);
    }

    #[test]
    fn damage_is_one_problem_that_counts() {
        let limits = Limits::default();
        let mut ledger = Ledger::new(&FILE, &limits);
        ledger.damage("first");
        ledger.damage("second");
        let problems = ledger.close().problems;
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].detail, "first (and 1 more)");
        assert_eq!(problems[0].path.as_deref(), Some("db"));
    }

    #[test]
    fn owned_paths_have_one_spelling() {
        let limits = Limits::default();
        let mut ledger = Ledger::new(&FILE, &limits);
        for (directory, name, path) in [
            ("/usr/bin/", "ls", "usr/bin/ls"),
            ("usr/bin", "ls", "usr/bin/ls"),
            ("", "/usr/bin/ls", "usr/bin/ls"),
            ("", "./usr/bin/ls", "usr/bin/ls"),
            ("/", ".profile", ".profile"),
            ("", "", ""),
        ] {
            let file = ledger.file(directory.as_bytes(), name.as_bytes(), None);
            assert_eq!(file.map(|file| file.path).as_deref(), Some(path), "{directory:?} {name:?}");
        }
    }
}
