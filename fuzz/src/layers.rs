//! Layers whose envelope is in order, so that what is inside gets read: checksums of headers, descriptors, gzip.

use std::io::Write as _;

use shared::model::digest::Digest;
use shared::model::document::Descriptor;

const BLOCK: usize = 512;

/// The descriptor that fits these bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: Default::default(),
        artifact_type: None,
        platform: None,
    }
}

/// The tar with the right checksum in every block that says `ustar`: a mutated header is read, not refused.
pub fn with_checksums(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    for block in tar.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// A tar of what these lines say, in this order: `path` is a directory, `path\tcontent` a file (`\n` and `\\` are
/// escaped), `path > target` a symlink, `path = target` a hard link.
pub fn tar_of_lines(lines: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (path, kind, target, content) = said(line);
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        let fields = header.as_old_mut();
        for (field, text) in [(&mut fields.name, path), (&mut fields.linkname, target)] {
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text[..length]);
        }
        header.set_cksum();
        builder.append(&header, &content[..]).expect("a vector takes everything");
    }
    builder.into_inner().expect("a vector takes everything")
}

fn said(line: &[u8]) -> (&[u8], tar::EntryType, &[u8], Vec<u8>) {
    let split = |separator: &[u8]| {
        let at = line.windows(separator.len()).position(|window| window == separator)?;
        Some((&line[..at], &line[at + separator.len()..]))
    };
    if let Some((path, content)) = split(b"\t") {
        return (path, tar::EntryType::Regular, b"", unescaped(content));
    }
    if let Some((path, target)) = split(b" > ") {
        return (path, tar::EntryType::Symlink, target, Vec::new());
    }
    match split(b" = ") {
        Some((path, target)) => (path, tar::EntryType::Link, target, Vec::new()),
        None => (line, tar::EntryType::Directory, b"", Vec::new()),
    }
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        content.push(match (byte, byte == &b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n') => b'\n',
                Some(other) => *other,
                None => break,
            },
            (byte, false) => *byte,
        });
    }
    content
}
