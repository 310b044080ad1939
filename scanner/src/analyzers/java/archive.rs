//! Zip archives in memory: which entries they have and what those contain, for archives that lie.
//!
//! The central directory decides, as it does for the Java virtual machine; the local headers are compared with
//! it wherever an entry matters, and bytes that the directory does not mention are searched for entries that
//! would matter to somebody who reads from the front. Bytes before the first entry (a shell prefix, a jmod
//! header) are legal. Format: PKWARE APPNOTE 6.3, with Zip64.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use memchr::memmem;

use super::classes::ClassPackages;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";

const LOCAL_SIZE: usize = 30;
const CENTRAL_SIZE: usize = 46;
const END_SIZE: usize = 22;
const END_64_SIZE: usize = 56;
const LOCATOR_64_SIZE: usize = 20;
const LONGEST_COMMENT: usize = 65_535;

const IS_ENCRYPTED: u16 = 1;
/// Sizes follow the content; the local header does not know them.
const SIZES_FOLLOW: u16 = 8;

/// Why an archive or an entry cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ArchiveError {
    /// Nothing in it says that it is an archive.
    #[error("it is no zip archive")]
    NotAnArchive,
    /// It begins like one, but the directory is missing or lies outside.
    #[error("its central directory cannot be found")]
    NoDirectory,
    /// The entry is encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// The entry is compressed in a way that Java does not know either.
    #[error("its compression method {0} is unknown")]
    Method(u16),
    /// The entry lies outside of the archive, or its compressed bytes are damaged.
    #[error("its content is damaged")]
    Damaged,
    /// The entry is larger than it may be.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

/// An archive whose directory has been read.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    /// The entries that were wanted, in the directory's order; of equal names all.
    pub(super) entries: Vec<Entry>,
    /// How many entries the directory lists, wanted or not.
    pub(super) total: u64,
    /// Whether any entry is a class.
    pub(super) has_classes: bool,
    /// The packages that its classes are in.
    pub(super) classes: ClassPackages,
    /// Where directory and local headers contradict each other about something wanted.
    pub(super) mismatches: Vec<String>,
    /// Whether the directory ends before its stated end: damage, or more entries than allowed.
    pub(super) end: DirectoryEnd,
}

/// How reading the directory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirectoryEnd {
    /// All of it was read.
    Complete,
    /// What follows the last entry read is no entry.
    Damaged,
    /// It has more entries than are read.
    TooMany,
}

/// A wanted entry, as the central directory states it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name; undecodable bytes replaced, backslashes turned.
    pub(super) name: String,
    raw_name: Range<usize>,
    flags: u16,
    method: u16,
    checksum: u32,
    compressed: u64,
    header: usize,
}

impl Entry {
    /// Its size in the archive, as the directory states it.
    pub(super) fn compressed(&self) -> u64 {
        self.compressed
    }

    /// Whether its bytes lie in the archive as they are.
    pub(super) fn is_stored(&self) -> bool {
        self.method == 0
    }
}

/// The content of an entry.
pub(super) struct Content<'a> {
    /// At most as many bytes as were allowed.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Whether they have the checksum that the directory states.
    pub(super) is_intact: bool,
}

/// Where a central directory lies.
struct Directory {
    range: Range<usize>,
    /// What must be added to stated offsets: the length of a prefix.
    base: usize,
    stated_entries: u64,
}

/// The most mismatches that are described; one is enough to know that the archive lies.
const MOST_MISMATCHES: usize = 8;

impl<'a> Archive<'a> {
    /// Reads the directory: at most `most_entries` of it, keeping the entries whose names are wanted.
    pub(super) fn open(
        bytes: &'a [u8],
        most_entries: u64,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, ArchiveError> {
        let directory = match Directory::find(bytes) {
            Some(directory) => directory,
            None if bytes.starts_with(LOCAL) || memmem::find(tail(bytes), END).is_some() => {
                return Err(ArchiveError::NoDirectory);
            }
            None => return Err(ArchiveError::NotAnArchive),
        };
        let mut archive = Self {
            bytes,
            entries: Vec::new(),
            total: 0,
            has_classes: false,
            classes: ClassPackages::default(),
            mismatches: Vec::new(),
            end: DirectoryEnd::Complete,
        };
        let mut covered = Vec::new();
        let mut position = directory.range.start;
        while position < directory.range.end {
            if archive.total >= most_entries {
                archive.end = DirectoryEnd::TooMany;
                return Ok(archive);
            }
            let Some((entry, next)) = central_entry(bytes, position, &directory) else {
                archive.end = DirectoryEnd::Damaged;
                break;
            };
            position = next;
            archive.total += 1;
            archive.has_classes |= entry.name.ends_with(".class");
            archive.classes.note(&entry.name);
            covered.extend(archive.extent(&entry));
            if wanted(&entry.name) {
                archive.compare(&entry);
                archive.entries.push(entry);
            }
        }
        // Without Zip64 the count has 16 bits, and some writers let it wrap.
        if archive.end == DirectoryEnd::Complete
            && archive.total & 0xffff != directory.stated_entries & 0xffff
        {
            archive.mismatch(format!(
                "the directory lists {} entries and states {}",
                archive.total, directory.stated_entries
            ));
        }
        archive.search_gaps(covered, directory.range.start, wanted);
        Ok(archive)
    }

    /// The content of an entry, at most `most` bytes of it.
    pub(super) fn read(&self, entry: &Entry, most: u64) -> Result<Content<'a>, ArchiveError> {
        if entry.flags & IS_ENCRYPTED != 0 {
            return Err(ArchiveError::Encrypted);
        }
        let extent = self.extent(entry).ok_or(ArchiveError::Damaged)?;
        let start = self.content_start(entry.header).ok_or(ArchiveError::Damaged)?;
        let stored = self.bytes.get(start..extent.end).ok_or(ArchiveError::Damaged)?;
        let bytes = match entry.method {
            0 if stored.len() as u64 > most => return Err(ArchiveError::TooLarge(most)),
            0 => Cow::Borrowed(stored),
            8 => Cow::Owned(inflate(stored, most)?),
            method => return Err(ArchiveError::Method(method)),
        };
        let mut checksum = Crc::new();
        checksum.update(&bytes);
        Ok(Content { is_intact: checksum.sum() == entry.checksum, bytes })
    }

