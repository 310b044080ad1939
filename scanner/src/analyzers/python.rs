//! Python distributions: each metadata file in, the one distribution that it describes out.
//!
//! Read are `*.dist-info/METADATA`, `*.egg-info/PKG-INFO`, `EGG-INFO/PKG-INFO` and `*.egg-info` files: the
//! header of core metadata (PEP 566, 621, 639), which ends at the first empty line. Names are normalised as
//! PEP 503 says, because that is how distributions are compared.

use std::borrow::Cow;

use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// Reads the metadata of installed Python distributions.
pub struct Python;

impl Analyzer for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("METADATA"), Trigger::Name("PKG-INFO"), Trigger::Extension(".egg-info")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).map_or(true, |path| place(path).is_some())
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        match place(file.path) {
            Some(place) => read(file, &place),
            None => Found::default(),
        }
    }
}

/// What a metadata file means, by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<'a> {
    /// The stem of the metadata directory, `Jinja2-3.1.2`; names the distribution if the file does not.
    stem: &'a str,
    /// `Unmatched` for a source tree that was made importable in place: it is not the published code.
    evidence: Evidence,
}

/// `None` where a file is no metadata of an importable distribution.
fn place(path: &str) -> Option<Place<'_>> {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = directory.rsplit('/').next().unwrap_or(directory);
    let installed = |stem| Place { stem, evidence: Evidence::Installed };
    let place = if file == "METADATA" {
        installed(parent.strip_suffix(".dist-info")?)
    } else if file == "PKG-INFO" && parent == "EGG-INFO" {
        installed("")
    } else if file == "PKG-INFO" {
        let stem = parent.strip_suffix(".egg-info")?;
        Place { stem, evidence: egg_info_evidence(directory, stem) }
    } else {
        installed(file.strip_suffix(".egg-info")?)
    };
    // pip renames what it is about to remove to `~name`; importing ignores what it leaves behind.
    (!place.stem.starts_with('~')).then_some(place)
}

/// Installing names the directory `name-version[-py3.x].egg-info`; developing in place makes a bare
/// `name.egg-info` in the source tree.
fn egg_info_evidence(directory: &str, stem: &str) -> Evidence {
    let in_site = directory.split('/').any(|part| matches!(part, "site-packages" | "dist-packages"));
    match in_site || stem.contains('-') {
        true => Evidence::Installed,
        false => Evidence::Unmatched,
    }
}

fn read(file: &CapturedFile<'_>, place: &Place<'_>) -> Found {
    let header = Header::parse(file.content);
    let (stem_name, stem_version) = split_stem(place.stem);
    let name = header.name.as_deref().or(stem_name);
    let version = header.version.as_deref().or(stem_version);
    let (Some(name), Some(version)) = (name, version) else {
        let detail = "the metadata of a Python distribution states no name or no version";
        return Found::problem(Problem::new(ProblemKind::AnalyzerFailed, detail).at(file.path));
    };
    let Some(normalised) = normalised(name) else {
        let detail = format!("{name:?} is no name of a Python distribution");
        return Found::problem(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path));
    };
    // What setuptools writes when a build says nothing about itself.
    let evidence = match normalised.as_str() {
        "unknown" => Evidence::Unmatched,
        _ => place.evidence,
    };
    let mut package = Package::new(PackageKind::PyPi, normalised, version, evidence);
    package.licenses = header.licenses();
    let mut found = Found::default();
    found.push(package);
    found
}

/// (`name`, `version`) of `name-version[-py3.x]`.
fn split_stem(stem: &str) -> (Option<&str>, Option<&str>) {
    let mut parts = stem.split('-').map(|part| Some(part).filter(|part| !part.is_empty()));
    (parts.next().flatten(), parts.next().flatten())
}

/// The name as PEP 503 compares names; `None` if PEP 508 allows no such name.
pub(super) fn normalised(name: &str) -> Option<String> {
    let edges = [name.bytes().next()?, name.bytes().next_back()?];
    let is_name = edges.iter().all(u8::is_ascii_alphanumeric)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && name.len() <= 256;
    if !is_name {
        return None;
    }
    let parts: Vec<&str> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    Some(parts.join("-").to_ascii_lowercase())
}

