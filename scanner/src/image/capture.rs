//! Memory for captured files: one pool of bytes for all layers that are read at the same time (I7).
//!
//! A file's permit is taken before its first byte is read and given back when its analyzers are done. A
//! thread holds at most one permit and waits for nothing else while it does, so waiting always ends. Those
//! who wait are served in their order: a large file is not overtaken for ever by small ones.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::halt::Halt;
use super::stored::Watch;

/// How often somebody who waits looks whether it is still worth waiting.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// The first piece of memory for a file; what a file says about its size is believed only as it arrives.
const FIRST_PIECE: usize = 64 << 10;

/// A blocking semaphore of bytes.
pub(super) struct Pool {
    capacity: u64,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: u64,
    next_ticket: u64,
    waiting: VecDeque<u64>,
}

/// Bytes of a [`Pool`], given back on drop.
pub(super) struct Permit<'a> {
    pool: &'a Pool,
    bytes: u64,
}

impl Pool {
    /// A pool of at least one byte.
    pub(super) fn new(capacity: u64) -> Self {
        let capacity = capacity.max(1);
        Self {
            capacity,
            state: Mutex::new(State { free: capacity, next_ticket: 0, waiting: VecDeque::new() }),
            changed: Condvar::new(),
        }
    }

    /// Waits for `bytes`, or for the whole pool if that is less.
    pub(super) fn acquire(&self, bytes: u64, watch: &Watch) -> Result<Permit<'_>, Halt> {
        let bytes = bytes.min(self.capacity);
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            if state.waiting.front() == Some(&ticket) && state.free >= bytes {
                state.waiting.pop_front();
                state.free -= bytes;
                self.changed.notify_all();
                return Ok(Permit { pool: self, bytes });
            }
            if let Err(halt) = watch.check() {
                state.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(halt);
            }
            let waited = self.changed.wait_timeout(state, LOOK_AROUND);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The state is consistent whenever the lock is free, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.pool.lock().free += self.bytes;
        self.pool.changed.notify_all();
    }
}

/// Reads `source` to its end, at most `size` bytes, after the `head` that was read already.
///
/// Memory grows with what arrives, to twice that at most, never beyond `size`.
pub(super) fn read_whole(source: &mut impl Read, head: &[u8], size: u64) -> io::Result<Vec<u8>> {
    let mut content = head.to_vec();
    let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    while content.len() < size {
        let filled = content.len();
        let piece = filled.max(FIRST_PIECE).min(size - filled);
        content.reserve_exact(piece);
        let read = source.take(piece as u64).read_to_end(&mut content)?;
        if read == 0 {
            break;
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use shared::model::digest::Digest;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::image::Silent;

    fn watch(limit: Duration) -> Watch {
        Watch::start(&Digest::of(b""), limit, CancellationToken::new(), Arc::new(Silent))
    }

    #[test]
    fn i7_no_more_bytes_are_out_than_the_pool_has() {
        let pool = Pool::new(100);
        let (out, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (pool, out, most) = (&pool, &out, &most);
                scope.spawn(move || {
                    let watch = watch(Duration::from_secs(60));
                    for round in 0..200_u64 {
                        let bytes = (thread * 31 + round * 17) % 130;
                        let permit = pool.acquire(bytes, &watch).unwrap();
                        let now = out.fetch_add(permit.bytes, Ordering::SeqCst) + permit.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        out.fetch_sub(permit.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100);
        assert_eq!(pool.lock().free, 100);
    }

    #[test]
    fn a_file_larger_than_the_pool_takes_all_of_it_and_waiting_ends_with_the_time() {
        let pool = Pool::new(10);
        let all = pool.acquire(1000, &watch(Duration::from_secs(60))).unwrap();
        let refused = pool.acquire(1, &watch(Duration::ZERO));
        assert!(matches!(refused, Err(Halt::TimedOut { .. })));
        drop(all);
        assert!(pool.acquire(1, &watch(Duration::from_secs(60))).is_ok());
    }

    #[test]
    fn i7_a_stated_size_reserves_nothing() {
        let content = read_whole(&mut &b"tail"[..], b"head-", 200 << 20).unwrap();
        assert_eq!(content, b"head-tail");
        assert!(content.capacity() < 1 << 20);
        assert_eq!(read_whole(&mut &b"tail"[..], b"", 2).unwrap(), b"ta");
    }
}
