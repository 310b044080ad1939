//! Who built an OS package: the distribution, whose advisories then speak about it, or somebody else.
//!
//! Third parties put their packages into the same database, and give them names and versions of their own
//! numbering: a fix of the distribution says nothing about them. rpm states a vendor; dpkg only a maintainer,
//! who may be anybody for the distribution's own packages too, so there marks in versions and well-known
//! publishers decide, and who is not known to be another counts as the distribution.

use shared::model::package::{Package, PackageKind};

use super::release::Family;

/// Whether somebody else than the distribution is known to have built the package.
pub(super) fn is_foreign(family: Family, id: &str, package: &Package) -> bool {
    match package.kind {
        PackageKind::Rpm => is_foreign_rpm(family, id, package.vendor.as_deref()),
        PackageKind::Deb => is_foreign_deb(id, package),
        PackageKind::Apk => package.vendor.as_deref().is_some_and(|maintainer| {
            let maintainer = maintainer.to_ascii_lowercase();
            APK_PUBLISHERS.iter().any(|publisher| maintainer.contains(publisher))
        }),
        _ => false,
    }
}

/// An rpm without a vendor was built by whoever made the image's distribution, as far as anybody can tell.
/// Derivatives (`id` is another than the family's) state vendors that nobody could list.
fn is_foreign_rpm(family: Family, id: &str, vendor: Option<&str>) -> bool {
    let Some(vendor) = vendor else { return false };
    // EPEL comes from the Fedora Project; no Enterprise Linux advisory covers it.
    if vendor == "Fedora Project" {
        return family != Family::Fedora;
    }
    let (ids, own): (&[&str], &[&str]) = match family {
        Family::RedHat => (&["rhel", "ubi"], &["red hat"]),
        Family::CentOs | Family::CentOsStream => (&["centos"], &["centos", "red hat"]),
        Family::AlmaLinux => (&["almalinux"], &["almalinux", "cloudlinux"]),
        Family::Rocky => (&["rocky"], &["rocky"]),
        Family::AzureLinux => (&["azurelinux", "mariner"], &["microsoft"]),
        Family::SuseServer
        | Family::SuseMicro
        | Family::SuseLinuxMicro
        | Family::Leap
        | Family::Tumbleweed => (&[], &["suse"]),
        Family::Debian
        | Family::Ubuntu
        | Family::Alpine
        | Family::Wolfi
        | Family::Chainguard
        | Family::MinimOs
        | Family::Alpaquita
        | Family::BellSoftHardened
        | Family::CleanStart
        | Family::Echo
        | Family::Mageia
        | Family::OpenEuler
        | Family::Amazon
        | Family::Oracle
        | Family::Fedora
        | Family::Photon => return false,
    };
    let vendor = vendor.to_ascii_lowercase();
    (ids.is_empty() || ids.contains(&id)) && !own.iter().any(|own| vendor.contains(own))
}

/// What publishers outside of Debian and Ubuntu write into versions.
const DEB_MARKS: [&str; 6] = ["deb.sury.org", ".pgdg", "nodesource", "~debian.", "~ubuntu.", "+maria~"];

/// Code names at the end of a version, as publishers add them who build one version for several releases.
const DEB_RELEASES: [&str; 11] = [
    "~stretch",
    "~buster",
    "~bullseye",
    "~bookworm",
    "~trixie",
    "~forky",
    "~bionic",
    "~focal",
    "~jammy",
    "~noble",
    "~resolute",
];

/// Publishers of repositories for Debian and Ubuntu, as they sign as maintainers; in lower case. The last two are
/// those of the archives that distroless images unpack and write stanzas for.
const DEB_PUBLISHERS: [&str; 14] = [
    "@docker.com",
    "nodesource",
    "@nvidia.com",
    "@hashicorp.com",
    "@mongodb.com",
    "@elastic.co",
    "@grafana.com",
    "@gitlab.com",
    "@mariadb.org",
    "@influxdata.com",
    "@nginx.com",
    "@f5.com",
    "openjsf.org",
    "adoptium.net",
];

/// Publishers of repositories for Alpine, as they sign as maintainers; in lower case. An employer's address alone shows
/// nothing here: Alpine's own maintainers have some. The official image of nginx has nginx.org's package, whose versions
/// run ahead of Alpine's.
const APK_PUBLISHERS: [&str; 1] = ["nginx-packaging@"];

/// What derivatives write into the versions of packages that they changed.
fn mark_of_derivative(id: &str) -> &'static [&'static str] {
    match id {
        "raspbian" => &["+rpi", "+rpt"],
        "kali" => &["kali"],
        "linuxmint" => &["mint"],
        "devuan" => &["devuan"],
        "pop" => &["pop"],
        _ => &[],
    }
}

/// Builds for FIPS mode fork the version (`1.1.1f-1ubuntu2.fips.13`, `3.0.2-0ubuntu1.12+Fips1`): they sort above the
/// fixes that the ordinary advisories state, whatever is in them.
pub(super) fn is_fips(package: &Package) -> bool {
    let version = package.version.to_ascii_lowercase();
    version.contains(".fips") || version.contains("+fips")
}

