//! Where something is unpacked: how deep, and how much of the file is unpacked already.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::image::decompress::Memory;
use crate::secrets::Secrets;

/// How much is unpacked of one file, in all that is nested in it together.
const MOST_UNPACKED: u64 = 64 << 20;
/// How much may become of a byte of the file, beyond what any file may become.
const MOST_RATIO: u64 = 256;
const ANY_FILE: u64 = 4 << 20;
/// Archives in archives; a compressed tar is two of them.
const MOST_DEPTH: u8 = 6;
/// Streams up to this depth get what encoders need at their best.
const ORDINARY_DEPTH: u8 = 1;

/// One of the archives around something.
#[derive(Clone)]
pub(super) struct Level<'s> {
    pub(super) secrets: &'s Secrets,
    /// Of the archive, parts joined by `!/`.
    pub(super) path: String,
    depth: u8,
    budget: Arc<Budget>,
}

/// What may still be unpacked of a file.
#[derive(Debug)]
struct Budget {
    most: u64,
    unpacked: AtomicU64,
}

impl<'s> Level<'s> {
    /// Of a file itself, of so many bytes.
    pub(super) fn outermost(secrets: &'s Secrets, path: &[u8], size: u64) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        let most = MOST_UNPACKED.min(ANY_FILE.saturating_add(size.saturating_mul(MOST_RATIO)));
        Self { secrets, path, depth: 0, budget: Arc::new(Budget { most, unpacked: AtomicU64::new(0) }) }
    }

    /// Of an archive in this one; `None` if that is deeper than anything is unpacked.
    pub(super) fn below(&self, name: &str) -> Option<Self> {
        let depth = self.depth + 1;
        (depth < MOST_DEPTH).then(|| Self { path: format!("{}!/{name}", self.path), depth, ..self.clone() })
    }

    /// What a decoder at this level may take.
    pub(super) fn memory(&self) -> Memory {
        if self.depth <= ORDINARY_DEPTH { Memory::Ordinary } else { Memory::Small }
    }

    /// Whether so many bytes more may be unpacked.
    #[must_use]
    pub(super) fn takes(&self, bytes: usize) -> bool {
        let unpacked = self.budget.unpacked.fetch_add(bytes as u64, Ordering::Relaxed);
        unpacked.saturating_add(bytes as u64) <= self.budget.most
    }
}
