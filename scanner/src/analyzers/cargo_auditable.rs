//! Rust programs built with `cargo auditable`: an executable in, the crates compiled into it out.
//!
//! The section `.dep-v0` holds a zlib stream of JSON. Format: cargo-auditable's PARSING.md and JSON schema
//! (`format` absent or 0, 1, 8). Which crate depends on which is not read, so circles in it do no harm.

use std::collections::HashSet;
use std::io::Read;

use flate2::read::ZlibDecoder;
use serde::Deserialize;
use shared::model::observation::ObservationKind;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::Severity;

use super::executable::{self, Executables};
use super::{CapturedFile, Found, FoundObservation};
use crate::limits::Limits;

/// Reads the dependency list that `cargo auditable` embeds, and says which executables are packed.
pub(super) const CARGO_AUDITABLE: Executables =
    Executables { name: "cargo-auditable", version: 2, magics: executable::MAGICS, read };

const SECTION: &str = ".dep-v0";

/// The longest dependency list that is inflated, in bytes: what its authors' own reader allows.
const INFLATED: u64 = 8 << 20;

fn read(file: &CapturedFile<'_>, limits: &Limits) -> Found {
    let mut found = Found::default();
    if executable::is_packed(file.content) {
        let detail = "packed by UPX: what is compiled into it cannot be seen";
        found.problems.push(Problem::new(ProblemKind::PackedBinary, detail).at(file.path));
        found.observations.push(packed());
    }
    // Nearly every executable lacks the name, and a search is cheaper than reading headers.
    if memchr::memmem::find(file.content, SECTION.as_bytes()).is_none() {
        return found;
    }
    let mut seen = HashSet::new();
    for image in executable::images(file.content) {
        // The name alone proves nothing: programs that read such sections contain it too.
        let Some(section) = image.section(SECTION) else {
            continue;
        };
        match section.map_err(DependencyListError::OutsideFile).and_then(decode) {
            Ok(list) => take(list, limits, &mut seen, &mut found, file.path),
            Err(error) => {
                let detail = format!("the dependency list of a Rust program cannot be read: {error}");
                found.problems.push(Problem::new(ProblemKind::AnalyzerFailed, detail).at(file.path));
            }
        }
    }
    found
}

/// Hiding what is inside is unusual for honest programs, and common for others.
fn packed() -> FoundObservation {
    FoundObservation {
        rule: "TW-FS-PACKED".to_owned(),
        kind: ObservationKind::Misconfiguration,
        severity: Severity::Medium,
        title: "An executable that is packed by UPX: its contents cannot be inventoried".to_owned(),
        remediation: "Install the program as it was built; layers are compressed anyway.".to_owned(),
        inner_path: None,
        line: None,
        masked: None,
        fingerprint: None,
        controls: Vec::new(),
    }
}

