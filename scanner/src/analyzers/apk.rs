//! Alpine's package database `lib/apk/db/installed`: installed packages and the files they own.
//!
//! One `X:value` a line, an empty line between records. Letters heed case and come in any order: `P` name,
//! `V` version, `A` architecture, `o` origin, `m` maintainer, `L` licence, `T` description; then the files:
//! `F` directory, `R` file in it, `Z` its checksum, `Q1` and base64 of SHA-1 or `Q2` and base64 of SHA-256.
//! Format: apk-tools, "Installed DB V2".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::model::package::{Evidence, Package, PackageKind, SourcePackage};

use super::ledger::{Ledger, lines, text};
use super::{Analyzer, CapturedFile, Checksum, FileClass, Found, OwnedFile, OwnedFiles, Trigger};
use crate::limits::Limits;

/// Reads apk's database.
#[derive(Debug)]
pub struct Apk;

impl Analyzer for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Path("lib/apk/db/installed"), Trigger::Path("usr/lib/apk/db/installed")]
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        let mut record = Record::default();
        for (number, line) in lines(file.content) {
            if line.is_empty() {
                std::mem::take(&mut record).enter(&mut ledger);
                if ledger.is_full() {
                    break;
                }
            } else {
                record.read_line(number, line, &mut ledger);
            }
        }
        record.enter(&mut ledger);
        // Every record ends with an empty line. Where even the line end is missing, writing was cut short.
        if !file.content.is_empty() && !file.content.ends_with(b"\n") {
            ledger.damage("the file ends in the middle of a line");
        }
        ledger.close()
    }
}

/// One record as far as it is read.
#[derive(Debug, Default)]
struct Record<'a> {
    /// The number of its first line, from 1; 0 while there is none.
    line: usize,
    name: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    architecture: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    maintainer: Option<&'a [u8]>,
    license: Option<&'a [u8]>,
    directory: &'a [u8],
    files: Vec<OwnedFile>,
}

impl<'a> Record<'a> {
    fn read_line(&mut self, number: usize, line: &'a [u8], ledger: &mut Ledger<'_>) {
        if self.line == 0 {
            self.line = number;
        }
        let [letter, b':', value @ ..] = line else {
            ledger.damage(format_args!("line {number} is not a letter, a colon and a value"));
            return;
        };
        match letter {
            b'F' => self.directory = value,
            b'R' => self.files.extend(ledger.file(self.directory, value, None)),
            b'Z' => self.read_checksum(number, value, ledger),
            _ => self.read_field(number, *letter, value, ledger),
        }
    }

    fn read_field(&mut self, number: usize, letter: u8, value: &'a [u8], ledger: &mut Ledger<'_>) {
        let field = match letter {
            b'P' => &mut self.name,
            b'V' => &mut self.version,
            b'A' => &mut self.architecture,
            b'o' => &mut self.origin,
            b'm' => &mut self.maintainer,
            b'L' => &mut self.license,
            _ => return,
        };
        if field.replace(value).is_some() {
            ledger.damage(format_args!("line {number} repeats a field"));
        }
    }

    fn read_checksum(&mut self, number: usize, value: &[u8], ledger: &mut Ledger<'_>) {
        match (checksum(value), self.files.last_mut()) {
            (Some(checksum), Some(file)) => file.checksum = Some(checksum),
            _ => ledger.skipped(format_args!("line {number} is no checksum of a file")),
        }
    }

    /// Closes the record: a package and its files, or damage.
    fn enter(self, ledger: &mut Ledger<'_>) {
        let stated = |value: Option<&[u8]>| value.map(text).filter(|value| !value.is_empty());
        if self.line == 0 || self.is_virtual() {
            return;
        }
        let (Some(name), Some(version)) = (stated(self.name), stated(self.version)) else {
            ledger.damage(format_args!("the record in line {} has no name or no version", self.line));
            return;
        };
        let architecture = stated(self.architecture);
        ledger.owner(OwnedFiles {
            package: name.clone(),
            architecture: architecture.clone(),
            files: self.files,
        });
        let origin = stated(self.origin).unwrap_or_else(|| name.clone());
        ledger.package(Package {
            kind: PackageKind::Apk,
            namespace: None,
            architecture,
            source: Some(SourcePackage { name: origin, version: Some(version.clone()) }),
            vendor: stated(self.maintainer),
            module: None,
            qualifiers: std::collections::BTreeMap::new(),
            licenses: stated(self.license).into_iter().collect(),
            evidence: Evidence::Installed,
            name,
            version,
        });
    }

    /// `apk add --virtual .build-deps` makes a record that only carries dependencies. One that owns files is
    /// a package whatever it calls itself.
    fn is_virtual(&self) -> bool {
        self.files.is_empty() && self.name.is_some_and(|name| name.starts_with(b"."))
    }
}

