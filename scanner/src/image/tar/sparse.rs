//! Sparse members: where the stored bytes of a file lie in it; holes read as zeros and are never stored.
//!
//! A hole of any length costs a few bytes of the stream: what is expanded of all holes together is bounded, and who only
//! looks for something in a file passes over them.
//!
//! GNU tar manual, "Storing Sparse Files": the old GNU header, and PAX formats 0.0, 0.1 and 1.0.

use std::io::{self, BufRead, Read};

use super::header::{BLOCK, number};
use super::pax::decimal;
use super::{TarError, read_block};

/// How much is expanded at a time.
const PIECE: usize = 64 << 10;
/// What is left of a hole that is passed over: enough to keep apart what lies before and after it.
const SHORT_HOLE: usize = 512;
/// The most segments of one file.
pub(super) const MOST_SEGMENTS: usize = 65_536;

/// Stored bytes: where they belong, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// How many zeros may be made of holes, over all members of an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct HoleBudget {
    limit: u64,
    left: u64,
}

impl HoleBudget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, left: limit }
    }

    fn take(&mut self, zeros: u64) -> io::Result<()> {
        let beyond = || io::Error::other(TarError::Holes { limit: self.limit });
        self.left = self.left.checked_sub(zeros).ok_or_else(beyond)?;
        Ok(())
    }
}

/// How holes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holes {
    /// As so many zeros.
    Whole,
    /// As a few zeros.
    Short,
}

/// A sparse file on the way to be read: zeros and stored bytes in turn.
#[derive(Debug)]
pub(super) struct SparseContent {
    segments: std::vec::IntoIter<Segment>,
    current: Segment,
    /// Where the expanded piece ends.
    position: u64,
    real_size: u64,
    holes: Holes,
    /// The piece that is read from now.
    expanded: Vec<u8>,
    consumed: usize,
}

impl SparseContent {
    /// A map over `stored` bytes of a file of `real_size`: in order, without overlap, and exactly as many
    /// bytes as are stored.
    pub(super) fn new(
        segments: Vec<Segment>,
        stored: u64,
        real_size: u64,
        offset: u64,
    ) -> Result<Self, TarError> {
        let refused = TarError::Sparse { offset };
        let (mut end, mut sum) = (0_u64, 0_u64);
        for segment in &segments {
            let Some(next) = segment.offset.checked_add(segment.length) else {
                return Err(refused);
            };
            if segment.offset < end || next > real_size {
                return Err(refused);
            }
            end = next;
            sum += segment.length;
        }
        if sum != stored {
            return Err(refused);
        }
        let nothing = Segment { offset: 0, length: 0 };
        Ok(Self {
            segments: segments.into_iter(),
            current: nothing,
            position: 0,
            real_size,
            holes: Holes::Whole,
            expanded: Vec::new(),
            consumed: 0,
        })
    }

    /// From here on holes read as a few zeros, whatever their length.
    pub(super) fn shorten_holes(&mut self) {
        self.holes = Holes::Short;
    }

    /// Bytes of the expanded file that are not consumed yet, empty at its end; stored ones come from `source`, `stored`
    /// counts them down, and `budget` the zeros of holes. `None` if the source ends too early.
    pub(super) fn fill_buf(
        &mut self,
        source: &mut impl Read,
        stored: &mut u64,
        budget: &mut HoleBudget,
    ) -> io::Result<Option<&[u8]>> {
        if self.consumed == self.expanded.len() && self.position < self.real_size {
            self.expand(source, stored, budget)?;
            if self.expanded.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(&self.expanded[self.consumed..]))
    }

    /// Marks so many of them as read.
    pub(super) fn consume(&mut self, count: usize) {
        self.consumed = (self.consumed + count).min(self.expanded.len());
    }

