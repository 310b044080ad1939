//! Which OSV ecosystem holds the advisories for what: distributions, and the packaging systems of languages.
//!
//! In: the distribution that an image states, or a kind of package. Out: the ecosystem strings as OSV writes them
//! (OSV schema, "Defined Ecosystems"), how well they fit and how much they can say. Whether a database holds records
//! under these names is for the database to say: a name without records is no coverage, never a clean result.

use jiff::Timestamp;
use shared::model::package::{Package, PackageKind};
use shared::model::report::{CoverageState, Distribution};

use release::{Family, Release};
pub(crate) use repairers::{Repairer, inner, is_docker_s};
use subscription::Phase;
pub(crate) use subscription::{SUSE_PRODUCT, UBUNTU_PRO};

mod origin;
mod release;
mod repairers;
mod repositories;
mod subscription;
mod support;
#[cfg(test)]
mod tests;

/// The advisory ecosystems of a distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsEcosystems {
    /// Names to ask for, for example `Debian:12`; for SUSE and Red Hat one a product or repository. Never empty.
    pub names: Vec<String>,
    /// Further names, known only by their shape.
    pub patterns: Vec<NamePattern>,
    /// Names whose fixes only subscribers get (Ubuntu Pro). They say whether a package is affected only where the root
    /// is subscribed; elsewhere, where a fix is to be had.
    pub subscription: Vec<String>,
    /// Whether the root says that it is subscribed.
    pub standing: Standing,
    /// Names for builds in FIPS mode, whose versions compare with those of nobody else; of several that speak about
    /// one flaw the first decides.
    pub fips: Vec<String>,
    /// Whose advisories they are.
    pub fit: Fit,
    /// How much they can say.
    pub coverage: CoverageState,
    /// Which packages the advisories name.
    pub named_by: NamedBy,
    /// What kind of packages they speak about; others in the same image come from elsewhere.
    pub kind: PackageKind,
    family: Family,
    /// The distribution's own `ID`, which is another than the family's for derivatives.
    id: String,
}

/// The names of a family of ecosystems of which only the database knows which exist: SUSE's modules, Red Hat's
/// repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// What the name starts with.
    pub prefix: String,
    /// What the name ends with; may be empty.
    pub suffix: String,
}

/// How well advisories fit a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// They are the distribution's own.
    Exact,
    /// They are the distribution's own, but which repositories the image uses is assumed.
    RepositoryAssumed,
    /// They are those of the distribution that it derives from, or of a neighbouring release.
    Approximate,
}

/// Whether a root gets what only subscribers get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing says so; a single package may have come from there all the same.
    Everybody,
    /// It says so itself.
    Subscriber,
}

/// Which packages advisories name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// Source packages.
    Source,
    /// Binary packages.
    Binary,
    /// Either; a package is looked up by both names.
    Both,
}

impl OsEcosystems {
    /// Whether an ecosystem, as a record names it, is one of these. A bare family name (`Debian`) in a record means
    /// every release.
    pub fn covers(&self, ecosystem: &str) -> bool {
        let fits = |pattern: &NamePattern| {
            let middle = ecosystem.strip_prefix(pattern.prefix.as_str());
            middle.is_some_and(|middle| middle.ends_with(pattern.suffix.as_str()))
        };
        let names = |name: &String| name == ecosystem || name.split(':').next() == Some(ecosystem);
        self.names.iter().any(names) || self.patterns.iter().any(fits)
    }

    /// Whether somebody built the package whom the advisories do not speak about: a third party's repository, EPEL,
    /// a derivative's own change.
    pub fn is_foreign(&self, package: &Package) -> bool {
        origin::is_foreign(self.family, &self.id, package)
    }

    /// Whether a package was built for FIPS mode, and there are names for such builds.
    pub fn is_fips(&self, package: &Package) -> bool {
        !self.fips.is_empty() && origin::is_fips(package)
    }
}

