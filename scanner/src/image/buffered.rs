//! Reading for those that have what comes next at hand.

use std::io::{self, BufRead};

/// [`std::io::Read::read`] in terms of [`BufRead`].
pub(super) fn read(source: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let available = source.fill_buf()?;
    let length = available.len().min(buffer.len());
    buffer[..length].copy_from_slice(&available[..length]);
    source.consume(length);
    Ok(length)
}
