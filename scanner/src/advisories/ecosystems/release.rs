//! What an `os-release` means: family of distributions, release in that family's own numbering, and how certain that
//! is. Both the ecosystem names and the ends of support follow from it.
//!
//! Formats: os-release(5) and what the distributions write there.

use shared::model::report::Distribution;

use super::Fit;
use super::repositories::{Branch, alpine_branch};

/// A distribution, or the one that another derives from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Debian,
    Ubuntu,
    Alpine,
    Wolfi,
    Chainguard,
    MinimOs,
    Alpaquita,
    BellSoftHardened,
    CleanStart,
    Echo,
    RedHat,
    CentOs,
    CentOsStream,
    AlmaLinux,
    Rocky,
    SuseServer,
    SuseMicro,
    /// SUSE Linux Micro 6 and later, no longer called "Enterprise".
    SuseLinuxMicro,
    Leap,
    Tumbleweed,
    AzureLinux,
    Mageia,
    OpenEuler,
    Amazon,
    Oracle,
    Fedora,
    Photon,
}

/// A release of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) family: Family,
    /// In the family's numbering, as far as advisories tell releases apart: `12`, `22.04`, `3.20`, `15 SP5`; empty
    /// where they do not.
    pub(super) version: String,
    pub(super) fit: Fit,
}

impl Release {
    /// Ubuntu's long-term releases are those of April in even years.
    pub(super) fn is_long_term(&self) -> bool {
        let year = self.version.strip_suffix(".04").and_then(|year| year.parse::<u8>().ok());
        year.is_some_and(|year| year % 2 == 0)
    }

    /// Alpine with packages of another branch than its `os-release` says: the highest decides, because that is where
    /// the newest packages are from.
    pub(super) fn with_repositories(mut self, repositories: &[String]) -> Self {
        if self.family != Family::Alpine {
            return self;
        }
        let version = match alpine_branch(repositories) {
            Some(Branch::Release(major, minor)) => format!("{major}.{minor}"),
            Some(Branch::Edge) => NEWEST_ALPINE.to_owned(),
            None => return self,
        };
        if version != self.version {
            self.version = version;
            self.fit = Fit::Approximate;
        }
        self
    }
}

/// The newest release of those whose newest moves: Debian for `sid`, Alpine for `edge`.
const NEWEST_DEBIAN: &str = "14";
const NEWEST_ALPINE: &str = "3.24";

const DEBIAN_CODENAMES: [(&str, &str); 14] = [
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    // Devuan's names of the same releases.
    ("ascii", "9"),
    ("beowulf", "10"),
    ("chimaera", "11"),
    ("daedalus", "12"),
    ("excalibur", "13"),
    ("kali-rolling", NEWEST_DEBIAN),
];

const UBUNTU_CODENAMES: [(&str, &str); 20] = [
    ("trusty", "14.04"),
    ("xenial", "16.04"),
    ("bionic", "18.04"),
    ("focal", "20.04"),
    ("jammy", "22.04"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
    ("resolute", "26.04"),
    // Linux Mint's names of releases built on Ubuntu's.
    ("ulyana", "20.04"),
    ("ulyssa", "20.04"),
    ("uma", "20.04"),
    ("una", "20.04"),
    ("vanessa", "22.04"),
    ("vera", "22.04"),
    ("victoria", "22.04"),
    ("virginia", "22.04"),
    ("wilma", "24.04"),
    ("xia", "24.04"),
];

/// Distributions that say to be like another, but whose packages have versions of their own: advisories of the other
/// would be wrong rather than approximate.
const UNLIKE: [&str; 9] =
    ["arch", "gentoo", "nixos", "bottlerocket", "openwrt", "void", "slackware", "fedora-coreos", "coreos"];

/// Debian's own name of a release: `bookworm` of `12`.
pub(super) fn debian_code_name(version: &str) -> Option<&'static str> {
    DEBIAN_CODENAMES.iter().find(|(_, release)| *release == version).map(|(name, _)| *name)
}

