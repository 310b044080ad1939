//! gzip members: RFC 1952. The header and trailer are read here, the deflate stream by zlib-rs.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{Codec, Step};
use crate::image::halt::Halt;

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Names and comments longer than this are no accident.
const LONGEST_TEXT: usize = 64 << 10;

pub(super) struct Gzip {
    part: Part,
    inflate: Decompress,
    crc: Crc,
}

/// The part of a member that comes next. Fields are small, so they are gathered byte by byte.
#[derive(Clone, Copy)]
enum Part {
    Fixed { gathered: [u8; 10], count: usize },
    ExtraLength { flags: u8, gathered: [u8; 2], count: usize },
    Extra { flags: u8, left: u16 },
    Text { flags: u8, count: usize },
    HeaderCrc { left: u8 },
    Body,
    Trailer { gathered: [u8; 8], count: usize },
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self { part: Part::START, inflate: Decompress::new(false), crc: Crc::new() }
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt> {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| Halt::Corrupt(format!("the gzip stream is corrupt: {error}")))?;
        let read = (self.inflate.total_in() - before_in) as usize;
        let written = (self.inflate.total_out() - before_out) as usize;
        self.crc.update(&output[..written]);
        if status == Status::StreamEnd {
            self.part = Part::Trailer { gathered: [0; 8], count: 0 };
        }
        Ok(Step { read, written, ended: false })
    }

    fn check(&self, trailer: [u8; 8]) -> Result<(), Halt> {
        let [c0, c1, c2, c3, s0, s1, s2, s3] = trailer;
        let (crc, size) = (u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([s0, s1, s2, s3]));
        if crc == self.crc.sum() && size == self.crc.amount() {
            Ok(())
        } else {
            Err(Halt::Corrupt("a gzip member has a wrong checksum".to_owned()))
        }
    }
}

impl Part {
    const START: Self = Self::Fixed { gathered: [0; 10], count: 0 };

    /// The first part that `flags` ask for; every part clears its own flag.
    fn after(flags: u8) -> Self {
        if flags & EXTRA != 0 {
            Self::ExtraLength { flags: flags & !EXTRA, gathered: [0; 2], count: 0 }
        } else if flags & NAME != 0 {
            Self::Text { flags: flags & !NAME, count: 0 }
        } else if flags & COMMENT != 0 {
            Self::Text { flags: flags & !COMMENT, count: 0 }
        } else if flags & HEADER_CRC != 0 {
            Self::HeaderCrc { left: 2 }
        } else {
            Self::Body
        }
    }

    /// What follows after one more byte of a header.
    fn take(self, byte: u8) -> Result<Self, Halt> {
        Ok(match self {
            Self::Fixed { mut gathered, count } => {
                gathered[count] = byte;
                match (count, gathered) {
                    (9, [0x1f, 0x8b, 8, flags, ..]) if flags & RESERVED == 0 => Self::after(flags),
                    (9, _) => return Err(Halt::Corrupt("a gzip member has an unknown header".to_owned())),
                    (0..=8, _) => Self::Fixed { gathered, count: count + 1 },
                    (10.., _) => unreachable!("the tenth byte ends the fixed header"),
                }
            }
            Self::ExtraLength { flags, mut gathered, count } => {
                gathered[count] = byte;
                match (count, u16::from_le_bytes(gathered)) {
                    (0, _) => Self::ExtraLength { flags, gathered, count: 1 },
                    (_, 0) => Self::after(flags),
                    (_, left) => Self::Extra { flags, left },
                }
            }
            Self::Extra { flags, left: 1 } => Self::after(flags),
            Self::Extra { flags, left } => Self::Extra { flags, left: left - 1 },
            Self::Text { flags, .. } if byte == 0 => Self::after(flags),
            Self::Text { count, .. } if count >= LONGEST_TEXT => {
                return Err(Halt::Corrupt("a gzip member has an endless name".to_owned()));
            }
            Self::Text { flags, count } => Self::Text { flags, count: count + 1 },
            Self::HeaderCrc { left: 2 } => Self::HeaderCrc { left: 1 },
            Self::HeaderCrc { .. } => Self::Body,
            Self::Body | Self::Trailer { .. } => self,
        })
    }
}

impl Codec for Gzip {
    fn begin(&mut self, _start: &[u8]) -> Result<(), Halt> {
        self.part = Part::START;
        self.inflate.reset(false);
        self.crc.reset();
        Ok(())
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt> {
        let mut read = 0;
        while let Some(byte) = input.get(read) {
            match self.part {
                Part::Body => {
                    let step = self.inflate(&input[read..], output)?;
                    return Ok(Step { read: read + step.read, ..step });
                }
                Part::Trailer { mut gathered, count } => {
                    gathered[count] = *byte;
                    read += 1;
                    if count == 7 {
                        self.check(gathered)?;
                        return Ok(Step { read, written: 0, ended: true });
                    }
                    self.part = Part::Trailer { gathered, count: count + 1 };
                }
                header => {
                    self.part = header.take(*byte)?;
                    read += 1;
                }
            }
        }
        // Output may be waiting inside the inflater although its input is used up.
        if let Part::Body = self.part {
            let step = self.inflate(&[], output)?;
            return Ok(Step { read: read + step.read, ..step });
        }
        Ok(Step { read, written: 0, ended: false })
    }
}
