//! Who repairs other people's packages, builds them again, and publishes advisories for what came out.
//!
//! Such a build keeps the name, or gets a prefix, and carries a mark behind the version. With the mark it sorts above the
//! versions in which the distribution repaired its own builds, whatever is in it: only its builder's advisories speak about it.
//!
//! Names of ecosystems: OSV schema, "Defined Ecosystems". Marks: `1.2-3.root.io.1`, `1.2+root.io.1`, apk's `1.2-r10071`
//! and the prefix `rootio-` (Root); `+tuxcare.els3`, `.tuxcare.els3` (TuxCare); `+e2`, `+echo.1` (Echo); `+dhi3` and the
//! maintainer (Docker Hardened Images, "Package Identity and Versioning" of their advisories).

use shared::model::package::{Package, PackageKind};
use shared::model::report::Distribution;

use super::release::{self, Family, Release};

/// Somebody who repairs other people's packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repairer {
    /// root.io.
    Root,
    /// Echo, whose own distribution carries the mark as well.
    Echo,
    /// TuxCare's extended life cycle support.
    TuxCare,
    /// Docker.
    DockerHardened,
}

/// The CentOS 8 that TuxCare supports, by minor release; `os-release` names none.
const CENTOS_8: [&str; 3] = ["8", "8.4", "8.5"];

/// What Root puts before the names of its packages.
const ROOT_PREFIX: &str = "rootio-";
/// The scope of its packages of npm.
const ROOT_SCOPE: &str = "@rootio";

impl Repairer {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Root, Self::Echo, Self::TuxCare, Self::DockerHardened];

    /// Who built a package, if it carries somebody's mark.
    pub(crate) fn of(package: &Package) -> Option<Self> {
        let version = package.version.to_ascii_lowercase();
        let marked = |mark: &str| {
            let mut places = version.match_indices(mark).map(|(place, _)| &version[..place]);
            places.any(|before| before.ends_with(['.', '+', '-', '~']))
        };
        let is_deb = package.kind == PackageKind::Deb;
        let by_docker = package.vendor.as_deref().is_some_and(is_docker_hardened);
        if marked("root.io") || is_named_by_root(package) || is_apk_of_root(package.kind, &version) {
            Some(Self::Root)
        } else if marked("tuxcare") {
            Some(Self::TuxCare)
        } else if marked("echo.") || is_deb && ends_in_number_after(&version, "+e") {
            Some(Self::Echo)
        } else if by_docker || is_deb && ends_in_number_after(&version, "+dhi") {
            Some(Self::DockerHardened)
        } else {
            None
        }
    }

    /// The ecosystems of its builds of a distribution's packages. Of several spellings records may use any.
    pub(crate) fn of_distribution(self, distribution: &Distribution) -> Vec<String> {
        let Some(release) = release::resolve(distribution) else { return Vec::new() };
        let releases = match self {
            Self::Echo => return vec!["Echo".to_owned()],
            Self::Root | Self::DockerHardened => of_debian_or_alpine(&release),
            Self::TuxCare => of_extended_support(&release, distribution),
        };
        releases.into_iter().map(|name| format!("{}:{name}", self.name())).collect()
    }

    /// The ecosystem of its builds of a language's packages.
    pub(crate) fn of_language(self, ecosystem: &str) -> String {
        format!("{}:{ecosystem}", self.name())
    }

    /// The names by which its advisories may know a package beside the package's own.
    pub(crate) fn further_name(self, ecosystem: &str, name: &str) -> Option<String> {
        let scoped = name.split_once('/').map_or(name, |(_, name)| name);
        match self {
            Self::Root if name.starts_with(ROOT_PREFIX) || name.starts_with(ROOT_SCOPE) => None,
            Self::Root if ecosystem.ends_with(":npm") => Some(format!("{ROOT_SCOPE}/{scoped}")),
            Self::Root => Some(format!("{ROOT_PREFIX}{name}")),
            Self::Echo | Self::TuxCare | Self::DockerHardened => None,
        }
    }

    /// Whether its advisories name source packages beside binary ones.
    pub(crate) fn names_sources(self) -> bool {
        match self {
            Self::Root | Self::Echo | Self::DockerHardened => true,
            Self::TuxCare => false,
        }
    }

    /// What the schema calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "Root",
            Self::Echo => "Echo",
            Self::TuxCare => "TuxCare",
            Self::DockerHardened => "Docker Hardened Images",
        }
    }
}

/// Whether a distribution is Docker's own, in which nothing but the builder tells packages apart.
pub(crate) fn is_docker_s(distribution: &Distribution) -> bool {
    distribution.id == "dhi"
}

