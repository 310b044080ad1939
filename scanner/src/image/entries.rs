//! The complete list of a layer's entries, small enough to be cached with every layer.
//!
//! Entries keep the order of the tar, earlier contents of a path included: extraction is sequential, and
//! only the squash knows what a path means above other layers. Each record names what it shares with the
//! path before it (front coding); the whole is a zstd stream.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::misconfig::Trait;

const LEVEL: i32 = 3;

/// The part of a record's tag that says what it is; then what it may say.
const KIND: u8 = 0x3f;
const FILE: u8 = 0;
const HARDLINK: u8 = 1;
const SYMLINK: u8 = 2;
const DIRECTORY: u8 = 3;
const SPECIAL: u8 = 4;
const WHITEOUT: u8 = 5;
const OPAQUE: u8 = 6;
/// The other parts: it has capabilities, and a check of misconfiguration may ask about it.
const CAPABILITY: u8 = 0x80;
const NOTABLE: u8 = 0x40;

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
        Entries {
            left: self.count,
            reader: None,
            packed: &self.packed,
            unpacked: Vec::new(),
            at: 0,
            entry: Entry::nowhere(),
            is_notable: false,
        }
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
            EntryKind::File { .. } => (FILE, None),
            EntryKind::Hardlink { target } => (HARDLINK, Some(target)),
            EntryKind::Symlink { target } => (SYMLINK, Some(target)),
            EntryKind::Directory => (DIRECTORY, None),
            EntryKind::Special => (SPECIAL, None),
            EntryKind::Whiteout => (WHITEOUT, None),
            EntryKind::Opaque => (OPAQUE, None),
        };
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        let is_notable = Trait::of(entry).next().is_some();
        record.push(tag | flag(entry.capability, CAPABILITY) | flag(is_notable, NOTABLE));
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

/// So much is unpacked at a time.
const UNPACKED: usize = 64 << 10;

/// See [`EntryTable::iter`].
pub struct Entries<'a> {
    left: u32,
    reader: Option<zstd::Decoder<'static, io::BufReader<&'a [u8]>>>,
    packed: &'a [u8],
    /// What is unpacked and not read yet, behind what is.
    unpacked: Vec<u8>,
    at: usize,
    /// The one that was read last: the next one shares a part of its path.
    entry: Entry,
    is_notable: bool,
}

impl Iterator for Entries<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.advance()?.map(|listed| listed.entry.clone()))
    }
}

impl Entries<'_> {
    /// The next entry, where it is unpacked: for who looks at many and keeps few.
    pub(super) fn advance(&mut self) -> Option<io::Result<Listed<'_>>> {
        self.left = self.left.checked_sub(1)?;
        match self.read() {
            Ok(()) => Some(Ok(Listed { entry: &self.entry, is_notable: self.is_notable })),
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }

    fn read(&mut self) -> io::Result<()> {
        loop {
            let mut rest = Rest(&self.unpacked[self.at..]);
            match rest.record() {
                Ok(record) => {
                    self.at = self.unpacked.len() - rest.0.len();
                    self.is_notable = record.tag & NOTABLE != 0;
                    return record.lay_over(&mut self.entry);
                }
                Err(Unreadable::Damaged) => return Err(damaged()),
                Err(Unreadable::Short) => self.unpack()?,
            }
        }
    }

    /// Unpacks further records; as much again as the one has that is not whole yet, lest a long one is begun too often.
    fn unpack(&mut self) -> io::Result<()> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(zstd::Decoder::new(self.packed)?),
        };
        self.unpacked.drain(..self.at);
        self.at = 0;
        let wanted = self.unpacked.len().max(UNPACKED);
        match reader.take(wanted as u64).read_to_end(&mut self.unpacked)? {
            0 => Err(damaged()),
            _ => Ok(()),
        }
    }
}

/// An entry of a table, and what was known of it when it was packed.
#[derive(Clone, Copy)]
pub(super) struct Listed<'e> {
    pub(super) entry: &'e Entry,
    /// It has a [`Trait`]. There are as many entries as files, and few have one.
    pub(super) is_notable: bool,
}

/// What is left of unpacked records.
struct Rest<'u>(&'u [u8]);

/// Why no record can be read of it.
#[derive(Debug)]
enum Unreadable {
    /// It ends in the middle.
    Short,
    Damaged,
}

/// An entry as it is written.
struct Record<'u> {
    /// How many bytes its path shares with the one before.
    shared: u64,
    suffix: &'u [u8],
    tag: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    target: &'u [u8],
}

impl<'u> Rest<'u> {
    fn record(&mut self) -> Result<Record<'u>, Unreadable> {
        let shared = self.number()?;
        let suffix = self.bytes()?;
        let tag = self.byte()?;
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let size = if tag & KIND == FILE { self.number()? } else { 0 };
        let target = if matches!(tag & KIND, HARDLINK | SYMLINK) { self.bytes()? } else { &[] };
        Ok(Record { shared, suffix, tag, mode, uid, gid, size, target })
    }

    fn byte(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.0.split_first().ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    /// LEB128.
    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable::Damaged)
    }

    fn small(&mut self) -> Result<u32, Unreadable> {
        u32::try_from(self.number()?).map_err(|_| Unreadable::Damaged)
    }

    fn bytes(&mut self) -> Result<&'u [u8], Unreadable> {
        let length = usize::try_from(self.number()?).map_err(|_| Unreadable::Damaged)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(bytes)
    }
}

impl Record<'_> {
    /// Makes the entry before it the one that it says.
    fn lay_over(self, entry: &mut Entry) -> io::Result<()> {
        let shared = usize::try_from(self.shared).ok().filter(|shared| *shared <= entry.path.len());
        entry.path.truncate(shared.ok_or_else(damaged)?);
        entry.path.extend_from_slice(self.suffix);
        (entry.mode, entry.uid, entry.gid) = (self.mode, self.uid, self.gid);
        entry.capability = self.tag & CAPABILITY != 0;
        entry.kind = match self.tag & KIND {
            FILE => EntryKind::File { size: self.size },
            HARDLINK => EntryKind::Hardlink { target: self.target.to_vec() },
            SYMLINK => EntryKind::Symlink { target: self.target.to_vec() },
            DIRECTORY => EntryKind::Directory,
            SPECIAL => EntryKind::Special,
            WHITEOUT => EntryKind::Whiteout,
            OPAQUE => EntryKind::Opaque,
            _ => return Err(damaged()),
        };
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
    fn what_is_longer_than_is_unpacked_at_a_time_is_whole() {
        let link = |length: usize| Entry {
            path: vec![b'p'; length],
            kind: EntryKind::Symlink { target: vec![b't'; 3 * length] },
            ..Entry::nowhere()
        };
        let entries = [link(7), link(3 * UNPACKED), link(UNPACKED - 9), link(1)];
        let mut writer = EntryWriter::default();
        for entry in &entries {
            writer.push(entry).unwrap();
        }
        let unpacked: Vec<Entry> = writer.finish().unwrap().iter().map(Result::unwrap).collect();
        assert!(unpacked == entries);
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
