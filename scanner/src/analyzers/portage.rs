//! Gentoo's package database: one directory a package, `var/db/pkg/<category>/<name>-<version>`, in which `PF`
//! repeats name and version and `CONTENTS` lists what it owns.
//!
//! Format: PMS, "Installed Packages Database", and portage(5).

use shared::model::package::{Evidence, Package, PackageKind};

use super::ledger::{Ledger, lines, text};
use super::{Analyzer, Candidate, CapturedFile, Checksum, FileClass, Found, OwnedFiles, Trigger};
use crate::limits::Limits;

/// Reads Portage's database.
#[derive(Debug)]
pub struct Portage;

const DATABASE: &str = "var/db/pkg/";

impl Analyzer for Portage {
    fn name(&self) -> &'static str {
        "portage"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Below("var/db/pkg", "PF"), Trigger::Below("var/db/pkg", "CONTENTS")]
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
            Some(Entry { category, name: "PF", .. }) => read_package(category, file.content, &mut ledger),
            Some(Entry { category, directory, .. }) => {
                read_contents(category, directory, file.content, &mut ledger);
            }
            None => {}
        }
        ledger.close()
    }
}

/// A file of the database.
struct Entry<'a> {
    category: &'a str,
    directory: &'a str,
    name: &'a str,
}

fn entry(path: &str) -> Option<Entry<'_>> {
    let mut parts = path.strip_prefix(DATABASE)?.split('/');
    let entry = Entry { category: parts.next()?, directory: parts.next()?, name: parts.next()? };
    (parts.next().is_none() && matches!(entry.name, "PF" | "CONTENTS")).then_some(entry)
}

/// Name and version out of `openssl-3.0.13-r1`: the version begins with a digit and may end in a revision.
fn split(package: &str) -> Option<(&str, &str)> {
    let is_revision = |part: &str| {
        part.strip_prefix('r')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (rest, last) = package.rsplit_once('-')?;
    let (name, version) = match rest.rsplit_once('-') {
        Some((name, version))
            if is_revision(last) && version.starts_with(|first: char| first.is_ascii_digit()) =>
        {
            (name, &package[name.len() + 1..])
        }
        _ => (rest, last),
    };
    (!name.is_empty() && version.starts_with(|first: char| first.is_ascii_digit())).then_some((name, version))
}

fn read_package(category: &str, content: &[u8], ledger: &mut Ledger<'_>) {
    let stated = text(content);
    match split(&stated).filter(|_| !stated.contains(['\n', '/', '\0'])) {
        Some((name, version)) => ledger.package(Package::new(
            PackageKind::Ebuild,
            format!("{category}/{name}"),
            version,
            Evidence::Installed,
        )),
        None => ledger.damage("the file does not name a package and its version"),
    }
}

/// `obj path md5 mtime`, where the path may contain spaces; directories and links are not counted.
fn read_contents(category: &str, directory: &str, content: &[u8], ledger: &mut Ledger<'_>) {
    let Some((name, _)) = split(directory) else {
        ledger.skipped("the directory is not named after a package and its version");
        return;
    };
    let mut files = Vec::new();
    for (number, line) in lines(content) {
        if ledger.is_full() {
            break;
        }
        let Some(object) = line.strip_prefix(b"obj ") else { continue };
        let mut words = object.rsplitn(3, |byte| *byte == b' ');
        let (_mtime, digest, path) = (words.next(), words.next(), words.next());
        let mut md5 = [0; 16];
        match (digest, path) {
            (Some(digest), Some(path)) if hex::decode_to_slice(digest, &mut md5).is_ok() => {
                files.extend(ledger.file(b"", path, Some(Checksum::Md5(md5))));
            }
            _ => ledger.skipped(format_args!("line {number} is not a path, a digest and a time")),
        }
    }
    ledger.owner(OwnedFiles { package: format!("{category}/{name}"), architecture: None, files });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PF: &str = "var/db/pkg/dev-libs/openssl-3.0.13-r1/PF";
    const CONTENTS: &str = "var/db/pkg/dev-libs/openssl-3.0.13-r1/CONTENTS";

    #[test]
    fn the_version_begins_at_the_last_dash_before_a_digit() {
        for (package, expected) in [
            ("openssl-3.0.13", Some(("openssl", "3.0.13"))),
            ("openssl-3.0.13-r1", Some(("openssl", "3.0.13-r1"))),
            ("gtk+-2-3.24.41", Some(("gtk+-2", "3.24.41"))),
            ("font-misc-misc-1.1.3_p1-r2", Some(("font-misc-misc", "1.1.3_p1-r2"))),
            ("acct-user-r1", None),
            ("x-1-rc", None),
            ("-1", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(split(package), expected, "{package}");
        }
    }

    #[test]
    fn each_directory_is_an_installed_package() {
        check(&Portage, PF, "openssl-3.0.13-r1\n", &["ebuild/dev-libs/openssl@3.0.13-r1 Installed"]);
        check(&Portage, PF, "openssl-3.0.13\r\n", &["ebuild/dev-libs/openssl@3.0.13 Installed"]);
        for nowhere in ["PF", "var/db/pkg/PF", "var/db/pkg/a/b/c/PF", "srv/var/db/pkg/a/b-1/PF"] {
            check(&Portage, nowhere, "openssl-3.0.13", &[]);
        }
        for damaged in ["", "openssl", "\0-1", "a-1\nb-2", "../a-1"] {
            check(&Portage, PF, damaged, &["database-unreadable"]);
        }
    }

    #[test]
    fn contents_are_read_from_the_right() {
        let contents = "dir /usr/lib\nobj /usr/lib/a b.so d41d8cd98f00b204e9800998ecf8427e 1700000000\n\
            sym /usr/lib/c -> a b.so 1700000000\n";
        let found = analyze(&Portage, CONTENTS, contents.as_bytes());
        let [owner] = &found.owned[..] else { panic!("{found:?}") };
        assert_eq!(
            (owner.package.as_str(), owner.files[0].path.as_str()),
            ("dev-libs/openssl", "usr/lib/a b.so")
        );
        assert!(matches!(owner.files[0].checksum, Some(Checksum::Md5(_))) && owner.files.len() == 1);
        check(&Portage, CONTENTS, "obj /x 123 1\n", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, name in "\\PC{0,20}") {
            for path in [PF, CONTENTS] {
                analyze(&Portage, path, &content);
            }
            split(&name);
        }
    }
}
