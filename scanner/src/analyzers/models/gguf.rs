//! GGUF: `GGUF`, version, numbers of tensors and of pairs, then the pairs: key, type, value; all little endian.
//!
//! `general.*` comes first by convention; reading ends where something longer than the beginning of the file comes.

use super::Description;

/// So many pairs are looked at.
const MOST_PAIRS: u64 = 1000;

/// What the pairs say; what is broken or cut says nothing.
pub(super) fn read(content: &[u8]) -> Description {
    let mut description = Description::default();
    let mut reader = Reader(content);
    if let Some(pairs) = reader.start() {
        for _ in 0..pairs.min(MOST_PAIRS) {
            if reader.pair(&mut description).is_none() {
                break;
            }
        }
    }
    description
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u64()?;
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// The number of pairs. The first version counted with 32 bits and is not written any more.
    fn start(&mut self) -> Option<u64> {
        self.take(4)?;
        (self.u32()? >= 2).then_some(())?;
        self.u64()?;
        self.u64()
    }

    fn pair(&mut self, description: &mut Description) -> Option<()> {
        const TEXT: u32 = 8;
        const ARRAY: u32 = 9;
        let key = self.text()?;
        match self.u32()? {
            TEXT => {
                let value = self.text()?;
                match key.as_str() {
                    "general.name" => description.name = Some(value),
                    "general.version" => description.version = Some(value),
                    "general.architecture" => description.architecture = Some(value),
                    "general.license" => description.license = Some(value),
                    _ => {}
                }
            }
            ARRAY => {
                let (kind, count) = (self.u32()?, self.u64()?);
                match kind {
                    TEXT => {
                        // Each has eight bytes at least, so that the content bounds this.
                        for _ in 0..count {
                            let length = self.u64()?;
                            self.take(length)?;
                        }
                    }
                    _ => {
                        self.take(size(kind)?.checked_mul(count)?)?;
                    }
                }
            }
            kind => {
                self.take(size(kind)?)?;
            }
        }
        Some(())
    }
}

/// The bytes of a value of a type of fixed size.
fn size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
