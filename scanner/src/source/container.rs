//! A tar file that holds other files: indexed once, read by offset, never unpacked on disk.
//!
//! For image archives, whose own members matter, not for layers: only regular files and links are kept, under
//! names that stay inside. Formats: POSIX ustar and pax(1) (`path`, `linkpath`, `size`), GNU long names;
//! optionally gzip around all of it, at the price of inflating again up to each file that is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use shared::model::digest::{Algorithm, Digest, Hasher};

use crate::limits::Limits;

const BLOCK: u64 = 512;
const MOST_LINKS: usize = 16;

/// The index of one tar file.
pub(super) struct Container {
    path: PathBuf,
    encoding: Encoding,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
}

enum Member {
    /// Where a file's bytes are in the (inflated) tar, and their SHA-256 if it was free to compute.
    File { offset: u64, size: u64, digest: Option<Digest> },
    /// Another name inside the tar.
    Link(String),
}

/// Why a file cannot be used as a container.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContainerError {
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    #[error("it is not a tar file: {reason} at byte {offset}")]
    Malformed { offset: u64, reason: &'static str },
    #[error("it has more than {limit} {what}")]
    TooLarge { what: &'static str, limit: u64 },
}

impl Container {
    /// Walks over the whole file once. Blocks.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, ContainerError> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::with_capacity(1 << 16, file);
        let (encoding, stream) = if magic == [0x1f, 0x8b] {
            (Encoding::Gzip, Stream::Gzip(Box::new(MultiGzDecoder::new(file))))
        } else {
            (Encoding::Plain, Stream::Plain { file, length })
        };
        let walk = Walk { stream, position: 0, limits };
        Ok(Self { path: path.to_owned(), encoding, members: walk.index()? })
    }

    /// The file of this name, links followed: its size, and a reader that blocks and yields exactly that.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<(u64, Box<dyn Read + Send>)>> {
        let Some((offset, size, _)) = self.find(name) else {
            return Ok(None);
        };
        let mut file = File::open(&self.path)?;
        let reader: Box<dyn Read + Send> = match self.encoding {
            Encoding::Plain => {
                file.seek(SeekFrom::Start(offset))?;
                Box::new(file.take(size))
            }
            Encoding::Gzip => {
                let inflated = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file));
                let late = Late { inner: inflated, before: offset };
                Box::new(late.take(size))
            }
        };
        Ok(Some((size, reader)))
    }

    /// The SHA-256 of the file of this name, if it was computed while indexing.
    pub(super) fn digest(&self, name: &str) -> Option<Digest> {
        self.find(name).and_then(|(_, _, digest)| digest.cloned())
    }

    fn find(&self, name: &str) -> Option<(u64, u64, Option<&Digest>)> {
        let mut name = inside("", name)?;
        for _ in 0..MOST_LINKS {
            match self.members.get(&name)? {
                Member::File { offset, size, digest } => return Some((*offset, *size, digest.as_ref())),
                Member::Link(target) => name.clone_from(target),
            }
        }
        None
    }
}

/// A reader whose first bytes are passed over when somebody reads, on that thread.
struct Late<R> {
    inner: R,
    before: u64,
}

impl<R: Read> Read for Late<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.before > 0 {
            let passed = io::copy(&mut (&mut self.inner).take(self.before), &mut io::sink())?;
            self.before -= passed;
            if self.before > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.inner.read(buffer)
    }
}

enum Stream {
    Plain { file: BufReader<File>, length: u64 },
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

struct Walk<'a> {
    stream: Stream,
    position: u64,
    limits: &'a Limits,
}

/// What PAX and GNU headers say about the next entry.
#[derive(Default)]
struct Overrides {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl Walk<'_> {
    fn index(mut self) -> Result<BTreeMap<String, Member>, ContainerError> {
        let mut members = BTreeMap::new();
        let mut overrides = Overrides::default();
        let mut entries = 0;
        while let Some(header) = self.header()? {
            entries += 1;
            within(entries, self.limits.archive_entries, "entries")?;
            let size = overrides.size.unwrap_or(header.size);
            match header.kind {
                b'x' => self.pax(header.size)?.replace(&mut overrides),
                // Defaults for all entries: no writer of image archives puts a name there.
                b'g' => drop(self.header_content(header.size)?),
                b'L' => overrides.path = Some(self.long_name(header.size)?),
                b'K' => overrides.link = Some(self.long_name(header.size)?),
                kind => {
                    let name = inside("", &overrides.path.take().unwrap_or(header.name));
                    let link = overrides.link.take().unwrap_or(header.link);
                    let member = self.member(kind, size, name.as_deref(), &link)?;
                    members.extend(name.zip(member));
                    overrides = Overrides::default();
                }
            }
        }
        Ok(members)
    }

    /// Reads or passes over what follows a header; the member that it makes, if it makes one.
    fn member(
        &mut self,
        kind: u8,
        size: u64,
        name: Option<&str>,
        link: &str,
    ) -> Result<Option<Member>, ContainerError> {
        let target = match kind {
            b'0' | b'7' | 0 => {
                let offset = self.position;
                let digest = self.pass(size)?;
                self.pass((BLOCK - size % BLOCK) % BLOCK)?;
                return Ok(Some(Member::File { offset, size, digest }));
            }
            // Links, devices and directories have no content, whatever their size field says.
            b'1' => inside("", link),
            b'2' => {
                let name = name.unwrap_or_default();
                let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                inside(directory, link)
            }
            b'3'..=b'6' => None,
            _ => {
                self.pass(size)?;
                self.pass((BLOCK - size % BLOCK) % BLOCK)?;
                None
            }
        };
        Ok(target.map(Member::Link))
    }

