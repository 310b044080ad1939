//! An analysis as bytes that may be kept for long, and back.
//!
//! One byte for the version of this format, eight that stand for the words that it uses, then a zstd frame with
//! a checksum around postcard. Postcard writes the position of a word among its siblings, not the word: an analysis that was
//! written with other siblings must not be read, hence the eight bytes. Whatever cannot be read is as good as
//! not there: the layer is read again.

use std::io::{self, Read, Write};
use std::sync::LazyLock;

use shared::model::digest::Digest;
use shared::model::observation::ObservationKind;
use shared::model::package::{Evidence, PackageKind};
use shared::model::problem::ProblemKind;
use shared::model::report::Severity;

use super::LayerAnalysis;

/// Raised whenever a field of [`LayerAnalysis`], or of anything in it, comes, goes or moves.
const VERSION: u8 = 6;
/// Written once and read often, and tables of entries are compressed already.
const LEVEL: i32 = 6;
/// The most bytes that are decompressed: far more than limits let an analysis have, far less than would hurt.
const LARGEST: u64 = 256 << 20;

/// Stands for the words, and their order, of every vocabulary that an analysis uses and that grows.
static WORDS: LazyLock<[u8; 8]> = LazyLock::new(|| {
    let evidence = [
        Evidence::Installed,
        Evidence::Inferred,
        Evidence::Embedded,
        Evidence::Unmatched,
        Evidence::Declared,
        Evidence::Claimed,
        Evidence::Recognised,
        Evidence::ArchiveNotInstalled,
    ];
    let severities = [Severity::Unknown, Severity::Negligible, Severity::Low, Severity::Medium];
    let severities = (severities, Severity::High, Severity::Critical);
    let words = (PackageKind::ALL, ProblemKind::ALL, ObservationKind::ALL, evidence, severities);
    let words = serde_json::to_vec(&words).expect("words are text");
    let digest = Digest::of(&words);
    let mut start = [0; 8];
    start.copy_from_slice(&digest.encoded().as_bytes()[..8]);
    start
});

impl LayerAnalysis {
    /// The analysis as bytes.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let plain = postcard::to_allocvec(self).map_err(io::Error::other)?;
        let head = [&[VERSION][..], &WORDS[..]].concat();
        let mut encoder = zstd::Encoder::new(head, LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.write_all(&plain)?;
        encoder.finish()
    }

    /// The analysis that these bytes are; `None` if they are damaged or another build wrote them otherwise.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let packed = bytes.strip_prefix(&[VERSION])?.strip_prefix(&WORDS[..])?;
        let mut plain = Vec::new();
        zstd::Decoder::with_buffer(packed).ok()?.take(LARGEST + 1).read_to_end(&mut plain).ok()?;
        if plain.len() as u64 > LARGEST {
            return None;
        }
        let (analysis, rest) = postcard::take_from_bytes::<Self>(&plain).ok()?;
        rest.is_empty().then_some(analysis)
    }
}

#[cfg(test)]
mod tests;
