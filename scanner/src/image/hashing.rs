//! Hashing beside reading: what was inflated is hashed by a thread of its own, where it lies.
//!
//! Hashing is about a sixth of the work of a layer, and nobody waits for it before the end.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use shared::model::digest::{Algorithm, Digest, Hasher};

/// How many pieces may wait to be hashed.
const WAITING: usize = 2;

/// Where a layer is inflated and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On the thread that reads its files; right for small layers.
    Here,
    /// On threads beside it.
    Beside,
}

/// Hashes a stream of pieces that others read as well.
pub(super) enum HashLine {
    /// Piece by piece, as they come.
    Here(Hasher),
    /// On a thread of its own.
    Beside(Beside),
}

/// The thread, and the way to it.
pub(super) struct Beside {
    pieces: SyncSender<Filled>,
    thread: JoinHandle<Hasher>,
}

/// The part of a buffer that is in use; others may read it at the same time, and nobody writes to it before all are done.
#[derive(Clone, Debug)]
pub(super) struct Filled {
    buffer: Arc<[u8]>,
    length: usize,
}

impl Filled {
    /// The first `length` bytes.
    pub(super) fn new(buffer: Arc<[u8]>, length: usize) -> Self {
        Self { buffer, length }
    }

    /// What is in it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl HashLine {
    /// Begins a SHA-256. Where no thread can be had, whoever feeds it does the work.
    pub(super) fn start(place: Place) -> Self {
        let hasher = Hasher::new(Algorithm::Sha256);
        match place {
            Place::Here => Self::Here(hasher),
            Place::Beside => {
                let here = hasher.clone();
                Beside::start(hasher).map_or(Self::Here(here), Self::Beside)
            }
        }
    }

    /// Adds the next bytes.
    pub(super) fn feed(&mut self, piece: &Filled) {
        match self {
            Self::Here(hasher) => hasher.update(piece.bytes()),
            // The thread ends before the channel only if it panicked, which `finish` passes on.
            Self::Beside(beside) => drop(beside.pieces.send(piece.clone())),
        }
    }

    /// The digest of everything that was added.
    pub(super) fn finish(self) -> Digest {
        match self {
            Self::Here(hasher) => hasher.finish(),
            Self::Beside(Beside { pieces, thread }) => {
                drop(pieces);
                match thread.join() {
                    Ok(hasher) => hasher.finish(),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
    }
}

impl Beside {
    fn start(mut hasher: Hasher) -> Option<Self> {
        let (pieces, fed) = sync_channel::<Filled>(WAITING);
        let work = move || {
            fed.into_iter().for_each(|piece| hasher.update(piece.bytes()));
            hasher
        };
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(work).ok()?;
        Some(Self { pieces, thread })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_give_the_digest_of_all_bytes() {
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
        for place in [Place::Here, Place::Beside] {
            for step in [1_000, 128 << 10, bytes.len()] {
                let mut line = HashLine::start(place);
                for chunk in bytes.chunks(step) {
                    // More than is in use lies in the buffer.
                    let buffer = [chunk, b"old"].concat();
                    line.feed(&Filled::new(buffer.into(), chunk.len()));
                }
                assert_eq!(line.finish(), Digest::of(&bytes), "{place:?} by {step}");
            }
        }
        assert_eq!(HashLine::start(Place::Beside).finish(), Digest::of(b""));
    }
}
