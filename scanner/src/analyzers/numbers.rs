//! Fixed-width numbers at stated offsets of foreign bytes; `None` where the bytes end before.

/// The byte order of a file that may come from another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::analyzers) enum Order {
    Big,
    Little,
}

impl Order {
    pub(in crate::analyzers) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        array(bytes, at).map(|raw| match self {
            Self::Big => u16::from_be_bytes(raw),
            Self::Little => u16::from_le_bytes(raw),
        })
    }

    pub(in crate::analyzers) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        array(bytes, at).map(|raw| match self {
            Self::Big => u32::from_be_bytes(raw),
            Self::Little => u32::from_le_bytes(raw),
        })
    }

    /// A 32-bit number that is an offset, a length or a count.
    pub(in crate::analyzers) fn size(self, bytes: &[u8], at: usize) -> Option<usize> {
        self.u32(bytes, at).and_then(|number| usize::try_from(number).ok())
    }
}

/// `N` bytes at an offset.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