fn is_foreign_deb(id: &str, package: &Package) -> bool {
    let version = package.version.as_str();
    let is_marked = DEB_MARKS.iter().chain(mark_of_derivative(id)).any(|mark| version.contains(mark));
    let is_published = package.vendor.as_deref().is_some_and(|maintainer| {
        let maintainer = maintainer.to_ascii_lowercase();
        DEB_PUBLISHERS.iter().any(|publisher| maintainer.contains(publisher))
    });
    let is_fips = id == "ubuntu" && is_fips(package);
    is_marked || is_published || is_fips || DEB_RELEASES.iter().any(|release| version.ends_with(release))
}

#[cfg(test)]
mod tests {
    use shared::model::package::Evidence;

    use super::*;

    fn check(
        family: Family,
        id: &str,
        kind: PackageKind,
        version: &str,
        vendor: Option<&str>,
        foreign: bool,
    ) {
        let mut package = Package::new(kind, "a", version, Evidence::Installed);
        package.vendor = vendor.map(str::to_owned);
        assert_eq!(is_foreign(family, id, &package), foreign, "{id} {version} {vendor:?}");
    }

    #[test]
    fn an_rpm_is_of_whoever_its_vendor_says() {
        for (family, id, vendor, foreign) in [
            (Family::RedHat, "rhel", Some("Red Hat, Inc."), false),
            (Family::RedHat, "rhel", Some("Fedora Project"), true),
            (Family::RedHat, "rhel", Some("Microsoft Corporation"), true),
            (Family::RedHat, "rhel", None, false),
            (Family::RedHat, "eurolinux", Some("EuroLinux"), false),
            (Family::RedHat, "eurolinux", Some("Fedora Project"), true),
            (Family::CentOs, "centos", Some("CentOS"), false),
            (Family::AlmaLinux, "almalinux", Some("AlmaLinux"), false),
            (Family::AlmaLinux, "almalinux", Some("Docker"), true),
            (Family::Rocky, "rocky", Some("Rocky Enterprise Software Foundation"), false),
            (Family::Rocky, "rocky", Some("NodeSource"), true),
            (Family::AzureLinux, "azurelinux", Some("Microsoft Corporation"), false),
            (Family::SuseServer, "sles", Some("SUSE LLC <https://www.suse.com/>"), false),
            (Family::Leap, "opensuse-leap", Some("openSUSE"), false),
            (Family::Leap, "opensuse-leap", Some("NVIDIA"), true),
            (Family::Mageia, "mageia", Some("Mageia.Org"), false),
            (Family::Fedora, "fedora", Some("Fedora Project"), false),
        ] {
            check(family, id, PackageKind::Rpm, "1-1", vendor, foreign);
        }
    }

    #[test]
    fn a_deb_is_the_distribution_s_unless_something_shows_that_it_is_not() {
        for (id, version, maintainer, foreign) in [
            (
                "debian",
                "3.0.11-1~deb12u2",
                "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>",
                false,
            ),
            ("debian", "1.22.1-9+b1", "Somebody <somebody@example.org>", false),
            (
                "debian",
                "15.6-0+deb12u1",
                "Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>",
                false,
            ),
            (
                "debian",
                "15.6-1.pgdg120+2",
                "Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>",
                true,
            ),
            ("debian", "5:26.1.0-1~debian.12~bookworm", "", true),
            ("debian", "1.7.1-1", "Containerd team <help@containerd.io> <support@docker.com>", true),
            ("debian", "20.11.1", "OpenJS Foundation <https://openjsf.org/>", true),
            ("debian", "20.11.1-1nodesource1", "", true),
            ("debian", "1.25.4-1~bookworm", "", true),
            ("debian", "8.3.3-1+0~20240216.17+debian12~1.gbp87e37b+deb.sury.org", "", true),
            ("ubuntu", "1.0-1ubuntu0.22.04.1~ubuntu22.04.1", "Ubuntu Developers", false),
            ("ubuntu", "3.0.2-0ubuntu1.12+Fips1", "Ubuntu Developers", true),
            ("ubuntu", "1.1.1f-1ubuntu2.fips.13", "Ubuntu Developers", true),
            ("raspbian", "1.1.1w-0+deb11u1+rpt1", "", true),
        ] {
            check(Family::Debian, id, PackageKind::Deb, version, Some(maintainer), foreign);
        }
    }

    #[test]
    fn an_apk_is_the_distribution_s_unless_a_publisher_signs_it() {
        for (maintainer, foreign) in [
            ("NGINX Packaging <nginx-packaging@f5.com>", true),
            ("Natanael Copa <ncopa@alpinelinux.org>", false),
            ("Somebody <somebody@docker.com>", false),
        ] {
            check(Family::Alpine, "alpine", PackageKind::Apk, "1.27.4-r1", Some(maintainer), foreign);
        }
    }
}
