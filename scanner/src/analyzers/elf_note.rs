//! Packages that a program says it belongs to: an ELF in, what its `.note.package` claims out.
//!
//! Distributions have their linkers write this, so that a crash tells what crashed. The names are those of source packages.
//! It is a claim: the squash drops it where the file is owned by an OS package, which is the better witness. Format:
//! systemd's "Package Metadata for Executable Files"; an ELF note of the owner `FDO` and the type 0xcafe1a7e, around
//! JSON. Some tools write the JSON alone.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind, SourcePackage};
use shared::model::problem::{Problem, ProblemKind};

use super::executable::{self, Executables};
use super::{CapturedFile, Found, Trigger, lock, sbom};
use crate::limits::Limits;

/// Reads the notes of programs about their packages.
pub(super) const ELF_NOTE: Executables =
    Executables { name: NAME, version: 1, magics: &[Trigger::Magic(b"\x7fELF")], read };

/// The name by which the squash knows such claims.
pub(crate) const NAME: &str = "elf-note";

fn read(file: &CapturedFile<'_>, _limits: &Limits) -> Found {
    let images = executable::images(file.content);
    let Some(section) = images.first().and_then(|image| image.section(".note.package")) else {
        return Found::default();
    };
    let note = section.ok().and_then(text).and_then(|text| serde_json::from_slice::<Note>(text).ok());
    match note {
        Some(note) => {
            let mut found = Found::default();
            note.package().into_iter().for_each(|package| found.push(package));
            found
        }
        None => {
            let detail = "the note of a program about its package (.note.package) cannot be read";
            Found::problem(Problem::new(ProblemKind::SbomUnreadable, detail).at(file.path))
        }
    }
}

/// Size of a note's header: the sizes of owner and content, and the type.
const HEADER: usize = 12;
/// `FDO` and a zero.
const OWNER: &[u8] = b"FDO\0";

/// The JSON in a section, which zeros may follow. The owner's four bytes make the same in every order of bytes.
fn text(section: &[u8]) -> Option<&[u8]> {
    let content = match section.get(HEADER..HEADER + OWNER.len()) {
        Some(OWNER) => &section[HEADER + OWNER.len()..],
        _ => section,
    };
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    let text = content[..end].trim_ascii();
    text.starts_with(b"{").then_some(text)
}

#[derive(Deserialize)]
struct Note {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    version: Option<String>,
    architecture: Option<String>,
    purl: Option<String>,
}

impl Note {
    /// The package; by its purl, where one is stated.
    fn package(self) -> Option<Package> {
        if let Some(package) = self.purl.as_deref().and_then(|purl| sbom::package(purl, Evidence::Claimed)) {
            return Some(package);
        }
        let kind = match self.kind?.as_str() {
            "deb" => PackageKind::Deb,
            "rpm" => PackageKind::Rpm,
            "apk" => PackageKind::Apk,
            "pacman" | "alpm" | "arch" => PackageKind::Alpm,
            _ => return None,
        };
        let mut package = lock::package(kind, &self.name?, &self.version?, Evidence::Claimed)?;
        package.source =
            Some(SourcePackage { name: package.name.clone(), version: Some(package.version.clone()) });
        package.architecture = self.architecture.filter(|architecture| architecture.len() <= LONGEST_WORD);
        Some(package)
    }
}

/// The longest name of an architecture.
const LONGEST_WORD: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::model::package::Purl;

    use super::super::executable::sample::{self, Class, Order, Section};
    use super::super::lock::sample::analyze;
    use super::*;

    const JSON: &[u8] =
        br#"{"type":"deb","os":"debian","name":"hello","version":"2.10-3","architecture":"amd64"}"#;

    const FORMATS: [(Class, Order); 4] = [
        (Class::Elf32, Order::Little),
        (Class::Elf32, Order::Big),
        (Class::Elf64, Order::Little),
        (Class::Elf64, Order::Big),
    ];

    /// As GNU ld 2.40 writes it with `--package-metadata`, without the padding.
    fn note(json: &[u8]) -> Vec<u8> {
        let size = json.len() as u32 + 1;
        let header = [4_u32.to_le_bytes(), size.to_le_bytes(), 0xcafe_1a7e_u32.to_le_bytes()];
        [&header.concat(), OWNER, json, &[0; 3]].concat()
    }

    fn check(content: &[u8], expected: &[&str]) {
        for (class, order) in FORMATS {
            let file = sample::elf(class, order, &[Section::constants(".note.package", content)]);
            let found = analyze(&ELF_NOTE, "usr/bin/hello", &file);
            let packages = found.packages.iter().map(|found| {
                let source = found.package.source.as_ref().map_or("", |source| &source.name);
                format!("{} from {source}", Purl::new(&found.package, None))
            });
            let problems = found.problems.iter().map(|problem| problem.kind.to_string());
            assert_eq!(packages.chain(problems).collect::<Vec<_>>(), expected, "{class:?} {order:?}");
        }
    }

    #[test]
    fn a_note_of_the_real_linker_is_read() {
        let found = analyze(&ELF_NOTE, "opt/hello", include_bytes!("../../fixtures/package-note.elf"));
        let packages: Vec<Purl> =
            found.packages.iter().map(|found| Purl::new(&found.package, None)).collect();
        assert_eq!(
            packages.iter().map(Purl::as_str).collect::<Vec<_>>(),
            ["pkg:deb/hello-source@2.10-3?arch=amd64"]
        );
    }

    #[test]
    fn a_note_claims_a_source_package() {
        check(&note(JSON), &["pkg:deb/hello@2.10-3?arch=amd64 from hello"]);
        check(JSON, &["pkg:deb/hello@2.10-3?arch=amd64 from hello"]);
        let purl = br#"{"type":"apk","name":"x","version":"1","purl":"pkg:apk/wolfi/zlib@1.3-r1"}"#;
        check(&note(purl), &["pkg:apk/zlib@1.3-r1 from "]);
        check(&note(br#"{"type":"of another kind","name":"x","version":"1"}"#), &[]);
        check(&note(br#"{"type":"rpm","name":null,"version":"1"}"#), &[]);
        check(&note(br#"{"type":"rpm","name":"a b","version":"1"}"#), &[]);
    }

    #[test]
    fn i4_a_note_that_cannot_be_read_is_a_problem() {
        for content in [&note(b"{\"type\":")[..], &note(b""), b"FDO", b"\xff"] {
            check(content, &["sbom-unreadable"]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..JSON.len(), byte: u8) {
            let mut json = JSON.to_vec();
            json[at] = byte;
            for content in [content, note(&json), json] {
                for (class, order) in FORMATS {
                    let section = Section::constants(".note.package", &content);
                    analyze(&ELF_NOTE, "a", &sample::elf(class, order, &[section]));
                }
            }
        }
    }
}
