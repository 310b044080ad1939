//! Tables: which `os-release` leads to which ecosystems, and until when.

use super::*;

mod dates;

/// A distribution as `os-release` states it: id, version, code name, what it is like, pretty name.
fn distribution(id: &str, version: &str, codename: &str, like: &[&str], name: &str) -> Distribution {
    Distribution {
        id: id.to_owned(),
        version: version.to_owned(),
        codename: (!codename.is_empty()).then(|| codename.to_owned()),
        like: like.iter().map(|&like| like.to_owned()).collect(),
        name: name.to_owned(),
    }
}

fn check(distribution: &Distribution, names: &[&str], fit: Fit) {
    let ecosystems =
        of_distribution(distribution).unwrap_or_else(|| panic!("{distribution:?} has ecosystems"));
    assert_eq!(ecosystems.names, names, "{distribution:?}");
    assert_eq!(ecosystems.fit, fit, "{distribution:?}");
    for name in names {
        assert!(ecosystems.covers(name), "{name}");
    }
}

#[test]
fn every_distribution_with_advisories_has_its_ecosystem() {
    for (id, version, name, ecosystem) in [
        ("debian", "12", "Debian GNU/Linux 12 (bookworm)", "Debian:12"),
        ("debian", "12.5", "Debian", "Debian:12"),
        ("debian", "6.0.10", "Debian GNU/Linux 6.0", "Debian:6.0"),
        ("ubuntu", "22.04", "Ubuntu 22.04.4 LTS", "Ubuntu:22.04:LTS"),
        ("ubuntu", "24.10", "Ubuntu 24.10", "Ubuntu:24.10"),
        ("ubuntu", "23.04", "Ubuntu 23.04", "Ubuntu:23.04"),
        ("alpine", "3.20.3", "Alpine Linux v3.20", "Alpine:v3.20"),
        ("wolfi", "20230201", "Wolfi", "Wolfi"),
        ("minimos", "20241031", "MinimOS", "MinimOS"),
        ("alpaquita", "23", "BellSoft Alpaquita Linux 23", "Alpaquita:23"),
        ("alpaquita", "stream", "BellSoft Alpaquita Linux Stream", "Alpaquita:stream"),
        ("bellsoft-hardened-containers", "23", "BellSoft", "BellSoft Hardened Containers:23"),
        ("clnstrt", "1.0", "CleanStart", "CleanStart"),
        ("echo", "1", "Echo", "Echo"),
        ("almalinux", "9.4", "AlmaLinux 9.4 (Seafoam Ocelot)", "AlmaLinux:9"),
        ("rocky", "8.10", "Rocky Linux 8.10 (Green Obsidian)", "Rocky Linux:8"),
        ("sle-micro", "5.5", "SUSE Linux Enterprise Micro 5.5", "SUSE:Linux Enterprise Micro 5.5"),
        ("sl-micro", "6.0", "SUSE Linux Micro 6.0", "SUSE:Linux Micro 6.0"),
        ("opensuse-leap", "15.6", "openSUSE Leap 15.6", "openSUSE:Leap 15.6"),
        ("opensuse-tumbleweed", "20240601", "openSUSE Tumbleweed", "openSUSE:Tumbleweed"),
        ("azurelinux", "3.0", "Microsoft Azure Linux 3.0", "Azure Linux:3"),
        ("mariner", "2.0", "CBL-Mariner/Linux", "Azure Linux:2"),
        ("mageia", "9", "Mageia 9", "Mageia:9"),
        ("openeuler", "24.03", "openEuler 24.03 (LTS-SP1)", "openEuler:24.03-LTS-SP1"),
        ("openeuler", "23.09", "openEuler 23.09", "openEuler:23.09"),
    ] {
        check(&distribution(id, version, "", &[], name), &[ecosystem], Fit::Exact);
    }
    check(
        &distribution("chainguard", "20230214", "", &["wolfi"], "Chainguard"),
        &["Chainguard", "Wolfi"],
        Fit::Exact,
    );
}

