//! The file around the store: the store's bytes, then a seal over all of them.
//!
//! The store reads its pages in place and believes what they say: a flipped bit in a key would hide an advisory in
//! silence (I4), one in a page number ask for gigabytes (I7). So a file is read once when it is opened, at the speed
//! of memory, and one that something has altered is never asked. A seal finds damage, not malice: whoever may
//! write the file can seal it too.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use redb::StorageBackend;

/// What a seal begins with; its CRC-32 (big endian) of the bytes before it follows.
const MAGIC: [u8; 8] = *b"twseal1\n";
const SEAL_BYTES: u64 = MAGIC.len() as u64 + 4;
/// Read at a time.
const PIECE: usize = 256 << 10;

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it has no seal")]
    Missing,
    #[error("its seal is broken")]
    Broken,
}

/// A store in a file whose seal is whole.
#[derive(Debug)]
pub(super) struct Sealed {
    file: File,
    store_bytes: u64,
}

/// Puts a seal behind a finished store, durably; answers the size of the file in bytes.
pub(super) fn seal(path: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let store_bytes = file.metadata()?.len();
    let sum = checksum(&file, store_bytes)?;
    file.write_all(&[&MAGIC[..], &sum.to_be_bytes()].concat())?;
    file.sync_all()?;
    Ok(store_bytes + SEAL_BYTES)
}

impl Sealed {
    /// Reads all of the file once.
    pub(super) fn open(path: &Path) -> Result<Self, SealError> {
        let file = File::open(path)?;
        let store_bytes = file.metadata()?.len().checked_sub(SEAL_BYTES).ok_or(SealError::Missing)?;
        let mut seal = [0; SEAL_BYTES as usize];
        file.read_exact_at(&mut seal, store_bytes)?;
        let stated = seal.strip_prefix(&MAGIC).ok_or(SealError::Missing)?;
        if checksum(&file, store_bytes)?.to_be_bytes() != stated {
            return Err(SealError::Broken);
        }
        Ok(Self { file, store_bytes })
    }
}

fn checksum(file: &File, bytes: u64) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut from = file.take(bytes);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(read) => hasher.update(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn read_only() -> io::Error {
    io::Error::from(io::ErrorKind::ReadOnlyFilesystem)
}

impl StorageBackend for Sealed {
    fn len(&self) -> io::Result<u64> {
        Ok(self.store_bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= self.store_bytes);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }
}
