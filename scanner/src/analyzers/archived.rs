//! Package archives that lie in the image without being installed: `.deb` and `.rpm` in, what they would install out.
//!
//! Caches of package managers, and installers that carry their packages along. Known by how they begin, whatever
//! they are called.

use shared::model::package::Evidence;

use super::ledger::Ledger;
use super::{Analyzer, CapturedFile, FileClass, Found, Trigger, dpkg, rpm};
use crate::limits::Limits;

/// Reads package archives.
#[derive(Debug)]
pub struct Archived;

/// An ar archive whose first member is the one that every deb begins with.
const DEB: &[u8] = b"!<arch>\ndebian-binary";
/// The lead that rpm still writes.
const RPM: &[u8] = b"\xed\xab\xee\xdb";

impl Analyzer for Archived {
    fn name(&self) -> &'static str {
        "archived"
    }

    fn version(&self) -> u32 {
        2
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Magic(DEB), Trigger::Magic(RPM)]
    }

    fn class(&self) -> FileClass {
        FileClass::Binary
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        if file.content.starts_with(RPM) {
            rpm::read_archive(file.content, &mut ledger);
        } else {
            dpkg::read_archive(file.content, limits, &mut ledger);
        }
        let mut found = ledger.close();
        for found in &mut found.packages {
            found.package.evidence = Evidence::ArchiveNotInstalled;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const DEB_FILES: [(&str, &[u8]); 3] = [
        ("gz", include_bytes!("../../fixtures/archived/hello_gz.deb")),
        ("xz", include_bytes!("../../fixtures/archived/hello_xz.deb")),
        ("zst", include_bytes!("../../fixtures/archived/hello_zst.deb")),
    ];
    const RPM_FILE: &[u8] = include_bytes!("../../fixtures/archived/hello.rpm");

    fn names(content: &[u8]) -> Vec<String> {
        let found = analyze(&Archived, "var/cache/x", content);
        assert_eq!(found.problems, []);
        assert!(found.owned.is_empty());
        let packages = found.packages.iter().map(|found| &found.package);
        packages
            .map(|package| {
                let source = package.source.as_ref().map_or("", |source| source.name.as_str());
                format!("{} {} {source} {:?}", package.name, package.version, package.evidence)
            })
            .collect()
    }

    #[test]
    fn an_archive_says_what_it_would_install() {
        for (compression, content) in DEB_FILES {
            assert_eq!(names(content), ["hello-utils 1:2.12-3 hello ArchiveNotInstalled"], "{compression}");
        }
        assert_eq!(names(RPM_FILE), ["hello 2.12-3 hello ArchiveNotInstalled"]);
    }

    #[test]
    fn an_archive_of_sources_installs_nothing() {
        let mut sources = RPM_FILE.to_vec();
        sources[7] = 1;
        assert_eq!(analyze(&Archived, "x", &sources), Found::default());
    }

    #[test]
    fn i4_what_may_hide_a_package_is_a_blocking_problem() {
        for content in DEB_FILES.iter().map(|(_, content)| *content) {
            for end in (DEB.len()..180).step_by(7) {
                assert_ne!(analyze(&Archived, "x", &content[..end]).problems, [], "{end}");
            }
        }
        for end in (RPM.len()..RPM_FILE.len().min(2000)).step_by(97) {
            let found = analyze(&Archived, "x", &RPM_FILE[..end]);
            assert!(!found.problems.is_empty() || !found.packages.is_empty(), "{end}");
        }
        check(&Archived, "x", "!<arch>\ndebian-binary", &["database-unreadable"]);
    }

    /// A deb whose control file is this member of a tar.
    fn deb(control: &[u8]) -> Vec<u8> {
        let mut deb = b"!<arch>\n".to_vec();
        for (name, content) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", control)] {
            let (time, owner, group, mode) = (0, 0, 0, 100_644);
            let size = content.len();
            deb.extend(format!("{name:<16}{time:<12}{owner:<6}{group:<6}{mode:<8}{size:<10}`\n").bytes());
            deb.extend(content);
        }
        deb
    }

    #[test]
    fn i7_a_control_file_that_is_one_hole_is_not_expanded() {
        let mut tar = tar::Builder::new(Vec::new());
        let sparse = [("GNU.sparse.size", &b"1152921504606846976"[..]), ("GNU.sparse.map", b"0,1")];
        tar.append_pax_extensions(sparse).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        tar.append_data(&mut header, "control", &b"P"[..]).unwrap();
        let found = analyze(&Archived, "x", &deb(&tar.into_inner().unwrap()));
        assert!(found.problems[0].detail.contains("holes"), "{:?}", found.problems);
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, at: prop::sample::Index, bits in 1_u8.., which in 0..4_usize) {
            for magic in [DEB, RPM] {
                analyze(&Archived, "x", &[magic, &content].concat());
            }
            let mut damaged = DEB_FILES.get(which).map_or(RPM_FILE, |(_, content)| content).to_vec();
            let at = at.index(damaged.len());
            damaged[at] ^= bits;
            analyze(&Archived, "x", &damaged);
        }
    }
}
