//! What a root's owner pays for: advisories beside those for everybody, and a later end of them.
//!
//! In: a release, and what the root says about its repositories. Ubuntu Pro leaves the services that are switched on in
//! `status.json`, SUSE's products a file each in `etc/products.d`, Red Hat's extended life cycle support content sets.
//! Names as OSV writes them (OSV schema, "Defined Ecosystems").

use super::release::{Family, Release};

/// What `repositories` holds for a service of Ubuntu Pro that is switched on: `ubuntu-pro:esm-infra`.
pub(crate) const UBUNTU_PRO: &str = "ubuntu-pro:";
/// What it holds for an installed product of SUSE: `suse-product:SLES-LTSS`.
pub(crate) const SUSE_PRODUCT: &str = "suse-product:";

/// The phase of support that a root gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// What everybody gets.
    Standard,
    /// Expanded security maintenance, extended life cycle support, long term service pack support.
    Extended,
    /// Ubuntu's, for years more.
    Legacy,
}

impl Phase {
    pub(super) fn of(release: &Release, repositories: &[String]) -> Self {
        let has = |word: &str| repositories.iter().any(|stated| stated == word);
        let service = |name: &str| has(&format!("{UBUNTU_PRO}{name}"));
        let is_extended = match release.family {
            Family::Ubuntu if service("esm-infra-legacy") => return Self::Legacy,
            Family::Ubuntu => service("esm-infra") || service("esm-apps"),
            Family::SuseServer => has(&format!("{SUSE_PRODUCT}SLES-LTSS")),
            Family::RedHat => is_extended_life(&release.version, repositories),
            _ => false,
        };
        if is_extended { Self::Extended } else { Self::Standard }
    }
}

/// `rhel-7-server-els-rpms`.
fn is_extended_life(major: &str, repositories: &[String]) -> bool {
    let start = format!("rhel-{major}-");
    repositories.iter().any(|name| name.starts_with(&start) && name.split('-').any(|part| part == "els"))
}

/// The ecosystem of subscribers that speaks about the same packages as everybody's.
pub(super) fn names(release: &Release) -> Vec<String> {
    let is_offered = release.family == Family::Ubuntu && release.is_long_term();
    is_offered.then(|| format!("Ubuntu:Pro:{}:LTS", release.version)).into_iter().collect()
}

/// Ecosystems beside the ordinary ones, of products that are installed.
pub(super) fn further_names(release: &Release, repositories: &[String]) -> Vec<String> {
    let version = &release.version;
    match (release.family, Phase::of(release, repositories)) {
        (Family::SuseServer, Phase::Extended) => {
            vec![format!("SUSE:Linux Enterprise Server {version}-LTSS")]
        }
        (Family::RedHat, Phase::Extended) => vec![format!("Red Hat:rhel_els:{version}")],
        _ => Vec::new(),
    }
}

/// The ecosystems of builds in FIPS mode. The certified ones are never repaired; the stream with updates decides where
/// it speaks about a flaw.
pub(super) fn fips(release: &Release) -> Vec<String> {
    if release.family != Family::Ubuntu || !release.is_long_term() {
        return Vec::new();
    }
    let streams = ["FIPS-updates", "FIPS-preview", "FIPS"];
    streams.map(|stream| format!("Ubuntu:Pro:{stream}:{}:LTS", release.version)).into()
}
