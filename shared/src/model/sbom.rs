//! SBOMs that somebody attached to an image: what they list besides what was seen is in the inventory as a claim.
//!
//! Whoever may push the image may attach to it, so nobody believes them: a claim adds packages, and with them findings; it
//! takes nothing away. Which documents were read is a part of the report, so that none is read twice.

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The most SBOMs of one image that are read.
pub const MOST_SBOMS: usize = 16;

/// One attached SBOM that was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AttachedSbom {
    /// The document as it lies in the registry: a plain one, a statement or an envelope.
    pub digest: Digest,
    /// How many packages it names.
    pub packages: u32,
    /// How many of them nothing else shows: the inventory has them with the evidence `claimed`.
    pub claimed: u32,
}

impl AttachedSbom {
    /// What stands in the place of a path, where a package or a problem comes from an attached document.
    pub fn place(digest: &Digest) -> String {
        format!("attached:{digest}")
    }
}
