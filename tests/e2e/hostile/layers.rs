//! Layers that no honest tool would make: tar members with whatever header, and streams with whatever envelope.

use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 512;

/// A tar on the way; names are written as they are, and cut where the header has no room.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A regular file.
    pub(super) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        self.member(b'0', path.as_bytes(), b"", content.len() as u64, content)
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Self {
        self.member(b'2', path.as_bytes(), target.as_bytes(), 0, b"")
    }

    pub(super) fn hardlink(self, path: &str, target: &str) -> Self {
        self.member(b'1', path.as_bytes(), target.as_bytes(), 0, b"")
    }

    /// A PAX header of these records; it is about the next member.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            content.extend(record(key, value));
        }
        self.member(b'x', b"pax", b"", content.len() as u64, &content)
    }

    /// Any member; `stated` is the size that its header says.
    pub(super) fn member(mut self, kind: u8, name: &[u8], link: &[u8], stated: u64, content: &[u8]) -> Self {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, room: usize, bytes: &[u8]| {
            let length = bytes.len().min(room);
            header[at..at + length].copy_from_slice(&bytes[..length]);
        };
        put(0, 100, name);
        put(100, 8, b"0000644\0");
        put(108, 8, b"0000000\0");
        put(116, 8, b"0000000\0");
        put(124, 12, format!("{stated:011o}\0").as_bytes());
        put(136, 12, b"00000000000\0");
        put(148, 8, b"        ");
        put(156, 1, &[kind]);
        put(157, 100, link);
        put(257, 8, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// Bytes as they are.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// With its end marker.
    pub(super) fn finish(self) -> Vec<u8> {
        self.raw(&[0; 2 * BLOCK]).0
    }

    /// Without one.
    pub(super) fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

/// A PAX record with its own length in front, which counts itself.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

/// One gzip member, as small as can be.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    gzip_as(Compression::best(), bytes)
}

/// One gzip member, for what is large.
pub(super) fn gzip_fast(bytes: &[u8]) -> Result<Vec<u8>> {
    gzip_as(Compression::fast(), bytes)
}

fn gzip_as(level: Compression, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// So many MiB of zeros in gzip members of 16 MiB each, about a thousandth as large.
pub(super) fn gzip_zeros(mebibytes: usize) -> Result<Vec<u8>> {
    let member = gzip(&vec![0; 16 << 20])?;
    Ok(member.repeat(mebibytes / 16))
}

/// So many MiB of zeros in one zstd frame.
pub(super) fn zstd_zeros(mebibytes: usize) -> Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        encoder.write_all(&zeros)?;
    }
    Ok(encoder.finish()?)
}
