//! When advisories for a release stop, as the distributions have announced it.
//!
//! The day counts on which the freely published advisories end: Debian's includes its LTS phase, whose advisories are
//! published like all others; the paid phases of Ubuntu, Red Hat and SUSE count for roots that say that they have paid.
//! Sources: the life cycle pages of the distributions, and endoflife.date.

use jiff::Timestamp;
use jiff::civil::Date;

use super::release::{Family, Release};
use super::subscription::Phase;

/// The end (UTC) of the last day with advisories; `None` where there is no such day or nobody knows it.
pub(super) fn ends(release: &Release, phase: Phase) -> Option<Timestamp> {
    let day = |table: Table| table.iter().find(|(known, _)| *known == release.version).map(|(_, day)| *day);
    let last_day = day(paid(release.family, phase)).or_else(|| day(table(release.family)))?;
    let last_day: Date = last_day.parse().ok()?;
    jiff::tz::Offset::UTC.to_timestamp(last_day.at(23, 59, 59, 0)).ok()
}

type Table = &'static [(&'static str, &'static str)];

fn table(family: Family) -> Table {
    match family {
        Family::Debian => DEBIAN,
        Family::Ubuntu => UBUNTU,
        Family::Alpine => ALPINE,
        Family::RedHat => RED_HAT,
        Family::CentOs => CENTOS,
        Family::CentOsStream => CENTOS_STREAM,
        Family::AlmaLinux | Family::Rocky => REBUILDS,
        Family::SuseServer => SUSE_SERVER,
        Family::Leap => LEAP,
        Family::Amazon => AMAZON,
        Family::Oracle => ORACLE,
        Family::Fedora => FEDORA,
        Family::Photon => PHOTON,
        Family::Wolfi
        | Family::Chainguard
        | Family::MinimOs
        | Family::Alpaquita
        | Family::BellSoftHardened
        | Family::CleanStart
        | Family::Echo
        | Family::SuseMicro
        | Family::SuseLinuxMicro
        | Family::Tumbleweed
        | Family::AzureLinux
        | Family::Mageia
        | Family::OpenEuler => &[],
    }
}

/// What is paid for ends later.
fn paid(family: Family, phase: Phase) -> Table {
    match (family, phase) {
        (Family::Ubuntu, Phase::Extended) => UBUNTU_EXTENDED,
        (Family::Ubuntu, Phase::Legacy) => UBUNTU_LEGACY,
        (Family::RedHat, Phase::Extended) => RED_HAT_EXTENDED,
        (Family::SuseServer, Phase::Extended) => SUSE_EXTENDED,
        _ => &[],
    }
}

const DEBIAN: Table = &[
    ("8", "2020-06-30"),
    ("9", "2022-06-30"),
    ("10", "2024-06-30"),
    ("11", "2026-08-31"),
    ("12", "2028-06-30"),
    ("13", "2030-06-30"),
];

const UBUNTU: Table = &[
    ("14.04", "2019-04-25"),
    ("16.04", "2021-04-30"),
    ("18.04", "2023-05-31"),
    ("20.04", "2025-05-31"),
    ("22.04", "2027-06-01"),
    ("24.04", "2029-05-31"),
    ("24.10", "2025-07-10"),
    ("25.04", "2026-01-15"),
    ("25.10", "2026-07-09"),
    ("26.04", "2031-05-29"),
];

/// Expanded security maintenance of Ubuntu Pro.
const UBUNTU_EXTENDED: Table = &[
    ("14.04", "2024-04-28"),
    ("16.04", "2026-04-25"),
    ("18.04", "2028-04-30"),
    ("20.04", "2030-04-27"),
    ("22.04", "2032-04-25"),
    ("24.04", "2034-04-29"),
];

/// With the legacy add-on.
const UBUNTU_LEGACY: Table = &[
    ("14.04", "2026-04-28"),
    ("16.04", "2028-04-25"),
    ("18.04", "2030-04-30"),
    ("20.04", "2032-04-27"),
    ("22.04", "2034-04-25"),
    ("24.04", "2036-04-29"),
];

const ALPINE: Table = &[
    ("3.13", "2022-11-01"),
    ("3.14", "2023-05-01"),
    ("3.15", "2023-11-01"),
    ("3.16", "2024-05-23"),
    ("3.17", "2024-11-22"),
    ("3.18", "2025-05-09"),
    ("3.19", "2025-11-01"),
    ("3.20", "2026-04-01"),
    ("3.21", "2026-11-01"),
    ("3.22", "2027-05-01"),
    ("3.23", "2027-11-01"),
    ("3.24", "2028-06-01"),
];

const RED_HAT: Table = &[
    ("6", "2020-11-30"),
    ("7", "2024-06-30"),
    ("8", "2029-05-31"),
    ("9", "2032-05-31"),
    ("10", "2035-05-31"),
];

/// Extended life cycle support.
const RED_HAT_EXTENDED: Table = &[("6", "2024-06-30"), ("7", "2029-05-31")];

const CENTOS: Table = &[("6", "2020-11-30"), ("7", "2024-06-30"), ("8", "2021-12-31")];

const CENTOS_STREAM: Table = &[("8", "2024-05-31"), ("9", "2027-05-31"), ("10", "2030-05-31")];

const REBUILDS: Table = &[("8", "2029-05-31"), ("9", "2032-05-31"), ("10", "2035-05-31")];

const SUSE_SERVER: Table = &[
    ("12 SP5", "2024-10-31"),
    ("15 SP3", "2022-12-31"),
    ("15 SP4", "2023-12-31"),
    ("15 SP5", "2024-12-31"),
    ("15 SP6", "2025-12-31"),
    ("15 SP7", "2031-07-31"),
    ("16.0", "2027-11-30"),
];

/// Long term service pack support.
const SUSE_EXTENDED: Table = &[
    ("12 SP5", "2027-10-31"),
    ("15 SP3", "2025-12-31"),
    ("15 SP4", "2026-12-31"),
    ("15 SP5", "2027-12-31"),
    ("15 SP6", "2028-12-31"),
];

const LEAP: Table = &[("15.5", "2024-12-31"), ("15.6", "2026-04-30"), ("16.0", "2027-10-31")];

const AMAZON: Table = &[("1", "2023-12-31"), ("2", "2026-06-30"), ("2023", "2029-06-30")];

const ORACLE: Table = &[("6", "2021-03-31"), ("7", "2024-12-31"), ("8", "2029-07-31"), ("9", "2032-06-30")];

const FEDORA: Table = &[
    ("40", "2025-05-13"),
    ("41", "2025-12-15"),
    ("42", "2026-05-27"),
    ("43", "2026-12-09"),
    ("44", "2027-06-02"),
];

const PHOTON: Table = &[("3", "2024-03-31"), ("4", "2026-03-31")];