/// As [`of_root`] of a root that does not say where its packages are from.
#[cfg(test)]
pub(crate) fn of_distribution(distribution: &Distribution) -> Option<OsEcosystems> {
    of_root(distribution, &[])
}

/// The ecosystems of a root: of its distribution, as far as the repositories of its packages (content sets and CPEs of
/// Red Hat, URLs of apk's) say nothing more exact. `None` if nobody publishes advisories for it in OSV's format (Amazon,
/// Oracle, Fedora, Arch …), or if its release is unknown: then nothing may be matched with it.
pub fn of_root(distribution: &Distribution, repositories: &[String]) -> Option<OsEcosystems> {
    let release = release::resolve(distribution)?.with_repositories(repositories);
    let (coverage, named_by) = character(release.family);
    let (mut names, patterns, fit) = match products(&release, repositories) {
        Some(stated) => stated,
        None => (names(&release), patterns(&release), release.fit),
    };
    names.extend(subscription::further_names(&release, repositories));
    (!names.is_empty()).then(|| OsEcosystems {
        names,
        patterns,
        subscription: subscription::names(&release),
        standing: match Phase::of(&release, repositories) {
            Phase::Standard => Standing::Everybody,
            Phase::Extended | Phase::Legacy => Standing::Subscriber,
        },
        fips: subscription::fips(&release),
        fit,
        coverage,
        named_by,
        kind: kind(release.family),
        family: release.family,
        id: distribution.id.clone(),
    })
}

/// What a root's content sets say about Red Hat's products. Those that no rule explains may be any, so the ordinary
/// repositories are assumed besides.
fn products(release: &Release, repositories: &[String]) -> Option<(Vec<String>, Vec<NamePattern>, Fit)> {
    if release.family != Family::RedHat {
        return None;
    }
    let stated = repositories::red_hat(&release.version, repositories)?;
    let mut all = vec![format!("Red Hat:enterprise_linux:{}", release.version)];
    all.extend(stated.names);
    let mut patterns = stated.patterns;
    if stated.unknown == 0 {
        return Some((all, patterns, Fit::Exact));
    }
    all.extend(names(release));
    patterns.extend(self::patterns(release));
    Some((all, patterns, Fit::RepositoryAssumed))
}

/// The ecosystem of one language's package: that of its kind, but for the compiler of Haskell, which comes with a
/// library of its own name and version and has advisories of its own.
pub fn of_package(package: &Package) -> Option<&'static str> {
    match (package.kind, package.name.as_str()) {
        (PackageKind::Hackage, "ghc") => Some("GHC"),
        _ => of_kind(package.kind),
    }
}

/// The ecosystem of a language's packages; `None` for OS packages, whose ecosystem depends on the
/// distribution, and for those of which nobody publishes advisories.
pub fn of_kind(kind: PackageKind) -> Option<&'static str> {
    match kind {
        PackageKind::Npm => Some("npm"),
        PackageKind::PyPi => Some("PyPI"),
        PackageKind::Golang => Some("Go"),
        PackageKind::Cargo => Some("crates.io"),
        PackageKind::Maven => Some("Maven"),
        PackageKind::Gem => Some("RubyGems"),
        PackageKind::NuGet => Some("NuGet"),
        PackageKind::Composer => Some("Packagist"),
        PackageKind::Pub => Some("Pub"),
        PackageKind::Hex => Some("Hex"),
        PackageKind::Swift => Some("SwiftURL"),
        PackageKind::Conan => Some("ConanCenter"),
        PackageKind::Cran => Some("CRAN"),
        PackageKind::Bioconductor => Some("Bioconductor"),
        PackageKind::Hackage => Some("Hackage"),
        PackageKind::Julia => Some("Julia"),
        PackageKind::Opam => Some("opam"),
        PackageKind::Bitnami => Some("Bitnami"),
        PackageKind::GitHubActions => Some("GitHub Actions"),
        PackageKind::VsCode => Some("VSCode"),
        PackageKind::Deb
        | PackageKind::Apk
        | PackageKind::Rpm
        | PackageKind::Alpm
        | PackageKind::Ebuild
        | PackageKind::Opkg
        | PackageKind::Nix
        | PackageKind::FreeBsd
        | PackageKind::Pear
        | PackageKind::WordPressPlugin
        | PackageKind::WordPressTheme
        | PackageKind::Otp
        | PackageKind::CocoaPods
        | PackageKind::Vcpkg
        | PackageKind::Conda
        | PackageKind::LuaRocks
        | PackageKind::Cpan
        | PackageKind::Nimble
        | PackageKind::Homebrew
        | PackageKind::Terraform
        | PackageKind::Jsr
        | PackageKind::Generic => None,
    }
}

