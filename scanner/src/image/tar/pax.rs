//! PAX extended headers: `length key=value\n` records, and which of them steer reading.
//!
//! IEEE Std 1003.1 "pax", "pax Extended Header"; GNU tar manual, "Storing Sparse Files".

use super::TarError;

/// What one extended header says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    /// `security.capability` is set.
    pub(super) capability: bool,
    pub(super) sparse: SparseRecords,
}

/// The `GNU.sparse.*` records of the three PAX sparse formats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `realsize` (1.0) or `size` (0.0, 0.1).
    pub(super) size: Option<u64>,
    /// Numbers of the map, offset and length in turn (0.0 repeats records, 0.1 has one list).
    pub(super) map: Vec<u64>,
}

/// More numbers than a map of the largest allowed number of segments has.
const MOST_MAP_NUMBERS: usize = 2 * super::sparse::MOST_SEGMENTS;

impl Records {
    /// Parses a whole extended header. A record of impossible length or with a NUL in a name is an error:
    /// readers that go on after it see different archives.
    pub(super) fn parse(mut block: &[u8], offset: u64) -> Result<Self, TarError> {
        let mut records = Self::default();
        while !block.is_empty() {
            let (record, rest) = split_record(block).ok_or(TarError::Pax { offset })?;
            block = rest;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(TarError::Pax { offset })?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() || key.contains(&0) {
                return Err(TarError::Pax { offset });
            }
            records.take(key, value).ok_or(TarError::Pax { offset })?;
        }
        Ok(records)
    }

    /// Whether the records would change which bytes end up under which name.
    pub(super) fn steers(&self) -> bool {
        self.path.is_some()
            || self.link.is_some()
            || self.size.is_some()
            || self.sparse != SparseRecords::default()
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = name(value)?,
            b"linkpath" => self.link = name(value)?,
            b"size" => self.size = optional(value)?,
            b"uid" => self.uid = optional(value)?.map(|id| u32::try_from(id).unwrap_or(u32::MAX)),
            b"gid" => self.gid = optional(value)?.map(|id| u32::try_from(id).unwrap_or(u32::MAX)),
            b"SCHILY.xattr.security.capability" | b"LIBARCHIVE.xattr.security.capability" => {
                self.capability = !value.is_empty();
            }
            b"GNU.sparse.major" => self.sparse.major = optional(value)?,
            b"GNU.sparse.minor" => self.sparse.minor = optional(value)?,
            b"GNU.sparse.name" => self.sparse.name = name(value)?,
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => self.sparse.size = optional(value)?,
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                // Offsets and lengths must alternate, or they could be paired in two ways.
                let is_offset = key == b"GNU.sparse.offset";
                if self.sparse.map.len().is_multiple_of(2) != is_offset {
                    return None;
                }
                self.push_map(decimal(value)?)?;
            }
            b"GNU.sparse.map" => {
                self.sparse.map.clear();
                for part in value.split(|byte| *byte == b',').filter(|part| !part.is_empty()) {
                    self.push_map(decimal(part)?)?;
                }
            }
            _ => {}
        }
        Some(())
    }

    fn push_map(&mut self, number: u64) -> Option<()> {
        if self.sparse.map.len() >= MOST_MAP_NUMBERS {
            return None;
        }
        self.sparse.map.push(number);
        Some(())
    }
}

/// Splits the first `length key=value\n` off; gives `key=value`.
fn split_record(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = block.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&block[..space])?).ok()?;
    if length <= space + 1 || length > block.len() || block[length - 1] != b'\n' {
        return None;
    }
    Some((&block[space + 1..length - 1], &block[length..]))
}

/// A name: empty means "not stated", a NUL inside is refused.
fn name(value: &[u8]) -> Option<Option<Vec<u8>>> {
    if value.contains(&0) {
        return None;
    }
    Some((!value.is_empty()).then(|| value.to_vec()))
}

/// A decimal number: empty means "not stated".
fn optional(value: &[u8]) -> Option<Option<u64>> {
    if value.is_empty() {
        return Some(None);
    }
    decimal(value).map(Some)
}

/// Decimal digits, nothing else.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_stated_length_or_not_at_all() {
        for (block, path) in [
            (&b"12 path=a/b\n"[..], Some(Some(&b"a/b"[..]))),
            (b"12 path=a\nb\n", Some(Some(b"a\nb"))),
            (b"8 path=\n", Some(None)),
            (b"13 path=a/b\n", None),
            (b"11 path=a/b\n", None),
            (b"12 path=a\0b\n", None),
            (b"7 path\n", None),
            (b"0 path=a\n", None),
            (b"-1 path=a\n", None),
            (b"99999999999999999999 path=a\n", None),
            (b"4 =\n\n", None),
            (b"", Some(None)),
        ] {
            let read = Records::parse(block, 0).ok().map(|records| records.path);
            assert_eq!(read, path.map(|path| path.map(<[u8]>::to_vec)), "{block:?}");
        }
    }

    #[test]
    fn sparse_pairs_must_alternate() {
        assert!(Records::parse(b"23 GNU.sparse.offset=0\n26 GNU.sparse.numbytes=10\n", 0).is_ok());
        assert!(Records::parse(b"26 GNU.sparse.numbytes=10\n23 GNU.sparse.offset=0\n", 0).is_err());
    }
}