/// What a distribution is, or what it derives from; `None` if neither is known, or if its release is not.
pub(super) fn resolve(distribution: &Distribution) -> Option<Release> {
    let id = distribution.id.to_ascii_lowercase();
    if UNLIKE.contains(&id.as_str()) {
        return None;
    }
    match family(&id, distribution) {
        Some(family) => release(family, distribution),
        None => distribution.like.iter().find_map(|like| derived(like, distribution)),
    }
}

fn family(id: &str, distribution: &Distribution) -> Option<Family> {
    Some(match id {
        "debian" => Family::Debian,
        "ubuntu" => Family::Ubuntu,
        "alpine" => Family::Alpine,
        "wolfi" => Family::Wolfi,
        "chainguard" => Family::Chainguard,
        "minimos" => Family::MinimOs,
        "alpaquita" => Family::Alpaquita,
        "bellsoft-hardened-containers" => Family::BellSoftHardened,
        "cleanstart" | "clnstrt" => Family::CleanStart,
        "echo" => Family::Echo,
        "rhel" | "ubi" => Family::RedHat,
        "centos" if distribution.name.contains("Stream") => Family::CentOsStream,
        "centos" => Family::CentOs,
        "almalinux" => Family::AlmaLinux,
        "rocky" => Family::Rocky,
        "sles" | "sles_sap" | "sle_hpc" | "sled" => Family::SuseServer,
        "sle-micro" | "suse-microos" => Family::SuseMicro,
        "sl-micro" => Family::SuseLinuxMicro,
        "opensuse-leap" => Family::Leap,
        "opensuse-tumbleweed" | "opensuse-microos" => Family::Tumbleweed,
        "azurelinux" | "mariner" => Family::AzureLinux,
        "mageia" => Family::Mageia,
        "openeuler" => Family::OpenEuler,
        "amzn" => Family::Amazon,
        "ol" => Family::Oracle,
        "fedora" => Family::Fedora,
        "photon" => Family::Photon,
        _ => return None,
    })
}

fn release(family: Family, distribution: &Distribution) -> Option<Release> {
    let exact = |version: String| Release { family, version, fit: Fit::Exact };
    let text = distribution.version.trim();
    match family {
        Family::Debian => debian(distribution),
        Family::Alpine => alpine(distribution),
        Family::Ubuntu => {
            two_numbers(text).or_else(|| by_codename(distribution, &UBUNTU_CODENAMES)).map(exact)
        }
        Family::Wolfi
        | Family::Chainguard
        | Family::MinimOs
        | Family::CleanStart
        | Family::Echo
        | Family::Tumbleweed => Some(exact(String::new())),
        Family::Alpaquita | Family::BellSoftHardened if text.is_empty() || text == "stream" => {
            Some(exact("stream".to_owned()))
        }
        Family::Alpaquita
        | Family::BellSoftHardened
        | Family::AlmaLinux
        | Family::Rocky
        | Family::AzureLinux
        | Family::Mageia
        | Family::Oracle
        | Family::Fedora
        | Family::Photon => first_number(text).map(exact),
        Family::Amazon => first_number(text).map(|number| exact(amazon(number))),
        Family::RedHat => {
            first_number(text).map(|version| Release { family, version, fit: Fit::RepositoryAssumed })
        }
        Family::CentOs | Family::CentOsStream => {
            first_number(text).map(|version| Release { family, version, fit: Fit::Approximate })
        }
        Family::SuseServer => service_pack(text).map(exact),
        Family::SuseMicro | Family::SuseLinuxMicro | Family::Leap => two_numbers(text).map(exact),
        Family::OpenEuler => two_numbers(text).map(|version| exact(open_euler(&version, &distribution.name))),
    }
}

/// The first Amazon Linux was numbered by years and months, up to 2018.03; the third is called 2023.
fn amazon(number: String) -> String {
    match number.parse::<u16>() {
        Ok(2010..=2018) => "1".to_owned(),
        Ok(_) | Err(_) => number,
    }
}

/// Debian by number, else by any code name that it states: `trixie/sid` is testing before its release.
fn debian(distribution: &Distribution) -> Option<Release> {
    let exact = |version: String| Release { family: Family::Debian, version, fit: Fit::Exact };
    let text = distribution.version.trim();
    match first_number(text) {
        // Up to squeeze, releases were told apart by two numbers.
        Some(major) if major.len() == 1 && major.as_str() < "7" => two_numbers(text).map(exact),
        Some(major) => Some(exact(major)),
        None => by_codename(distribution, &DEBIAN_CODENAMES).map(exact).or_else(|| {
            names(distribution).any(|name| name == "sid").then(|| Release {
                family: Family::Debian,
                version: NEWEST_DEBIAN.to_owned(),
                fit: Fit::Approximate,
            })
        }),
    }
}