/// The ecosystem whose names and order a repairer's uses: `Debian:12` of `Root:Debian:12`.
pub(crate) fn inner(ecosystem: &str) -> Option<&str> {
    let (base, inner) = ecosystem.split_once(':')?;
    Repairer::ALL.iter().any(|repairer| repairer.name() == base).then_some(inner)
}

fn of_debian_or_alpine(release: &Release) -> Vec<String> {
    let version = release.version.as_str();
    match release.family {
        Family::Debian => {
            let code_name = release::debian_code_name(version);
            [Some(version), code_name].into_iter().flatten().map(|name| format!("Debian:{name}")).collect()
        }
        Family::Ubuntu => vec![format!("Ubuntu:{version}")],
        Family::Alpine => vec![format!("Alpine:{version}")],
        _ => Vec::new(),
    }
}

fn of_extended_support(release: &Release, distribution: &Distribution) -> Vec<String> {
    let version = release.version.as_str();
    match release.family {
        Family::Debian => vec![format!("Debian:{version}")],
        Family::Ubuntu => vec![format!("Ubuntu:{version}")],
        Family::RedHat => vec![format!("RHEL:{version}")],
        Family::Oracle => vec![format!("OracleLinux:{version}")],
        Family::CentOsStream => vec![format!("CentOS-Stream:{version}")],
        Family::CentOs if version == "8" => CENTOS_8.map(|minor| format!("CentOS:{minor}")).into(),
        Family::CentOs => vec![format!("CentOS:{version}")],
        Family::AlmaLinux => vec![format!("AlmaLinux:{}", distribution.version)],
        _ => Vec::new(),
    }
}

/// `rootio-openssl`, `rootio_requests`, `@rootio/semver`.
fn is_named_by_root(package: &Package) -> bool {
    package.name.starts_with(ROOT_PREFIX)
        || package.name.starts_with("rootio_")
        || package.namespace.as_deref() == Some(ROOT_SCOPE)
}

/// apk's versions leave no room for a mark: `-r1` becomes `-r10071`, the first repair of it.
fn is_apk_of_root(kind: PackageKind, version: &str) -> bool {
    let revision = version.rsplit_once("-r").map_or("", |(_, revision)| revision);
    let is_number = revision.len() >= 5 && revision.bytes().all(|byte| byte.is_ascii_digit());
    kind == PackageKind::Apk && is_number && revision[1..].contains("007")
}

fn is_docker_hardened(maintainer: &str) -> bool {
    maintainer.contains("Docker Hardened Images") || maintainer.contains("<dhi@docker.com>")
}

