//! Chisel's `manifest.wall`: the debs of which an Ubuntu image without dpkg has slices, and the files of these.
//!
//! A zstd frame of JSON objects, one a line: first `{"jsonwall", "schema", "count"}`, where `count` is the number of
//! lines, then `{"kind": "package", "name", "version", "arch"}` and `{"kind": "path", "path", "slices", "sha256",
//! "final_sha256"}` among others. It does not say what sources packages were built from. Format: Chisel,
//! "Chisel manifest" and "jsonwall".

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::ledger::Ledger;
use super::{Analyzer, CapturedFile, Checksum, FileClass, Found, OwnedFile, OwnedFiles, Trigger};
use crate::limits::Limits;

/// Reads Chisel's manifest.
#[derive(Debug)]
pub struct Chisel;

/// The longest line, in bytes: a path, the names of its slices and two digests.
const LONGEST_LINE: u64 = 256 << 10;

impl Analyzer for Chisel {
    fn name(&self) -> &'static str {
        "chisel"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Path("var/lib/chisel/manifest.wall")]
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        match zstd::Decoder::with_buffer(file.content) {
            Ok(decoder) => {
                let mut wall = BufReader::new(decoder.take(limits.database_bytes));
                if let Err(error) = read(&mut wall, &mut ledger) {
                    ledger.damage(format_args!("the manifest cannot be read: {error}"));
                }
            }
            Err(error) => ledger.damage(format_args!("the manifest cannot be read: {error}")),
        }
        ledger.close()
    }
}

/// One line, of whatever kind.
#[derive(Deserialize)]
struct Line {
    count: Option<u64>,
    kind: Option<String>,
    name: Option<String>,
    version: Option<String>,
    arch: Option<String>,
    path: Option<String>,
    #[serde(default)]
    slices: Option<Vec<String>>,
    sha256: Option<String>,
    final_sha256: Option<String>,
}

fn read(wall: &mut impl BufRead, ledger: &mut Ledger<'_>) -> io::Result<()> {
    let mut owned: BTreeMap<String, Vec<OwnedFile>> = BTreeMap::new();
    let (mut line, mut number, mut stated) = (Vec::new(), 0_u64, None);
    loop {
        line.clear();
        let length = wall.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if length == 0 || ledger.is_full() {
            break;
        }
        number += 1;
        let parsed = match serde_json::from_slice::<Line>(&line) {
            Ok(parsed) => parsed,
            Err(error) => {
                ledger.damage(format_args!("line {number} is not an entry of the manifest: {error}"));
                continue;
            }
        };
        match parsed.kind.as_deref() {
            Some("package") => enter_package(parsed, number, ledger),
            Some("path") => {
                if let Some((package, file)) = owned_file(&parsed, ledger) {
                    owned.entry(package).or_default().push(file);
                }
            }
            Some(_) => {}
            None => stated = stated.or(parsed.count),
        }
    }
    if stated != Some(number) && !ledger.is_full() {
        ledger.damage(format_args!("the manifest has {number} lines and does not say so"));
    }
    for (package, files) in owned {
        ledger.owner(OwnedFiles { package, architecture: None, files });
    }
    Ok(())
}

fn enter_package(line: Line, number: u64, ledger: &mut Ledger<'_>) {
    let stated = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    match (stated(line.name), stated(line.version)) {
        (Some(name), Some(version)) => ledger.package(Package {
            architecture: stated(line.arch),
            ..Package::new(PackageKind::Deb, name, version, Evidence::Installed)
        }),
        _ => ledger.damage(format_args!("the package in line {number} has no name or no version")),
    }
}

