//! bzip2 streams. No builder writes such layers; archives imported from old tools contain them.

use bzip2::{Decompress, Status};

use super::{Codec, Step};
use crate::image::halt::Halt;

pub(super) struct Bzip2 {
    decoder: Decompress,
}

impl Bzip2 {
    pub(super) fn new() -> Self {
        Self { decoder: Decompress::new(false) }
    }
}

impl Codec for Bzip2 {
    fn begin(&mut self, _start: &[u8]) -> Result<(), Halt> {
        self.decoder = Decompress::new(false);
        Ok(())
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Halt> {
        let (before_in, before_out) = (self.decoder.total_in(), self.decoder.total_out());
        let status = self
            .decoder
            .decompress(input, output)
            .map_err(|error| Halt::Corrupt(format!("the bzip2 stream is corrupt: {error}")))?;
        Ok(Step {
            read: (self.decoder.total_in() - before_in) as usize,
            written: (self.decoder.total_out() - before_out) as usize,
            ended: status == Status::StreamEnd,
        })
    }
}
