//! Every release whose end of support is known, with the last day of freely published advisories.

use super::*;

/// Releases as os-release numbers them, with their last days.
type Releases = &'static [(&'static str, &'static str)];

/// Distribution, name where it decides, releases.
const RELEASES: &[(&str, &str, Releases)] = &[
    (
        "debian",
        "",
        &[
            ("8", "2020-06-30"),
            ("9", "2022-06-30"),
            ("10", "2024-06-30"),
            ("11", "2026-08-31"),
            ("12", "2028-06-30"),
            ("13", "2030-06-30"),
        ],
    ),
    (
        "ubuntu",
        "",
        &[
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
        ],
    ),
    (
        "alpine",
        "",
        &[
            ("3.13.0", "2022-11-01"),
            ("3.14.2", "2023-05-01"),
            ("3.15.11", "2023-11-01"),
            ("3.16.9", "2024-05-23"),
            ("3.17.0", "2024-11-22"),
            ("3.18.4", "2025-05-09"),
            ("3.19.1", "2025-11-01"),
            ("3.20.3", "2026-04-01"),
            ("3.21.0", "2026-11-01"),
            ("3.22.1", "2027-05-01"),
            ("3.23.0", "2027-11-01"),
            ("3.24.0", "2028-06-01"),
        ],
    ),
    (
        "rhel",
        "",
        &[
            ("6.10", "2020-11-30"),
            ("7.9", "2024-06-30"),
            ("8.10", "2029-05-31"),
            ("9.4", "2032-05-31"),
            ("10.0", "2035-05-31"),
        ],
    ),
    ("centos", "CentOS Linux", &[("6", "2020-11-30"), ("7", "2024-06-30"), ("8", "2021-12-31")]),
    ("centos", "CentOS Stream", &[("8", "2024-05-31"), ("9", "2027-05-31"), ("10", "2030-05-31")]),
    ("almalinux", "", &[("8.10", "2029-05-31"), ("9.4", "2032-05-31"), ("10.0", "2035-05-31")]),
    ("rocky", "", &[("8.10", "2029-05-31"), ("9.4", "2032-05-31"), ("10.0", "2035-05-31")]),
    (
        "ol",
        "",
        &[("6.10", "2021-03-31"), ("7.9", "2024-12-31"), ("8.9", "2029-07-31"), ("9.4", "2032-06-30")],
    ),
    ("amzn", "", &[("2018.03", "2023-12-31"), ("2", "2026-06-30"), ("2023", "2029-06-30")]),
    (
        "sles",
        "",
        &[
            ("12.5", "2024-10-31"),
            ("15.3", "2022-12-31"),
            ("15.4", "2023-12-31"),
            ("15.5", "2024-12-31"),
            ("15.6", "2025-12-31"),
            ("15.7", "2031-07-31"),
            ("16.0", "2027-11-30"),
        ],
    ),
    ("opensuse-leap", "", &[("15.5", "2024-12-31"), ("15.6", "2026-04-30"), ("16.0", "2027-10-31")]),
    (
        "fedora",
        "",
        &[
            ("40", "2025-05-13"),
            ("41", "2025-12-15"),
            ("42", "2026-05-27"),
            ("43", "2026-12-09"),
            ("44", "2027-06-02"),
        ],
    ),
    ("photon", "", &[("3.0", "2024-03-31"), ("4.0", "2026-03-31")]),
];

#[test]
fn i4_every_release_is_supported_to_the_end_of_its_last_day() {
    for (id, name, releases) in RELEASES {
        for (version, last_day) in *releases {
            let expected: Timestamp = format!("{last_day}T23:59:59Z").parse().expect("is a time stamp");
            let distribution = distribution(id, version, "", &[], name);
            assert_eq!(support_ends(&distribution, &[]), Some(expected), "{id} {version} {name}");
        }
    }
}

#[test]
fn releases_that_nobody_dated_have_no_end() {
    for (id, version) in [
        // A date in Wolfi's VERSION_ID is the version of a package, not of a release.
        ("wolfi", "20230201"),
        ("chainguard", "20230214"),
        ("opensuse-tumbleweed", "20240601"),
        ("debian", "99"),
        ("photon", "5.0"),
        ("arch", ""),
    ] {
        assert_eq!(support_ends(&distribution(id, version, "", &[], id), &[]), None, "{id} {version}");
    }
}

#[test]
fn who_pays_for_a_later_end_has_it() {
    for (id, version, stated, last_day) in [
        ("ubuntu", "20.04", "ubuntu-pro:esm-infra", "2030-04-27"),
        ("ubuntu", "20.04", "ubuntu-pro:esm-apps", "2030-04-27"),
        ("ubuntu", "20.04", "ubuntu-pro:esm-infra-legacy", "2032-04-27"),
        ("ubuntu", "20.04", "ubuntu-pro:livepatch", "2025-05-31"),
        ("ubuntu", "25.10", "ubuntu-pro:esm-infra", "2026-07-09"),
        ("sles", "15.4", "suse-product:SLES-LTSS", "2026-12-31"),
        ("sles", "15.4", "suse-product:SLES", "2023-12-31"),
        ("rhel", "7.9", "rhel-7-server-els-rpms", "2029-05-31"),
        ("rhel", "7.9", "rhel-7-server-rpms", "2024-06-30"),
        ("debian", "12", "ubuntu-pro:esm-infra", "2028-06-30"),
    ] {
        let expected: Timestamp = format!("{last_day}T23:59:59Z").parse().expect("is a time stamp");
        let ends = support_ends(&distribution(id, version, "", &[], id), &[stated.to_owned()]);
        assert_eq!(ends, Some(expected), "{id} {version} {stated}");
    }
}
