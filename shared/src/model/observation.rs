//! Observations: what is wrong with the image itself, rather than with a package in it.
//!
//! Secrets, misconfiguration, malware and signs of evasion share one shape, so that policies, reports and
//! gates treat all of them alike. A secret's text is never part of one: only a mask, and a keyed hash by which
//! the same secret is recognised again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::layer::LayerIndex;
use super::report::Severity;

/// Something about the image that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Observation {
    /// Which check found it: a stable id such as `TW-CFG-USER` or `TW-SEC-GITHUB-TOKEN`.
    pub rule: String,
    /// What kind of trouble it is.
    pub kind: ObservationKind,
    /// How bad.
    pub severity: Severity,
    /// One line for people: what is wrong. Never contains a secret.
    pub title: String,
    /// What to do about it, in one sentence.
    pub remediation: String,
    /// Where it was seen.
    pub place: ObservationPlace,
    /// Whether a container would see it.
    pub visibility: Visibility,
    /// What was matched, made harmless: the first characters and the length.
    #[serde(default)]
    pub masked: Option<String>,
    /// A keyed hash of the secret: equal for the same secret at another place, of no use to anybody else.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// Controls and catalogues that ask for the same: `CIS-DI-4.1`.
    #[serde(default)]
    pub controls: Vec<String>,
}

/// Kinds of observations.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ObservationKind {
    /// Something that gives access and that whoever can pull the image can read.
    Secret,
    /// The image asks for more than it needs, or was built carelessly.
    Misconfiguration,
    /// A file that malware rules recognise.
    Malware,
    /// The image shows different things to different readers.
    Evasion,
}

impl ObservationKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Misconfiguration, Self::Malware, Self::Evasion];

    /// The name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Misconfiguration => "misconfiguration",
            Self::Malware => "malware",
            Self::Evasion => "evasion",
        }
    }
}

impl fmt::Display for ObservationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where an observation was made. What is unknown is `None`.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct ObservationPlace {
    /// The file, from the image's root without leading slash; inner paths follow after `!/`.
    #[serde(default)]
    pub path: Option<String>,
    /// The line in the file, from 1, where the file has lines.
    #[serde(default)]
    pub line: Option<u32>,
    /// The layer that holds it.
    #[serde(default)]
    pub layer: Option<LayerIndex>,
    /// Which part of the config it is in: `config.User`, `config.Env[PATH]`, `history[3]`.
    #[serde(default)]
    pub config: Option<String>,
    /// The history line that caused it, shortened, with secrets masked.
    #[serde(default)]
    pub created_by: Option<String>,
}

/// Whether a container would see what was observed. Hidden bytes can be downloaded all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Visibility {
    /// It is in the final file system or config.
    Visible,
    /// A later layer put something else in its place.
    Overwritten {
        /// Which layer.
        by: LayerIndex,
    },
    /// A later layer removed it.
    Deleted {
        /// Which layer.
        by: LayerIndex,
    },
}
