//! xz streams, with a cap on the memory that a dictionary may ask for.

use liblzma::stream::{Action, Status, Stream};

use super::{Codec, Step};
use crate::image::halt::Halt;

/// What the largest preset needs, and a little more.
const MEMORY_BYTES: u64 = 72 << 20;

pub(super) struct Xz {
    decoder: Stream,
}

impl Xz {
    pub(super) fn new() -> Result<Self, Halt> {
        let decoder = Stream::new_stream_decoder(MEMORY_BYTES, 0).map_err(corrupt)?;
        Ok(Self { decoder })
    }
}

impl Codec for Xz {
    fn begin(&mut self, _start: &[u8]) -> Result<(), Halt> {
        *self = Self::new()?;
        Ok(())
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt> {
        let (before_in, before_out) = (self.decoder.total_in(), self.decoder.total_out());
        let status = self.decoder.process(input, output, Action::Run).map_err(corrupt)?;
        Ok(Step {
            read: (self.decoder.total_in() - before_in) as usize,
            written: (self.decoder.total_out() - before_out) as usize,
            ended: status == Status::StreamEnd,
        })
    }
}

fn corrupt(error: liblzma::stream::Error) -> Halt {
    match error {
        liblzma::stream::Error::MemLimit => {
            Halt::Limit { what: "the dictionary of an xz stream", limit: MEMORY_BYTES }
        }
        error => Halt::Corrupt(format!("the xz stream is corrupt: {error}")),
    }
}
