//! Advisories: OSV records, one a line → a compiled database → judgements. Every package that a record names is judged at
//! every version that it names.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use scanner::advisories::compile::{BuildOptions, build};
use scanner::advisories::matching::judge;
use scanner::advisories::osv::{Advisory, Event};
use scanner::advisories::{Database, ecosystems};
use shared::model::layer::LayerIndex;
use shared::model::package::{Evidence, Package, PackageKind, Purl};
use shared::model::report::{Distribution, InstalledPackage, Inventory};
use tempfile::TempDir;

/// Versions of one record that are asked about.
const MOST_VERSIONS: usize = 16;

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(tempfile::tempdir().expect("there is a place for files"));
}

fuzz_target!(|input: &[u8]| {
    let records: Vec<&[u8]> = input.split(|byte| *byte == b'\n').take(4).collect();
    let parsed: Vec<Advisory> = records.iter().filter_map(|record| Advisory::parse(record).ok()).collect();
    for advisory in &parsed {
        let _ = advisory.cves();
    }
    if parsed.is_empty() {
        return;
    }
    FOLDER.with_borrow(|folder| {
        let inputs: Vec<_> = records
            .iter()
            .enumerate()
            .map(|(number, record)| {
                let path = folder.path().join(format!("{number}.json"));
                std::fs::write(&path, record).expect("the folder is ours");
                path
            })
            .collect();
        let output = folder.path().join("db");
        let built = build(&inputs, &output, &BuildOptions::default());
        let summary = built.expect("one record was read a moment ago");
        let database = Database::open(&output).expect("it was built a moment ago");
        assert_eq!(database.revision(), &summary.revision);
        database.verify().expect("nobody altered it");
        let judged = judge(&inventory(&parsed), &database).expect("it was built a moment ago");
        assert!(judged.findings.iter().all(|finding| !finding.id.is_empty()));
    });
});

/// Everything that the records speak about, installed.
fn inventory(advisories: &[Advisory]) -> Inventory {
    let affected = advisories.iter().flat_map(|advisory| &advisory.affected);
    let packages = affected.flat_map(|affected| {
        let base = affected.ecosystem.split(':').next().unwrap_or_default();
        let mut kinds = PackageKind::ALL.iter().copied();
        let kind = kinds.find(|kind| ecosystems::of_kind(*kind) == Some(base));
        let kind = kind.unwrap_or(match base {
            "Alpine" | "Wolfi" | "Chainguard" => PackageKind::Apk,
            "AlmaLinux" | "Rocky Linux" | "Red Hat" | "SUSE" | "openSUSE" => PackageKind::Rpm,
            _ => PackageKind::Deb,
        });
        let events = affected.ranges.iter().flat_map(|range| &range.events).map(|event| match event {
            Event::Introduced(version) | Event::Fixed(version) => version,
            Event::LastAffected(version) | Event::Limit(version) => version,
        });
        let versions = events.chain(&affected.versions).take(MOST_VERSIONS);
        versions.map(move |version| installed(kind, &affected.name, version)).collect::<Vec<_>>()
    });
    let distribution = advisories.iter().flat_map(|advisory| &advisory.affected).find_map(|affected| {
        let (id, version) = affected.ecosystem.split_once(':')?;
        let id = id.to_ascii_lowercase();
        Some(Distribution {
            name: id.clone(),
            id,
            version: version.to_owned(),
            codename: None,
            like: Vec::new(),
        })
    });
    Inventory { distribution, packages: packages.collect(), ..Inventory::default() }
}

fn installed(kind: PackageKind, name: &str, version: &str) -> InstalledPackage {
    let package = Package::new(kind, name, version, Evidence::Installed);
    InstalledPackage {
        purl: Purl::new(&package, None),
        package,
        path: "a".to_owned(),
        introduced_in: LayerIndex(0),
        owned_by: None, nested_root: None,
    }
}
