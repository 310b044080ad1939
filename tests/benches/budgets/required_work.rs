//! What nobody who verifies a layer can save: inflate it and hash both sides, and nothing else.
//!
//! The inflater is zlib-rs and the hash the same SHA-256 that the scanner uses, so that the ratio says what
//! the scanner adds. Bytes come from files in the page cache.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::kernel::processor_time;

const BUFFER_BYTES: usize = 128 << 10;

/// How long it took.
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
}

/// One layer after another on one thread.
pub(crate) fn in_turn(layers: &[PathBuf]) -> Result<Cost> {
    measured(|| layers.iter().try_for_each(|layer| inflate_and_hash(layer)))
}

/// Every layer on a thread of its own, as a worker with enough places reads them.
pub(crate) fn at_once(layers: &[PathBuf]) -> Result<Cost> {
    measured(|| {
        std::thread::scope(|scope| {
            let running: Vec<_> =
                layers.iter().map(|layer| scope.spawn(|| inflate_and_hash(layer))).collect();
            running.into_iter().try_for_each(|thread| thread.join().expect("inflating does not panic"))
        })
    })
}

fn measured(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (own, began) = (std::process::id(), Instant::now());
    let before = processor_time(own)?;
    work()?;
    Ok(Cost { wall: began.elapsed(), processor: processor_time(own)?.saturating_sub(before) })
}

fn inflate_and_hash(layer: &Path) -> Result<()> {
    let stored = Hashed { inner: File::open(layer)?, hash: Sha256::new() };
    let mut decoder = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, stored));
    let (mut raw, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match decoder.read(&mut buffer)? {
            0 => break,
            read => raw.update(&buffer[..read]),
        }
    }
    let stored = decoder.into_inner().into_inner().hash.finalize();
    std::hint::black_box((stored, raw.finalize()));
    Ok(())
}

/// Hashes what it reads.
struct Hashed {
    inner: File,
    hash: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
