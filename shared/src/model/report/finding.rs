//! Findings: one flaw in one package each, how bad it is, and whether and why it counts.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::package::Purl;

/// One flaw in one package in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    /// The name by which people know it: the CVE if there is one, else the GHSA, else the record's id.
    pub id: String,
    /// Every other name of the same flaw.
    pub aliases: Vec<String>,
    /// The records that say so, for example `DSA-5587-1`.
    pub advisories: Vec<String>,
    /// What kind of trouble it is.
    pub kind: FindingKind,
    /// Which package: position in `Inventory::packages`.
    pub package: PackageIndex,
    /// How bad.
    pub severity: Severity,
    /// The CVSS base score behind the severity, if one was given.
    #[serde(default)]
    pub score: Option<Score>,
    /// The CVSS vector behind the score.
    #[serde(default)]
    pub vector: Option<String>,
    /// Whether and how it can be repaired.
    pub fix: Fix,
    /// Whether it counts.
    pub status: FindingStatus,
    /// How sure the match is.
    pub confidence: Confidence,
    /// In CISA's catalogue of known exploited vulnerabilities.
    pub known_exploited: bool,
    /// FIRST's probability of exploitation within 30 days.
    #[serde(default)]
    pub epss: Option<Probability>,
    /// One line about it.
    #[serde(default)]
    pub summary: Option<String>,
    /// When the flaw was first published.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub published: Option<Timestamp>,
    /// When the fix became known: the publication of the distribution's advisory that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fixed_since: Option<Timestamp>,
}

/// Position of a package in `Inventory::packages`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct PackageIndex(pub u32);

/// Kinds of findings.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A vulnerability.
    Vulnerability,
    /// The package itself is malicious.
    Malware,
    /// Unmaintained, unsound and the like: worth knowing, no vulnerability.
    Informational,
}

/// How bad a finding is. `Unknown` is neither low nor none: nobody has said.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody has rated it.
    Unknown,
    /// Rated as of no practical consequence.
    Negligible,
    /// CVSS below 4.
    Low,
    /// CVSS below 7.
    Medium,
    /// CVSS below 9.
    High,
    /// CVSS 9 and above.
    Critical,
}

impl Severity {
    /// Worst first, `unknown` after the rated ones.
    pub const WORST_FIRST: [Self; 6] =
        [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Negligible, Self::Unknown];

    /// The name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A CVSS base score, 0.0 to 10.0, kept in tenths so that it compares exactly.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(from = "f64", into = "f64")]
#[schema(value_type = f64, example = 7.8)]
pub struct Score(u8);

impl Score {
    /// A score; what lies outside 0 to 10 is moved to the nearer end.
    pub fn new(value: f64) -> Self {
        Self((value.clamp(0.0, 10.0) * 10.0).round() as u8)
    }

    /// 0.0 to 10.0.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

impl From<f64> for Score {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> Self {
        score.value()
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.value())
    }
}

/// A probability, 0 to 1, kept in hundred-thousandths so that it compares exactly.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(from = "f64", into = "f64")]
#[schema(value_type = f64, example = 0.94)]
pub struct Probability(u32);

impl Probability {
    /// A probability; what lies outside 0 to 1 is moved to the nearer end.
    pub fn new(value: f64) -> Self {
        Self((value.clamp(0.0, 1.0) * 100_000.0).round() as u32)
    }

    /// 0.0 to 1.0.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100_000.0
    }
}

impl From<f64> for Probability {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
}

impl From<Probability> for f64 {
    fn from(probability: Probability) -> Self {
        probability.value()
    }
}

/// Whether and how a finding can be repaired.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Fix {
    /// This version repairs it.
    Fixed {
        /// The version to upgrade to, in the package's own order.
        version: String,
    },
    /// The source of the advisory says that there is none yet.
    NoneYet,
    /// The distribution will not repair it.
    WillNotFix,
    /// Only subscribers get it.
    ProOnly {
        /// The version that subscribers get.
        version: String,
    },
    /// The source of the advisory lists only fixes, so it cannot say "none".
    Unknown,
}

/// Whether a finding counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum FindingStatus {
    /// It counts.
    Affected,
    /// It does not, and this is why. Kept in the report so that nobody has to wonder.
    Suppressed {
        /// The reason.
        reason: Suppression,
    },
    /// A language package owned by an OS package, of a distribution whose data do not say either way.
    DistroUnassessed,
    /// Two sources disagree about the affected range.
    DisputedRange,
}

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Suppression {
    /// The distribution repairs this copy itself, and its own advisories were consulted.
    OwnedBy {
        /// The OS package that owns the file.
        purl: Purl,
    },
    /// Headers of a kernel that no container runs.
    KernelHeadersOnly,
    /// The vulnerable code is not linked in.
    NotLinked,
    /// It concerns another operating system or machine.
    PlatformNotAffected,
    /// The distribution rates it as of no consequence.
    Negligible,
}

/// How sure a match is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// The advisory names this very package and version order.
    Exact,
    /// The advisory names the source package; this binary may not contain the flaw.
    BySource,
    /// Matched with the advisories of a related distribution.
    Approximate,
    /// The repositories of the image are assumed.
    RepositoryAssumed,
    /// The module stream could not be verified.
    ModuleUnverified,
    /// The Maven group was inferred from the artifact's name.
    InferredGroup,
    /// Only a lock file declares it.
    Declared,
    /// Only an SBOM that came with the image claims it.
    DeclaredBySbom,
    /// The version was read out of a program that no package manager knows; matched with its project's advisories.
    UpstreamBinary,
    /// The package is only there as an archive that was not installed.
    ArchiveNotInstalled,
    /// A version could not be parsed, so the range could not be decided: reported, not passed over.
    UnparsableVersion,
    /// Malware that has the name of this package in the public registry; the package came from another one.
    NameCollision,
}
