//! What package managers say they installed is what a scan finds: all of it, and nothing besides.
//!
//! Real roots, as `scripts/accuracy --record` left them in small, and the dpkg database of the machine that runs this.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::inventory::{Identity, Inventory, Listed, recorded};
use tests::root;

/// `virtualenv` brings wheels, to install them into the environments that it makes.
const WHEELS: [&str; 4] = ["pip 26.0.1", "pip 26.3", "setuptools 82.0.1", "setuptools 84.2.1"];
/// Copies of others that those wheels carry, as virtualenv's own SBOM says (PEP 770).
const VENDORED: [&str; 35] = [
    "autocommand 2.2.2",
    "cachecontrol 0.14.4",
    "certifi 2026.1.4",
    "certifi 2026.10.23",
    "dependency-groups 1.3.1",
    "distlib 0.4.0",
    "distro 1.9.0",
    "idna 3.11",
    "importlib-metadata 8.7.1",
    "jaraco-context 6.1.0",
    "jaraco-functools 4.4.0",
    "jaraco-text 4.0.0",
    "more-itertools 10.8.0",
    "msgpack 1.1.2",
    "msgpack 1.2.4",
    "packaging 26.0",
    "packaging 26.3",
    "platformdirs 4.12.4",
    "platformdirs 4.4.0",
    "platformdirs 4.5.1",
    "pygments 2.19.2",
    "pyproject-hooks 1.2.0",
    "pyproject-hooks 1.3.3",
    "requests 2.32.5",
    "resolvelib 1.2.1",
    "rich 14.2.0",
    "setuptools 70.3.0",
    "tomli 2.3.0",
    "tomli 2.3.2",
    "tomli 2.4.0",
    "truststore 0.10.4",
    "truststore 0.10.5",
    "urllib3 1.26.20",
    "wheel 0.46.3",
    "zipp 3.23.0",
];

#[test]
fn every_package_of_dpkg_is_found_and_no_other() -> Result<()> {
    check("debian", &[])
}

#[test]
fn every_package_of_pip_is_found_and_no_other() -> Result<()> {
    check("python", &[&WHEELS, &VENDORED])
}

#[test]
fn every_package_of_npm_is_found_and_no_other() -> Result<()> {
    // The application itself, which npm does not count among its dependencies.
    check("node", &[&["app 1.0.0"]])
}

#[test]
fn every_artifact_of_maven_is_found_with_its_group_and_no_other() -> Result<()> {
    // Shaded into netty-common, whose archive says so; Maven sees only the outer one.
    check("java", &[&["org.jctools:jctools-core 3.1.0"]])
}

#[test]
fn every_module_of_a_go_program_is_found_and_no_other() -> Result<()> {
    // The main module, which `go version -m` lists as such and not as a dependency.
    check("go", &[&["example.org/app (devel)"]])
}

#[test]
fn every_crate_of_a_rust_program_is_found_and_no_other() -> Result<()> {
    // A dependency for no target: in cargo-auditable's record, and not in `cargo tree`.
    check("rust", &[&["serde 1.0.229"]])
}

#[test]
fn every_package_of_this_machine_is_found_and_no_other() -> Result<()> {
    let status = "var/lib/dpkg/status";
    if !Path::new("/").join(status).exists() {
        eprintln!("not tried: this machine has no dpkg");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    // Both sides read the same copy: somebody may be installing something.
    for path in [status, "etc/os-release"] {
        let copy = root.join(path);
        fs::create_dir_all(copy.parent().context("it is below the root")?)?;
        fs::copy(Path::new("/").join(path), copy).with_context(|| path.to_owned())?;
    }
    let Some(listed) = listed_by_dpkg(&root.join("var/lib/dpkg"))? else {
        eprintln!("not tried: this machine has no dpkg-query");
        return Ok(());
    };
    agree(&listed, &Inventory::of(root::whole(&root)?, folder.path())?, &[]);
    Ok(())
}

/// What dpkg-query lists of a database, without what left nothing but its configuration. `None` where there is none.
fn listed_by_dpkg(database: &Path) -> Result<Option<Listed>> {
    let mut query = Command::new("dpkg-query");
    let format = "${db:Status-Status} deb\t${Package}\t${Version}\n";
    query.arg("--admindir").arg(database).args(["--show", "--showformat", format]);
    let told = match query.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        told => told?,
    };
    ensure!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let lines = String::from_utf8(told.stdout)?;
    let present = lines.lines().filter_map(|line| {
        let (state, package) = line.split_once(' ')?;
        (!["config-files", "not-installed"].contains(&state)).then_some(package)
    });
    Listed::parse(&present.collect::<Vec<_>>().join("\n")).map(Some)
}

/// Scans the carried form of an image.
fn check(image: &str, beyond: &[&[&str]]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let listed = Listed::read(&recorded().join(format!("{image}.tsv")))?;
    let layer = fs::read(recorded().join(format!("{image}.tar.zst")))?;
    agree(&listed, &Inventory::of(layer, folder.path())?, beyond);
    Ok(())
}

/// Everything listed is found, and what is found besides is exactly `beyond`.
fn agree(listed: &Listed, found: &Inventory, beyond: &[&[&str]]) {
    let compared = found.compare(listed);
    assert_eq!(names(&compared.missed), BTreeSet::new(), "missed");
    assert_eq!(names(&compared.without_group), BTreeSet::new(), "found without their group");
    let beyond: BTreeSet<String> = beyond.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(names(&compared.beyond), beyond, "found and not listed");
    let others: Vec<_> = found.of_other_kinds(listed.kind).map(|found| found.purl.as_str()).collect();
    assert_eq!(others, [""; 0], "of other kinds");
}

fn names(packages: &BTreeSet<Identity>) -> BTreeSet<String> {
    packages.iter().map(Identity::to_string).collect()
}
