//! The complete list of a layer's entries, small enough to be cached with every layer.
//!
//! Entries keep the order of the tar, earlier contents of a path included: extraction is sequential, and
//! only the squash knows what a path means above other layers. Each record names what it shares with the
//! path before it (front coding); the whole is a zstd stream.

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize};

const LEVEL: i32 = 3;

/// One entry: what a tar member does to the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Canonical path from the image's root; never empty.
    pub path: Vec<u8>,
    /// What is put there.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether the file has capabilities.
    pub capability: bool,
}

/// What an entry puts at its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Bytes of content.
        size: u64,
    },
    /// Another name of a file that was extracted earlier.
    Hardlink {
        /// Canonical path of that file.
        target: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// As written: relative to the link's directory, or absolute within the image's root.
        target: Vec<u8>,
    },
    /// A directory.
    Directory,
    /// A device or a fifo.
    Special,
    /// `.wh.NAME`: the path is hidden in lower layers.
    Whiteout,
    /// `.wh..wh..opq`: the children of the path are hidden in lower layers.
    Opaque,
}

/// Entries, packed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryTable {
    count: u32,
    packed: Vec<u8>,
}

impl EntryTable {
    /// How many entries there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes the packed form has.
    pub fn packed_bytes(&self) -> usize {
        self.packed.len()
    }

    /// Unpacks the entries one by one, in the order of the tar. An error means that the table was damaged.
    pub fn iter(&self) -> Entries<'_> {
        Entries { left: self.count, reader: None, packed: &self.packed, entry: Entry::nowhere() }
    }
}

/// Packs entries as they come.
#[derive(Default)]
pub(super) struct EntryWriter {
    count: u32,
    encoder: Option<zstd::Encoder<'static, Vec<u8>>>,
    path: Vec<u8>,
    record: Vec<u8>,
}

impl EntryWriter {
    /// Adds an entry; gives its position.
    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<u32> {
        let shared = self.path.iter().zip(&entry.path).take_while(|(before, now)| before == now).count();
        let record = &mut self.record;
        record.clear();
        put_number(record, shared as u64);
        put_bytes(record, &entry.path[shared..]);
        let (tag, target) = match &entry.kind {
            EntryKind::File { .. } => (0, None),
            EntryKind::Hardlink { target } => (1, Some(target)),
            EntryKind::Symlink { target } => (2, Some(target)),
            EntryKind::Directory => (3, None),
            EntryKind::Special => (4, None),
            EntryKind::Whiteout => (5, None),
            EntryKind::Opaque => (6, None),
        };
        record.push(tag | u8::from(entry.capability) << 7);
        for number in [entry.mode, entry.uid, entry.gid] {
            put_number(record, u64::from(number));
        }
        if let EntryKind::File { size } = entry.kind {
            put_number(record, size);
        }
        if let Some(target) = target {
            put_bytes(record, target);
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => self.encoder.insert(zstd::Encoder::new(Vec::new(), LEVEL)?),
        };
        encoder.write_all(&self.record)?;
        self.path.truncate(shared);
        self.path.extend_from_slice(&entry.path[shared..]);
        self.count += 1;
        Ok(self.count - 1)
    }

    /// The packed table.
    pub(super) fn finish(self) -> io::Result<EntryTable> {
        Ok(EntryTable {
            count: self.count,
            packed: self.encoder.map_or_else(|| Ok(Vec::new()), zstd::Encoder::finish)?,
        })
    }
}

/// See [`EntryTable::iter`].
pub struct Entries<'a> {
    left: u32,
    reader: Option<io::BufReader<zstd::Decoder<'static, io::BufReader<&'a [u8]>>>>,
    packed: &'a [u8],
    /// The one that was unpacked last: the next one shares a part of its path.
    entry: Entry,
}

impl Iterator for Entries<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.advance()?.cloned())
    }
}

