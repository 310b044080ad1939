//! A layer's bytes as they are stored: buffered, counted, hashed, and watched for time and cancellation.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::model::digest::{Algorithm, Digest, Hasher};
use shared::model::document::Descriptor;
use tokio_util::sync::CancellationToken;

use super::buffered;
use super::engine::Progress;
use super::halt::Halt;
use super::hashing::Place;
use super::toc::FOOTER;

const BUFFER_BYTES: usize = 128 << 10;
/// Layers below this are inflated and hashed where their files are read: threads would cost more than they save.
const WORTH_THREADS: u64 = 1 << 20;

/// Tells a reading thread when to stop, and others how far it is.
#[derive(Clone)]
pub(super) struct Watch {
    layer: Digest,
    deadline: Option<Instant>,
    limit: Duration,
    cancelled: CancellationToken,
    progress: Arc<dyn Progress>,
}

impl Watch {
    /// A watch over one layer that begins now.
    pub(super) fn start(
        layer: &Digest,
        limit: Duration,
        cancelled: CancellationToken,
        progress: Arc<dyn Progress>,
    ) -> Self {
        Self { layer: layer.clone(), deadline: Instant::now().checked_add(limit), limit, cancelled, progress }
    }

    /// Fails once the time is up or nobody wants the result.
    pub(super) fn check(&self) -> Result<(), Halt> {
        if self.cancelled.is_cancelled() {
            return Err(Halt::Cancelled);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Halt::TimedOut { limit: self.limit });
        }
        Ok(())
    }

    fn read(&self, bytes: usize) {
        self.progress.layer_read(&self.layer, bytes as u64);
    }
}

/// The compressed side of a layer.
pub(super) struct Stored {
    source: Box<dyn Read + Send>,
    watch: Watch,
    algorithm: Algorithm,
    hasher: Hasher,
    bytes_read: u64,
    place: Place,
    /// One more than the descriptor says: enough to know that there is too much.
    left: u64,
    /// The last bytes that the source gave, at most as many as a footer has.
    tail: Vec<u8>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Stored {
    /// Begins to read `source`, which should yield exactly the bytes of `descriptor`.
    pub(super) fn new(source: Box<dyn Read + Send>, descriptor: &Descriptor, watch: Watch) -> Self {
        let place = match descriptor.size {
            0..WORTH_THREADS => Place::Here,
            WORTH_THREADS.. => Place::Beside,
        };
        Self {
            source,
            watch,
            algorithm: descriptor.digest.algorithm(),
            hasher: Hasher::new(descriptor.digest.algorithm()),
            bytes_read: 0,
            place,
            left: descriptor.size.saturating_add(1),
            tail: Vec::with_capacity(2 * FOOTER),
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// The next `count` bytes without taking them; fewer only at the end of the stream.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        debug_assert!(count <= BUFFER_BYTES, "a peek fits the buffer");
        while self.end - self.start < count && self.refill()? > 0 {}
        let end = self.end.min(self.start + count);
        Ok(&self.buffer[self.start..end])
    }

    /// Reads what is left, so that the digest covers everything. `true` if it was all zeros.
    pub(super) fn drain(&mut self) -> io::Result<bool> {
        let mut zeros = true;
        loop {
            let bytes = self.fill_buf()?;
            if bytes.is_empty() {
                return Ok(zeros);
            }
            zeros &= bytes.iter().all(|byte| *byte == 0);
            let length = bytes.len();
            self.consume(length);
        }
    }

    /// How many bytes the source has given.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// How many bytes were taken from it.
    pub(super) fn position(&self) -> u64 {
        self.bytes_read - (self.end - self.start) as u64
    }

    /// What the stored bytes are hashed with.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Where the layer is inflated and hashed.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The digest of everything that was read, and how many bytes that were.
    pub(super) fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes_read)
    }

    /// The last bytes that were read.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    fn keep_tail(&mut self, start: usize, read: usize) {
        let fresh = &self.buffer[start..start + read];
        self.tail.extend_from_slice(&fresh[read.saturating_sub(FOOTER)..]);
        self.tail.drain(..self.tail.len().saturating_sub(FOOTER));
    }

    /// Reads more bytes behind those that are there; 0 at the end.
    fn refill(&mut self) -> io::Result<usize> {
        self.watch.check()?;
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let room = BUFFER_BYTES - self.end;
        let room = usize::try_from(self.left).map_or(room, |left| left.min(room));
        let read = loop {
            match self.source.read(&mut self.buffer[self.end..self.end + room]) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Halt::Source(error).into()),
            }
        };
        self.hasher.update(&self.buffer[self.end..self.end + read]);
        self.bytes_read += read as u64;
        self.keep_tail(self.end, read);
        self.end += read;
        self.left -= read as u64;
        self.watch.read(read);
        Ok(read)
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, buffer)
    }
}

impl BufRead for Stored {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.refill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}