/// Alpine's branch; `edge`, which has no advisories of its own, is judged by the newest.
fn alpine(distribution: &Distribution) -> Option<Release> {
    let text = distribution.version.trim();
    let is_edge = text.contains("_alpha") || names(distribution).any(|name| name == "edge");
    let (version, fit) =
        if is_edge { (NEWEST_ALPINE.to_owned(), Fit::Approximate) } else { (two_numbers(text)?, Fit::Exact) };
    Some(Release { family: Family::Alpine, version, fit })
}

/// The release of the distribution that this one says to be like.
fn derived(like: &str, distribution: &Distribution) -> Option<Release> {
    let (family, version) = match like.to_ascii_lowercase().as_str() {
        "ubuntu" => {
            let known = |version: &String| UBUNTU_CODENAMES.iter().any(|(_, release)| release == version);
            let by_number = || two_numbers(&distribution.version).filter(known);
            let version = by_codename(distribution, &UBUNTU_CODENAMES).or_else(by_number)?;
            (Family::Ubuntu, version)
        }
        "debian" => {
            // Only Raspbian and Docker's hardened images number their releases as Debian does.
            let is_numbered_alike = matches!(distribution.id.as_str(), "raspbian" | "dhi");
            let by_number = || first_number(&distribution.version).filter(|_| is_numbered_alike);
            let version = by_codename(distribution, &DEBIAN_CODENAMES).or_else(by_number)?;
            (Family::Debian, version)
        }
        "alpine" => {
            (Family::Alpine, two_numbers(&distribution.version).filter(|version| version.starts_with("3."))?)
        }
        "wolfi" => (Family::Wolfi, String::new()),
        "rhel" | "centos" => (Family::RedHat, first_number(&distribution.version)?),
        _ => return None,
    };
    Some(Release { family, version, fit: Fit::Approximate })
}

/// Every word by which a distribution might name its release.
fn names(distribution: &Distribution) -> impl Iterator<Item = String> {
    let codename = distribution.codename.as_deref().unwrap_or_default();
    let texts = [codename, &distribution.version, &distribution.name];
    let words = texts.map(str::to_ascii_lowercase);
    words.into_iter().flat_map(|text| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.map(str::to_owned).collect::<Vec<_>>()
    })
}

fn by_codename(distribution: &Distribution, releases: &[(&str, &str)]) -> Option<String> {
    let release = |name: String| releases.iter().find(|(codename, _)| *codename == name);
    names(distribution).find_map(release).map(|(_, version)| (*version).to_owned())
}

/// `9` of `9.4`.
fn first_number(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// `3.20` of `3.20.3`; a number alone stays alone.
fn two_numbers(text: &str) -> Option<String> {
    let major = first_number(text)?;
    let minor = text[major.len()..].strip_prefix('.').and_then(first_number);
    Some(minor.map_or(major.clone(), |minor| format!("{major}.{minor}")))
}

/// SUSE's spelling: `15 SP5` of `15.5`, `15` of `15` and `15.0`; from 16 on `16.0` as it is.
fn service_pack(text: &str) -> Option<String> {
    let version = two_numbers(text)?;
    let (major, minor) = version.split_once('.').unwrap_or((&version, "0"));
    Some(match (major, minor) {
        ("11" | "12" | "15", "0") => major.to_owned(),
        ("11" | "12" | "15", pack) => format!("{major} SP{pack}"),
        _ => format!("{major}.{minor}"),
    })
}

/// openEuler's spelling: `24.03-LTS-SP1` of `openEuler 24.03 (LTS-SP1)`.
fn open_euler(version: &str, name: &str) -> String {
    let edition = name.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    match edition {
        Some((edition, _)) if !edition.is_empty() => format!("{version}-{edition}"),
        Some(_) | None => version.to_owned(),
    }
}
