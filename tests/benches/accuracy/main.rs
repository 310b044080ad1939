//! Compares inventories with what package managers say that they installed: `scripts/accuracy`.
//!
//! `.run/accuracy/<image>` holds a `root` and an `expected.tsv` (kind, name, version). The root becomes an OCI layout of
//! one layer, `tidewaiter scan` reads it, and one row of Markdown says what was missed and what was found beyond the list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::image::{Encoding, Image, Layout};
use tests::site::{advisories, run};

/// Kind, name with its namespace, version.
type Identity = (String, String, String);

fn main() -> Result<()> {
    let images: Vec<String> = std::env::args().skip(1).filter(|one| !one.starts_with("--")).collect();
    let work = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/accuracy");
    let mut rows = Vec::new();
    for image in &images {
        rows.push(row(image, &work.join(image)).with_context(|| format!("image {image}"))?);
    }
    println!("| image | kind | packages listed | found | recall | found without group | found, not listed |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// One image's row; what differs is named on stderr.
fn row(image: &str, folder: &Path) -> Result<String> {
    let expected = expected(&folder.join("expected.tsv"))?;
    let (kind, _, _) = expected.first().context("expected.tsv names no package")?;
    let found = scanned(folder, kind)?;
    let ungrouped: BTreeSet<Identity> = expected.iter().map(without_group).collect();
    let (mut partly, mut beyond) = (0, 0);
    for one in found.difference(&expected) {
        if ungrouped.contains(one) {
            partly += 1;
        } else {
            beyond += 1;
            eprintln!("{image}: not listed {one:?}");
        }
    }
    for missed in expected.difference(&found).filter(|one| !found.contains(&without_group(one))) {
        eprintln!("{image}: missed {missed:?}");
    }
    let (right, all) = (expected.intersection(&found).count(), expected.len());
    // Rounded down, so that 100 % means every one.
    let permille = right * 1000 / all;
    let recall = format!("{}.{} %", permille / 10, permille % 10);
    Ok(format!("| {image} | {kind} | {all} | {right} | {recall} | {partly} | {beyond} |"))
}

/// A Maven artifact whose archive does not state its group, as the inventory has it.
fn without_group((kind, name, version): &Identity) -> Identity {
    let artifact = name.rsplit(':').next().unwrap_or(name);
    (kind.clone(), artifact.to_owned(), version.clone())
}

fn expected(file: &Path) -> Result<BTreeSet<Identity>> {
    let text = fs::read_to_string(file)?;
    text.lines()
        .map(|line| {
            let mut cells = line.split('\t').map(str::to_owned);
            match (cells.next(), cells.next(), cells.next()) {
                (Some(kind), Some(name), Some(version)) => Ok((kind, name, version)),
                _ => anyhow::bail!("{line:?} has not three cells"),
            }
        })
        .collect()
}

/// The packages of one kind in the report on the folder's root.
fn scanned(folder: &Path, kind: &str) -> Result<BTreeSet<Identity>> {
    let layout = layout(folder)?;
    let database = folder.join("advisories.db").display().to_string();
    fs::write(folder.join("tidewaiter.toml"), "")?;
    let built = run(folder, &["db", "build", &advisories().display().to_string(), "-o", &database])?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let name = format!("oci:{}:1", layout.display());
    let done = run(folder, &["scan", "--format", "json", "--database", &database, &name])?;
    // The verdict, which the exit code says, is no matter here.
    let report: Value = serde_json::from_slice(&done.stdout)
        .with_context(|| String::from_utf8_lossy(&done.stderr).into_owned())?;
    let packages = report["subject"]["packages"].as_array().context("an image has an inventory")?;
    Ok(packages
        .iter()
        .map(|found| &found["package"])
        .filter(|one| one["kind"] == kind)
        .map(identity)
        .collect())
}

fn identity(package: &Value) -> Identity {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let separator = if package["kind"] == "maven" { ':' } else { '/' };
    let name = match package["namespace"].as_str() {
        Some(namespace) => format!("{namespace}{separator}{}", text("name")),
        None => text("name"),
    };
    (text("kind"), name, text("version"))
}

/// An OCI layout whose only image, `1`, is the folder's root in one layer.
fn layout(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    let mut paths = Vec::new();
    collect(&root, &mut paths)?;
    let mut files = Vec::new();
    for path in &paths {
        let inside = path.strip_prefix(&root)?.to_str();
        // Names of other encodings occur in test data only, and belong to no package.
        if let Some(inside) = inside {
            files.push((inside, fs::read(path)?));
        }
    }
    let target = folder.join("layout");
    let layout = Layout::new(&target)?;
    layout.tag(&layout.image(&Image::new().layer_as(Encoding::Plain, files))?, "1")?;
    Ok(target)
}

/// Regular files; links lead to files that are there anyway.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
