//! opkg's package database, in dpkg's words: `status` has a stanza a package, `info/<package>.control` repeats it,
//! and `info/<package>.list` names the files that it owns.
//!
//! OpenWrt and Yocto images have it in one of three directories. A package that both `status` and its own control
//! file state is one package. Format: opkg, after deb-control(5).

use shared::model::package::PackageKind;

use super::dpkg::{Layout, read_list, read_packages};
use super::ledger::Ledger;
use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// Reads opkg's database.
#[derive(Debug)]
pub struct Opkg;

const DIRECTORIES: [&str; 3] = ["usr/lib/opkg/", "var/lib/opkg/", "lib/opkg/"];

impl Analyzer for Opkg {
    fn name(&self) -> &'static str {
        "opkg"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path("usr/lib/opkg/status"),
            Trigger::Path("lib/opkg/status"),
            Trigger::Path("var/lib/opkg/status"),
            Trigger::Parent("usr/lib/opkg/info"),
            Trigger::Parent("var/lib/opkg/info"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).is_ok_and(|path| Part::of(path).is_some())
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        match Part::of(file.path) {
            Some(Part::Status) => {
                read_packages(file.content, Layout::OneFile, PackageKind::Opkg, &mut ledger);
            }
            Some(Part::Control) => {
                read_packages(file.content, Layout::FilePerPackage, PackageKind::Opkg, &mut ledger);
            }
            Some(Part::List(package)) => read_list(file.content, package, &mut ledger),
            None => {}
        }
        ledger.close()
    }
}

/// What a file of the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Status,
    Control,
    /// Of the package of this name.
    List(&'a str),
}

impl<'a> Part<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let inside = DIRECTORIES.iter().find_map(|directory| path.strip_prefix(directory))?;
        if inside == "status" {
            return Some(Self::Status);
        }
        match inside.strip_prefix("info/")?.rsplit_once('.')? {
            (package, "list") if !package.contains('/') => Some(Self::List(package)),
            (package, "control") if !package.contains('/') => Some(Self::Control),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const STATUS: &str = "usr/lib/opkg/status";

    #[test]
    fn stanzas_count_as_dpkg_s_do() {
        let status = "Package: libc\nVersion: 1.2.4-4\nDepends: libgcc1\nStatus: install user installed\n\
            Architecture: x86_64\nInstalled-Time: 1700000000\n\n\
            Package: gone\nVersion: 1\nStatus: deinstall user not-installed\nArchitecture: x86_64\n\n";
        for path in [STATUS, "var/lib/opkg/status", "lib/opkg/status"] {
            check(&Opkg, path, status, &["opkg/libc@1.2.4-4?arch=x86_64 Installed"]);
        }
        let control =
            "Package: libc\nVersion: 1.2.4-4\nSource: toolchain/musl\nLicense: MIT\nArchitecture: x86_64\n";
        let path = "usr/lib/opkg/info/libc.control";
        check(&Opkg, path, control, &["opkg/libc@1.2.4-4?arch=x86_64 Installed"]);
        check(&Opkg, "usr/lib/opkg/info/libc.postinst", control, &[]);
        check(&Opkg, STATUS, "Package: x\nVersion: 1\n\n", &["database-unreadable"]);
        check(&Opkg, STATUS, "Package: x\nStatus: install ok installed\n\n", &["database-unreadable"]);
    }

    #[test]
    fn lists_name_the_files_of_one_package() {
        let found =
            analyze(&Opkg, "usr/lib/opkg/info/libc.list", b"/lib/libc.so\n/lib/ld-musl-x86_64.so.1\n");
        assert_eq!((found.owned[0].package.as_str(), found.owned[0].files.len()), ("libc", 2));
        assert_eq!(found.owned[0].files[0].path, "lib/libc.so");
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            for path in [STATUS, "usr/lib/opkg/info/a.control", "usr/lib/opkg/info/a.list"] {
                analyze(&Opkg, path, &content);
            }
        }
    }
}
