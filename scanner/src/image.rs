//! From a digest to an inventory: manifest, index, config → layers → one pass over each → squash.

/// Raised whenever reading, squashing or attribution could give another result for the same bytes.
pub const ENGINE_VERSION: u32 = 1;
