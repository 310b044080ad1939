//! Hashing beside reading: bytes go to a thread of their own in a few recycled buffers.
//!
//! Hashing is about a third of the work of a layer, and nobody waits for it before the end.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use shared::model::digest::{Algorithm, Digest, Hasher};

const BUFFER_BYTES: usize = 128 << 10;
const BUFFERS: usize = 4;

/// Where a stream is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On the thread that reads; right for small streams.
    Here,
    /// On a thread of its own.
    Beside,
}

/// Hashes and counts a stream.
pub(super) struct HashLine {
    hashing: Hashing,
    bytes: u64,
}

enum Hashing {
    Here(Hasher),
    Beside(Beside),
}

struct Beside {
    filling: Vec<u8>,
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
}

impl HashLine {
    /// Begins a hash. Where no thread can be had, the reading thread does the work.
    pub(super) fn start(algorithm: Algorithm, place: Place) -> Self {
        let hasher = Hasher::new(algorithm);
        let hashing = match place {
            Place::Here => Hashing::Here(hasher),
            Place::Beside => {
                let here = hasher.clone();
                Beside::start(hasher).map_or(Hashing::Here(here), Hashing::Beside)
            }
        };
        Self { hashing, bytes: 0 }
    }

    /// Adds the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        match &mut self.hashing {
            Hashing::Here(hasher) => hasher.update(bytes),
            Hashing::Beside(beside) => beside.feed(bytes),
        }
    }

    /// How many bytes were added.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of everything that was added.
    pub(super) fn finish(self) -> Digest {
        match self.hashing {
            Hashing::Here(hasher) => hasher.finish(),
            Hashing::Beside(beside) => beside.finish(),
        }
    }
}

impl Beside {
    fn start(mut hasher: Hasher) -> Option<Self> {
        let (full, pieces) = sync_channel::<Vec<u8>>(BUFFERS);
        let (recycled, empty) = sync_channel::<Vec<u8>>(BUFFERS);
        let work = move || {
            for mut piece in pieces {
                hasher.update(&piece);
                piece.clear();
                // The reader may be gone already; then nobody needs the buffer.
                let _ = recycled.try_send(piece);
            }
            hasher
        };
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(work).ok()?;
        Some(Self { filling: Vec::with_capacity(BUFFER_BYTES), full, empty, thread })
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = BUFFER_BYTES - self.filling.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.filling.extend_from_slice(now);
            bytes = later;
            if self.filling.len() == BUFFER_BYTES {
                self.pass_on();
            }
        }
    }

    fn pass_on(&mut self) {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER_BYTES));
        let piece = std::mem::replace(&mut self.filling, next);
        // The thread ends before the channel only if it panicked, which `finish` passes on.
        let _ = self.full.send(piece);
    }

    fn finish(mut self) -> Digest {
        self.pass_on();
        drop(self.full);
        match self.thread.join() {
            Ok(hasher) => hasher.finish(),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_give_the_digest_of_all_bytes() {
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
        for place in [Place::Here, Place::Beside] {
            for step in [1_000, BUFFER_BYTES, BUFFER_BYTES + 1, bytes.len()] {
                let mut line = HashLine::start(Algorithm::Sha256, place);
                bytes.chunks(step).for_each(|chunk| line.feed(chunk));
                assert_eq!(line.bytes(), bytes.len() as u64);
                assert_eq!(line.finish(), Digest::of(&bytes), "{place:?} by {step}");
            }
        }
        assert_eq!(HashLine::start(Algorithm::Sha256, Place::Beside).finish(), Digest::of(b""));
    }
}
