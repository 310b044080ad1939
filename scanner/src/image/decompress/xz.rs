//! xz streams, with a cap on the memory that a dictionary may ask for.

use liblzma::stream::{Action, Status, Stream};

use super::{Codec, Step};
use crate::image::halt::Halt;

/// What the largest preset needs, and a little more.
pub(super) const MEMORY_BYTES: u64 = 72 << 20;

pub(super) struct Xz {
    decoder: Stream,
    memory: u64,
}

impl Xz {
    /// A decoder that takes so many bytes of memory at most.
    pub(super) fn within(memory: u64) -> Result<Self, Halt> {
        let decoder = Stream::new_stream_decoder(memory, 0).map_err(|error| corrupt(error, memory))?;
        Ok(Self { decoder, memory })
    }
}

impl Codec for Xz {
    fn begin(&mut self, _start: &[u8]) -> Result<(), Halt> {
        *self = Self::within(self.memory)?;
        Ok(())
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt> {
        let (before_in, before_out) = (self.decoder.total_in(), self.decoder.total_out());
        let processed = self.decoder.process(input, output, Action::Run);
        let status = processed.map_err(|error| corrupt(error, self.memory))?;
        Ok(Step {
            read: (self.decoder.total_in() - before_in) as usize,
            written: (self.decoder.total_out() - before_out) as usize,
            ended: status == Status::StreamEnd,
        })
    }
}

fn corrupt(error: liblzma::stream::Error, limit: u64) -> Halt {
    match error {
        liblzma::stream::Error::MemLimit => Halt::Limit { what: "the dictionary of an xz stream", limit },
        error => Halt::Corrupt(format!("the xz stream is corrupt: {error}")),
    }
}