/// When advisories for a root stop: the end, in UTC, of the last day on which they are published for everybody, or for
/// subscribers where it says that it is one. `None` if there is no such day (rolling releases) or nobody knows it.
pub fn support_ends(distribution: &Distribution, repositories: &[String]) -> Option<Timestamp> {
    let release = release::resolve(distribution)?;
    support::ends(&release, Phase::of(&release, repositories))
}

/// The purl namespace of a distribution's packages, for example `redhat` for RHEL; the distribution's own id where
/// no other name is agreed on. Defined in purl-spec, `deb`, `apk` and `rpm`.
pub fn purl_namespace(distribution: &Distribution) -> &str {
    match distribution.id.as_str() {
        "rhel" | "ubi" => "redhat",
        "ol" => "oracle",
        "sles" | "sles_sap" | "sle_hpc" | "sled" | "sle-micro" | "sl-micro" | "suse-microos" => "suse",
        "opensuse-leap" | "opensuse-tumbleweed" | "opensuse-microos" => "opensuse",
        own => own,
    }
}

/// The packaging system of a family.
fn kind(family: Family) -> PackageKind {
    match family {
        Family::Debian | Family::Ubuntu | Family::Echo => PackageKind::Deb,
        Family::Alpine
        | Family::Wolfi
        | Family::Chainguard
        | Family::MinimOs
        | Family::Alpaquita
        | Family::BellSoftHardened
        | Family::CleanStart => PackageKind::Apk,
        Family::RedHat
        | Family::CentOs
        | Family::CentOsStream
        | Family::AlmaLinux
        | Family::Rocky
        | Family::SuseServer
        | Family::SuseMicro
        | Family::SuseLinuxMicro
        | Family::Leap
        | Family::Tumbleweed
        | Family::AzureLinux
        | Family::Mageia
        | Family::OpenEuler
        | Family::Amazon
        | Family::Oracle
        | Family::Fedora
        | Family::Photon => PackageKind::Rpm,
    }
}

/// How much a family's advisories say, and by which name they know packages.
fn character(family: Family) -> (CoverageState, NamedBy) {
    match family {
        Family::Debian | Family::Ubuntu | Family::AzureLinux => (CoverageState::Full, NamedBy::Source),
        // Advisories are made for the repository `main` only.
        Family::Alpine => (CoverageState::Partial, NamedBy::Source),
        Family::Wolfi
        | Family::Chainguard
        | Family::MinimOs
        | Family::Alpaquita
        | Family::BellSoftHardened
        | Family::CleanStart
        | Family::Echo => (CoverageState::FixedOnly, NamedBy::Both),
        Family::RedHat | Family::CentOs | Family::CentOsStream | Family::AlmaLinux | Family::Rocky => {
            (CoverageState::FixedOnly, NamedBy::Binary)
        }
        Family::SuseServer
        | Family::SuseMicro
        | Family::SuseLinuxMicro
        | Family::Leap
        | Family::Tumbleweed
        | Family::Mageia
        | Family::OpenEuler => (CoverageState::FixedOnly, NamedBy::Source),
        Family::Amazon | Family::Oracle | Family::Fedora | Family::Photon => {
            (CoverageState::None, NamedBy::Binary)
        }
    }
}