    /// Where the bytes of a local header's entry begin, if there is a local header.
    fn content_start(&self, header: usize) -> Option<usize> {
        let local = Fields::at(self.bytes, header, LOCAL, LOCAL_SIZE)?;
        let names = usize::from(local.u16(26)) + usize::from(local.u16(28));
        header.checked_add(LOCAL_SIZE + names)
    }

    /// From an entry's local header to the end of its content.
    fn extent(&self, entry: &Entry) -> Option<Range<usize>> {
        let start = self.content_start(entry.header)?;
        let end = start.checked_add(usize::try_from(entry.compressed).ok()?)?;
        (end <= self.bytes.len()).then_some(entry.header..end)
    }

    /// Compares an entry's local header with what the directory says of it.
    fn compare(&mut self, entry: &Entry) {
        let Some(local) = Fields::at(self.bytes, entry.header, LOCAL, LOCAL_SIZE) else {
            return self.mismatch(format!("{} has no local header", entry.name));
        };
        let name_start = entry.header + LOCAL_SIZE;
        let name = self.bytes.get(name_start..name_start + usize::from(local.u16(26)));
        let stated_size = local.u32(18);
        let size_is_stated = local.u16(6) & SIZES_FOLLOW == 0 && stated_size != u32::MAX;
        if name != self.bytes.get(entry.raw_name.clone()) {
            self.mismatch(format!("{} has another name in its local header", entry.name));
        } else if local.u16(8) != entry.method {
            self.mismatch(format!("{} has another method in its local header", entry.name));
        } else if size_is_stated && u64::from(stated_size) != entry.compressed {
            self.mismatch(format!("{} has another size in its local header", entry.name));
        }
    }

    /// Looks for wanted entries in the bytes that the directory does not mention.
    fn search_gaps(&mut self, mut covered: Vec<Range<usize>>, end: usize, wanted: impl Fn(&str) -> bool) {
        covered.sort_unstable_by_key(|range| range.start);
        covered.push(end..end);
        let mut position = 0;
        for range in covered {
            if let Some(gap) = self.bytes.get(position..range.start) {
                for hit in memmem::find_iter(gap, LOCAL) {
                    let hidden = local_name(self.bytes, position + hit).filter(|name| wanted(name));
                    if let Some(name) = hidden {
                        self.mismatch(format!("{name} has a local header that the directory does not list"));
                    }
                }
            }
            position = position.max(range.end);
        }
    }

    fn mismatch(&mut self, what: String) {
        if self.mismatches.len() < MOST_MISMATCHES {
            self.mismatches.push(what);
        }
    }
}

/// The part of an archive in which its end record must lie.
fn tail(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len().saturating_sub(END_SIZE + LONGEST_COMMENT)..]
}

/// Inflates at most `most` bytes; allocates only for bytes that were really produced.
fn inflate(compressed: &[u8], most: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    let mut inflated = DeflateDecoder::new(compressed).take(most.saturating_add(1));
    inflated.read_to_end(&mut bytes).map_err(|_| ArchiveError::Damaged)?;
    match bytes.len() as u64 > most {
        true => Err(ArchiveError::TooLarge(most)),
        false => Ok(bytes),
    }
}

/// The fixed part of a record, for reading little-endian numbers at offsets known to lie inside it.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The record at a position, if it is there in full and begins with its signature.
    fn at(bytes: &'a [u8], position: usize, signature: &[u8], size: usize) -> Option<Self> {
        let record = bytes.get(position..position.checked_add(size)?)?;
        record.starts_with(signature).then_some(Self(record))
    }

    fn number(&self, offset: usize, width: usize) -> u64 {
        let bytes = self.0[offset..offset + width].iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn u16(&self, offset: usize) -> u16 {
        self.number(offset, 2) as u16
    }

    fn u32(&self, offset: usize) -> u32 {
        self.number(offset, 4) as u32
    }

    fn u64(&self, offset: usize) -> u64 {
        self.number(offset, 8)
    }
}

