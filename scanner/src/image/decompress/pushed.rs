//! Decodes what is fed to it: for streams inside of files, whose bytes go by only once.
//!
//! The same formats and members as in layers, in less memory: a file of a layer has a fraction of a layer's.

use super::{Codec, Compression, PEEK, Step};
use crate::image::halt::Halt;

const BUFFER_BYTES: usize = 32 << 10;
/// Decoders get so many bytes at a time, however they come: what they say of a broken stream depends on it.
const BLOCK_BYTES: usize = 4 << 10;

/// How much memory a decoder may take beside its ordinary tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// What the largest presets of ordinary encoders need.
    Ordinary,
    /// What their default presets need: for streams inside of streams.
    Small,
}

impl Memory {
    /// For the dictionary of xz, in bytes.
    pub(super) fn dictionary(self) -> u64 {
        match self {
            Self::Ordinary => super::xz::MEMORY_BYTES,
            Self::Small => 16 << 20,
        }
    }

    /// For the window of zstd, as its logarithm.
    fn window_log(self) -> u32 {
        match self {
            Self::Ordinary => 25,
            Self::Small => 23,
        }
    }
}

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The stream asks for more memory than it gets.
    TooLarge,
    /// It is broken.
    Broken,
    /// Whoever gets the bytes has enough.
    Enough,
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Limit { .. } => Self::TooLarge,
            Halt::Source(_) | Halt::Cancelled | Halt::TimedOut { .. } | Halt::Corrupt(_) => Self::Broken,
        }
    }
}

/// A compressed stream of any number of members.
pub(crate) struct Pushed {
    memory: Memory,
    compression: Compression,
    codec: Option<Box<dyn Codec>>,
    state: State,
    /// Fed and not decoded yet, less than a block.
    block: Vec<u8>,
    buffer: Vec<u8>,
}

enum State {
    /// The beginning of a member that is too short to tell.
    Between(Vec<u8>),
    Inside,
    /// What follows is no member.
    Ended,
}

/// Who gets the decoded bytes.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Stop>;

impl Pushed {
    pub(crate) fn new(memory: Memory) -> Self {
        Self {
            memory,
            compression: Compression::Plain,
            codec: None,
            state: State::Between(Vec::new()),
            block: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    /// Decodes the next bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at((BLOCK_BYTES - self.block.len()).min(bytes.len()));
            self.block.extend_from_slice(taken);
            bytes = rest;
            if self.block.len() == BLOCK_BYTES {
                let block = std::mem::take(&mut self.block);
                self.take(&block, sink)?;
                self.block = block;
                self.block.clear();
            }
        }
        Ok(())
    }

    fn take(&mut self, mut bytes: &[u8], sink: Sink<'_>) -> Result<(), Stop> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Ended => return Ok(()),
                State::Between(start) => {
                    let (taken, rest) = bytes.split_at((PEEK - start.len()).min(bytes.len()));
                    start.extend_from_slice(taken);
                    bytes = rest;
                    if start.len() == PEEK {
                        self.begin(sink)?;
                    }
                }
                State::Inside => bytes = self.decode(bytes, sink)?,
            }
        }
        Ok(())
    }

    /// Nothing follows any more: a member may be shorter than what is looked at first.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), Stop> {
        let block = std::mem::take(&mut self.block);
        self.take(&block, sink)?;
        while matches!(&self.state, State::Between(start) if !start.is_empty()) {
            self.begin(sink)?;
        }
        Ok(())
    }

    /// Begins the member whose first bytes are there.
    fn begin(&mut self, sink: Sink<'_>) -> Result<(), Stop> {
        let State::Between(start) = std::mem::replace(&mut self.state, State::Ended) else { return Ok(()) };
        let compression = Compression::of(&start);
        if self.codec.is_none() {
            if super::zstd::window(&start).is_some_and(|window| window > 1 << self.memory.window_log()) {
                return Err(Stop::TooLarge);
            }
            self.compression = compression;
            self.codec = compression.codec(&start, self.memory)?;
        }
        let Some(codec) = self.codec.as_mut().filter(|_| compression == self.compression) else {
            return Ok(());
        };
        codec.begin(&start)?;
        self.state = State::Inside;
        let rest = self.decode(&start, sink)?.to_vec();
        if let State::Between(next) = &mut self.state {
            next.extend(rest);
        }
        Ok(())
    }

    /// Decodes up to the end of the member: what is left of `input` follows it.
    fn decode<'b>(&mut self, mut input: &'b [u8], sink: Sink<'_>) -> Result<&'b [u8], Stop> {
        let Some(codec) = &mut self.codec else { return Ok(&[]) };
        loop {
            let Step { read, written, ended } = codec.step(input, &mut self.buffer)?;
            input = &input[read..];
            sink(&self.buffer[..written])?;
            if ended {
                self.state = State::Between(Vec::new());
                return Ok(input);
            }
            if input.is_empty() && written < self.buffer.len() {
                return Ok(input);
            }
            if read == 0 && written == 0 {
                return Err(Stop::Broken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// A name, and a text in that compression, in two members.
    fn streams(text: &[u8]) -> [(&'static str, Vec<u8>); 4] {
        let gzip = |part: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        };
        let bzip2 = |part: &[u8]| {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        };
        let xz = |part: &[u8]| {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        };
        let zstd = |part: &[u8]| zstd::encode_all(part, 3).unwrap();
        let (one, other) = text.split_at(text.len() / 2);
        [
            ("gzip", [gzip(one), gzip(other)].concat()),
            ("bzip2", [bzip2(one), bzip2(other)].concat()),
            ("xz", [xz(one), xz(other)].concat()),
            ("zstd", [zstd(one), zstd(other)].concat()),
        ]
    }

    fn decoded(stream: &[u8], piece: usize) -> (Vec<u8>, Result<(), Stop>) {
        let mut out = Vec::new();
        let mut pushed = Pushed::new(Memory::Small);
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        let fed = stream.chunks(piece).try_for_each(|piece| pushed.feed(piece, &mut sink));
        let fed = fed.and_then(|()| pushed.finish(&mut sink));
        (out, fed)
    }

    #[test]
    fn every_member_is_decoded_however_the_bytes_come() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
        for text in [&text[..], b"short"] {
            for (name, stream) in streams(text) {
                for piece in [1, 7, 1000, stream.len()] {
                    assert_eq!(decoded(&stream, piece), (text.to_vec(), Ok(())), "{name} by {piece}");
                }
                let behind = [&stream[..], b"no member, but long enough"].concat();
                assert_eq!(decoded(&behind, 64).0, text, "{name} and something else");
            }
        }
        assert_eq!(decoded(b"not compressed at all, in no way", 5), (Vec::new(), Ok(())));
    }

    #[test]
    fn i7_a_stream_that_wants_much_memory_is_left_alone() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[7; 100]).unwrap();
        assert_eq!(decoded(&encoder.finish().unwrap(), 64).1, Err(Stop::TooLarge));
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 9);
        encoder.write_all(b"text").unwrap();
        assert_eq!(decoded(&encoder.finish().unwrap(), 64).1, Err(Stop::TooLarge));
    }

    proptest! {
        #[test]
        fn i7_no_flip_panics(at: prop::sample::Index, value: u8, piece in 1_usize..200) {
            for (_, mut stream) in streams(b"some text, some text, and some more text") {
                let at = at.index(stream.len());
                stream[at] = value;
                let _ = decoded(&stream, piece);
            }
        }
    }
}