    /// The next header; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, ContainerError> {
        let offset = self.position;
        let mut block = [0; BLOCK as usize];
        let mut filled = 0;
        while filled < block.len() {
            match self.stream.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(malformed(offset, "it ends inside a header")),
                read => filled += read,
            }
        }
        self.position += BLOCK;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        Header::parse(&block).map(Some).map_err(|reason| malformed(offset, reason))
    }

    /// The content of a header entry, whole.
    fn header_content(&mut self, size: u64) -> Result<Vec<u8>, ContainerError> {
        within(size, self.limits.header_bytes, "bytes in one header")?;
        let mut content = Vec::new();
        (&mut self.stream).take(size).read_to_end(&mut content)?;
        if content.len() as u64 != size {
            return Err(malformed(self.position, "it ends inside a header"));
        }
        self.position += size;
        self.pass((BLOCK - size % BLOCK) % BLOCK)?;
        Ok(content)
    }

    fn long_name(&mut self, size: u64) -> Result<String, ContainerError> {
        Ok(text(&self.header_content(size)?))
    }

    /// `length key=value\n`, again and again.
    fn pax(&mut self, size: u64) -> Result<Overrides, ContainerError> {
        let offset = self.position;
        let content = self.header_content(size)?;
        let mut overrides = Overrides::default();
        let mut rest = content.as_slice();
        while !rest.is_empty() {
            let record =
                PaxRecord::first(rest).ok_or_else(|| malformed(offset, "a PAX header cannot be read"))?;
            match record.key {
                b"path" => overrides.path = Some(text(record.value)),
                b"linkpath" => overrides.link = Some(text(record.value)),
                b"size" => {
                    let size = std::str::from_utf8(record.value).ok();
                    let size = size.and_then(|size| size.parse().ok());
                    overrides.size =
                        Some(size.ok_or_else(|| malformed(offset, "a PAX size is not a number"))?);
                }
                _ => {}
            }
            rest = record.rest;
        }
        Ok(overrides)
    }

    /// Passes over `count` bytes; hashes them where they have to be read anyway.
    fn pass(&mut self, count: u64) -> Result<Option<Digest>, ContainerError> {
        let offset = self.position;
        let ends_early = || malformed(offset, "it ends inside an entry");
        self.position = offset.checked_add(count).ok_or_else(ends_early)?;
        match &mut self.stream {
            Stream::Plain { file, length } => {
                if self.position > *length {
                    return Err(ends_early());
                }
                file.seek(SeekFrom::Start(self.position))?;
                Ok(None)
            }
            Stream::Gzip(inflated) => {
                within(self.position, self.limits.layer_bytes, "bytes after inflating")?;
                let (digest, passed) = hash(&mut inflated.take(count))?;
                if passed == count { Ok(Some(digest)) } else { Err(ends_early()) }
            }
        }
    }
}

impl Overrides {
    /// What a PAX header says replaces what an earlier header said, key by key.
    fn replace(self, earlier: &mut Self) {
        earlier.path = self.path.or(earlier.path.take());
        earlier.link = self.link.or(earlier.link.take());
        earlier.size = self.size.or(earlier.size.take());
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { file, .. } => file.read(buffer),
            Self::Gzip(inflated) => inflated.read(buffer),
        }
    }
}

/// The SHA-256 of everything that a reader gives, and how many bytes that was. Blocks.
pub(super) fn hash(reader: &mut dyn Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), total)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                total += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

struct Header {
    name: String,
    link: String,
    kind: u8,
    size: u64,
}

impl Header {
    fn parse(block: &[u8; BLOCK as usize]) -> Result<Self, &'static str> {
        let stated = number(&block[148..156]).ok_or("a header has no checksum")?;
        let blanked = block[..148].iter().chain(&[b' '; 8]).chain(&block[156..]);
        if blanked.map(|byte| u64::from(*byte)).sum::<u64>() != stated {
            return Err("a header has the wrong checksum");
        }
        let mut name = text(&block[..100]);
        if block[257..263] == *b"ustar\0" && block[345] != 0 {
            name = format!("{}/{name}", text(&block[345..500]));
        }
        Ok(Self {
            name,
            link: text(&block[157..257]),
            kind: block[156],
            size: number(&block[124..136]).ok_or("a header has no size")?,
        })
    }
}

/// Octal digits between spaces and NULs, or GNU's binary form for large numbers.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (first, rest) = field.split_first()?;
        return rest.iter().try_fold(u64::from(first & 0x7f), |value, byte| {
            Some(value.checked_mul(256)? + u64::from(*byte))
        });
    }
    let digits = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

struct PaxRecord<'a> {
    key: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

impl<'a> PaxRecord<'a> {
    fn first(content: &'a [u8]) -> Option<Self> {
        let space = content.iter().take(12).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
        let record = content.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        Some(Self { key: &record[..equals], value: &record[equals + 1..], rest: &content[length..] })
    }
}

/// Up to the first NUL. What is no UTF-8 cannot be one of the names that are looked for.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// A path seen from a directory inside the archive, without `.` and `..`; `None` if it leads outside.
fn inside(directory: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut components: Vec<&str> = Vec::new();
    for component in directory.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()?),
            name => components.push(name),
        }
    }
    Some(components.join("/")).filter(|path| !path.is_empty())
}

fn malformed(offset: u64, reason: &'static str) -> ContainerError {
    ContainerError::Malformed { offset, reason }
}

fn within(count: u64, limit: u64, what: &'static str) -> Result<(), ContainerError> {
    if count > limit {
        return Err(ContainerError::TooLarge { what, limit });
    }
    Ok(())
}