#[test]
fn debian_without_a_number_is_known_by_its_code_name() {
    let testing = "Debian GNU/Linux trixie/sid";
    check(&distribution("debian", "", "trixie", &[], testing), &["Debian:13"], Fit::Exact);
    check(&distribution("debian", "trixie/sid", "", &[], "Debian"), &["Debian:13"], Fit::Exact);
    check(&distribution("debian", "", "", &[], testing), &["Debian:13"], Fit::Exact);
    check(&distribution("debian", "", "forky", &[], "Debian"), &["Debian:14"], Fit::Exact);
    check(&distribution("debian", "", "sid", &[], "Debian"), &["Debian:14"], Fit::Approximate);
    assert_eq!(of_distribution(&distribution("debian", "", "", &[], "Debian")), None);
}

#[test]
fn alpine_edge_is_judged_by_the_newest_branch() {
    for version in ["3.20_alpha20240329", "3.23.0_alpha20250612", "edge"] {
        let edge = distribution("alpine", version, "", &[], "Alpine Linux edge");
        check(&edge, &["Alpine:v3.24"], Fit::Approximate);
    }
}

#[test]
fn alpine_never_claims_more_than_its_main_repository() {
    let alpine =
        of_distribution(&distribution("alpine", "3.20.3", "", &[], "Alpine")).expect("has advisories");
    assert_eq!(alpine.coverage, CoverageState::Partial);
    assert_eq!(alpine.named_by, NamedBy::Source);
}

#[test]
fn i11_distributions_without_advisories_have_no_ecosystem_whatever_they_are_like() {
    for (id, version, like) in [
        ("amzn", "2023", &["fedora"][..]),
        ("amzn", "2", &["centos", "rhel", "fedora"]),
        ("ol", "9.4", &["fedora", "rhel"]),
        ("fedora", "42", &[]),
        ("arch", "", &["archlinux"]),
        ("photon", "5.0", &[]),
        ("nixos", "24.05", &[]),
        ("bottlerocket", "1.20", &[]),
        ("manjaro", "", &["arch"]),
        ("something", "1", &[]),
    ] {
        assert_eq!(of_distribution(&distribution(id, version, "", like, id)), None, "{id}");
    }
}

#[test]
fn derivatives_are_matched_approximately_with_their_parent() {
    for (id, version, codename, like, ecosystem) in [
        ("raspbian", "12", "bookworm", &["debian"][..], "Debian:12"),
        ("raspbian", "11", "", &["debian"], "Debian:11"),
        ("devuan", "5", "daedalus", &["debian"], "Debian:12"),
        ("kali", "2024.2", "kali-rolling", &["debian"], "Debian:14"),
        ("pop", "22.04", "jammy", &["ubuntu", "debian"], "Ubuntu:22.04:LTS"),
        ("linuxmint", "21.3", "virginia", &["ubuntu", "debian"], "Ubuntu:22.04:LTS"),
    ] {
        check(&distribution(id, version, codename, like, id), &[ecosystem], Fit::Approximate);
    }
    // Its own numbering says nothing about Debian's.
    assert_eq!(of_distribution(&distribution("unknown", "12", "", &["debian"], "Unknown 12")), None);
}

#[test]
fn red_hat_assumes_the_ordinary_repositories_and_no_extended_ones() {
    let rhel =
        of_distribution(&distribution("rhel", "9.4", "Plow", &["fedora"], "Red Hat Enterprise Linux 9.4"));
    let rhel = rhel.expect("has advisories");
    assert_eq!(rhel.fit, Fit::RepositoryAssumed);
    for (ecosystem, covered) in [
        ("Red Hat:enterprise_linux:9", true),
        ("Red Hat:enterprise_linux:9::baseos", true),
        ("Red Hat:enterprise_linux:9::appstream", true),
        ("Red Hat:enterprise_linux:9.4", true),
        ("Red Hat:enterprise_linux:8::baseos", false),
        ("Red Hat:enterprise_linux:90::baseos", false),
        ("Red Hat:rhel_eus:9.4::baseos", false),
        ("Red Hat:rhel_aus:8.6::appstream", false),
        ("Red Hat:openshift:4.13::el9", false),
    ] {
        assert_eq!(rhel.covers(ecosystem), covered, "{ecosystem}");
    }
    let seven = of_distribution(&distribution("rhel", "7.9", "", &[], "RHEL")).expect("has advisories");
    assert!(seven.names.contains(&"Red Hat:enterprise_linux:7::server".to_owned()));
}

