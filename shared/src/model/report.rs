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
pub use finding::{
    Confidence, Finding, FindingKind, FindingStatus, Fix, PackageIndex, Probability, Score, Severity,
    Suppression,
};

mod finding;

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