/// `Q1` or `Q2` and base64.
fn checksum(value: &[u8]) -> Option<Checksum> {
    let (kind, encoded) = value.trim_ascii().split_at_checked(2)?;
    // The longest that can be right: 32 bytes are 44 characters.
    let digest = STANDARD.decode(encoded.get(..44).unwrap_or(encoded)).ok()?;
    match kind {
        b"Q1" => digest.try_into().ok().map(Checksum::Sha1),
        b"Q2" => digest.try_into().ok().map(Checksum::Sha256),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::model::problem::ProblemKind;

    use super::*;

    const DATABASE: &str = include_str!("../../fixtures/apk/installed");

    fn analyze(content: &[u8]) -> Found {
        let file = CapturedFile { path: "lib/apk/db/installed", mode: 0o644, content };
        Apk.analyze(&file, &Limits::default())
    }

    /// `expected`: name, version, origin.
    fn check(content: &str, expected: &[[&str; 3]]) -> Found {
        let found = analyze(content.as_bytes());
        let packages: Vec<_> = found
            .packages
            .iter()
            .map(|found| {
                let source = found.package.source.as_ref().unwrap();
                [found.package.name.as_str(), &found.package.version, &source.name]
            })
            .collect();
        assert_eq!(packages, expected, "{content:.200}");
        found
    }

    #[test]
    fn a_whole_database_is_read() {
        let found = check(
            DATABASE,
            &[
                ["alpine-baselayout", "3.6.5-r0", "alpine-baselayout"],
                ["ssl_client", "1.36.1-r29", "busybox"],
                ["libcrypto3", "3.3.2-r0", "openssl"],
            ],
        );
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        let package = &found.packages[1].package;
        assert_eq!(package.architecture.as_deref(), Some("x86_64"));
        assert_eq!(package.licenses, ["GPL-2.0-only"]);
        assert!(package.vendor.as_deref().is_some_and(|vendor| vendor.contains("@alpinelinux.org")));
        assert_eq!(package.source.as_ref().unwrap().version.as_deref(), Some("1.36.1-r29"));

        let owned: Vec<_> =
            found.owned.iter().map(|owner| (owner.package.as_str(), owner.files.len())).collect();
        assert_eq!(owned, [("alpine-baselayout", 3), ("ssl_client", 1), ("libcrypto3", 2)]);
        let paths: Vec<_> = found.owned[0].files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".rootfile", "etc/motd", "etc/profile.d/locale.sh"]);
        let Some(Checksum::Sha1(sha1)) = &found.owned[0].files[1].checksum else { panic!() };
        assert_eq!(hex::encode(sha1), "05e93222cdd509e7201e159c34fa93bfb69a7573");
        assert!(matches!(found.owned[2].files[0].checksum, Some(Checksum::Sha256(_))));
        assert_eq!(found.owned[2].files[1].checksum, None);
    }

    #[test]
    fn order_line_length_and_missing_origin_do_not_matter() {
        let long = "d ".repeat(1 << 19);
        let text = format!("D:{long}\nV:1-r0\np:{long}\nP:a\n\nP:b\r\nV:2\r\n\r\n\n\n");
        let found = check(&text, &[["a", "1-r0", "a"], ["b", "2", "b"]]);
        assert!(found.problems.is_empty());
    }

    #[test]
    fn letters_heed_case() {
        check("P:a\nV:1\np:not-me\nv:9\nO:not-me\no:me\n\n", &[["a", "1", "me"]]);
    }

    #[test]
    fn virtual_packages_are_skipped_unless_they_own_files() {
        let found = check("P:.build-deps\nV:20240101.120000\nT:virtual meta package\nD:gcc\n\n", &[]);
        assert!(found.problems.is_empty());
        check("P:.hidden\nV:1\nF:usr/bin\nR:x\n\n", &[[".hidden", "1", ".hidden"]]);
    }

    #[test]
    fn i4_what_may_hide_a_package_is_a_blocking_problem() {
        for damaged in ["P:b\n\n", "V:1\n\n", "P:\nV:1\n\n", "garbage\n\n", "\0\0\0\0\n\n", "P:b\nP:c\n\n"] {
            let found = check(&format!("P:a\nV:1\n\n{damaged}"), &[["a", "1", "a"]]);
            assert_eq!(found.problems.len(), 1, "{damaged:?}");
            assert_eq!(found.problems[0].kind, ProblemKind::DatabaseUnreadable, "{damaged:?}");
        }
        let cut = check("P:a\nV:1\n\nP:b\nV:2\nF:usr/b", &[["a", "1", "a"], ["b", "2", "b"]]);
        assert_eq!(cut.problems[0].kind, ProblemKind::DatabaseUnreadable);
        assert_eq!(analyze(b""), Found::default());
    }

    #[test]
    fn i4_a_database_cut_short_inside_a_line_says_so() {
        for end in (1..DATABASE.len()).filter(|end| DATABASE.as_bytes()[end - 1] != b'\n') {
            assert!(!analyze(&DATABASE.as_bytes()[..end]).problems.is_empty(), "{end}");
        }
    }

    #[test]
    fn wrong_checksums_cost_only_the_checksum() {
        for sum in ["Q1", "Q1####", "Q3AAAA", "", "Q1YQ==", "é"] {
            let found = check(&format!("P:a\nV:1\nF:etc\nR:x\nZ:{sum}\n\n"), &[["a", "1", "a"]]);
            assert_eq!(found.owned[0].files[0].checksum, None, "{sum}");
            assert_eq!(found.problems[0].kind, ProblemKind::RecordSkipped);
        }
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            analyze(&content);
        }

        #[test]
        fn i7_no_mutated_database_panics(at in 0..DATABASE.len(), byte: u8) {
            let mut content = DATABASE.as_bytes().to_vec();
            content[at] = byte;
            analyze(&content);
        }
    }
}