#[test]
fn repositories_say_more_than_the_release() {
    let rhel = distribution("rhel", "9.4", "Plow", &["fedora"], "Red Hat Enterprise Linux 9.4");
    let of = |repositories: &[&str]| {
        let repositories: Vec<String> = repositories.iter().map(|name| (*name).to_owned()).collect();
        of_root(&rhel, &repositories).expect("has advisories")
    };
    let stated = of(&["rhel-9-for-x86_64-baseos-rpms", "rhocp-4.13-for-rhel-9-x86_64-rpms"]);
    assert_eq!(stated.fit, Fit::Exact);
    for (ecosystem, covered) in [
        ("Red Hat:enterprise_linux:9", true),
        ("Red Hat:enterprise_linux:9::baseos", true),
        ("Red Hat:enterprise_linux:9.4::baseos", true),
        ("Red Hat:enterprise_linux:9::appstream", false),
        ("Red Hat:openshift:4.13::el9", true),
        ("Red Hat:openshift:4.14::el9", false),
    ] {
        assert_eq!(stated.covers(ecosystem), covered, "{ecosystem}");
    }
    let half = of(&["rhel-9-for-x86_64-baseos-eus-rpms__9_DOT_4", "strange-rpms"]);
    assert_eq!(half.fit, Fit::RepositoryAssumed);
    assert!(
        half.covers("Red Hat:rhel_eus:9.4::baseos") && half.covers("Red Hat:enterprise_linux:9::appstream")
    );
    assert_eq!(of(&["strange-rpms"]), of(&[]));
    let alpine = distribution("alpine", "3.20.3", "", &[], "Alpine");
    for (url, name, fit) in [
        ("https://dl-cdn.alpinelinux.org/alpine/v3.20/main", "Alpine:v3.20", Fit::Exact),
        ("https://dl-cdn.alpinelinux.org/alpine/v3.21/main", "Alpine:v3.21", Fit::Approximate),
        ("https://dl-cdn.alpinelinux.org/alpine/edge/main", "Alpine:v3.24", Fit::Approximate),
    ] {
        let found = of_root(&alpine, &[url.to_owned()]).expect("has advisories");
        assert_eq!((found.names[0].as_str(), found.fit), (name, fit), "{url}");
    }
}

#[test]
fn centos_is_only_approximately_red_hat() {
    for name in ["CentOS Linux 7 (Core)", "CentOS Stream 9"] {
        let centos = of_distribution(&distribution("centos", "7", "", &["rhel", "fedora"], name));
        let centos = centos.expect("is matched with its neighbour");
        assert_eq!(centos.fit, Fit::Approximate);
        assert!(centos.covers("Red Hat:enterprise_linux:7::server"));
    }
}

#[test]
fn suse_packages_may_come_from_any_module_of_their_service_pack() {
    let sles =
        of_distribution(&distribution("sles", "15.5", "", &["suse"], "SUSE Linux Enterprise Server 15 SP5"));
    let sles = sles.expect("has advisories");
    assert_eq!(sles.names[0], "SUSE:Linux Enterprise Server 15 SP5");
    for (ecosystem, covered) in [
        ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", true),
        ("SUSE:Linux Enterprise Module for Web and Scripting 15 SP5", true),
        ("SUSE:Linux Enterprise Server 15 SP4", false),
        ("SUSE:Linux Enterprise Server 15 SP5-LTSS", false),
        ("SUSE:Linux Enterprise Server 115 SP5", false),
        ("SUSE:15.5", false),
        ("openSUSE:Leap 15.5", false),
    ] {
        assert_eq!(sles.covers(ecosystem), covered, "{ecosystem}");
    }
    let sixteen =
        of_distribution(&distribution("sles", "16.0", "", &[], "SLES 16.0")).expect("has advisories");
    assert_eq!(sixteen.names[0], "SUSE:Linux Enterprise Server 16.0");
}

#[test]
fn a_record_without_release_means_every_release_but_no_other_release_does() {
    let bookworm = of_distribution(&distribution("debian", "12", "", &[], "Debian")).expect("has advisories");
    assert!(bookworm.covers("Debian"));
    assert!(!bookworm.covers("Debian:11") && !bookworm.covers("Debian:1") && !bookworm.covers("Ubuntu"));
}

