//! Budgets for hostile input: every one has a default, can be configured, and is reported when hit (I7).

use std::time::Duration;

/// How much of anything an image may cost. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A manifest or index document.
    pub manifest_bytes: u64,
    /// An image config.
    pub config_bytes: u64,
    /// All compressed layers of an image together.
    pub image_bytes: u64,
    /// One layer after inflating.
    pub layer_bytes: u64,
    /// Inflated to compressed, counted after the first GiB of a layer.
    pub layer_ratio: u64,
    /// Entries of one layer.
    pub layer_entries: u64,
    /// One path.
    pub path_bytes: usize,
    /// A PAX header block or a GNU long name.
    pub header_bytes: u64,
    /// A text or JSON file that an analyzer wants whole.
    pub text_bytes: u64,
    /// A package database (dpkg status, apk installed, rpmdb).
    pub database_bytes: u64,
    /// An executable or an archive that an analyzer wants whole.
    pub binary_bytes: u64,
    /// How deep archives may be nested in archives.
    pub archive_depth: u32,
    /// Everything inflated out of one archive, nested ones included.
    pub archive_bytes: u64,
    /// Entries of one archive.
    pub archive_entries: u64,
    /// Memory for captured files, over all layers that are read at the same time.
    pub capture_bytes: u64,
    /// Packages of one image.
    pub packages: usize,
    /// How deep indexes may be nested.
    pub index_depth: u32,
    /// Wall clock for one layer.
    pub layer_time: Duration,
    /// Wall clock for one image.
    pub image_time: Duration,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 * MIB,
            config_bytes: 8 * MIB,
            image_bytes: 20 * GIB,
            layer_bytes: 40 * GIB,
            layer_ratio: 200,
            layer_entries: 2_000_000,
            path_bytes: 4096,
            header_bytes: MIB,
            text_bytes: 32 * MIB,
            database_bytes: 256 * MIB,
            binary_bytes: 256 * MIB,
            archive_depth: 5,
            archive_bytes: 4 * GIB,
            archive_entries: 200_000,
            capture_bytes: 40 * MIB,
            packages: 500_000,
            index_depth: 4,
            layer_time: Duration::from_secs(600),
            image_time: Duration::from_secs(1800),
        }
    }
}
