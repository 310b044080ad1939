//! Reports: the facts about one digest, without any opinion.
//!
//! A report is a pure function of the image's bytes, what is attached to the image (signatures, SBOMs), the analyzer
//! revision and the advisory database revision; both revisions and the attachments are in it (I6). A policy never changes it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::functions::FunctionSet;
use super::image::Platform;
use super::layer::{Layer, LayerIndex};
use super::observation::Observation;
use super::package::{Package, Purl};
use super::problem::Problem;
use super::sbom::AttachedSbom;
use super::settings::{BaseImage, Settings};
use super::signature::SignatureFact;

/// Everything that is known about one digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Report {
    /// What was examined.
    pub digest: Digest,
    /// What it turned out to be.
    pub subject: Subject,
    /// What the facts depend on.
    pub revisions: ScanRevisions,
    /// When it was examined.
    #[schema(value_type = String, format = DateTime)]
    pub scanned_at: Timestamp,
    /// What advisories say about the packages, worst first.
    pub findings: Vec<Finding>,
    /// What is wrong with the image itself: secrets, misconfiguration, malware; worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Observation>,
    /// What could not be fetched, verified, parsed or judged.
    pub problems: Vec<Problem>,
    /// What was examined, and against which data (I11).
    pub coverage: Vec<Coverage>,
    /// When advisories for the distribution stop, or for that of a nested root if it is earlier; a verdict after that day cannot be a plain pass (I4).
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub support_ends: Option<Timestamp>,
    /// Signatures that are attached to the image; none also where nobody has looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<SignatureFact>,
    /// SBOMs that are attached to the image and were read; none also where nobody has looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sboms: Vec<AttachedSbom>,
}

/// The kinds of things that a digest can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A container image for one platform.
    Image(Box<Inventory>),
    /// One name for several images.
    Index {
        /// The runnable children; attestations and other artifacts are left out.
        children: Vec<IndexChild>,
    },
    /// Not an image: a signature, an SBOM, a chart. Nothing was searched.
    Artifact {
        /// Its artifact type, or the media type of its config.
        artifact_type: String,
    },
    /// It could not be examined at all; the report's problems say why.
    Unreadable,
}

/// A runnable child of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IndexChild {
    /// Its manifest; it has a report of its own.
    pub digest: Digest,
    /// What it is built for, where the index says so.
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// What facts depend on besides the image's bytes (I6).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScanRevisions {
    /// Revision of the analyzers and everything that can change what they find.
    pub analyzer: Revision,
    /// Digest of the advisory database file.
    pub database: Revision,
    /// The newest change in that database: how old the knowledge is.
    #[schema(value_type = String, format = DateTime)]
    pub database_as_of: Timestamp,
}

/// An opaque revision: equal means "would give the same answer".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// A revision from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The revision of something defined by its bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes).encoded()[..16].to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image's layers squashed: what is visible in it, and where each thing came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Inventory {
    /// What the image's config says that it is built for.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// The operating system distribution, if there is one.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// The repositories that the distribution's packages come from, as far as the image says: Red Hat's content sets
    /// and CPEs, the URLs of apk's; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// Root file systems below the image's own that have a package database of their own, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_roots: Vec<NestedRoot>,
    /// Bottom layer first.
    pub layers: Vec<Layer>,
    /// Sorted by purl, then path.
    pub packages: Vec<InstalledPackage>,
    /// What is linked into programs that tell it, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<LinkedProgram>,
    /// What a runtime would do; `None` where the config could not be read, or was not looked at then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// The image that it was built on, where its builder says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseImage>,
}

/// A package in its image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InstalledPackage {
    /// What it is.
    pub package: Package,
    /// Its package URL, with the distribution.
    pub purl: Purl,
    /// The evidence file, from the image's root without leading slash; for a nested archive the
    /// inner path follows after `!/`. Undecodable bytes are shown as U+FFFD. Of what only an attached SBOM claims:
    /// `attached:` and the document's digest.
    pub path: String,
    /// The layer that brought this version; one past the last for what only an attached SBOM claims.
    pub introduced_in: LayerIndex,
    /// The OS package that owns the evidence file unchanged; the package is then not counted again.
    #[serde(default)]
    pub owned_by: Option<Purl>,
    /// The path of the nested root that it lies in; `None` in the image's own root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested_root: Option<String>,
}

/// A root file system inside the image: a chroot, the storage of another container engine, what an installer unpacks.
/// Its packages are its own distribution's, never the image's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NestedRoot {
    /// From the image's root without leading slash.
    pub path: String,
    /// Its distribution, where a file in it says so.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// As [`Inventory::repositories`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
}

/// A program that says which functions it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LinkedProgram {
    /// Where it is, as the [`path`](InstalledPackage::path) of the packages in it.
    pub path: String,
    /// Its functions, and the packages that they are in.
    pub functions: FunctionSet,
}

/// The distribution of an image's root, as `os-release` states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Distribution {
    /// `ID`: `debian`, `alpine` …, lower case.
    pub id: String,
    /// `VERSION_ID`; empty where there is none (Debian sid).
    pub version: String,
    /// `VERSION_CODENAME`.
    #[serde(default)]
    pub codename: Option<String>,
    /// `ID_LIKE`, in order.
    #[serde(default)]
    pub like: Vec<String>,
    /// `PRETTY_NAME`, or what comes nearest.
    pub name: String,
}

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
    /// Which package: position in [`Inventory::packages`].
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

/// Position of a package in [`Inventory::packages`].
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
}

/// How far one kind of package could be judged (I11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Coverage {
    /// The purl type of the packages, or the distribution for OS packages: `debian 12`, `npm`.
    pub subject: String,
    /// The advisory ecosystem that was consulted, if there is one.
    #[serde(default)]
    pub ecosystem: Option<String>,
    /// How many packages were judged with it.
    pub packages: u32,
    /// How much that ecosystem can say.
    pub state: CoverageState,
}

/// How much advisory data can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CoverageState {
    /// Fixed and unfixed flaws are listed.
    Full,
    /// Only flaws that have a fix are listed.
    FixedOnly,
    /// Some repositories of the distribution are not listed at all.
    Partial,
    /// Nothing is listed: no data is not no findings.
    None,
}

impl Report {
    /// The inventory, if the subject is an image.
    pub fn inventory(&self) -> Option<&Inventory> {
        match &self.subject {
            Subject::Image(inventory) => Some(inventory),
            Subject::Index { .. } | Subject::Artifact { .. } | Subject::Unreadable => None,
        }
    }

    /// The package that a finding is about.
    pub fn package_of(&self, finding: &Finding) -> Option<&InstalledPackage> {
        self.inventory()?.packages.get(finding.package.0 as usize)
    }
}