#[test]
fn ubuntu_pro_is_named_apart() {
    let jammy =
        of_distribution(&distribution("ubuntu", "22.04", "jammy", &[], "Ubuntu")).expect("has advisories");
    assert_eq!(jammy.subscription, ["Ubuntu:Pro:22.04:LTS"]);
    assert!(!jammy.covers("Ubuntu:Pro:22.04:LTS"));
    assert_eq!(jammy.fips[0], "Ubuntu:Pro:FIPS-updates:22.04:LTS");
    let odd = of_distribution(&distribution("ubuntu", "25.10", "", &[], "Ubuntu")).expect("has advisories");
    assert_eq!((odd.subscription, odd.fips), (Vec::<String>::new(), Vec::new()));
}

#[test]
fn a_root_says_what_it_is_subscribed_to() {
    let of = |id: &str, version: &str, stated: &str| {
        of_root(&distribution(id, version, "", &[], id), &[stated.to_owned()]).expect("has advisories")
    };
    for (id, version, stated, standing, covered) in [
        ("ubuntu", "18.04", "ubuntu-pro:esm-apps", Standing::Subscriber, "Ubuntu:18.04:LTS"),
        ("ubuntu", "18.04", "ubuntu-pro:fips", Standing::Everybody, "Ubuntu:18.04:LTS"),
        (
            "sles",
            "15.4",
            "suse-product:SLES-LTSS",
            Standing::Subscriber,
            "SUSE:Linux Enterprise Server 15 SP4-LTSS",
        ),
        ("rhel", "7.9", "rhel-7-server-els-rpms", Standing::Subscriber, "Red Hat:rhel_els:7"),
        ("rhel", "7.9", "rhel-7-server-els-rpms", Standing::Subscriber, "Red Hat:enterprise_linux:7::server"),
    ] {
        let ecosystems = of(id, version, stated);
        assert_eq!(ecosystems.standing, standing, "{stated}");
        assert!(ecosystems.covers(covered), "{stated} {covered}");
    }
    assert!(!of("sles", "15.4", "suse-product:SLES").covers("SUSE:Linux Enterprise Server 15 SP4-LTSS"));
}

#[test]
fn every_ecosystem_of_a_language_has_an_order_and_no_os_package_has_one() {
    use crate::advisories::versions::Scheme;
    use shared::model::package::Level;
    for kind in PackageKind::ALL {
        let ecosystem = of_kind(*kind);
        assert!(ecosystem.is_none() || kind.level() == Level::Language, "{kind}");
        assert_eq!(ecosystem.is_none(), ecosystem.and_then(Scheme::of_ecosystem).is_none(), "{kind}");
    }
    // Nobody publishes OSV records about these (OSV schema, "Defined Ecosystems").
    let without: Vec<&str> = PackageKind::ALL
        .iter()
        .filter(|kind| kind.level() == Level::Language && of_kind(**kind).is_none())
        .map(|kind| kind.purl_type())
        .collect();
    let expected = [
        "pear",
        "wordpress-plugin",
        "wordpress-theme",
        "otp",
        "cocoapods",
        "vcpkg",
        "conda",
        "luarocks",
        "cpan",
        "nimble",
        "brew",
        "terraform",
        "jsr",
        "generic",
    ];
    assert_eq!(without, expected);
}

#[test]
fn purls_name_distributions_as_the_purl_specification_does() {
    for (id, namespace) in [
        ("debian", "debian"),
        ("rhel", "redhat"),
        ("sles", "suse"),
        ("opensuse-leap", "opensuse"),
        ("ol", "oracle"),
        ("amzn", "amzn"),
    ] {
        assert_eq!(purl_namespace(&distribution(id, "1", "", &[], id)), namespace);
    }
}

proptest::proptest! {
    #[test]
    fn no_os_release_panics(
        id in "debian|ubuntu|alpine|sles|rhel|openeuler|\\PC*",
        version in "[0-9._a-z/]{0,12}|\\PC*",
        codename in "\\PC{0,9}",
        like in "debian|ubuntu|rhel|alpine|\\PC*",
    ) {
        let distribution = distribution(&id, &version, &codename, &[&like], &codename);
        let _ = (of_distribution(&distribution), support_ends(&distribution, &[]), purl_namespace(&distribution));
    }
}