fn names(release: &Release) -> Vec<String> {
    let version = release.version.as_str();
    match release.family {
        Family::Debian => vec![format!("Debian:{version}")],
        Family::Ubuntu if release.is_long_term() => vec![format!("Ubuntu:{version}:LTS")],
        Family::Ubuntu => vec![format!("Ubuntu:{version}")],
        Family::Alpine => vec![format!("Alpine:v{version}")],
        Family::Wolfi => vec!["Wolfi".to_owned()],
        Family::Chainguard => vec!["Chainguard".to_owned(), "Wolfi".to_owned()],
        Family::MinimOs => vec!["MinimOS".to_owned()],
        Family::Alpaquita => vec![format!("Alpaquita:{version}")],
        Family::BellSoftHardened => vec![format!("BellSoft Hardened Containers:{version}")],
        Family::CleanStart => vec!["CleanStart".to_owned()],
        Family::Echo => vec!["Echo".to_owned()],
        Family::RedHat | Family::CentOs | Family::CentOsStream => red_hat_repositories(version),
        Family::AlmaLinux => vec![format!("AlmaLinux:{version}")],
        Family::Rocky => vec![format!("Rocky Linux:{version}")],
        Family::SuseServer => vec![
            format!("SUSE:Linux Enterprise Server {version}"),
            format!("SUSE:Linux Enterprise Module for Basesystem {version}"),
        ],
        Family::SuseMicro => vec![format!("SUSE:Linux Enterprise Micro {version}")],
        Family::SuseLinuxMicro => vec![format!("SUSE:Linux Micro {version}")],
        Family::Leap => vec![format!("openSUSE:Leap {version}")],
        Family::Tumbleweed => vec!["openSUSE:Tumbleweed".to_owned()],
        Family::AzureLinux => vec![format!("Azure Linux:{version}")],
        Family::Mageia => vec![format!("Mageia:{version}")],
        Family::OpenEuler => vec![format!("openEuler:{version}")],
        Family::Amazon | Family::Oracle | Family::Fedora | Family::Photon => Vec::new(),
    }
}

/// Red Hat's ecosystems are CPEs, one a repository. Without content sets the ordinary repositories of the major
/// release are assumed; extended update streams (`rhel_eus` …) and layered products never are.
fn red_hat_repositories(major: &str) -> Vec<String> {
    const UP_TO_7: [&str; 5] = ["server", "client", "workstation", "computenode", "supplementary"];
    const SINCE_8: [&str; 10] = [
        "baseos",
        "appstream",
        "crb",
        "highavailability",
        "nfv",
        "realtime",
        "resilientstorage",
        "sap",
        "sap_hana",
        "supplementary",
    ];
    let repositories = if matches!(major, "5" | "6" | "7") { &UP_TO_7[..] } else { &SINCE_8[..] };
    let product = format!("Red Hat:enterprise_linux:{major}");
    let named = repositories.iter().map(|repository| format!("{product}::{repository}"));
    std::iter::once(product.clone()).chain(named).collect()
}

fn patterns(release: &Release) -> Vec<NamePattern> {
    let pattern = |prefix: String, suffix: String| NamePattern { prefix, suffix };
    let version = &release.version;
    match release.family {
        // CPEs compare by prefix: what concerns a repository or a minor release of the product is covered by it.
        Family::RedHat | Family::CentOs | Family::CentOsStream => [":", "."]
            .map(|separator| pattern(format!("Red Hat:enterprise_linux:{version}{separator}"), String::new()))
            .into(),
        // A package may come from any module of the service pack.
        Family::SuseServer => vec![pattern("SUSE:Linux Enterprise ".to_owned(), format!(" {version}"))],
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
        | Family::AlmaLinux
        | Family::Rocky
        | Family::SuseMicro
        | Family::SuseLinuxMicro
        | Family::Leap
        | Family::Tumbleweed
        | Family::AzureLinux
        | Family::Mageia
        | Family::OpenEuler
        | Family::Amazon
        | Family::Oracle
        | Family::Fedora
        | Family::Photon => Vec::new(),
    }
}
