//! Version orders: one total order for every packaging system that advisories speak of.
//!
//! [`Scheme::of_ecosystem`] says which order an OSV ecosystem's ranges are meant in, [`Scheme::compare`] compares
//! two versions as that packaging system's own tools do. Nothing here panics, whatever the bytes; numbers of any
//! length are compared as digit strings, so nothing overflows.

use std::cmp::Ordering;

mod apk;
mod composer;
mod dpkg;
mod maven;
mod numbers;
mod pep440;
mod rpm;
mod rubygems;
mod semver;
#[cfg(test)]
mod tests;

/// How a packaging system orders versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Debian policy, "Version": epoch, upstream version, revision.
    Dpkg,
    /// apk-tools.
    Apk,
    /// rpm: epoch, version, release, each by `rpmvercmp`.
    Rpm,
    /// Semantic Versioning 2.0.0, with a leading `v` and missing parts allowed.
    Semver,
    /// PEP 440, with texts that predate it below all others.
    Pep440,
    /// Maven's `ComparableVersion`.
    Maven,
    /// NuGet: four numbers and a prerelease, without regard to case.
    NuGet,
    /// RubyGems' `Gem::Version`.
    RubyGems,
    /// Composer: PHP's `version_compare` over normalised versions.
    Composer,
    /// R's `package_version`.
    Cran,
    /// Haskell's lists of numbers.
    Hackage,
    /// Dart's pub: semantic versions whose build metadata count.
    Pub,
}

impl Scheme {
    /// The order of an OSV ecosystem, given with or without its suffix (`Debian:12`, `npm`); `None` if only exact
    /// versions can be compared.
    ///
    /// Those who repair other people's packages (`Root:Debian:12`, `Echo:npm`) name the ecosystem whose order they
    /// use after their own name.
    pub fn of_ecosystem(ecosystem: &str) -> Option<Self> {
        let (base, suffix) = ecosystem.split_once(':').unwrap_or((ecosystem, ""));
        Some(match base {
            "Root" | "Docker Hardened Images" | "TuxCare" => return Self::of_ecosystem(suffix),
            // `+echo.1` is a repair of the version before it: here build metadata count.
            "Echo" if suffix.eq_ignore_ascii_case("npm") => Self::Pub,
            "Echo" if !suffix.is_empty() => return Self::of_ecosystem(suffix),
            "Debian" | "Ubuntu" | "Echo" | "opam" => Self::Dpkg,
            "Alpine"
            | "Wolfi"
            | "Chainguard"
            | "MinimOS"
            | "Alpaquita"
            | "BellSoft Hardened Containers"
            | "CleanStart" => Self::Apk,
            "Red Hat" | "AlmaLinux" | "Rocky Linux" | "SUSE" | "openSUSE" | "Azure Linux" | "openEuler"
            | "Mageia" | "Photon OS" | "RHEL" | "CentOS" | "CentOS-Stream" | "OracleLinux" => Self::Rpm,
            "npm" | "crates.io" | "Go" | "Hex" | "Bitnami" | "Julia" | "SwiftURL" | "VSCode"
            | "ConanCenter" | "GitHub Actions" | "Linux" | "Kubernetes" => Self::Semver,
            "PyPI" | "PyPi" => Self::Pep440,
            "Maven" => Self::Maven,
            "NuGet" => Self::NuGet,
            "RubyGems" => Self::RubyGems,
            "Packagist" => Self::Composer,
            "CRAN" | "Bioconductor" => Self::Cran,
            "Hackage" | "GHC" => Self::Hackage,
            "Pub" => Self::Pub,
            _ => return None,
        })
    }

    /// How `a` stands to `b`; `None` if either text is no version of this scheme.
    pub fn compare(self, a: &str, b: &str) -> Option<Ordering> {
        match self {
            Self::Dpkg => dpkg::compare(a, b),
            Self::Semver => semver::compare(a, b),
            Self::Apk => apk::compare(a, b),
            Self::Rpm => rpm::compare(a, b),
            Self::Pep440 => pep440::compare(a, b),
            Self::Maven => maven::compare(a, b),
            Self::NuGet => semver::compare_nuget(a, b),
            Self::RubyGems => rubygems::compare(a, b),
            Self::Composer => composer::compare(a, b),
            Self::Cran => numbers::compare_cran(a, b),
            Self::Hackage => numbers::compare_hackage(a, b),
            Self::Pub => semver::compare_pub(a, b),
        }
    }
}

/// Compares two runs of ASCII digits as numbers of any size; an empty run is zero.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (without_zeros(a), without_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The digits without leading zeros.
fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

/// Splits the longest prefix whose bytes all satisfy `belongs` off the front of `rest`.
fn take_while<'a>(rest: &mut &'a [u8], belongs: impl Fn(u8) -> bool) -> &'a [u8] {
    let length = rest.iter().take_while(|&&byte| belongs(byte)).count();
    let (taken, left) = rest.split_at(length);
    *rest = left;
    taken
}

/// Whether a text is one or more ASCII digits.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
