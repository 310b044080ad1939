//! One 512-byte tar header block: checksum verified, numbers decoded, names joined.
//!
//! POSIX.1-1988 ustar and its v7 and GNU relatives: IEEE Std 1003.1 "pax", "ustar Interchange Format";
//! GNU tar manual, "Basic Tar Format".

use super::TarError;

/// Size of a header, and of what contents are padded to.
pub(super) const BLOCK: usize = 512;

/// A header block whose checksum is right.
pub(super) struct Header {
    block: [u8; BLOCK],
    dialect: Dialect,
}

/// Who wrote the header, as far as its magic says. Decides whether the prefix field is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Before ustar: no magic, no prefix.
    V7,
    /// `ustar\0`: a prefix of 155 bytes.
    Posix,
    /// `ustar  \0`: other fields where the prefix would be.
    Gnu,
    /// Posix magic and `tar\0` at the end: a prefix of 131 bytes.
    Star,
}

impl Header {
    /// Takes a block that is not all zero.
    pub(super) fn parse(block: [u8; BLOCK], offset: u64) -> Result<Self, TarError> {
        let stated = octal(&block[148..156]).ok_or(TarError::Checksum { offset })?;
        // Some old writers summed signed characters; both sums are accepted by every reader.
        let (mut unsigned, mut signed) = (0_i64, 0_i64);
        for (position, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&position) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        let stated = i64::try_from(stated).map_err(|_| TarError::Checksum { offset })?;
        if stated != unsigned && stated != signed {
            return Err(TarError::Checksum { offset });
        }
        let dialect = match &block[257..265] {
            b"ustar  \0" => Dialect::Gnu,
            magic if magic.starts_with(b"ustar\0") && &block[508..512] == b"tar\0" => Dialect::Star,
            magic if magic.starts_with(b"ustar\0") => Dialect::Posix,
            _ => Dialect::V7,
        };
        Ok(Self { block, dialect })
    }

    /// The type flag, byte 156.
    pub(super) fn flag(&self) -> u8 {
        self.block[156]
    }

    /// Prefix and name as this header alone states them.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.block[..100]);
        let prefix = match self.dialect {
            Dialect::V7 | Dialect::Gnu => &[][..],
            Dialect::Posix => until_nul(&self.block[345..500]),
            Dialect::Star => until_nul(&self.block[345..476]),
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// The link target as this header alone states it.
    pub(super) fn link(&self) -> Vec<u8> {
        until_nul(&self.block[157..257]).to_vec()
    }

    /// The size in bytes as this header alone states it.
    pub(super) fn size(&self, offset: u64) -> Result<u64, TarError> {
        number(&self.block[124..136]).ok_or(TarError::Number { field: "size", offset })
    }

    /// Permission bits. A mode that cannot be read does not change what is extracted where, so it is 0.
    pub(super) fn mode(&self) -> u32 {
        number(&self.block[100..108]).map_or(0, |mode| (mode & 0o7777) as u32)
    }

    /// Owner, or the largest id where none can be read.
    pub(super) fn uid(&self) -> u32 {
        id(&self.block[108..116])
    }

    /// Group, or the largest id where none can be read.
    pub(super) fn gid(&self) -> u32 {
        id(&self.block[116..124])
    }

    /// The four sparse segments of an old GNU header, whether more follow, and the real size.
    pub(super) fn old_sparse(&self, offset: u64) -> Result<(&[u8], bool, u64), TarError> {
        let real = number(&self.block[483..495]).ok_or(TarError::Number { field: "real size", offset })?;
        Ok((&self.block[386..482], self.block[482] != 0, real))
    }
}

fn id(field: &[u8]) -> u32 {
    number(field).and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX)
}

/// The bytes before the first NUL.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// A number: octal text, or base-256 where the first bit is set. `None` if negative, too large, or neither.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    if first & 0x40 != 0 {
        return None;
    }
    rest.iter().try_fold(u64::from(first & 0x3f), |value, byte| {
        value.checked_mul(256)?.checked_add(u64::from(*byte))
    })
}

/// Octal digits, led by spaces, ended by a space, a NUL or the field. An empty field is 0.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = until_nul(field).trim_ascii();
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_never_negative() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"00000008", None),
            (b"-0000001", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", Some(u64::MAX)),
            (b"\x80\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"77777777777777777777777777777", None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }
}
