//! Tiny analyzers for tests: each of their formats is a line.

use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::Distribution;

use crate::analyzers::{
    Analyzer, CapturedFile, Checksum, FileClass, Found, OwnedFile, OwnedFiles, Trigger, elf_note,
};
use crate::image::matcher::Analyzers;
use crate::limits::Limits;

pub(super) const ANALYZERS: Analyzers =
    &[&Database, &Release, &Wheel, &Jar, &Binary, &Panicking, &Lock, &Npm, &Program, &Note];

/// `name version` a line; `owns PACKAGE PATH [CHECKSUM OF CONTENT]`; anything else cannot be read.
struct Database;
/// `id version`.
struct Release;
/// `name version`.
struct Wheel;
/// `name version` a line.
struct Jar;
/// ELF magic, then `name version` a line.
struct Binary;
/// Whatever it reads, it fails.
struct Panicking;
/// `name version` a line, of Java artifacts that are only declared.
struct Lock;
/// `name version` a line, of npm packages.
struct Npm;
/// `name version` a line, of programs that say so themselves.
struct Program;
/// `name version` a line, of packages that the file says it belongs to.
struct Note;

fn package(kind: PackageKind, line: &str) -> Option<Package> {
    let (name, version) = line.split_once(' ')?;
    Some(Package {
        kind,
        namespace: None,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        source: None,
        vendor: None,
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: Vec::new(),
        evidence: Evidence::Installed,
    })
}

fn lines(kind: PackageKind, content: &[u8]) -> Found {
    let mut found = Found::default();
    for line in String::from_utf8_lossy(content).lines() {
        match package(kind, line) {
            Some(package) => found.push(package),
            None => found.problems.push(Problem::new(ProblemKind::DatabaseUnreadable, "bad line")),
        }
    }
    found
}

fn owned(rest: &str) -> OwnedFiles {
    let mut words = rest.split(' ');
    let package = words.next().unwrap().to_owned();
    let path = words.next().unwrap().to_owned();
    let checksum = words.next().map(|content| {
        use sha2::Digest as _;
        Checksum::Sha256(sha2::Sha256::digest(content.replace('_', " ")).into())
    });
    OwnedFiles { package, architecture: None, files: vec![OwnedFile { path, checksum }] }
}

macro_rules! analyzer {
    ($type:ident, $name:expr, $class:ident, $triggers:expr, $read:expr) => {
        impl Analyzer for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn version(&self) -> u32 {
                1
            }
            fn triggers(&self) -> &'static [Trigger] {
                &$triggers
            }
            fn class(&self) -> FileClass {
                FileClass::$class
            }
            fn is_of_root(&self) -> bool {
                self.class() == FileClass::Database || self.name() == Release.name()
            }
            fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
                let read: fn(&CapturedFile<'_>) -> Found = $read;
                read(file)
            }
        }
    };
}

analyzer!(
    Database,
    "database",
    Database,
    [
        Trigger::Path("var/lib/dpkg/status"),
        Trigger::Path("lib/apk/db/installed"),
        Trigger::Parent("var/lib/dpkg/status.d"),
    ],
    |file| {
        let text = String::from_utf8_lossy(file.content);
        let (owns, packages): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with("owns "));
        let mut found = lines(PackageKind::Deb, packages.join("\n").as_bytes());
        found.owned = owns.iter().map(|line| owned(&line[5..])).collect();
        found
    }
);
analyzer!(
    Release,
    "release",
    Text,
    [
        Trigger::Path("etc/os-release"),
        Trigger::Path("usr/lib/os-release"),
        Trigger::Path("etc/debian_version"),
    ],
    |file| {
        let text = String::from_utf8_lossy(file.content);
        let distribution = text.split_once(' ').map(|(id, version)| Distribution {
            id: id.to_owned(),
            version: version.to_owned(),
            codename: None,
            like: Vec::new(),
            name: text.clone().into_owned(),
        });
        Found { distribution, ..Found::default() }
    }
);
analyzer!(Wheel, "wheel", Text, [Trigger::Parent(".dist-info")], |file| {
    let mut found = lines(PackageKind::PyPi, file.content);
    if file.path.ends_with("/direct_url.json") {
        for found in &mut found.packages {
            found.package.evidence = Evidence::Unmatched;
        }
    }
    found
});
analyzer!(Jar, "jar", Binary, [Trigger::Extension(".jar")], |file| lines(PackageKind::Maven, file.content));
analyzer!(Binary, "binary", Binary, [Trigger::Magic(b"\x7fELF")], |file| {
    lines(PackageKind::Golang, &file.content[4..])
});
analyzer!(Panicking, "panicking", Text, [Trigger::Name("panic.me")], |_| panic!("as a test demands"));
analyzer!(Lock, "lock", Text, [Trigger::Name("lock")], |file| {
    let mut found = lines(PackageKind::Maven, file.content);
    for found in &mut found.packages {
        found.package.evidence = Evidence::Declared;
    }
    found
});
analyzer!(Program, "program", Binary, [Trigger::Name("program")], |file| {
    let mut found = lines(PackageKind::Generic, file.content);
    for found in &mut found.packages {
        found.package.evidence = Evidence::Recognised;
    }
    found
});
analyzer!(Npm, "npm", Text, [Trigger::Name("package.json"), Trigger::Name(".package-lock.json")], |file| {
    lines(PackageKind::Npm, file.content)
});
analyzer!(Note, elf_note::NAME, Binary, [Trigger::Name("noted")], |file| {
    let mut found = lines(PackageKind::Deb, file.content);
    for found in &mut found.packages {
        found.package.evidence = Evidence::Claimed;
    }
    found
});