/// The fields that matter of a core metadata header; of repeated ones the first, as Python reads them.
#[derive(Default)]
struct Header<'a> {
    name: Option<Cow<'a, str>>,
    version: Option<Cow<'a, str>>,
    expression: Option<Cow<'a, str>>,
    license: Option<Cow<'a, str>>,
    classifiers: Vec<Cow<'a, str>>,
}

/// More licence classifiers than any distribution has.
const MOST_CLASSIFIERS: usize = 32;

/// A `License` field longer than this is the licence's text, not its name.
const LONGEST_LICENSE: usize = 200;

impl<'a> Header<'a> {
    /// Reads up to the first empty line; what follows is the description, which may imitate fields.
    fn parse(content: &'a [u8]) -> Self {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut header = Self::default();
        // A line of blanks continues a field; only a truly empty one ends the header.
        let without_cr = |line: &'a [u8]| line.strip_suffix(b"\r").unwrap_or(line);
        let mut lines = content.split(|byte| *byte == b'\n').map(without_cr).peekable();
        while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
            let is_continued = lines.peek().is_some_and(|next| is_continuation(next));
            if !is_continuation(line) {
                header.field(line, is_continued);
            }
        }
        header
    }

    fn field(&mut self, line: &'a [u8], is_continued: bool) {
        let Some(colon) = memchr::memchr(b':', line) else {
            return;
        };
        let value = line[colon + 1..].trim_ascii();
        if value.is_empty() || value == b"UNKNOWN" {
            return;
        }
        let is = |name: &[u8]| line[..colon].eq_ignore_ascii_case(name);
        let member = if is(b"Name") {
            &mut self.name
        } else if is(b"Version") {
            &mut self.version
        } else if is(b"License-Expression") {
            &mut self.expression
        } else if is(b"License") && !is_continued && value.len() <= LONGEST_LICENSE {
            &mut self.license
        } else {
            if is(b"Classifier")
                && value.starts_with(b"License ::")
                && self.classifiers.len() < MOST_CLASSIFIERS
            {
                self.classifiers.push(String::from_utf8_lossy(value));
            }
            return;
        };
        member.get_or_insert_with(|| String::from_utf8_lossy(value));
    }

    /// The expression, else the licence's name, else the last part of each licence classifier.
    fn licenses(&self) -> Vec<String> {
        if let Some(stated) = self.expression.as_ref().or(self.license.as_ref()) {
            return vec![stated.to_string()];
        }
        let names = self.classifiers.iter().filter_map(|text| text.rsplit(" :: ").next());
        names.filter(|name| *name != "OSI Approved").map(str::to_owned).collect()
    }
}

