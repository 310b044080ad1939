//! Rust programs: an executable in, the release of the compiler out, whose standard library is part of the program.
//!
//! The compiler writes `rustc version 1.91.0 (f8297e351 2025-10-28)` into the section `.comment`, which `strip` leaves
//! alone. It is inventory: which of the library's flaws are in a program nobody can tell, and most are of one system alone.
//! The library itself, where it lies beside programs, is [`programs`](super::programs)' matter. On Windows and macOS there
//! is no such section. Format: the System V ABI, "Special Sections".

use shared::model::package::{Evidence, Package, PackageKind};

use super::executable::{self, Executables};
use super::{CapturedFile, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads the compiler's comment.
pub(super) const RUST_PROGRAM: Executables =
    Executables { name: "rust-program", version: 2, magics: &[Trigger::Magic(b"\x7fELF")], read };

const MARK: &[u8] = b"rustc version ";
/// The longest version, in bytes.
const LONGEST: usize = 32;

fn read(file: &CapturedFile<'_>, _limits: &Limits) -> Found {
    let mut found = Found::default();
    // Most programs are of other languages, and a search is cheaper than reading headers.
    let is_library = lock::file_name(file.path).starts_with("libstd-");
    if is_library || memchr::memmem::find(file.content, MARK).is_none() {
        return found;
    }
    let images = executable::images(file.content);
    // A section outside of the file says nothing; who reads more of the program tells of it.
    let comment = images.first().and_then(|image| image.section(".comment")?.ok());
    if let Some(version) = comment.and_then(newest) {
        found.push(Package::new(PackageKind::Generic, "rust", version, Evidence::Unmatched));
    }
    found
}

/// Each object that was linked has a line; the newest compiler's is the program's own, others are of libraries in C.
fn newest(comment: &[u8]) -> Option<String> {
    let lines = comment.split(|byte| *byte == 0).filter_map(|line| line.strip_prefix(MARK));
    let versions = lines.filter_map(|rest| {
        let end = rest.iter().take(LONGEST).position(|byte| *byte == b' ')?;
        let version = std::str::from_utf8(&rest[..end]).ok()?;
        let numbers: Option<Vec<u32>> = version.split('.').map(|number| number.parse().ok()).collect();
        // A nightly compiler has no release whose flaws somebody could name.
        Some((numbers?, version))
    });
    versions.max().map(|(_, version)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::executable::sample::{self, Class, Order, Section};
    use super::super::lock::sample::analyze;
    use super::*;

    fn check(comment: &[u8], expected: &[&str]) {
        let file = sample::elf(Class::Elf64, Order::Little, &[Section::constants(".comment", comment)]);
        let found = analyze(&RUST_PROGRAM, "opt/tool", &file);
        let packages = found.packages.iter().map(|found| &found.package);
        let packages: Vec<_> = packages.map(|it| format!("{}@{}", it.name, it.version)).collect();
        assert_eq!(
            (packages, found.problems),
            (expected.iter().map(|it| (*it).to_owned()).collect(), vec![])
        );
    }

    #[test]
    fn the_compiler_s_release_is_the_standard_library_s() {
        // Of a program that rustc 1.95 and GCC made.
        check(
            b"GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0rustc version 1.95.0 (59807616e 2026-04-14)\0",
            &["rust@1.95.0"],
        );
        check(b"rustc version 1.9.0 (a)\0rustc version 1.10.0 (b)\0", &["rust@1.10.0"]);
        check(b"rustc version 1.97.0-nightly (a)\0", &[]);
        check(b"rustc version 1.91.0", &[]);
        check(b"GCC: (GNU) 13.2.0\0", &[]);
        let library = sample::elf(
            Class::Elf64,
            Order::Little,
            &[Section::constants(".comment", b"rustc version 1.91.0 (a)\0")],
        );
        assert_eq!(analyze(&RUST_PROGRAM, "opt/lib/libstd-0f3a.so", &library).packages, []);
        let other = sample::elf(
            Class::Elf64,
            Order::Little,
            &[Section::constants(".rodata", b"rustc version 1.91.0 (a)\0")],
        );
        assert_eq!(analyze(&RUST_PROGRAM, "opt/tool", &other).packages, []);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at: prop::sample::Index, value: u8) {
            newest(&content);
            let section = Section::constants(".comment", b"rustc version 1.91.0 (a)\0");
            let mut file = sample::elf(Class::Elf64, Order::Little, &[section]);
            let at = at.index(file.len());
            file[at] = value;
            analyze(&RUST_PROGRAM, "a", &file);
        }
    }
}
