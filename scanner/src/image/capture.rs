//! Memory for captured files: one pool of bytes for all layers that are read at the same time (I7).
//!
//! A file's permit is taken before its first byte is read and given back when its analyzers are done. A
//! thread holds at most one permit and waits for nothing else while it does, so waiting always ends. Those
//! who wait are served in their order: a large file is not overtaken for ever by small ones.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::ops::{Deref, Range};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memmap2::MmapMut;

use super::halt::Halt;
use super::stored::Watch;

/// How often somebody who waits looks whether it is still worth waiting.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// From this size in bytes on, memory comes from the kernel. No head is longer.
const LARGE: usize = 1 << 20;

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

/// A file in memory.
#[derive(Debug)]
pub(super) enum Content {
    /// In memory that was used before.
    Small(Vec<u8>),
    /// From the kernel, which gives pages as they are written to and has them back at once. The allocator would
    /// keep them for a while, and move what it has while a file grows.
    Large {
        /// As many bytes as the file says it has.
        pages: MmapMut,
        /// How many have arrived.
        filled: usize,
    },
}

impl Content {
    /// Memory for the next file.
    pub(super) fn into_memory(self) -> Vec<u8> {
        match self {
            Self::Small(memory) => memory,
            Self::Large { .. } => Vec::new(),
        }
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large { pages, filled } => &pages[..*filled],
        }
    }
}

/// Reads `source` to its end, at most `size` bytes, after the `head` that was read already.
///
/// Small files go into `memory`. What is used is what arrives, never what a file says about its size.
pub(super) fn read_whole(
    source: &mut impl Read,
    head: &[u8],
    size: u64,
    mut memory: Vec<u8>,
) -> io::Result<Content> {
    let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    if size <= LARGE {
        memory.clear();
        memory.extend_from_slice(&head[..head.len().min(size)]);
        source.take((size - memory.len()) as u64).read_to_end(&mut memory)?;
        return Ok(Content::Small(memory));
    }
    let mut pages = MmapMut::map_anon(size)?;
    let mut filled = head.len();
    pages[..filled].copy_from_slice(head);
    while filled < size {
        match source.read(&mut pages[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Content::Large { pages, filled })
}

/// Reads `source` like [`read_whole`], but has zeros in place of the parts `left_out`, which are in their order; `witness`
/// sees every byte, `head` and those that are left out too.
///
/// A page of zeros that nobody wrote to takes no memory.
pub(super) fn read_without(
    source: &mut impl BufRead,
    head: &[u8],
    size: u64,
    left_out: &[Range<u64>],
    mut witness: impl FnMut(&[u8]),
) -> io::Result<Content> {
    let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut pages = MmapMut::map_anon(size.max(1))?;
    let mut filled = head.len().min(size);
    pages[..filled].copy_from_slice(&head[..filled]);
    witness(&head[..filled]);
    let mut left_out = left_out.iter().map(|part| part.start as usize..part.end as usize).peekable();
    while filled < size {
        let bytes = match source.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => &bytes[..bytes.len().min(size - filled)],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        while left_out.next_if(|part| part.end <= filled).is_some() {}
        // Up to where the next part begins, or to its end.
        let (end, is_kept) = match left_out.peek() {
            Some(part) if part.start <= filled => (part.end, false),
            Some(part) => (part.start, true),
            None => (size, true),
        };
        let bytes = &bytes[..bytes.len().min(end - filled)];
        if is_kept {
            pages[filled..filled + bytes.len()].copy_from_slice(bytes);
        }
        witness(bytes);
        let count = bytes.len();
        source.consume(count);
        filled += count;
    }
    Ok(Content::Large { pages, filled })
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
        // A GiB, were it all to be written to.
        let content = read_whole(&mut &b"tail"[..], b"head-", 1 << 30, Vec::new()).unwrap();
        assert_eq!(&*content, b"head-tail");
        assert!(matches!(content, Content::Large { .. }));
        assert_eq!(&*read_whole(&mut &b"tail"[..], b"", 2, Vec::new()).unwrap(), b"ta");
    }

    #[test]
    fn what_is_left_out_is_seen_and_not_kept() {
        let file: Vec<u8> = (0..60_000_u32).map(|at| (at % 251) as u8 + 1).collect();
        for parts in
            [&[][..], &[(0, 1)], &[(100, 20_000), (20_000, 20_001), (50_000, 60_000)], &[(59_999, 70_000)]]
        {
            let parts: Vec<_> = parts.iter().map(|(start, end)| *start..*end).collect();
            let (head, rest) = file.split_at(64);
            let mut seen = Vec::new();
            let mut source = io::BufReader::with_capacity(777, rest);
            let content = read_without(&mut source, head, file.len() as u64, &parts, |bytes| {
                seen.extend_from_slice(bytes);
            });
            let content = content.unwrap();
            assert_eq!(seen, file);
            let is_out = |at: usize| at >= head.len() && parts.iter().any(|part| part.contains(&(at as u64)));
            let expected: Vec<u8> =
                file.iter().enumerate().map(|(at, byte)| if is_out(at) { 0 } else { *byte }).collect();
            assert!(*content == *expected, "{parts:?}");
        }
        let short =
            read_without(&mut &b"tail"[..], b"head-", 1 << 30, &Vec::from_iter(Some(100..1 << 29)), |_| {})
                .unwrap();
        assert_eq!(&*short, b"head-tail");
    }
}