fn is_continuation(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METADATA: &str = "usr/lib/python3/site-packages/Jinja2-3.1.2.dist-info/METADATA";

    fn analyze(path: &str, content: &[u8]) -> Found {
        let candidate = Candidate {
            path: path.as_bytes(),
            size: content.len() as u64,
            mode: 0o644,
            head: &content[..content.len().min(64)],
        };
        if !Python.wants(&candidate) {
            return Found::default();
        }
        let file = CapturedFile { path, mode: 0o644, content };
        Python.analyze(&file, &Limits::default())
    }

    fn check(path: &str, content: &str, expected: &[&str]) {
        let found = analyze(path, content.as_bytes());
        let packages = found.packages.iter().map(|found| {
            let package = &found.package;
            format!("{} {} {:?}", package.name, package.version, package.evidence)
        });
        let problems = found.problems.iter().map(|problem| problem.kind.to_string());
        let lines: Vec<_> = packages.chain(problems).collect();
        assert_eq!(lines, expected, "{path}: {content}");
    }

    #[test]
    fn every_metadata_file_of_an_installed_distribution_is_read() {
        let content = "Metadata-Version: 2.1\nName: Jinja2\nVersion: 3.1.2\n\nText\n";
        let expected = ["jinja2 3.1.2 Installed"];
        for path in [
            METADATA,
            "app/libs/Jinja2-3.1.2.dist-info/METADATA",
            "usr/lib/python3/dist-packages/Jinja2-3.1.2.egg-info",
            "usr/lib/python3/dist-packages/Jinja2-3.1.2.egg-info/PKG-INFO",
            "usr/lib/python3/site-packages/jinja2.egg-info/PKG-INFO",
            "opt/Jinja2-3.1.2-py3.9.egg/EGG-INFO/PKG-INFO",
            "opt/libs/Jinja2-3.1.2-py3.9.egg-info/PKG-INFO",
        ] {
            check(path, content, &expected);
        }
        check("src/app/jinja2.egg-info/PKG-INFO", content, &["jinja2 3.1.2 Unmatched"]);
        for path in [
            "usr/share/METADATA",
            "src/PKG-INFO",
            "usr/lib/python3/site-packages/~inja2-3.1.2.dist-info/METADATA",
            "usr/lib/python3/site-packages/Jinja2-3.1.2.dist-info/RECORD",
        ] {
            check(path, content, &[]);
        }
    }

    #[test]
    fn names_are_compared_as_pep_503_says() {
        for (name, expected) in [
            ("Zope.Interface", Some("zope-interface")),
            ("a-_.b", Some("a-b")),
            ("ruamel.yaml.clib", Some("ruamel-yaml-clib")),
            ("x", Some("x")),
            ("_x", None),
            ("a b", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(normalised(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn the_header_ends_where_the_description_begins() {
        for (content, expected) in [
            ("name: A\r\nVERSION:1\r\n\r\nVersion: 2\r\n", "a 1 Installed"),
            ("Name: a\nVersion: 1\nVersion: 2\nName: b", "a 1 Installed"),
            ("Name: a\nSummary: x\n  Version: 9\nVersion: 1\n", "a 1 Installed"),
            ("\u{feff}Name: a\nVersion: 1!2.0.post1+local", "a 1!2.0.post1+local Installed"),
            ("Name: a\n\nVersion: 7\n", "a 3.1.2 Installed"),
            ("Name: a\n  \nVersion: 7\n", "a 7 Installed"),
            ("", "jinja2 3.1.2 Installed"),
            ("Name: UNKNOWN\nVersion: 0.0.0\n", "jinja2 0.0.0 Installed"),
            ("Name: a b\nVersion: 1\n", "record-skipped"),
        ] {
            check(METADATA, content, &[expected]);
        }
        check("opt/x.egg/EGG-INFO/PKG-INFO", "Name: x\n", &["analyzer-failed"]);
        check("lib/UNKNOWN-0.0.0.egg-info", "Name: UNKNOWN\nVersion: 0.0.0\n", &["unknown 0.0.0 Unmatched"]);
    }

    #[test]
    fn the_best_statement_of_a_licence_is_kept() {
        for (fields, expected) in [
            ("License-Expression: MIT\nLicense: x\n", vec!["MIT"]),
            (
                "License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License\n",
                vec!["BSD-3-Clause"],
            ),
            (
                "License: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\nClassifier: Topic :: X\n",
                vec!["BSD License"],
            ),
            ("License: Permission is hereby\n  granted\nClassifier: License :: OSI Approved\n", vec![]),
        ] {
            let found = analyze(METADATA, format!("Name: a\nVersion: 1\n{fields}\n").as_bytes());
            assert_eq!(found.packages[0].package.licenses, expected, "{fields}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, path in "[a-zA-Z./~-]{0,20}(/METADATA|/PKG-INFO|\\.egg-info)?") {
            analyze(&path, &content);
            analyze(METADATA, &content);
        }

        #[test]
        fn no_header_panics(content in "((Name|Version|License|Classifier)?[: \n\r\ta-z.-]{0,9}){0,9}") {
            analyze(METADATA, content.as_bytes());
        }
    }
}
