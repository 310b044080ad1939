//! A root in small: only what says what is installed, as `tests/fixtures/installed` carries it for the test run.
//!
//! Package databases and metadata are carried as they are. Archives keep their metadata and one empty class of each
//! package, by which groups are inferred; programs keep the sections in which they say what they are made of.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use shared::model::package::{Evidence, PackageKind};
use tests::inventory::{self, Inventory, Listed};
use tests::root;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Of zstd: the strongest whose window every reader of layers takes.
const STRONG: i32 = 19;

/// Writes a root down, once its scan has told that nothing is missing.
pub(crate) fn write(image: &str, folder: &Path, listed: &Listed, whole: &Inventory) -> Result<()> {
    let layer = root::reduced(&folder.join("root"), STRONG, carried)?;
    let small = Inventory::of(layer.clone(), &folder.join("recorded"))?;
    let (whole, small) = (statements(whole, listed.kind), statements(&small, listed.kind));
    let differing: Vec<_> = whole.symmetric_difference(&small).collect();
    ensure!(differing.is_empty(), "in small it has another inventory: {differing:#?}");
    let fixtures = inventory::recorded();
    fs::write(fixtures.join(format!("{image}.tar.zst")), layer)?;
    fs::copy(folder.join("expected.tsv"), fixtures.join(format!("{image}.tsv")))?;
    Ok(())
}

/// What an inventory says of one kind, and where it has it from. Archives that wait to be installed are left behind.
fn statements(inventory: &Inventory, kind: PackageKind) -> BTreeSet<(String, String)> {
    let found = inventory.of_kind(kind);
    let found = found.filter(|found| found.package.evidence != Evidence::ArchiveNotInstalled);
    found.map(|found| (found.purl.as_str().to_owned(), found.path.clone())).collect()
}

/// What is carried of a file.
fn carried(path: &Path, content: Vec<u8>) -> Result<Option<Vec<u8>>> {
    // Names of other encodings occur in test data only, and belong to no package.
    let Some(path) = path.to_str() else { return Ok(None) };
    if is_metadata(path) {
        return Ok(Some(content));
    }
    if path.ends_with(".jar") || path.ends_with(".whl") {
        return Ok(Some(archive(&content).with_context(|| path.to_owned())?));
    }
    let is_program = content.starts_with(b"\x7fELF");
    let says_something = || SECTIONS.iter().any(|name| is_in(&content, name.as_bytes()));
    (is_program && says_something()).then(|| program(&content)).transpose()
}

/// Whether a file says what is installed. Of dpkg's checksums nothing is left that they would be true of.
fn is_metadata(path: &str) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (above, last) = directory.rsplit_once('/').unwrap_or(("", directory));
    match name {
        "os-release" | "package.json" | ".package-lock.json" => true,
        "METADATA" | "INSTALLER" | "direct_url.json" => last.ends_with(".dist-info"),
        "status" => directory == "var/lib/dpkg",
        _ => {
            let is_list = directory == "var/lib/dpkg/info" && name.ends_with(".list");
            // Of the Python distribution's maker: PEP 770.
            is_list || (last == "sboms" && above.ends_with(".dist-info"))
        }
    }
}

/// A jar or a wheel without its code. Nothing is compressed, since the whole layer will be.
fn archive(content: &[u8]) -> Result<Vec<u8>> {
    let mut whole = ZipArchive::new(Cursor::new(content))?;
    let mut small = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    let mut packages = BTreeSet::new();
    for number in 0..whole.len() {
        let mut entry = whole.by_index(number)?;
        let name = entry.name()?.into_owned();
        let (directory, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let mut content = Vec::new();
        match file {
            "MANIFEST.MF" | "pom.properties" | "pom.xml" | "METADATA" => {
                entry.read_to_end(&mut content)?;
            }
            _ if file.ends_with(".class") && packages.insert(directory.to_owned()) => {}
            _ => continue,
        }
        small.start_file(&*name, options)?;
        small.write_all(&content)?;
    }
    Ok(small.finish()?.into_inner())
}

/// Where a program says what it is made of, or which package it belongs to.
const SECTIONS: [&str; 3] = [".go.buildinfo", ".dep-v0", ".note.package"];

/// A program that is nothing but those sections.
fn program(content: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let (whole, small) = (folder.path().join("whole"), folder.path().join("small"));
    fs::write(&whole, content)?;
    let mut objcopy = Command::new("objcopy");
    objcopy.args(SECTIONS.map(|name| format!("--only-section={name}"))).arg(&whole).arg(&small);
    let done = objcopy.output().context("objcopy is missing: install binutils")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(fs::read(&small)?)
}

fn is_in(content: &[u8], wanted: &[u8]) -> bool {
    content.windows(wanted.len()).any(|window| window == wanted)
}
