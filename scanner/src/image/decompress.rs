//! From stored bytes to tar bytes: the decompressor is chosen by magic, every member is decoded, and both
//! sides are counted and hashed in the same pass.
//!
//! gzip: RFC 1952; zstd: RFC 8878; bzip2 and xz: their file formats. A media type never decides: runtimes
//! sniff as well, and the result must be a function of the bytes alone.

mod bzip2;
mod gzip;
mod pushed;
mod xz;
mod zstd;

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};
use shared::model::digest::{Algorithm, Digest};

use super::halt::Halt;
use super::hashing::HashLine;
use super::stored::Stored;
use super::toc::chunked::{self, Tables};
use crate::limits::Limits;
pub(crate) use pushed::{Memory, Pushed, Stop};

const BUFFER_BYTES: usize = 128 << 10;
/// Longest magic, and enough of a zstd frame header to see the window.
const PEEK: usize = 18;
/// The ratio of inflated to stored bytes counts only beyond this: small layers of zeros are ordinary.
const RATIO_FROM: u64 = 1 << 30;

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

/// The uncompressed side of a layer.
pub(super) struct Inflated {
    stored: Stored,
    compression: Compression,
    codec: Option<Box<dyn Codec>>,
    state: State,
    /// `None` for plain layers whose stored hash is the uncompressed one, too.
    line: Option<HashLine>,
    bytes: u64,
    limits: InflateLimits,
    trailing: bool,
    /// An error came out; whatever the decoder says after that is not to be trusted.
    broken: bool,
    window: Option<u64>,
    member: Member,
    tables: Tables,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Inside,
    Ended,
}

#[derive(Clone, Copy)]
struct InflateLimits {
    bytes: u64,
    ratio: u64,
    table: u64,
}

/// Both digests of a layer.
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
}

impl Inflated {
    /// Looks at the first bytes and prepares to decode.
    pub(super) fn open(mut stored: Stored, limits: &Limits) -> Result<Self, (Halt, Box<Stored>)> {
        let opened = stored.peek(PEEK).map_err(Halt::of).and_then(|start| {
            let compression = Compression::of(start);
            let window = zstd::extraordinary_window(start);
            Ok((compression, compression.codec(start, Memory::Ordinary)?, window))
        });
        let (compression, codec, window) = match opened {
            Ok(opened) => opened,
            Err(halt) => return Err((halt, Box::new(stored))),
        };
        let line = match compression {
            Compression::Plain if stored.algorithm() == Algorithm::Sha256 => None,
            Compression::Plain
            | Compression::Gzip
            | Compression::Zstd
            | Compression::Bzip2
            | Compression::Xz => Some(HashLine::start(Algorithm::Sha256, stored.place())),
        };
        Ok(Self {
            stored,
            compression,
            codec,
            state: State::Between,
            line,
            bytes: 0,
            limits: InflateLimits {
                bytes: limits.layer_bytes,
                ratio: limits.layer_ratio,
                table: limits.capture_bytes,
            },
            trailing: false,
            broken: false,
            window,
            member: Member::default(),
            tables: Tables::default(),
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
        })
    }

    /// How the layer is compressed.
    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    /// The member that the bytes come from which were decoded last.
    pub(super) fn member(&self) -> Member {
        self.member
    }

    /// Whether something other than zeros followed the last member.
    pub(super) fn has_trailing_bytes(&self) -> bool {
        self.trailing
    }

    /// How much memory the decoder may need beyond the ordinary: ask for a permit before reading on.
    pub(super) fn extraordinary_window(&self) -> Option<u64> {
        self.window
    }

    /// Both digests. The stored side is read to its end, the tar must have been read to its end before.
    pub(super) fn finish(mut self) -> Result<Digests, Halt> {
        self.stored.drain().map_err(Halt::of)?;
        let tail = self.stored.tail().to_vec();
        let (stored, stored_bytes) = self.stored.finish();
        let inflated = match self.line {
            _ if self.broken => None,
            Some(line) => Some(line.finish()),
            None => Some(stored.clone()),
        };
        Ok(Digests { inflated, inflated_bytes: self.bytes, stored, stored_bytes, tail, tables: self.tables })
    }

    /// Decodes into the empty buffer; leaves it empty at the end.
    fn refill(&mut self) -> Result<(), Halt> {
        (self.start, self.end) = (0, 0);
        let Some(codec) = &mut self.codec else {
            self.end = self.stored.read(&mut self.buffer).map_err(Halt::of)?;
            return self.account();
        };
        while self.end == 0 {
            match self.state {
                State::Ended => return Ok(()),
                State::Between => {
                    let stored_at = self.stored.position();
                    let start = self.stored.peek(PEEK).map_err(Halt::of)?;
                    if self.compression == Compression::Zstd && chunked::is_skippable(start) {
                        self.tables.take_frame(&mut self.stored, self.limits.table)?;
                    } else if Compression::of(start) == self.compression {
                        codec.begin(start)?;
                        let number = self.member.number + 1;
                        self.member = Member { number, stored_at, inflated_at: self.bytes };
                        self.state = State::Inside;
                    } else {
                        self.trailing = !self.stored.drain().map_err(Halt::of)?;
                        self.state = State::Ended;
                    }
                }
                State::Inside => {
                    let input = self.stored.fill_buf().map_err(Halt::of)?;
                    let at_end = input.is_empty();
                    let step = codec.step(input, &mut self.buffer)?;
                    self.stored.consume(step.read);
                    self.end = step.written;
                    if step.ended {
                        self.state = State::Between;
                    } else if step.read == 0 && step.written == 0 {
                        let what = if at_end { "ends too early" } else { "cannot be decoded" };
                        return Err(Halt::Corrupt(format!("the {} stream {what}", self.compression.name())));
                    }
                }
            }
        }
        self.account()
    }

    /// Counts and hashes what the buffer holds, within the limits.
    fn account(&mut self) -> Result<(), Halt> {
        let fresh = &self.buffer[..self.end];
        if let Some(line) = &mut self.line {
            line.feed(fresh);
        }
        self.bytes += fresh.len() as u64;
        if self.bytes > self.limits.bytes {
            return Err(Halt::Limit { what: "the inflated size", limit: self.limits.bytes });
        }
        let allowed = self.stored.bytes_read().saturating_mul(self.limits.ratio);
        if self.bytes > RATIO_FROM && self.bytes - RATIO_FROM > allowed {
            return Err(Halt::Limit {
                what: "the ratio of inflated to stored bytes",
                limit: self.limits.ratio,
            });
        }
        Ok(())
    }
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Inflated {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            if self.broken {
                return Err(Halt::Corrupt("nothing can be read after an error".to_owned()).into());
            }
            if let Err(halt) = self.refill() {
                self.end = self.start;
                self.broken = true;
                return Err(halt.into());
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

#[cfg(test)]
mod tests;