    fn expand(
        &mut self,
        source: &mut impl Read,
        stored: &mut u64,
        budget: &mut HoleBudget,
    ) -> io::Result<()> {
        while self.position >= self.current.offset + self.current.length {
            match self.segments.next() {
                Some(next) => self.current = next,
                None => break,
            }
        }
        let end = self.current.offset + self.current.length;
        let (limit, is_hole) = if self.position < self.current.offset {
            (self.current.offset, true)
        } else if self.position < end {
            (end, false)
        } else {
            (self.real_size, true)
        };
        let most = if is_hole && self.holes == Holes::Short { SHORT_HOLE } else { PIECE };
        let room = usize::try_from(limit - self.position).map_or(most, |room| room.min(most));
        self.consumed = 0;
        self.expanded.clear();
        if is_hole {
            budget.take(room as u64)?;
            self.expanded.resize(room, 0);
            self.position = match self.holes {
                Holes::Whole => self.position + room as u64,
                Holes::Short => limit,
            };
            return Ok(());
        }
        self.expanded.resize(room, 0);
        let read = source.read(&mut self.expanded);
        let length = *read.as_ref().unwrap_or(&0);
        self.expanded.truncate(length);
        *stored -= length as u64;
        read?;
        self.position += length as u64;
        Ok(())
    }
}

/// The map of an old GNU header (`first` are its four descriptors) and of the blocks that continue it.
pub(super) fn old_map(
    first: &[u8],
    extended: bool,
    source: &mut impl BufRead,
    offset: &mut u64,
) -> Result<Vec<Segment>, TarError> {
    let mut segments = Vec::new();
    old_descriptors(first, &mut segments, *offset)?;
    let mut more = extended;
    while more {
        let block = read_block(source, offset)?.ok_or(TarError::Truncated { offset: *offset })?;
        old_descriptors(&block[..504], &mut segments, *offset)?;
        more = block[504] != 0;
    }
    Ok(segments)
}

fn old_descriptors(fields: &[u8], segments: &mut Vec<Segment>, offset: u64) -> Result<(), TarError> {
    for field in fields.chunks_exact(24).take_while(|field| field[0] != 0) {
        let pair = number(&field[..12]).zip(number(&field[12..]));
        let (start, length) = pair.ok_or(TarError::Sparse { offset })?;
        if segments.len() >= MOST_SEGMENTS {
            return Err(TarError::Sparse { offset });
        }
        segments.push(Segment { offset: start, length });
    }
    Ok(())
}

/// The numbers of formats 0.0 and 0.1 as segments.
pub(super) fn listed_map(numbers: &[u64], offset: u64) -> Result<Vec<Segment>, TarError> {
    if !numbers.len().is_multiple_of(2) {
        return Err(TarError::Sparse { offset });
    }
    let pairs = numbers.chunks_exact(2);
    Ok(pairs.map(|pair| Segment { offset: pair[0], length: pair[1] }).collect())
}

/// The map of format 1.0, which precedes the content in whole blocks of decimal lines.
///
/// `stored` is what the member stores, map included; it is counted down to what follows the map.
pub(super) fn leading_map(
    source: &mut impl BufRead,
    stored: &mut u64,
    offset: &mut u64,
) -> Result<Vec<Segment>, TarError> {
    let mut lines = MapLines { source, stored, offset, block: [0; BLOCK], used: BLOCK };
    let count = lines.number()?;
    if count > MOST_SEGMENTS as u64 {
        return Err(TarError::Sparse { offset: *offset });
    }
    let mut segments = Vec::new();
    for _ in 0..count {
        let (offset, length) = (lines.number()?, lines.number()?);
        segments.push(Segment { offset, length });
    }
    Ok(segments)
}

struct MapLines<'a, R> {
    source: &'a mut R,
    stored: &'a mut u64,
    offset: &'a mut u64,
    block: [u8; BLOCK],
    used: usize,
}

impl<R: BufRead> MapLines<'_, R> {
    fn number(&mut self) -> Result<u64, TarError> {
        let mut digits = [0_u8; 20];
        for length in 0..=digits.len() {
            match (self.byte()?, length) {
                (b'\n', _) => {
                    return decimal(&digits[..length]).ok_or(TarError::Sparse { offset: *self.offset });
                }
                (_, 20) => break,
                (byte, _) => digits[length] = byte,
            }
        }
        Err(TarError::Sparse { offset: *self.offset })
    }

    fn byte(&mut self) -> Result<u8, TarError> {
        if self.used == BLOCK {
            let truncated = TarError::Truncated { offset: *self.offset };
            let Some(left) = self.stored.checked_sub(BLOCK as u64) else {
                return Err(truncated);
            };
            self.block = read_block(self.source, self.offset)?.ok_or(truncated)?;
            *self.stored = left;
            self.used = 0;
        }
        self.used += 1;
        Ok(self.block[self.used - 1])
    }
}