impl Directory {
    /// Finds the end record as the Java virtual machine does: the last one whose comment ends the file or whose
    /// directory is where it says.
    fn find(bytes: &[u8]) -> Option<Self> {
        let offset = bytes.len() - tail(bytes).len();
        memmem::rfind_iter(tail(bytes), END).find_map(|hit| {
            let position = offset + hit;
            let end = Fields::at(bytes, position, END, END_SIZE)?;
            let directory = Self::described_by(bytes, position, &end)?;
            let is_last = position + END_SIZE + usize::from(end.u16(20)) == bytes.len();
            let begins = bytes[directory.range.clone()].starts_with(CENTRAL);
            (begins || (is_last && directory.range.is_empty())).then_some(directory)
        })
    }

    fn described_by(bytes: &[u8], position: usize, end: &Fields<'_>) -> Option<Self> {
        let (entries, size, offset) =
            (u64::from(end.u16(10)), u64::from(end.u32(12)), u64::from(end.u32(16)));
        let is_saturated = entries == 0xffff || size == u64::from(u32::MAX) || offset == u64::from(u32::MAX);
        if is_saturated && let Some((position, end)) = end_64(bytes, position) {
            return Self::at(position, end.u64(40), end.u64(48), end.u64(32));
        }
        Self::at(position, size, offset, entries)
    }

    /// A directory of `size` bytes that ends at a position and says that it begins at `offset`.
    fn at(end: usize, size: u64, offset: u64, stated_entries: u64) -> Option<Self> {
        let start = end.checked_sub(usize::try_from(size).ok()?)?;
        Some(Self {
            range: start..end,
            base: start.checked_sub(usize::try_from(offset).ok()?)?,
            stated_entries,
        })
    }
}

/// The Zip64 end record in front of an end record; a prefix may have moved it from where its locator says.
fn end_64(bytes: &[u8], end: usize) -> Option<(usize, Fields<'_>)> {
    let locator = end.checked_sub(LOCATOR_64_SIZE)?;
    let stated = Fields::at(bytes, locator, LOCATOR_64, LOCATOR_64_SIZE)?.u64(8);
    let places = [usize::try_from(stated).ok(), locator.checked_sub(END_64_SIZE)];
    let mut records = places.into_iter().flatten();
    records.find_map(|place| Some((place, Fields::at(bytes, place, END_64, END_64_SIZE)?)))
}

/// The entry at a position of the directory, and where the next one begins.
fn central_entry(bytes: &[u8], position: usize, directory: &Directory) -> Option<(Entry, usize)> {
    let fields = Fields::at(bytes, position, CENTRAL, CENTRAL_SIZE)?;
    let name_start = position + CENTRAL_SIZE;
    let extra_start = name_start + usize::from(fields.u16(28));
    let comment_start = extra_start + usize::from(fields.u16(30));
    let next = comment_start + usize::from(fields.u16(32));
    if next > directory.range.end {
        return None;
    }
    let sizes = Sizes {
        uncompressed: u64::from(fields.u32(24)),
        compressed: u64::from(fields.u32(20)),
        header: u64::from(fields.u32(42)),
    }
    .widened(&bytes[extra_start..comment_start]);
    let header = usize::try_from(sizes.header).ok()?.checked_add(directory.base)?;
    let raw_name = name_start..extra_start;
    let entry = Entry {
        name: shown_name(&bytes[raw_name.clone()]),
        raw_name,
        flags: fields.u16(8),
        method: fields.u16(10),
        checksum: fields.u32(16),
        compressed: sizes.compressed,
        header,
    };
    Some((entry, next))
}

/// The numbers that Zip64 moves into the extra field, in the order in which they stand there.
struct Sizes {
    uncompressed: u64,
    compressed: u64,
    header: u64,
}

impl Sizes {
    /// Each number that is saturated, replaced from the extra field with id 1.
    fn widened(mut self, mut extra: &[u8]) -> Self {
        while let Some((head, rest)) = extra.split_at_checked(4) {
            let fields = Fields(head);
            let Some((body, next)) = rest.split_at_checked(usize::from(fields.u16(2))) else {
                break;
            };
            if fields.u16(0) == 1 {
                let mut numbers = body.chunks_exact(8).map(|chunk| Fields(chunk).u64(0));
                for number in [&mut self.uncompressed, &mut self.compressed, &mut self.header] {
                    if *number == u64::from(u32::MAX) {
                        *number = numbers.next().unwrap_or(*number);
                    }
                }
                break;
            }
            extra = next;
        }
        self
    }
}

/// The name in a local header.
fn local_name(bytes: &[u8], position: usize) -> Option<String> {
    let fields = Fields::at(bytes, position, LOCAL, LOCAL_SIZE)?;
    let start = position + LOCAL_SIZE;
    bytes.get(start..start + usize::from(fields.u16(26))).map(shown_name)
}

fn shown_name(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).replace('\\', "/")
}
