//! Well-known packages judged by the whole real data.

use std::path::PathBuf;

use shared::model::package::PackageKind;
use shared::model::report::{Finding, Severity};

use super::{Inventory, Judgement, build, built_from, distribution, inventory, judge, package};
use crate::advisories::Database;
use crate::advisories::compile::BuildOptions;

/// The database of all real dumps, where they are.
fn real() -> Option<Database> {
    let dumps = PathBuf::from(std::env::var_os("TIDEWAITER_FIXTURES")?).join("osv");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("db");
    build(&[dumps], &output, &BuildOptions::default()).unwrap();
    Some(Database::open(&output).unwrap())
}

fn find<'j>(judgement: &'j Judgement, inventory: &Inventory, name: &str, id: &str) -> Option<&'j Finding> {
    judgement.findings.iter().find(|finding| {
        let package = &inventory.packages[finding.package.0 as usize].package;
        package.name == name && finding.id == id
    })
}

#[test]
fn well_known_flaws_are_found_and_repaired_versions_are_clean() {
    let Some(database) = real() else {
        return;
    };
    let mut log4j = package(PackageKind::Maven, "log4j-core", "2.14.1");
    log4j.namespace = Some("org.apache.logging.log4j".to_owned());
    let mut repaired = log4j.clone();
    repaired.version = "2.17.1".to_owned();
    let mut kernel = package(PackageKind::Composer, "http-kernel", "5.4.19");
    kernel.namespace = Some("symfony".to_owned());
    let mut vapor = package(PackageKind::Swift, "Vapor", "4.29.3");
    vapor.namespace = Some("github.com/vapor".to_owned());
    let inventory = inventory(
        distribution("debian", "12"),
        vec![
            log4j,
            package(PackageKind::PyPi, "jinja2", "2.11.2"),
            package(PackageKind::Npm, "lodash", "4.17.20"),
            package(PackageKind::Golang, "golang.org/x/net", "v0.6.0"),
            package(PackageKind::Golang, "stdlib", "go1.19.5"),
            package(PackageKind::Cargo, "time", "0.1.43"),
            built_from(package(PackageKind::Deb, "intel-microcode", "3.20230512.1"), "intel-microcode", None),
            repaired,
            package(PackageKind::Gem, "rack", "2.2.6"),
            package(PackageKind::NuGet, "newtonsoft.json", "12.0.1"),
            kernel,
            package(PackageKind::Hex, "plug", "1.0.3"),
            package(PackageKind::Pub, "agent_dart", "1.0.0-dev.28"),
            vapor,
            package(PackageKind::Cran, "png", "0.1-8"),
            package(PackageKind::Hackage, "aeson", "2.0.0.0"),
            package(PackageKind::Hackage, "ghc", "9.4.2"),
            package(PackageKind::Generic, "node", "20.11.0"),
            package(PackageKind::Generic, "openjdk", "1.8.0_392"),
            package(PackageKind::Generic, "redis", "7.2.4"),
            package(PackageKind::Generic, "postgresql", "15.1"),
        ],
    );
    let judgement = judge(&inventory, &database).unwrap();
    for (name, id) in [
        ("log4j-core", "CVE-2021-44228"),
        ("jinja2", "CVE-2020-28493"),
        ("lodash", "CVE-2021-23337"),
        ("golang.org/x/net", "CVE-2022-41723"),
        ("stdlib", "CVE-2022-41723"),
        ("time", "CVE-2020-26235"),
        ("intel-microcode", "DSA-5474-1"),
        ("rack", "CVE-2023-27530"),
        ("newtonsoft.json", "GHSA-5crp-9r3c-p9vr"),
        ("http-kernel", "CVE-2022-24894"),
        ("plug", "CVE-2018-1000883"),
        ("agent_dart", "CVE-2024-48915"),
        ("Vapor", "CVE-2020-15230"),
        ("png", "CVE-2026-25646"),
        ("aeson", "CVE-2022-3433"),
        ("ghc", "HSEC-2024-0007"),
        ("node", "CVE-2024-22019"),
        ("openjdk", "CVE-2024-20918"),
        ("redis", "CVE-2024-31449"),
        ("postgresql", "CVE-2023-2454"),
    ] {
        assert!(find(&judgement, &inventory, name, id).is_some(), "{name} {id}");
    }
    let log4shell = find(&judgement, &inventory, "log4j-core", "CVE-2021-44228").unwrap();
    assert_eq!((log4shell.severity, log4shell.known_exploited), (Severity::Critical, true));
    assert!(log4shell.epss.is_some_and(|epss| epss.value() > 0.9), "{:?}", log4shell.epss);
    assert_eq!(log4shell.package.0, 0, "the repaired version is not clean");
}
