//! zstd frames, skippable ones included: RFC 8878.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Codec, Step};
use crate::image::halt::Halt;

/// Windows that ordinary encoders use: 8 MiB by default, 32 MiB at the level that skopeo and podman take for
/// zstd:chunked. Of a window only the pages that a frame fills are really there, and their frames are files.
const ORDINARY_WINDOW_LOG: u32 = 25;
/// The largest window that is accepted, of `--long` streams: 128 MiB.
const LARGEST_WINDOW_LOG: u32 = 27;

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    largest_window: u64,
}

/// How much memory the windows of a stream that begins with `start` may take, beyond the ordinary.
pub(super) fn extraordinary_window(start: &[u8]) -> Option<u64> {
    window(start).filter(|size| *size > 1 << ORDINARY_WINDOW_LOG).map(|_| 1 << LARGEST_WINDOW_LOG)
}

impl Zstd {
    /// A decoder for a stream that begins with `start`. The first frame decides how large windows may be:
    /// a stream that is ordinary at first does not become expensive later.
    pub(super) fn new(start: &[u8]) -> Result<Self, Halt> {
        let log = match extraordinary_window(start) {
            Some(_) => LARGEST_WINDOW_LOG,
            None => ORDINARY_WINDOW_LOG,
        };
        let mut decoder = Decoder::new().map_err(corrupt)?;
        decoder.set_parameter(DParameter::WindowLogMax(log)).map_err(corrupt)?;
        Ok(Self { decoder, largest_window: 1 << log })
    }
}

impl Codec for Zstd {
    fn begin(&mut self, start: &[u8]) -> Result<(), Halt> {
        if window(start).is_some_and(|size| size > self.largest_window) {
            return Err(Halt::Limit { what: "the window of a zstd frame", limit: self.largest_window });
        }
        self.decoder.reinit().map_err(corrupt)
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt> {
        let mut input = InBuffer::around(input);
        let mut output = OutBuffer::around(output);
        let hint = self.decoder.run(&mut input, &mut output).map_err(corrupt)?;
        Ok(Step { read: input.pos(), written: output.pos(), ended: hint == 0 })
    }
}

/// The window that a frame's header asks for; a frame of known small size needs no more than that size.
/// `None` for skippable frames and cut headers. RFC 8878, section 3.1.1.1.
pub(super) fn window(frame: &[u8]) -> Option<u64> {
    let header = frame.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let (descriptor, rest) = header.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let byte = *rest.first()?;
        let base = 1_u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * u64::from(byte & 7));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = match descriptor >> 6 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let field = rest.get(dictionary..dictionary + size)?;
    let value = field.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    Some(if size == 2 { value + 256 } else { value })
}

#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
fn corrupt(error: std::io::Error) -> Halt {
    Halt::Corrupt(format!("the zstd stream is corrupt: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_read_from_every_shape_of_header() {
        for (header, expected) in [
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58][..], Some(2 << 20)),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x59], Some((2 << 20) + (1 << 18))),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 7], Some(7)),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x60, 1, 1], Some(513)),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x10], Some(256 << 20)),
            (&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], None),
            (&[0x28, 0xb5, 0x2f, 0xfd], None),
        ] {
            assert_eq!(window(header), expected, "{header:x?}");
        }
    }
}