/// A file and the package of the first slice that it belongs to: `bash_bins` is a slice of `bash`. What a slice's
/// own script changed has a digest of its own.
fn owned_file(line: &Line, ledger: &mut Ledger<'_>) -> Option<(String, OwnedFile)> {
    let path = line.path.as_deref().filter(|path| !path.ends_with('/'))?;
    let (package, _) = line.slices.as_ref()?.first()?.split_once('_')?;
    let digest = line.final_sha256.as_deref().or(line.sha256.as_deref()).unwrap_or_default();
    let mut sha256 = [0; 32];
    let checksum = hex::decode_to_slice(digest, &mut sha256).ok().map(|()| Checksum::Sha256(sha256));
    Some((package.to_owned(), ledger.file(b"", path.as_bytes(), checksum)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::model::problem::ProblemKind;

    use super::*;

    const PATH: &str = "var/lib/chisel/manifest.wall";

    const WALL: &str = concat!(
        r#"{"jsonwall":"1.0","schema":"1.0","count":7}"#,
        "\n",
        r#"{"kind":"content","slice":"libssl3_libs","path":"/usr/lib/x86_64-linux-gnu/libssl.so.3"}"#,
        "\n",
        r#"{"kind":"package","name":"libssl3","version":"3.0.2-0ubuntu1.15","sha256":"abc","arch":"amd64"}"#,
        "\n",
        r#"{"kind":"package","name":"base-files","version":"12ubuntu4.6","sha256":"abc","arch":"amd64"}"#,
        "\n",
        r#"{"kind":"path","path":"/usr/lib/x86_64-linux-gnu/","mode":"0755","slices":["libssl3_libs"]}"#,
        "\n",
        r#"{"kind":"path","path":"/usr/lib/x86_64-linux-gnu/libssl.so.3","mode":"0644","slices":["libssl3_libs"],"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}"#,
        "\n",
        r#"{"kind":"slice","name":"libssl3_libs"}"#,
        "\n",
    );

    fn analyze(content: &[u8]) -> Found {
        let file = CapturedFile { path: PATH, mode: 0o644, content };
        Chisel.analyze(&file, &Limits::default())
    }

    fn pack(wall: &str) -> Vec<u8> {
        zstd::encode_all(wall.as_bytes(), 3).unwrap()
    }

    fn check(content: &[u8], expected: &[&str], problems: &[ProblemKind]) -> Found {
        let found = analyze(content);
        let packages = found.packages.iter().map(|found| &found.package);
        let packages: Vec<_> = packages
            .map(|package| format!("{} {} {:?}", package.name, package.version, package.source))
            .collect();
        assert_eq!(packages, expected);
        assert_eq!(found.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), problems);
        found
    }

    #[test]
    fn a_manifest_lists_debs_and_their_files() {
        let whole = ["libssl3 3.0.2-0ubuntu1.15 None", "base-files 12ubuntu4.6 None"];
        let found = check(&pack(WALL), &whole, &[]);
        assert_eq!(found.packages[0].package.architecture.as_deref(), Some("amd64"));
        let [owner] = &found.owned[..] else { panic!("{found:?}") };
        assert_eq!((owner.package.as_str(), owner.files.len()), ("libssl3", 1));
        assert_eq!(owner.files[0].path, "usr/lib/x86_64-linux-gnu/libssl.so.3");
        assert!(matches!(owner.files[0].checksum, Some(Checksum::Sha256(_))));
    }

    #[test]
    fn i4_what_may_hide_a_package_is_a_blocking_problem() {
        let unreadable = [ProblemKind::DatabaseUnreadable];
        check(b"", &[], &unreadable);
        check(WALL.as_bytes(), &[], &unreadable);
        let packed = pack(WALL);
        assert_eq!(analyze(&packed[..packed.len() - 4]).problems[0].kind, ProblemKind::DatabaseUnreadable);
        let missing: String =
            WALL.lines().filter(|line| !line.contains("base-files")).collect::<Vec<_>>().join("\n");
        check(&pack(&missing), &["libssl3 3.0.2-0ubuntu1.15 None"], &unreadable);
        check(&pack("{\"count\":2}\n{\"kind\":\"package\",\"name\":\"x\"}\n"), &[], &unreadable);
        check(&pack("{\"count\":2}\n[[[\n"), &[], &unreadable);
    }

    #[test]
    fn i7_a_line_that_never_ends_and_a_bomb_end() {
        let bomb = pack(&" ".repeat(64 << 20));
        let limits = Limits { database_bytes: 1 << 20, ..Limits::default() };
        let file = CapturedFile { path: PATH, mode: 0o644, content: &bomb };
        let found = Chisel.analyze(&file, &limits);
        assert_eq!((found.packages.len(), found.problems.len()), (0, 1));
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, wall in "\\PC{0,200}") {
            analyze(&content);
            analyze(&pack(&wall));
        }
    }
}
