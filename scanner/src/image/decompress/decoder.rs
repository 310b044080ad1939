//! The work of decoding: a layer's stored bytes in, pieces of its tar out, both sides counted and hashed, within limits.

use std::collections::VecDeque;
use std::io::{BufRead as _, Read as _};
use std::sync::Arc;

use shared::model::digest::Algorithm;

use super::{Codec, Compression, Digests, Member, Memory, PEEK, zstd};
use crate::image::halt::Halt;
use crate::image::hashing::{Filled, HashLine, Place};
use crate::image::stored::Stored;
use crate::image::toc::chunked::{self, Tables};
use crate::limits::Limits;

/// Of one piece.
const PIECE_BYTES: usize = 128 << 10;
/// With less room than this a piece is as good as full.
const LEAST_ROOM: usize = 8 << 10;
/// The ratio of inflated to stored bytes counts only beyond this: small layers of zeros are ordinary.
const RATIO_FROM: u64 = 1 << 30;

/// Decodes one layer.
pub(in crate::image) struct Decoder {
    stored: Stored,
    compression: Compression,
    codec: Option<Box<dyn Codec>>,
    state: State,
    /// `None` for plain layers whose stored hash is the uncompressed one, too.
    line: Option<HashLine>,
    bytes: u64,
    limits: InflateLimits,
    trailing: bool,
    /// To be told after the bytes that came before it.
    failed: Option<Halt>,
    /// Something failed; whatever the codec would say after that is not to be trusted.
    broken: bool,
    window: Option<u64>,
    member: Member,
    tables: Tables,
    /// Buffers that were filled before; some of them may still be read.
    buffers: VecDeque<Arc<[u8]>>,
}

/// Some bytes of the tar.
pub(super) struct Piece {
    pub(super) filled: Filled,
    /// In their order, and not one of them empty.
    pub(super) sections: Vec<Section>,
}

/// The part of a piece that one member gave.
#[derive(Clone, Copy)]
pub(super) struct Section {
    pub(super) member: Member,
    /// Where in the piece it ends.
    pub(super) end: usize,
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

impl Decoder {
    /// Looks at the first bytes and prepares to decode.
    pub(in crate::image) fn open(mut stored: Stored, limits: &Limits) -> Result<Self, (Halt, Box<Stored>)> {
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
            | Compression::Xz => Some(HashLine::start(stored.place())),
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
            failed: None,
            broken: false,
            window,
            member: Member::default(),
            tables: Tables::default(),
            buffers: VecDeque::new(),
        })
    }

    /// How the layer is compressed.
    pub(in crate::image) fn compression(&self) -> Compression {
        self.compression
    }

    /// How much memory the decoder may need beyond the ordinary: ask for a permit before reading on.
    pub(in crate::image) fn extraordinary_window(&self) -> Option<u64> {
        self.window
    }

    /// Where the work is to be done.
    pub(super) fn place(&self) -> Place {
        self.stored.place()
    }

    /// The next piece; `None` at the end of the stream. After an error there is nothing to ask for.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Halt> {
        if let Some(halt) = self.failed.take() {
            return Err(halt);
        }
        let mut buffer = self.free_buffer();
        let (sections, length) = self.fill(Arc::make_mut(&mut buffer));
        if length == 0 {
            return self.failed.take().map_or(Ok(None), Err);
        }
        let filled = Filled::new(Arc::clone(&buffer), length);
        self.buffers.push_back(buffer);
        if let Some(line) = &mut self.line {
            line.feed(&filled);
        }
        Ok(Some(Piece { filled, sections }))
    }

    /// What is known at the end. The stored side is read to its end, the tar must have been read to its end before.
    pub(super) fn finish(mut self) -> Result<Digests, Halt> {
        self.stored.drain().map_err(Halt::of)?;
        let tail = self.stored.tail().to_vec();
        let (stored, stored_bytes) = self.stored.finish();
        let inflated = match self.line {
            _ if self.broken => None,
            Some(line) => Some(line.finish()),
            None => Some(stored.clone()),
        };
        Ok(Digests {
            inflated,
            inflated_bytes: self.bytes,
            stored,
            stored_bytes,
            tail,
            tables: self.tables,
            has_trailing_bytes: self.trailing,
        })
    }

    /// A buffer that nobody reads any more, or a new one.
    fn free_buffer(&mut self) -> Arc<[u8]> {
        let free = self.buffers.iter_mut().position(|buffer| Arc::get_mut(buffer).is_some());
        let free = free.and_then(|position| self.buffers.remove(position));
        free.unwrap_or_else(|| Arc::from(vec![0; PIECE_BYTES]))
    }

    /// Decodes until the buffer is full, the stream ends or something fails.
    fn fill(&mut self, buffer: &mut [u8]) -> (Vec<Section>, usize) {
        let (mut sections, mut length) = (Vec::<Section>::with_capacity(1), 0);
        while buffer.len() - length >= LEAST_ROOM {
            match self.step(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(halt) => {
                    (self.failed, self.broken) = (Some(halt), true);
                    break;
                }
            }
            match sections.last_mut() {
                Some(last) if last.member == self.member => last.end = length,
                _ => sections.push(Section { member: self.member, end: length }),
            }
        }
        (sections, length)
    }

    /// Decodes some bytes into the room that there is; 0 at the end.
    fn step(&mut self, room: &mut [u8]) -> Result<usize, Halt> {
        let count = self.decode(room)?;
        self.account(count)?;
        Ok(count)
    }

    fn decode(&mut self, room: &mut [u8]) -> Result<usize, Halt> {
        let Some(codec) = &mut self.codec else {
            return self.stored.read(room).map_err(Halt::of);
        };
        loop {
            match self.state {
                State::Ended => return Ok(0),
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
                    let step = codec.step(input, room)?;
                    self.stored.consume(step.read);
                    if step.ended {
                        self.state = State::Between;
                    } else if step.read == 0 && step.written == 0 {
                        let what = if at_end { "ends too early" } else { "cannot be decoded" };
                        return Err(Halt::Corrupt(format!("the {} stream {what}", self.compression.name())));
                    }
                    if step.written > 0 {
                        return Ok(step.written);
                    }
                }
            }
        }
    }

    /// Counts fresh bytes, within the limits.
    fn account(&mut self, fresh: usize) -> Result<(), Halt> {
        self.bytes += fresh as u64;
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
