//! What a file is by its first bytes, as far as there is something in it to unpack.

use crate::image::decompress::Compression;

/// So many bytes tell: the header of a tar.
pub(super) const TELLING: usize = 512;

/// A kind of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Compressed(Compression),
    Tar,
    Zip,
}

impl Content {
    /// What begins so; nothing if it is no container.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match Compression::of(head) {
            Compression::Plain => {}
            // Three letters may begin a text.
            Compression::Bzip2 if head.get(4..10).is_none_or(|block| block != b"1AY&SY") => {}
            compression => return Some(Self::Compressed(compression)),
        }
        if head.starts_with(b"PK\x03\x04") {
            return Some(Self::Zip);
        }
        head.get(257..262).is_some_and(|magic| magic == b"ustar").then_some(Self::Tar)
    }
}
