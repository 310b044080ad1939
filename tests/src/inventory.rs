//! What a package manager says is installed in a root, beside what a scan of it finds.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::report::InstalledPackage;

use crate::image::{Image, Layout};
use crate::site::{advisories, run};

/// Where real roots and their lists are carried along, in small: `<image>.tar.zst` and `<image>.tsv`.
pub fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/installed")
}

/// What both sides call a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    kind: PackageKind,
    /// With its namespace: `@babel/core`, `org.slf4j:slf4j-api`.
    name: String,
    version: String,
}

impl Identity {
    fn of(package: &Package) -> Self {
        let separator = match package.kind {
            PackageKind::Maven => ':',
            _ => '/',
        };
        let name = match &package.namespace {
            Some(namespace) => format!("{namespace}{separator}{}", package.name),
            None => package.name.clone(),
        };
        Self { kind: package.kind, name, version: package.version.clone() }
    }

    /// A Maven artifact whose archive does not state its group, as the inventory has it.
    fn without_group(&self) -> Self {
        let artifact = self.name.rsplit(':').next().unwrap_or(&self.name);
        Self { name: artifact.to_owned(), ..self.clone() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// The packages that a package manager lists.
#[derive(Debug)]
pub struct Listed {
    /// The packages of which the list is one.
    pub kind: PackageKind,
    packages: BTreeSet<Identity>,
}

impl Listed {
    /// Reads a list: kind, name and version of one package a line, with tabs between.
    pub fn parse(text: &str) -> Result<Self> {
        let packages = text.lines().map(listed).collect::<Result<BTreeSet<_>>>()?;
        let kind = packages.first().context("the list names no package")?.kind;
        ensure!(packages.iter().all(|package| package.kind == kind), "the list is of more than one kind");
        Ok(Self { kind, packages })
    }

    /// Reads a list in a file.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    /// How many packages there are.
    pub fn count(&self) -> usize {
        self.packages.len()
    }
}

fn listed(line: &str) -> Result<Identity> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [kind, name, version] = cells[..] else { anyhow::bail!("{line:?} has not three cells") };
    let known = PackageKind::ALL.iter().copied().find(|known| known.purl_type() == kind);
    let kind = known.with_context(|| format!("{kind:?} is no kind of package"))?;
    Ok(Identity { kind, name: name.to_owned(), version: version.to_owned() })
}

/// The packages that a scan finds.
#[derive(Debug)]
pub struct Inventory(Vec<InstalledPackage>);

impl Inventory {
    /// Scans an image whose only layer is this tar in zstd. Its layout and the database are left in the folder.
    pub fn of(layer: Vec<u8>, folder: &Path) -> Result<Self> {
        let layout = Layout::new(&folder.join("layout"))?;
        layout.tag(&layout.image(&Image::new().archive(layer))?, "1")?;
        let database = folder.join("advisories.db").display().to_string();
        fs::write(folder.join("tidewaiter.toml"), "")?;
        let built = run(folder, &["db", "build", &advisories().display().to_string(), "-o", &database])?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let name = format!("oci:{}:1", layout.folder().display());
        let done = run(folder, &["scan", "--format", "json", "--database", &database, &name])?;
        // The verdict, which the exit code says, is no matter here.
        let mut report: Value = serde_json::from_slice(&done.stdout)
            .with_context(|| String::from_utf8_lossy(&done.stderr).into_owned())?;
        Ok(Self(serde_json::from_value(report["subject"]["packages"].take())?))
    }

    /// The packages of one kind.
    pub fn of_kind(&self, kind: PackageKind) -> impl Iterator<Item = &InstalledPackage> {
        self.0.iter().filter(move |found| found.package.kind == kind)
    }

    /// What is there of other kinds, of which a list of this one says nothing.
    pub fn of_other_kinds(&self, kind: PackageKind) -> impl Iterator<Item = &InstalledPackage> {
        self.0.iter().filter(move |found| found.package.kind != kind && is_there(&found.package))
    }

    /// What a list and this inventory agree on, and what not.
    pub fn compare(&self, listed: &Listed) -> Comparison {
        let packages = || self.of_kind(listed.kind).map(|found| &found.package);
        let all: BTreeSet<Identity> = packages().map(Identity::of).collect();
        let there: BTreeSet<Identity> =
            packages().filter(|package| is_there(package)).map(Identity::of).collect();
        let is_without_group = |one: &Identity| !there.contains(one) && there.contains(&one.without_group());
        let ungrouped: BTreeSet<Identity> = listed.packages.iter().map(Identity::without_group).collect();
        let (without_group, missed) =
            listed.packages.difference(&there).cloned().partition(|one| is_without_group(one));
        Comparison {
            right: listed.packages.intersection(&there).cloned().collect(),
            without_group,
            missed,
            beyond: all
                .difference(&listed.packages)
                .filter(|one| !ungrouped.contains(one))
                .cloned()
                .collect(),
        }
    }
}

/// Whether the package itself was seen. Otherwise somebody only speaks of it, or it waits in an archive: that is no
/// witness of what is installed, and would hide that the real one was missed.
fn is_there(package: &Package) -> bool {
    match package.evidence {
        Evidence::Installed
        | Evidence::Inferred
        | Evidence::Embedded
        | Evidence::Unmatched
        | Evidence::Recognised => true,
        Evidence::Declared | Evidence::Claimed | Evidence::ArchiveNotInstalled => false,
    }
}

/// A list beside an inventory.
#[derive(Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Listed, and there under its whole name.
    pub right: BTreeSet<Identity>,
    /// Listed, and there without its Maven group.
    pub without_group: BTreeSet<Identity>,
    /// Listed, and not there.
    pub missed: BTreeSet<Identity>,
    /// In the inventory on whatever evidence, and not listed.
    pub beyond: BTreeSet<Identity>,
}
