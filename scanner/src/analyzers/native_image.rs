//! GraalVM's native images: the SBOM that `native-image --enable-sbom` embeds, which is all that is left of the archives
//! that a program was compiled from.
//!
//! The symbols `sbom` and `sbom_length` lead to a gzip stream of CycloneDX in JSON and to its length, 64 bits. A program
//! whose symbols were stripped tells nothing. Format: GraalVM, "Embed a SBOM into a Native Executable".

use std::io::Read;

use flate2::read::GzDecoder;
use shared::model::package::Evidence;
use shared::model::problem::{Problem, ProblemKind};

use super::executable::{self, Executables, Image};
use super::{CapturedFile, Found, FoundPackage, lock, sbom};
use crate::limits::Limits;

/// Reads what GraalVM embeds.
pub(super) const NATIVE_IMAGE: Executables =
    Executables { name: "native-image", version: 1, magics: executable::MAGICS, read };

/// The name of the symbol of the SBOM's length, which stands in the table of names of every such program.
const LENGTH: &str = "sbom_length";
/// The largest SBOM, packed and unpacked, in bytes.
const LARGEST: u64 = 32 << 20;

fn read(file: &CapturedFile<'_>, _limits: &Limits) -> Found {
    // Tables of symbols are long, and hardly a program is one.
    if memchr::memmem::find(file.content, LENGTH.as_bytes()).is_none() {
        return Found::default();
    }
    let mut found = Found::default();
    for packed in executable::images(file.content).iter().filter_map(embedded) {
        match listing(packed) {
            Ok(listing) => {
                if let Some(missing) = listing.missing(lock::file_name(file.path)) {
                    found.problems.push(Problem::new(ProblemKind::PartialCoverage, missing).at(file.path));
                }
                let packages = listing.into_packages().into_iter();
                found.packages.extend(packages.map(|package| FoundPackage { package, inner_path: None }));
            }
            Err(error) => {
                let detail = format!("the SBOM in a native image cannot be read: {error}");
                found.problems.push(Problem::new(ProblemKind::AnalyzerFailed, detail).at(file.path));
            }
        }
    }
    found
}

/// The packed SBOM of a program.
fn embedded<'a>(image: &Image<'a>) -> Option<&'a [u8]> {
    let length = image.loaded(image.symbol(LENGTH)?, 8)?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    image.loaded(image.symbol("sbom")?, length).filter(|packed| packed.len() as u64 <= LARGEST)
}

fn listing(packed: &[u8]) -> Result<sbom::Listing, String> {
    let mut text = Vec::new();
    let unpacked = GzDecoder::new(packed).take(LARGEST + 1).read_to_end(&mut text);
    unpacked.map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    let listing =
        sbom::read(&lock::text(&text), |_| Evidence::Embedded).map_err(|error| error.to_string())?;
    listing.ok_or_else(|| "it is no SBOM".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use shared::model::package::Purl;

    use super::super::lock::sample::analyze;
    use super::*;

    /// As GraalVM 23 writes it, shortened.
    const SBOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"type":"library","group":"io.netty","name":"netty-codec-http2","version":"4.1.76.Final","purl":"pkg:maven/io.netty/netty-codec-http2@4.1.76.Final"}],"serialNumber":"urn:uuid:43538af4"}"#;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Two symbols, linked by GNU ld around the document above.
    const PROGRAM: &[u8] = include_bytes!("../../fixtures/native-image.elf");
    const PURL: &str = "pkg:maven/io.netty/netty-codec-http2@4.1.76.Final";

    fn check(content: &[u8], expected: &[&str]) {
        let found = analyze(&NATIVE_IMAGE, "app/server", content);
        let purls = found.packages.iter().map(|found| Purl::new(&found.package, None).to_string());
        let problems = found.problems.iter().map(|problem| problem.kind.to_string());
        assert_eq!(purls.chain(problems).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_program_leads_to_its_sbom() {
        check(PROGRAM, &[PURL]);
        check(b"\x7fELF sbom_length", &[]);
    }

    #[test]
    fn i4_a_damaged_sbom_is_a_problem() {
        let at = memchr::memmem::find(PROGRAM, b"\x1f\x8b\x08").expect("the stream begins so");
        let mut damaged = PROGRAM.to_vec();
        damaged[at + 12..at + 20].fill(0xff);
        check(&damaged, &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..PROGRAM.len(), byte: u8) {
            analyze(&NATIVE_IMAGE, "a", &[b"\x7fELF", content.as_slice(), b"sbom_length"].concat());
            let mut program = PROGRAM.to_vec();
            program[at] = byte;
            analyze(&NATIVE_IMAGE, "a", &program);
        }
    }

    #[test]
    fn a_packed_document_is_a_list_of_packages() {
        let packages = listing(&gzip(SBOM.as_bytes())).unwrap().into_packages();
        let purls: Vec<_> = packages.iter().map(|package| Purl::new(package, None)).collect();
        assert_eq!(purls[0].as_str(), PURL);
        assert_eq!(packages.first().unwrap().evidence, Evidence::Embedded);
        assert!(listing(b"x").is_err());
        assert!(listing(&gzip(b"{}")).is_err());
    }
}
