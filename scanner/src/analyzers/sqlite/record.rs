//! One row of an SQLite table: a head of serial types, then the values.
//!
//! Format: SQLite, "Database File Format", section 2.1.

use super::btree::SqliteDamage;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::analyzers) struct Column<'a> {
    /// Whether it is a number, that is no text and no blob.
    is_integer: bool,
    /// The value as stored; of a number its big-endian bytes.
    pub(in crate::analyzers) bytes: &'a [u8],
}

impl Column<'_> {
    /// The value as a page number.
    pub(in crate::analyzers) fn page(self) -> Result<u32, SqliteDamage> {
        if !self.is_integer || self.bytes.len() > 8 {
            return Err(SqliteDamage::Record);
        }
        let number = self.bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        u32::try_from(number).map_err(|_| SqliteDamage::Record)
    }
}

/// The value of a column, counted from 0.
pub(in crate::analyzers) fn column(row: &[u8], wanted: usize) -> Result<Column<'_>, SqliteDamage> {
    let (head_size, mut at) = varint(row).ok_or(SqliteDamage::Record)?;
    let head_size = usize::try_from(head_size).map_err(|_| SqliteDamage::Record)?;
    let (head, mut values) = row.split_at_checked(head_size).ok_or(SqliteDamage::Record)?;
    for index in 0.. {
        let (serial, length) = head.get(at..).and_then(varint).ok_or(SqliteDamage::Record)?;
        at += length;
        let size = size_of(serial).ok_or(SqliteDamage::Record)?;
        let (bytes, rest) = values.split_at_checked(size).ok_or(SqliteDamage::Record)?;
        if index == wanted {
            return Ok(Column { is_integer: (1..=6).contains(&serial), bytes });
        }
        values = rest;
    }
    Err(SqliteDamage::Record)
}

/// How many bytes a value of a serial type has.
fn size_of(serial: u64) -> Option<usize> {
    match serial {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(serial).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        12.. => usize::try_from((serial - 12) / 2).ok(),
    }
}

/// A variable-length integer and how many bytes it took: seven bits a byte, eight in the ninth.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some(((number << 8) | u64::from(*byte), 9));
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_as_the_format_says() {
        for (bytes, expected) in [
            (&[0x00][..], Some((0, 1))),
            (&[0x7f, 0xff], Some((127, 1))),
            (&[0x81, 0x00], Some((128, 2))),
            (&[0xff; 9], Some((u64::MAX, 9))),
            (&[0x80], None),
            (&[], None),
        ] {
            assert_eq!(varint(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn columns_are_found_by_position() {
        // NULL, the blob "ab", the one-byte number 7, the text "c".
        let row = [5, 0, 16, 1, 15, b'a', b'b', 7, b'c'];
        assert_eq!(column(&row, 1).unwrap().bytes, b"ab");
        assert_eq!(column(&row, 2).unwrap().page(), Ok(7));
        assert_eq!(column(&row, 3).unwrap().bytes, b"c");
        assert_eq!(column(&row, 3).unwrap().page(), Err(SqliteDamage::Record));
        assert_eq!(column(&row, 4), Err(SqliteDamage::Record));
        assert_eq!(column(&row[..6], 1), Err(SqliteDamage::Record));
        assert_eq!(column(&[0xff; 12], 0), Err(SqliteDamage::Record));
    }
}