impl Entries<'_> {
    /// The next entry, where it is unpacked: for who looks at many and keeps few.
    pub(super) fn advance(&mut self) -> Option<io::Result<&Entry>> {
        self.left = self.left.checked_sub(1)?;
        match self.read() {
            Ok(()) => Some(Ok(&self.entry)),
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                self.reader.insert(io::BufReader::with_capacity(64 << 10, zstd::Decoder::new(self.packed)?))
            }
        };
        let shared = usize::try_from(number(reader)?).map_err(|_| damaged())?;
        let entry = &mut self.entry;
        if shared > entry.path.len() {
            return Err(damaged());
        }
        entry.path.truncate(shared);
        append_bytes(reader, &mut entry.path)?;
        let tag = byte(reader)?;
        let mut small = || -> io::Result<u32> { u32::try_from(number(reader)?).map_err(|_| damaged()) };
        (entry.mode, entry.uid, entry.gid) = (small()?, small()?, small()?);
        let mut target = || -> io::Result<Vec<u8>> {
            let mut target = Vec::new();
            append_bytes(reader, &mut target)?;
            Ok(target)
        };
        entry.kind = match tag & 0x7f {
            0 => EntryKind::File { size: number(reader)? },
            1 => EntryKind::Hardlink { target: target()? },
            2 => EntryKind::Symlink { target: target()? },
            3 => EntryKind::Directory,
            4 => EntryKind::Special,
            5 => EntryKind::Whiteout,
            6 => EntryKind::Opaque,
            _ => return Err(damaged()),
        };
        entry.capability = tag & 0x80 != 0;
        Ok(())
    }
}

impl Entry {
    fn nowhere() -> Self {
        Self { path: Vec::new(), kind: EntryKind::Special, mode: 0, uid: 0, gid: 0, capability: false }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the entry table is damaged")
}

/// LEB128.
fn put_number(record: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        record.push(number as u8 | 0x80);
        number >>= 7;
    }
    record.push(number as u8);
}

fn put_bytes(record: &mut Vec<u8>, bytes: &[u8]) {
    put_number(record, bytes.len() as u64);
    record.extend_from_slice(bytes);
}

fn byte(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn number(reader: &mut impl Read) -> io::Result<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = byte(reader)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(damaged())
}

fn append_bytes(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut missing = number(reader)?;
    while missing > 0 {
        let there = reader.fill_buf()?;
        let length = usize::try_from(missing).map_or(there.len(), |missing| missing.min(there.len()));
        if length == 0 {
            return Err(damaged());
        }
        bytes.extend_from_slice(&there[..length]);
        reader.consume(length);
        missing -= length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = EntryKind> {
        let target = || proptest::collection::vec(any::<u8>(), 0..20);
        prop_oneof![
            any::<u64>().prop_map(|size| EntryKind::File { size }),
            target().prop_map(|target| EntryKind::Hardlink { target }),
            target().prop_map(|target| EntryKind::Symlink { target }),
            Just(EntryKind::Directory),
            Just(EntryKind::Special),
            Just(EntryKind::Whiteout),
            Just(EntryKind::Opaque),
        ]
    }

    fn entry() -> impl Strategy<Value = Entry> {
        (proptest::collection::vec(any::<u8>(), 0..30), kind(), any::<(u32, u32, u32)>(), any::<bool>())
            .prop_map(|(path, kind, (mode, uid, gid), capability)| Entry {
                path,
                kind,
                mode,
                uid,
                gid,
                capability,
            })
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same(entries in proptest::collection::vec(entry(), 0..50)) {
            let mut writer = EntryWriter::default();
            for (position, entry) in entries.iter().enumerate() {
                prop_assert_eq!(writer.push(entry).unwrap() as usize, position);
            }
            let table = writer.finish().unwrap();
            let unpacked: Vec<Entry> = table.iter().map(Result::unwrap).collect();
            prop_assert_eq!(unpacked, entries);
        }

        #[test]
        fn a_damaged_table_is_an_error_not_a_panic(packed in proptest::collection::vec(any::<u8>(), 0..200)) {
            let table = EntryTable { count: 10, packed };
            prop_assert!(table.iter().any(|entry| entry.is_err()));
        }
    }

    #[test]
    fn an_entry_costs_a_dozen_bytes_or_less() {
        let mut writer = EntryWriter::default();
        for number in 0..10_000 {
            let path = format!("usr/share/doc/package-{}/file-{number}.txt", number / 10);
            writer
                .push(&Entry {
                    path: path.into_bytes(),
                    kind: EntryKind::File { size: number * 7919 % 65_536 },
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                    capability: false,
                })
                .unwrap();
        }
        let table = writer.finish().unwrap();
        assert!(table.packed_bytes() < 10_000 * 12, "{}", table.packed_bytes());
    }
}