/// Why a dependency list cannot be read.
#[derive(Debug, thiserror::Error)]
enum DependencyListError {
    #[error("its section lies outside of the file")]
    OutsideFile(#[source] object::Error),
    #[error("it is no zlib stream")]
    Inflate(#[source] std::io::Error),
    #[error("it inflates to more than {INFLATED} bytes")]
    TooLarge,
    #[error("{0}")]
    Json(serde_json::Error),
}

/// The embedded JSON.
#[derive(Deserialize)]
struct DependencyList {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    source: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    root: bool,
}

fn decode(section: &[u8]) -> Result<DependencyList, DependencyListError> {
    let mut json = Vec::new();
    let mut inflated = ZlibDecoder::new(section).take(INFLATED + 1);
    inflated.read_to_end(&mut json).map_err(DependencyListError::Inflate)?;
    if json.len() as u64 > INFLATED {
        return Err(DependencyListError::TooLarge);
    }
    serde_json::from_slice(&json).map_err(DependencyListError::Json)
}

/// Adds the crates of one program.
fn take(list: DependencyList, limits: &Limits, seen: &mut HashSet<Package>, found: &mut Found, path: &str) {
    let mut unnamed = 0_u32;
    for listed in list.packages {
        // What only ran at build time is not in the program.
        if listed.kind.as_deref() == Some("build") {
            continue;
        }
        if !is_crate_name(&listed.name) || listed.version.trim().is_empty() {
            unnamed += 1;
            continue;
        }
        if found.packages.len() >= limits.packages {
            let detail = format!("a Rust program lists more than {} crates", limits.packages);
            found.problems.push(Problem::new(ProblemKind::LimitExceeded, detail).at(path));
            return;
        }
        let package = Package::new(PackageKind::Cargo, &*listed.name, &*listed.version, evidence(&listed));
        if seen.insert(package.clone()) {
            found.push(package);
        }
    }
    if unnamed > 0 {
        let detail = format!("{unnamed} entries of a Rust program's dependency list name no crate");
        found.problems.push(Problem::new(ProblemKind::RecordSkipped, detail).at(path));
    }
}

/// Only what came from a registry is what advisories speak of; the program's own crate never does.
fn evidence(listed: &Crate) -> Evidence {
    let is_registry = matches!(&*listed.source, "crates.io" | "registry");
    match is_registry && !listed.root {
        true => Evidence::Embedded,
        false => Evidence::Unmatched,
    }
}

fn is_crate_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.len() <= 128 && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::executable::sample::{self, Section};
    use super::*;

    const LIST: &str = r#"{"packages":[
        {"name":"adler","version":"0.2.3","source":"crates.io"},
        {"name":"inhouse","version":"1.0.0","source":"registry","dependencies":[0,3]},
        {"name":"forked","version":"0.1.0","source":"git","kind":"runtime"},
        {"name":"app","version":"0.1.0","source":"local","dependencies":[1,0],"root":true},
        {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}
    ],"format":1}"#;

    fn compressed(json: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(json).unwrap();
        encoder.finish().unwrap()
    }

    fn program(section: &[u8]) -> Vec<(String, Vec<u8>)> {
        sample::every_format(&[Section::constants(".text", b"code"), Section::constants(SECTION, section)])
    }

    fn analyze(content: &[u8]) -> Found {
        let file = CapturedFile { path: "usr/bin/app", mode: 0o755, content };
        read(&file, &Limits::default())
    }

    fn lines(found: &Found) -> Vec<String> {
        let packages = found.packages.iter().map(|found| {
            let package = &found.package;
            format!("{} {} {:?}", package.name, package.version, package.evidence)
        });
        let problems = found.problems.iter().map(|problem| problem.kind.to_string());
        packages.chain(problems).collect()
    }

    fn check(section: &[u8], expected: &[&str]) {
        for (format, file) in program(section) {
            let mut lines = lines(&analyze(&file));
            // Each of the two programs of a universal binary has its own problem.
            lines.dedup();
            assert_eq!(lines, expected, "{format}");
        }
    }

    #[test]
    fn crates_of_registries_are_matched_and_others_only_listed() {
        let expected = [
            "adler 0.2.3 Embedded",
            "inhouse 1.0.0 Embedded",
            "forked 0.1.0 Unmatched",
            "app 0.1.0 Unmatched",
        ];
        for format in ["", r#","format":0"#, r#","format":1"#, r#","format":8"#] {
            let list = LIST.replace(r#","format":1"#, format);
            check(&compressed(list.as_bytes()), &expected);
        }
    }

    /// The section as cargo-auditable 0.7 wrote it.
    const BUILT: &[u8] = include_bytes!("../../fixtures/cargo-auditable-0.7.dep-v0");

    #[test]
    fn what_cargo_auditable_wrote_is_read() {
        let expected = ["anyhow 1.0.104 Embedded", "app 0.1.0 Unmatched", "itoa 1.0.19 Embedded"];
        check(BUILT, &expected);
    }

    #[test]
    fn i4_a_list_that_cannot_be_read_is_a_blocking_problem() {
        let whole = compressed(LIST.as_bytes());
        for section in [
            &b""[..],
            b"no zlib at all",
            &whole[..whole.len() / 2],
            &compressed(b"[]"),
            &compressed(br#"{"packages":[{"name":1}]}"#),
            &compressed("[".repeat(100_000).as_bytes()),
        ] {
            check(section, &["analyzer-failed"]);
        }
        check(
            &compressed(br#"{"packages":[{"name":"a b","version":"1","source":"crates.io"}]}"#),
            &["record-skipped"],
        );
    }

    #[test]
    fn i7_a_bomb_is_bounded() {
        let bomb = compressed(&vec![b' '; INFLATED as usize * 2]);
        assert!(bomb.len() < 100_000);
        check(&bomb[..], &["analyzer-failed"]);
    }

    #[test]
    fn only_a_section_of_the_name_counts() {
        for (format, file) in sample::every_format(&[Section::constants(".rodata", b"reads .dep-v0")]) {
            assert_eq!(analyze(&file), Found::default(), "{format}");
        }
        assert_eq!(analyze(b"\x7fELF and .dep-v0"), Found::default());
    }

    #[test]
    fn a_packed_executable_is_said_to_be_packed() {
        let file = [&b"\x7fELF....UPX!"[..], &[0; 999], b"UPX!"].concat();
        assert_eq!(lines(&analyze(&file)), ["packed-binary"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>) {
            analyze(&content);
            check(&compressed(&content), &["analyzer-failed"]);
        }

        #[test]
        fn no_flip_of_a_real_section_panics(position in 0..BUILT.len(), value: u8) {
            let mut section = BUILT.to_vec();
            section[position] = value;
            for (_, file) in program(&section) {
                analyze(&file);
            }
        }

        #[test]
        fn no_flip_panics(position: prop::sample::Index, value: u8) {
            for (_, mut file) in program(&compressed(LIST.as_bytes())) {
                let position = position.index(file.len());
                file[position] = value;
                analyze(&file);
            }
        }
    }
}
