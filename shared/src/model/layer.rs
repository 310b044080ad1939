//! Layers as reports name them: which bytes, and which command brought them.

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// Position of a layer in its image, bottom layer 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct LayerIndex(pub u16);

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Layer {
    /// Digest of the compressed bytes, as the manifest names them.
    pub digest: Digest,
    /// Digest of the uncompressed tar, as it was computed here.
    #[serde(default)]
    pub diff_id: Option<Digest>,
    /// Compressed size in bytes.
    pub size_bytes: u64,
    /// The history line that made it, where history and layers line up.
    #[serde(default)]
    pub created_by: Option<String>,
}
