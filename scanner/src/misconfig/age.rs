//! Checks that depend on the day: the image's age, and the end of support of what it is built from. They are made anew
//! whenever a report is.
//!
//! Dates are those that the projects publish; <https://endoflife.date> collects them.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shared::model::observation::Observation;
use shared::model::package::{Evidence, PackageKind};
use shared::model::report::{InstalledPackage, Inventory, Severity};

use super::{Finding, few, observation};

/// Which checks these are; a report that is made anew loses what they found before.
pub(crate) const IDS: [&str; 2] = ["TW-IMG-AGE", "TW-OS-EOL"];

/// Older images miss a year of repairs.
const OLD: SignedDuration = SignedDuration::from_hours(24 * 365);
/// Reproducible builds give dates before the first container image.
const FIRST: Date = date(2013, 1, 1);

/// What the day says about an image.
pub(crate) fn judge(
    inventory: &Inventory,
    support_ends: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Observation> {
    let mut observations = Vec::new();
    let created = inventory.settings.as_ref().and_then(|settings| settings.created);
    let created = created.filter(|created| day(*created) >= FIRST);
    if let Some(created) = created.filter(|created| now.duration_since(*created) > OLD) {
        let days = now.duration_since(created).as_hours() / 24;
        let finding = Finding::new(format!("It was built {days} days ago")).in_config("created");
        let remediation = "Build it again from a current base image.";
        observations.push(observation("TW-IMG-AGE", Severity::Low, remediation, &["CIS-DI-4.4"], finding));
    }
    let remediation = "Move to a version that is still repaired.";
    let ended = |finding| {
        observation("TW-OS-EOL", Severity::Medium, remediation, &["CIS-DI-4.2", "CIS-DI-4.4"], finding)
    };
    if let Some(ends) = support_ends.filter(|ends| *ends < now) {
        let day = day(ends);
        // Of several distributions nobody says here whose day it is.
        let own = inventory.distribution.as_ref().filter(|_| inventory.nested_roots.is_empty());
        let name = own.map_or("A distribution in the image", |distribution| &distribution.name);
        observations.push(ended(Finding::new(format!("{name} is not repaired any more since {day}"))));
    }
    observations.extend(of_runtimes(inventory, now).into_iter().map(ended));
    observations
}

fn day(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

/// One finding for each runtime and release, about all of its copies.
fn of_runtimes(inventory: &Inventory, now: Timestamp) -> Vec<Finding> {
    let today = day(now);
    let mut ended: BTreeMap<(&str, &str, Date), Vec<&InstalledPackage>> = BTreeMap::new();
    for package in &inventory.packages {
        if let Some((runtime, release, end)) = release_of(package).filter(|(.., end)| *end < today) {
            ended.entry((runtime, release, end)).or_default().push(package);
        }
    }
    let finding = |((runtime, release, end), packages): ((&str, &str, Date), Vec<&InstalledPackage>)| {
        let paths: Vec<&str> = packages.iter().map(|package| package.path.as_str()).collect();
        let named = few(&paths);
        Finding::new(format!("{runtime} {release} is not repaired any more since {end}: {named}"))
            .in_files(packages[0].introduced_in.0, &paths)
    };
    ended.into_iter().map(finding).collect()
}

/// The runtime, its release and that one's last day. What a distribution packages, the distribution repairs.
fn release_of(installed: &InstalledPackage) -> Option<(&'static str, &'static str, Date)> {
    let package = &installed.package;
    let is_go = package.kind == PackageKind::Golang && package.name == "stdlib";
    if !is_go && package.evidence != Evidence::Recognised {
        return None;
    }
    let (_, runtime, releases) =
        RUNTIMES.iter().find(|(names, ..)| names.contains(&package.name.as_str()))?;
    let is_of = |release: &str| {
        let rest = package.version.strip_prefix(release);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+', '_']))
    };
    let (release, end) = releases.iter().find(|(release, _)| is_of(release))?;
    Some((runtime, release, *end))
}

type Runtime = (&'static [&'static str], &'static str, &'static [(&'static str, Date)]);

/// Names of packages, what people call it, and releases with their last days.
const RUNTIMES: &[Runtime] = &[
    (
        &["node", "nodejs"],
        "Node.js",
        &[
            ("8", date(2019, 12, 31)),
            ("10", date(2021, 4, 30)),
            ("12", date(2022, 4, 30)),
            ("14", date(2023, 4, 30)),
            ("16", date(2023, 9, 11)),
            ("17", date(2022, 6, 1)),
            ("18", date(2025, 4, 30)),
            ("19", date(2023, 6, 1)),
            ("20", date(2026, 4, 30)),
            ("21", date(2024, 6, 1)),
            ("22", date(2027, 4, 30)),
            ("23", date(2025, 6, 1)),
            ("24", date(2028, 4, 30)),
        ],
    ),
    (
        &["python", "cpython"],
        "Python",
        &[
            ("2.7", date(2020, 1, 1)),
            ("3.5", date(2020, 9, 30)),
            ("3.6", date(2021, 12, 23)),
            ("3.7", date(2023, 6, 27)),
            ("3.8", date(2024, 10, 7)),
            ("3.9", date(2025, 10, 31)),
            ("3.10", date(2026, 10, 31)),
            ("3.11", date(2027, 10, 31)),
            ("3.12", date(2028, 10, 31)),
            ("3.13", date(2029, 10, 31)),
        ],
    ),
    (
        &["php"],
        "PHP",
        &[
            ("5.6", date(2018, 12, 31)),
            ("7.0", date(2019, 1, 10)),
            ("7.1", date(2019, 12, 1)),
            ("7.2", date(2020, 11, 30)),
            ("7.3", date(2021, 12, 6)),
            ("7.4", date(2022, 11, 28)),
            ("8.0", date(2023, 11, 26)),
            ("8.1", date(2025, 12, 31)),
            ("8.2", date(2026, 12, 31)),
            ("8.3", date(2027, 12, 31)),
            ("8.4", date(2028, 12, 31)),
        ],
    ),
    (
        &["ruby"],
        "Ruby",
        &[
            ("2.5", date(2021, 4, 5)),
            ("2.6", date(2022, 4, 12)),
            ("2.7", date(2023, 3, 31)),
            ("3.0", date(2024, 4, 23)),
            ("3.1", date(2025, 3, 26)),
            ("3.2", date(2026, 3, 31)),
            ("3.3", date(2027, 3, 31)),
            ("3.4", date(2028, 3, 31)),
        ],
    ),
    (
        &["stdlib", "go"],
        "Go",
        &[
            ("1.13", date(2020, 8, 11)),
            ("1.14", date(2021, 2, 16)),
            ("1.15", date(2021, 8, 16)),
            ("1.16", date(2022, 3, 15)),
            ("1.17", date(2022, 8, 2)),
            ("1.18", date(2023, 2, 1)),
            ("1.19", date(2023, 8, 8)),
            ("1.20", date(2024, 2, 6)),
            ("1.21", date(2024, 8, 13)),
            ("1.22", date(2025, 2, 11)),
            ("1.23", date(2025, 8, 12)),
            ("1.24", date(2026, 2, 11)),
        ],
    ),
    (
        &["dotnet", "aspnetcore"],
        ".NET",
        &[
            ("2.1", date(2021, 8, 21)),
            ("3.1", date(2022, 12, 13)),
            ("5", date(2022, 5, 10)),
            ("6", date(2024, 11, 12)),
            ("7", date(2024, 5, 14)),
            ("8", date(2026, 11, 10)),
            ("9", date(2026, 11, 10)),
            ("10", date(2028, 11, 14)),
        ],
    ),
    (
        &["openjdk", "java", "jdk", "jre"],
        "Java",
        &[
            ("9", date(2018, 3, 20)),
            ("10", date(2018, 9, 25)),
            ("12", date(2019, 9, 17)),
            ("13", date(2020, 3, 17)),
            ("14", date(2020, 9, 15)),
            ("15", date(2021, 3, 16)),
            ("16", date(2021, 9, 14)),
            ("18", date(2022, 9, 20)),
            ("19", date(2023, 3, 21)),
            ("20", date(2023, 9, 19)),
            ("22", date(2024, 9, 17)),
            ("23", date(2025, 3, 18)),
            ("24", date(2025, 9, 16)),
        ],
    ),
    (
        &["postgresql", "postgres"],
        "PostgreSQL",
        &[
            ("9.6", date(2021, 11, 11)),
            ("10", date(2022, 11, 10)),
            ("11", date(2023, 11, 9)),
            ("12", date(2024, 11, 21)),
            ("13", date(2025, 11, 13)),
            ("14", date(2026, 11, 12)),
            ("15", date(2027, 11, 11)),
            ("16", date(2028, 11, 9)),
            ("17", date(2029, 11, 8)),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use shared::model::layer::LayerIndex;
    use shared::model::package::{Package, Purl};
    use shared::model::settings::Settings;

    use super::*;

    fn installed(kind: PackageKind, name: &str, version: &str, evidence: Evidence) -> InstalledPackage {
        let package = Package {
            kind,
            namespace: None,
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: None,
            source: None,
            vendor: None,
            module: None,
            qualifiers: std::collections::BTreeMap::new(),
            licenses: Vec::new(),
            evidence,
        };
        let purl = Purl::new(&package, None);
        InstalledPackage {
            package,
            purl,
            path: "app/x".to_owned(),
            introduced_in: LayerIndex(1),
            owned_by: None,
            nested_root: None,
        }
    }

    fn titles(inventory: &Inventory, support_ends: Option<&str>) -> Vec<String> {
        let now = "2026-11-28T00:00:00Z".parse().unwrap();
        let ends = support_ends.map(|text| text.parse().unwrap());
        judge(inventory, ends, now).into_iter().map(|one| format!("{} {}", one.rule, one.title)).collect()
    }

    #[test]
    fn an_image_ages() {
        for (created, expected) in [
            ("2025-11-01T00:00:00Z", &["TW-IMG-AGE It was built 392 days ago"][..]),
            ("2026-11-01T00:00:00Z", &[]),
            ("1970-01-01T00:00:01Z", &[]),
            ("1980-01-01T00:00:00Z", &[]),
            ("2027-01-01T00:00:00Z", &[]),
        ] {
            let settings = Settings { created: Some(created.parse().unwrap()), ..Settings::default() };
            let inventory = Inventory { settings: Some(settings), ..Inventory::default() };
            assert_eq!(titles(&inventory, None), expected, "{created}");
        }
    }

    #[test]
    fn runtimes_end_unless_a_distribution_repairs_them() {
        for (kind, name, version, evidence, expected) in [
            (PackageKind::Golang, "stdlib", "1.19.4", Evidence::Embedded, Some("Go 1.19")),
            (PackageKind::Golang, "stdlib", "1.26.1", Evidence::Embedded, None),
            (PackageKind::Golang, "stdlib", "1.1", Evidence::Embedded, None),
            (PackageKind::Deb, "node", "12.1.0", Evidence::Recognised, Some("Node.js 12")),
            (PackageKind::Deb, "node", "12.1.0", Evidence::Installed, None),
        ] {
            let packages = vec![installed(kind, name, version, evidence)];
            let found = titles(&Inventory { packages, ..Inventory::default() }, None);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:?}");
        }
    }
}
