//! .NET applications in one file: an executable in, the NuGet packages that were bundled into it out.
//!
//! The host that starts such an application carries a mark of 32 bytes (the SHA-256 of ".net core bundle"); before it
//! stands where in the file the bundle's header is, or zero in a host without a bundle. The header leads to the
//! `*.deps.json`, which says what [`dotnet`](super::dotnet) reads. Format: the .NET runtime's
//! `docs/design/features` "single-file" and `bundler.md`, header versions 1 (.NET Core 3), 2 (.NET 5) and 6 (.NET 6 and later).

use shared::model::package::Evidence;
use shared::model::problem::{Problem, ProblemKind};

use super::dotnet::DotNet;
use super::executable::{self, Executables};
use super::{Analyzer as _, CapturedFile, Found};
use crate::limits::Limits;

/// Reads applications in one file.
pub(super) const DOTNET_BUNDLE: Executables =
    Executables { name: "dotnet-bundle", version: 1, magics: executable::MAGICS, read };

fn read(file: &CapturedFile<'_>, limits: &Limits) -> Found {
    let Some(header) = header(file.content) else {
        return Found::default();
    };
    let problem =
        |detail: &str| Found::problem(Problem::new(ProblemKind::AnalyzerFailed, detail).at(file.path));
    match dependencies(file.content, header) {
        Some(Dependencies::At(content)) if content.len() as u64 > limits.text_bytes => {
            problem("the list of packages in a .NET bundle is larger than may be read")
        }
        Some(Dependencies::At(content)) => {
            let mut found = DotNet.analyze(&CapturedFile { content, ..*file }, limits);
            for found in &mut found.packages {
                found.package.evidence = Evidence::Embedded;
            }
            found
        }
        Some(Dependencies::Absent) => problem("a .NET bundle without a list of its packages (*.deps.json)"),
        None => problem("a .NET bundle whose header cannot be read"),
    }
}

/// What the host looks for in itself to find its bundle.
const MARK: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32, 0x13,
    0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// Marks looked at; programs that write bundles have one as a constant.
const MOST_MARKS: usize = 16;

/// Files listed by a bundle that are looked at.
const MOST_FILES: u32 = 100_000;

/// Where a header is, by the first mark that says so. What lies outside of the file is no such offset, but what happens
/// to stand before the mark in a program that writes bundles.
fn header(content: &[u8]) -> Option<usize> {
    let marks = memchr::memmem::find_iter(content, &MARK).take(MOST_MARKS);
    let offsets = marks.filter_map(|mark| {
        let before = content.get(mark.checked_sub(8)?..mark)?;
        usize::try_from(u64::from_le_bytes(before.try_into().ok()?)).ok()
    });
    offsets.into_iter().find(|offset| *offset > 0 && *offset < content.len())
}

/// Where a bundle says what it is made of.
#[derive(Debug, PartialEq, Eq)]
enum Dependencies<'a> {
    At(&'a [u8]),
    Absent,
}

/// Reads a header; `None` if it is none.
fn dependencies(content: &[u8], header: usize) -> Option<Dependencies<'_>> {
    let mut reader = Reader(content.get(header..)?);
    let (major, _minor) = (reader.u32()?, reader.u32()?);
    let files = reader.u32()?;
    reader.text()?;
    if major == 0 || files > MOST_FILES {
        return None;
    }
    if major >= 2 {
        let place = (reader.u64()?, reader.u64()?);
        return match place {
            (0, _) | (_, 0) => Some(Dependencies::Absent),
            place => part(content, place).map(Dependencies::At),
        };
    }
    for _ in 0..files {
        let place = (reader.u64()?, reader.u64()?);
        reader.take(1)?;
        if reader.text()?.ends_with(b".deps.json") {
            return part(content, place).map(Dependencies::At);
        }
    }
    Some(Dependencies::Absent)
}

/// Offset and size, as the bytes there.
fn part(content: &[u8], (offset, size): (u64, u64)) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    content.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// What is left of a header; numbers are little-endian on every machine.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// A text behind its length, seven bits a byte; .NET's `BinaryWriter` writes them so, and names have two at most.
    fn text(&mut self) -> Option<&'a [u8]> {
        let low = self.take(1)?[0];
        let high = if low & 0x80 == 0 { 0 } else { self.take(1)?[0] };
        if high & 0x80 != 0 {
            return None;
        }
        self.take(usize::from(low & 0x7f) | usize::from(high) << 7)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::analyze;
    use super::*;

    const DEPS: &[u8] =
        br#"{"runtimeTarget":{"name":"t"},"targets":{"t":{"Newtonsoft.Json/12.0.1":{"runtime":{"a":{}}}}},
        "libraries":{"Newtonsoft.Json/12.0.1":{"type":"package"}}}"#;

    /// The beginning of a program that can be loaded.
    fn host() -> Vec<u8> {
        [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0], &[0; 46]].concat()
    }

    fn check(content: &[u8], expected: &[&str]) {
        let found = analyze(&DOTNET_BUNDLE, "app/app", content);
        let packages = found.packages.iter().map(|found| {
            let package = &found.package;
            format!("{}@{} {:?}", package.name, package.version, package.evidence)
        });
        let problems = found.problems.iter().map(|problem| problem.kind.to_string());
        assert_eq!(packages.chain(problems).collect::<Vec<_>>(), expected);
    }

    /// A host with a bundle of a header version, written as bundler.md describes it.
    fn bundle(major: u32, deps: &[u8]) -> Vec<u8> {
        let mut file = host();
        let (offset, size) = (file.len() as u64, deps.len() as u64);
        file.extend(deps);
        let header = file.len() as u64;
        let long_name = [&[0x85, 0x01][..], &[b'i'; 133]].concat();
        file.extend([major.to_le_bytes(), 0_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat());
        file.extend(long_name);
        let place = [offset.to_le_bytes(), size.to_le_bytes()].concat();
        if major >= 2 {
            file.extend([&place[..], &[0; 24]].concat());
        } else {
            file.extend([&[0; 16][..], &[1, 5], b"a.dll"].concat());
            file.extend([&place[..], &[3, 11], b"a.deps.json"].concat());
        }
        // First a program that writes bundles, then the host, in which the mark follows the offset.
        file.extend([&[0xff; 8][..], &MARK, &header.to_le_bytes(), &MARK].concat());
        file
    }

    #[test]
    fn packages_of_a_bundle_are_embedded_in_it() {
        for major in [1, 2, 6] {
            check(&bundle(major, DEPS), &["Newtonsoft.Json@12.0.1 Embedded"]);
        }
    }

    #[test]
    fn i4_a_bundle_that_cannot_be_read_is_a_problem_and_a_host_without_one_is_none() {
        let mut cut = bundle(6, DEPS);
        let header = cut.len() - MARK.len() - 8;
        cut[header..header + 8].copy_from_slice(&(header as u64).to_le_bytes());
        check(&cut, &["analyzer-failed"]);
        check(&bundle(6, b""), &["analyzer-failed"]);
        check(&bundle(6, b"{"), &["analyzer-failed"]);
        for before in [[0; 8], [0xff; 8]] {
            check(&[&host()[..], &before, &MARK].concat(), &[]);
        }
        check(&MARK, &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, position: prop::sample::Index, value: u8) {
            analyze(&DOTNET_BUNDLE, "a", &content);
            for major in [1, 6] {
                let mut sample = bundle(major, DEPS);
                let position = position.index(sample.len());
                sample[position] = value;
                analyze(&DOTNET_BUNDLE, "a", &sample);
            }
        }
    }
}
