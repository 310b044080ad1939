//! Budgets so small that inputs of 64 KiB reach them: what happens at a limit is fuzzed as well.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use scanner::image::Engine;
use scanner::limits::Limits;

/// An engine with every analyzer.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(limits(), NonZeroUsize::MIN));

/// The budgets.
pub fn limits() -> Limits {
    Limits {
        layer_bytes: 8 << 20,
        layer_entries: 1000,
        header_bytes: 16 << 10,
        text_bytes: 256 << 10,
        database_bytes: 1 << 20,
        binary_bytes: 1 << 20,
        archive_bytes: 8 << 20,
        archive_entries: 500,
        capture_bytes: 2 << 20,
        packages: 2000,
        ..Limits::default()
    }
}
