//! From stored bytes to tar bytes: the decompressor is chosen by magic, every member is decoded, and both
//! sides are counted and hashed in the same pass.
//!
//! gzip: RFC 1952; zstd: RFC 8878; bzip2 and xz: their file formats. A media type never decides: runtimes
//! sniff as well, and the result must be a function of the bytes alone.

mod bzip2;
mod decoder;
mod gzip;
mod inflated;
mod pushed;
mod xz;
mod zstd;

use serde::{Deserialize, Serialize};
use shared::model::digest::Digest;

use super::halt::Halt;
use super::toc::chunked::Tables;
pub(super) use decoder::Decoder;
pub(super) use inflated::Inflated;
pub(crate) use pushed::{Memory, Pushed, Stop};

/// Longest magic, and enough of a zstd frame header to see the window.
const PEEK: usize = 18;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl Compression {
    /// Recognises the magic at the start of a stream; what has none is taken for plain.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// The name that people use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        }
    }

    fn codec(self, start: &[u8], memory: Memory) -> Result<Option<Box<dyn Codec>>, Halt> {
        Ok(match self {
            Self::Plain => None,
            Self::Gzip => Some(Box::new(gzip::Gzip::new())),
            Self::Zstd => Some(Box::new(zstd::Zstd::new(start)?)),
            Self::Bzip2 => Some(Box::new(bzip2::Bzip2::new())),
            Self::Xz => Some(Box::new(xz::Xz::within(memory.dictionary())?)),
        })
    }
}

/// Decodes one member (gzip member, zstd frame, stream) after another.
trait Codec: Send {
    /// Prepares for a member that begins with `start`.
    fn begin(&mut self, start: &[u8]) -> Result<(), Halt>;

    /// Decodes some of `input` into `output`.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt>;
}

/// What one call of a [`Codec`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    read: usize,
    written: usize,
    ended: bool,
}

/// The member that was begun last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// How many there were, this one included.
    pub(super) number: u64,
    /// Where it starts in the stored bytes.
    pub(super) stored_at: u64,
    /// Where its first byte is in the uncompressed bytes.
    pub(super) inflated_at: u64,
}

/// What is known of a layer once it was read to its end: above all both digests.
pub(super) struct Digests {
    /// Of the bytes as they are stored.
    pub(super) stored: Digest,
    pub(super) stored_bytes: u64,
    /// Of the tar; `None` if it could not be decoded to its end.
    pub(super) inflated: Option<Digest>,
    pub(super) inflated_bytes: u64,
    /// The last stored bytes, at most as many as a footer has.
    pub(super) tail: Vec<u8>,
    /// Tables of contents between the frames of zstd.
    pub(super) tables: Tables,
    /// Something other than zeros followed the last member.
    pub(super) has_trailing_bytes: bool,
}

#[cfg(test)]
mod tests;
