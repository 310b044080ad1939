//! Arch Linux's package database: one directory a package in `var/lib/pacman/local`, in which `desc` says what it
//! is and `files` what it owns.
//!
//! Blocks of `%NAME%` and a value a line, an empty line between them. Format: pacman, "libalpm local database".

use shared::model::package::{Evidence, Package, PackageKind, SourcePackage};

use super::ledger::{Ledger, lines, text};
use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, OwnedFiles, Trigger};
use crate::limits::Limits;

/// Reads pacman's database.
#[derive(Debug)]
pub struct Pacman;

const DATABASE: &str = "var/lib/pacman/local/";

impl Analyzer for Pacman {
    fn name(&self) -> &'static str {
        "pacman"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Below("var/lib/pacman/local", "desc"), Trigger::Below("var/lib/pacman/local", "files")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).is_ok_and(|path| entry(path).is_some())
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        match entry(file.path) {
            Some((_, "desc")) => read_package(file.content, &mut ledger),
            Some((directory, _)) => read_files(directory, file.content, &mut ledger),
            None => {}
        }
        ledger.close()
    }
}

/// The directory of a package in the database, and the name of the file in it.
fn entry(path: &str) -> Option<(&str, &str)> {
    let (directory, name) = path.strip_prefix(DATABASE)?.split_once('/')?;
    matches!(name, "desc" | "files").then_some((directory, name))
}

/// The lines with the names of their blocks; neither the heads nor the empty lines between.
fn values(content: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut block = &b""[..];
    lines(content).filter_map(move |(_, line)| match line {
        [b'%', name @ .., b'%'] => {
            block = name;
            None
        }
        b"" => {
            block = b"";
            None
        }
        value => Some((block, value)),
    })
}

fn read_package(content: &[u8], ledger: &mut Ledger<'_>) {
    let (mut name, mut version, mut base, mut architecture, mut packager) = (None, None, None, None, None);
    let mut licenses = Vec::new();
    for (block, value) in values(content) {
        let field = match block {
            b"NAME" => &mut name,
            b"VERSION" => &mut version,
            b"BASE" => &mut base,
            b"ARCH" => &mut architecture,
            b"PACKAGER" => &mut packager,
            b"LICENSE" => {
                licenses.push(text(value));
                continue;
            }
            _ => continue,
        };
        if field.replace(text(value)).is_some() {
            ledger.damage(format_args!("%{}% has two values", text(block)));
        }
    }
    let stated = |value: Option<String>| value.filter(|value| !value.is_empty());
    let (Some(name), Some(version)) = (stated(name), stated(version)) else {
        ledger.damage("the package has no name or no version");
        return;
    };
    // A name without a version in the last line, or a version without its end, was cut off.
    if !content.ends_with(b"\n") {
        ledger.damage("the file ends in the middle of a line");
    }
    let source = stated(base).map(|base| SourcePackage { name: base, version: Some(version.clone()) });
    ledger.package(Package {
        architecture: stated(architecture),
        source,
        vendor: stated(packager),
        licenses,
        ..Package::new(PackageKind::Alpm, name, version, Evidence::Installed)
    });
}

/// The directory is named `name-version-release`, so that the name ends at the second dash from the right.
fn read_files(directory: &str, content: &[u8], ledger: &mut Ledger<'_>) {
    let mut parts = directory.rsplitn(3, '-').skip(2);
    let Some(package) = parts.next() else {
        ledger.skipped("the directory is not named after a package and its version");
        return;
    };
    let mut files = Vec::new();
    let listed = values(content).filter(|(block, path)| *block == b"FILES" && !path.ends_with(b"/"));
    for (_, path) in listed {
        if ledger.is_full() {
            break;
        }
        files.extend(ledger.file(b"", path, None));
    }
    ledger.owner(OwnedFiles { package: package.to_owned(), architecture: None, files });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const DESC: &str = "var/lib/pacman/local/curl-8.7.1-6/desc";
    const FILES: &str = "var/lib/pacman/local/ca-certificates-utils-20240203-1/files";

    #[test]
    fn what_pacman_wrote_is_read() {
        let directory = "var/lib/pacman/local/hello-utils-1:2.12.1-3";
        let desc = include_bytes!("../../fixtures/pacman/desc");
        let found = analyze(&Pacman, &format!("{directory}/desc"), desc);
        assert_eq!(found.problems, []);
        let package = &found.packages[0].package;
        assert_eq!((package.name.as_str(), package.version.as_str()), ("hello-utils", "1:2.12.1-3"));
        assert_eq!(package.source.as_ref().unwrap().name, "hello");
        assert_eq!(package.licenses, ["GPL3", "MIT"]);
        let files = include_bytes!("../../fixtures/pacman/files");
        let found = analyze(&Pacman, &format!("{directory}/files"), files);
        assert_eq!(found.owned[0].package, "hello-utils");
        let paths: Vec<_> = found.owned[0].files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["etc/hello.conf", "usr/bin/two words"]);
    }

    #[test]
    fn a_description_is_an_installed_package() {
        let desc = "%NAME%\ncurl\n\n%VERSION%\n8.7.1-6\n\n%BASE%\ncurl\n\n%DESC%\nNot a name\n\n%ARCH%\nx86_64\n\n\
            %PACKAGER%\nSomebody <a@archlinux.org>\n\n%LICENSE%\nMIT\nISC\n\n%DEPENDS%\nbrotli\nglibc\n\n";
        let expected = ["alpm/curl@8.7.1-6?arch=x86_64 Installed"];
        check(&Pacman, DESC, desc, &expected);
        check(&Pacman, DESC, &desc.replace('\n', "\r\n"), &expected);
        let package = &analyze(&Pacman, DESC, desc.as_bytes()).packages[0].package;
        assert_eq!((package.licenses.len(), package.source.as_ref().unwrap().name.as_str()), (2, "curl"));
        for nowhere in ["home/x/desc", "var/lib/pacman/local/desc", "srv/var/lib/pacman/local/a-1-1/desc"] {
            check(&Pacman, nowhere, desc, &[]);
        }
    }

    #[test]
    fn i4_what_may_hide_a_package_is_a_blocking_problem() {
        for damaged in ["", "%NAME%\ncurl\n", "%VERSION%\n1-1\n", "\0\0", "%NAME%\n\n%VERSION%\n1-1\n"] {
            check(&Pacman, DESC, damaged, &["database-unreadable"]);
        }
        let two = "%NAME%\na\nb\n\n%VERSION%\n1-1\n";
        check(&Pacman, DESC, two, &["alpm/b@1-1 Installed", "database-unreadable"]);
        check(&Pacman, DESC, "%NAME%\na\n\n%VERSION%\n1-", &["alpm/a@1- Installed", "database-unreadable"]);
    }

    #[test]
    fn files_are_owned_by_the_package_of_their_directory() {
        let files = "%FILES%\nusr/\nusr/bin/\nusr/bin/update-ca-trust\n\n%BACKUP%\netc/x\tabc\n";
        let found = analyze(&Pacman, FILES, files.as_bytes());
        assert_eq!(found.owned[0].package, "ca-certificates-utils");
        let paths: Vec<_> = found.owned[0].files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["usr/bin/update-ca-trust"]);
        check(&Pacman, "var/lib/pacman/local/x/files", files, &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            for path in [DESC, FILES] {
                analyze(&Pacman, path, &content);
            }
        }
    }
}