/// Whether a version ends in `mark` and a number.
fn ends_in_number_after(version: &str, mark: &str) -> bool {
    let number = version.rsplit_once(mark).map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use shared::model::package::Evidence;

    use super::*;

    #[test]
    fn a_build_carries_the_mark_of_its_builder() {
        use PackageKind::{Apk, Deb, Npm, PyPi, Rpm};
        use Repairer::{DockerHardened, Echo, Root, TuxCare};
        for (kind, name, version, expected) in [
            (Deb, "rootio-imagemagick", "8:7.1.1.43+dfsg1-1+deb13u1.root.io.1", Some(Root)),
            (Deb, "curl", "7.88.1-10+deb12u5+root.io.1", Some(Root)),
            (Apk, "rootio-util-linux", "2.38.1-r10071", Some(Root)),
            (Apk, "util-linux", "2.38.1-r10071", Some(Root)),
            (Apk, "util-linux", "2.38.1-r107", None),
            (Apk, "tzdata", "2024a-r0", None),
            (PyPi, "django", "4.0.1+root.io.1", Some(Root)),
            (PyPi, "rootio-requests", "2.31.0", Some(Root)),
            (Npm, "semver", "7.5.2-root.io.1", Some(Root)),
            (Deb, "binutils", "2.31.1-16+tuxcare.els11", Some(TuxCare)),
            (Deb, "ca-certificates", "20221215~16.04.1ubuntu0.1~tuxcare.els1", Some(TuxCare)),
            (Rpm, "openssl", "1:1.0.2k-25.el7.tuxcare.els3", Some(TuxCare)),
            (Deb, "python-pip", "25.3+dfsg-1+e2", Some(Echo)),
            (PyPi, "pip", "25.2+echo.1", Some(Echo)),
            (Deb, "coreutils", "9.7-3+dhi3", Some(DockerHardened)),
            (Deb, "libc6", "2.36-9+deb12u4", None),
            (Deb, "a", "1.0-1ubuntu0.22.04.1", None),
            (Deb, "echo", "1.0+exp1-1", None),
            (PyPi, "echo", "1.0", None),
        ] {
            let package = Package::new(kind, name, version, Evidence::Installed);
            assert_eq!(Repairer::of(&package), expected, "{name} {version}");
        }
        let mut package = Package::new(Deb, "curl", "7.88.1-10+deb12u8", Evidence::Installed);
        package.vendor = Some("Docker Hardened Images <dhi@docker.com>".to_owned());
        assert_eq!(Repairer::of(&package), Some(DockerHardened));
        package.vendor = Some("Docker <support@docker.com>".to_owned());
        assert_eq!(Repairer::of(&package), None);
    }

    #[test]
    fn advisories_are_asked_for_by_the_release_that_was_repaired() {
        use Repairer::{DockerHardened, Echo, Root, TuxCare};
        for (repairer, id, version, name, like, expected) in [
            (Root, "debian", "12", "Debian", None, &["Root:Debian:12", "Root:Debian:bookworm"][..]),
            (Root, "ubuntu", "22.04", "Ubuntu", None, &["Root:Ubuntu:22.04"]),
            (Root, "alpine", "3.18.4", "Alpine", None, &["Root:Alpine:3.18"]),
            (Root, "rhel", "9.4", "RHEL", None, &[]),
            (TuxCare, "ubuntu", "18.04", "Ubuntu", None, &["TuxCare:Ubuntu:18.04"]),
            (TuxCare, "debian", "10", "Debian", None, &["TuxCare:Debian:10"]),
            (TuxCare, "almalinux", "9.2", "AlmaLinux", None, &["TuxCare:AlmaLinux:9.2"]),
            (TuxCare, "rhel", "8.4", "Red Hat Enterprise Linux", None, &["TuxCare:RHEL:8"]),
            (TuxCare, "ol", "7.9", "Oracle Linux Server", None, &["TuxCare:OracleLinux:7"]),
            (TuxCare, "centos", "7", "CentOS Linux 7", None, &["TuxCare:CentOS:7"]),
            (TuxCare, "centos", "8", "CentOS Stream 8", None, &["TuxCare:CentOS-Stream:8"]),
            (
                TuxCare,
                "centos",
                "8",
                "CentOS Linux 8",
                None,
                &["TuxCare:CentOS:8", "TuxCare:CentOS:8.4", "TuxCare:CentOS:8.5"],
            ),
            (Echo, "echo", "1", "Echo", None, &["Echo"]),
            (
                DockerHardened,
                "dhi",
                "13",
                "Docker Hardened Images",
                Some("debian"),
                &["Docker Hardened Images:Debian:13", "Docker Hardened Images:Debian:trixie"],
            ),
            (
                DockerHardened,
                "dhi",
                "3.24.1",
                "Docker Hardened Images",
                Some("alpine"),
                &["Docker Hardened Images:Alpine:3.24"],
            ),
        ] {
            let distribution = Distribution {
                id: id.to_owned(),
                version: version.to_owned(),
                codename: None,
                like: like.into_iter().map(str::to_owned).collect(),
                name: name.to_owned(),
            };
            assert_eq!(repairer.of_distribution(&distribution), expected, "{id} {version}");
        }
        assert_eq!(Root.of_language("PyPI"), "Root:PyPI");
        assert_eq!(Root.further_name("Root:npm", "@types/node").as_deref(), Some("@rootio/node"));
        assert_eq!(Root.further_name("Root:npm", "@rootio/semver"), None);
        assert_eq!(Root.further_name("Root:PyPI", "django").as_deref(), Some("rootio-django"));
    }

    #[test]
    fn a_repairer_s_ecosystem_holds_another() {
        for (ecosystem, expected) in [
            ("Root:Debian:12", Some("Debian:12")),
            ("Docker Hardened Images:Alpine:3.24", Some("Alpine:3.24")),
            ("Echo:PyPI", Some("PyPI")),
            ("Echo", None),
            ("Debian:12", None),
        ] {
            assert_eq!(inner(ecosystem), expected, "{ecosystem}");
        }
    }

    proptest::proptest! {
        #[test]
        fn i7_no_version_panics(name: String, version in "([-+.~]|root\\.io|tuxcare|-r|007|\\PC){0,12}") {
            for kind in [PackageKind::Apk, PackageKind::Deb, PackageKind::PyPi] {
                let _ = Repairer::of(&Package::new(kind, &name, &version, Evidence::Installed));
            }
        }
    }
}
