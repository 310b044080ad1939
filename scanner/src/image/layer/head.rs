//! The first bytes of a file, and what they say about the memory that the rest takes.

use std::io::{BufRead as _, Read as _};
use std::ops::Range;

use super::offer::is_local;
use crate::analyzers::executable::code;
use crate::image::decompress::Inflated;
use crate::image::halt::Halt;
use crate::image::matcher::HEAD;
use crate::image::tar::Archive;

/// The first bytes of a file.
pub(super) struct Head {
    bytes: [u8; HEAD],
    length: usize,
    /// Whether they are still in the stream as well.
    place: Place,
}

enum Place {
    Stream,
    Taken,
}

impl Head {
    /// Looks at the first bytes of a file of `size` bytes, and takes them only where they do not lie in one piece. There
    /// may be fewer: a table of contents was read before.
    pub(super) fn of(archive: &mut Archive<Inflated>, size: u64) -> Result<Self, Halt> {
        let length = usize::try_from(size).map_or(HEAD, |size| size.min(HEAD));
        let mut bytes = [0; HEAD];
        let available = archive.fill_buf().map_err(Halt::of)?;
        if let Some(head) = available.get(..length) {
            bytes[..length].copy_from_slice(head);
            return Ok(Self { bytes, length, place: Place::Stream });
        }
        let mut taken = 0;
        while taken < length {
            match archive.read(&mut bytes[taken..length]).map_err(Halt::of)? {
                0 => break,
                read => taken += read,
            }
        }
        Ok(Self { bytes, length: taken, place: Place::Taken })
    }

    /// At most [`HEAD`] bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// What has to be put before the rest of the stream.
    pub(super) fn taken(&self) -> &[u8] {
        match self.place {
            Place::Stream => &[],
            Place::Taken => self.bytes(),
        }
    }
}

/// The parts of a large executable that nobody reads, so that its memory can do without them.
#[derive(Default)]
pub(super) struct Code {
    /// What was taken from the stream to find that out; nothing if nobody asked.
    beginning: Vec<u8>,
    /// The parts, in their order.
    pub(super) ranges: Vec<Range<u64>>,
}

impl Code {
    /// From so many bytes of code on they are left out.
    const WORTH: u64 = 1 << 20;
    /// The same where every byte has to be counted into checksums only in case that a package is found in the file.
    const WORTH_SUMMING: u64 = 32 << 20;

    /// Of a file with this head, whose readers can do without; takes its first bytes.
    pub(super) fn of(
        path: &[u8],
        size: u64,
        head: &Head,
        archive: &mut Archive<Inflated>,
    ) -> Result<Self, Halt> {
        if size < Self::WORTH || !head.bytes().starts_with(b"\x7fELF") {
            return Ok(Self::default());
        }
        let mut beginning = head.taken().to_vec();
        let more = (code::HEADERS - beginning.len()) as u64;
        archive.take(more).read_to_end(&mut beginning).map_err(Halt::of)?;
        let mut code = Self { ranges: code::of(&beginning, size), beginning };
        // Programs of Go have packages in any case.
        let is_summed_anyway = is_local(path) || code::is_of_go(&code.beginning);
        if code.bytes() < if is_summed_anyway { Self::WORTH } else { Self::WORTH_SUMMING } {
            code.ranges.clear();
        }
        Ok(code)
    }

    /// How many bytes they are together.
    pub(super) fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// What has to be put before the rest of the stream.
    pub(super) fn head<'a>(&'a self, head: &'a Head) -> &'a [u8] {
        if self.beginning.is_empty() { head.taken() } else { &self.beginning }
    }
}
