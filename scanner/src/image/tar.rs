//! A tar stream in, its members one by one out: ustar, v7, GNU and PAX, sparse files expanded as they are read.
//!
//! Strict where readers disagree: a wrong checksum, a record of impossible length, a member cut short are
//! errors, not guesses. Nothing is allocated by a size that the stream states; headers are capped.
//! IEEE Std 1003.1 "pax"; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".

mod header;
mod path;
mod pax;
mod sparse;

use std::io::{self, BufRead, Read};

use sha2::{Digest as _, Sha256};

use super::buffered;
use header::{BLOCK, Header, until_nul};
pub(super) use path::{PathRefusal, canonical};
use pax::Records;
use sparse::{HoleBudget, SparseContent};

/// What a tar reader accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TarLimits {
    /// Bytes of one PAX extended header.
    pub(crate) header_bytes: u64,
    /// Bytes of one GNU long name.
    pub(crate) name_bytes: u64,
    /// Zeros that are made of the holes of sparse files, of all of them together.
    pub(crate) hole_bytes: u64,
}

/// One member's header, everything resolved: PAX before GNU before ustar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The name as written; see [`canonical`].
    pub(crate) name: Vec<u8>,
    pub(super) kind: MemberKind,
    /// Bytes of content, holes included; 0 for everything but files.
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The extended attribute `security.capability` is set.
    pub(super) capability: bool,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File,
    Hardlink {
        target: Vec<u8>,
    },
    Symlink {
        target: Vec<u8>,
    },
    Directory,
    /// A device, a fifo.
    Special,
    /// A type that nobody defined; its content is skipped.
    Unknown {
        flag: u8,
    },
}

/// Why a stream cannot be read on as a tar.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    /// The bytes beneath cannot be read.
    #[error("cannot read the bytes of the tar")]
    Read(#[source] io::Error),
    /// No header where one must be.
    #[error("tar header at byte {offset} has a wrong checksum")]
    Checksum { offset: u64 },
    /// A number that is no number.
    #[error("tar header at byte {offset} has an invalid {field}")]
    Number { field: &'static str, offset: u64 },
    /// A broken extended header.
    #[error("pax header at byte {offset} is malformed")]
    Pax { offset: u64 },
    /// A header larger than allowed.
    #[error("extended tar header at byte {offset} has {size} bytes, the limit is {limit}")]
    HeaderTooLarge { offset: u64, size: u64, limit: u64 },
    /// A sparse map that does not fit the file.
    #[error("sparse map at byte {offset} is malformed")]
    Sparse { offset: u64 },
    /// Holes that would be more zeros than are made.
    #[error("the holes of sparse files are larger than the limit of {limit} bytes")]
    Holes { limit: u64 },
    /// The stream ends inside a member.
    #[error("tar ends at byte {offset} inside a member")]
    Truncated { offset: u64 },
    /// One zero block and then more: readers disagree whether the archive ends there.
    #[error("tar has a lone zero block before byte {offset}")]
    LoneZeroBlock { offset: u64 },
}

/// Something that two correct readers would read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ambiguity {
    /// A global header names a path or a size: some readers apply it, runtimes do not.
    SteeringGlobal,
    /// A PAX path and a different GNU long name for the same member.
    TwoNames,
}

/// What followed the end of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing, or zeros.
    Clean,
    /// Something that other readers may show.
    NonZero,
}

/// Reads members in order; [`Read`] gives the content of the member that came last.
pub(crate) struct Archive<R> {
    source: R,
    limits: TarLimits,
    global: Records,
    ambiguity: Option<Ambiguity>,
    /// Bytes of the stream that were consumed as headers and contents.
    offset: u64,
    content: Content,
    /// Where the header of the last member is.
    header_at: u64,
    /// Hashes the content of the current member, if somebody asked for it.
    hasher: Option<Sha256>,
    ended: bool,
}

/// Where in the current member the stream stands.
#[derive(Debug)]
struct Content {
    /// Stored bytes still to come.
    stored: u64,
    /// Zeros after them, up to the next block.
    padding: u64,
    sparse: Option<SparseContent>,
    /// For this and all later members.
    holes: HoleBudget,
}

/// Extended headers on the way to the member that they describe.
#[derive(Default)]
struct Pending {
    pax: Option<Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: BufRead> Archive<R> {
    pub(crate) fn new(source: R, limits: TarLimits) -> Self {
        let content =
            Content { stored: 0, padding: 0, sparse: None, holes: HoleBudget::new(limits.hole_bytes) };
        Self {
            source,
            limits,
            global: Records::default(),
            ambiguity: None,
            offset: 0,
            content,
            header_at: 0,
            hasher: None,
            ended: false,
        }
    }

    /// The next member, after skipping what was left of the last. `None` at the end of the archive.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        self.skip_content()?;
        let mut pending = Pending::default();
        loop {
            let at = self.offset;
            let Some(header) = self.next_header()? else {
                return if pending.is_empty() {
                    Ok(None)
                } else {
                    Err(TarError::Truncated { offset: self.offset })
                };
            };
            let size = header.size(at)?;
            match header.flag() {
                b'x' => pending.pax = Some(self.records(size, at)?),
                b'g' => {
                    self.global = self.records(size, at)?;
                    if self.global.steers() {
                        self.ambiguity = Some(Ambiguity::SteeringGlobal);
                    }
                }
                b'L' => pending.long_name = Some(self.long_name(size, at)?),
                b'K' => pending.long_link = Some(self.long_name(size, at)?),
                _ => return self.member(&header, size, pending, at).map(Some),
            }
        }
    }

    /// What two correct readers would have read differently so far.
    pub(super) fn ambiguity(&self) -> Option<Ambiguity> {
        self.ambiguity
    }

    /// Reads on to the end of the stream, after the end of the archive.
    pub(super) fn drain(&mut self) -> io::Result<Tail> {
        let mut tail = Tail::Clean;
        loop {
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() {
                return Ok(tail);
            }
            if bytes.iter().any(|byte| *byte != 0) {
                tail = Tail::NonZero;
            }
            let length = bytes.len();
            self.source.consume(length);
        }
    }

    /// The stream beneath.
    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// The stream beneath, once it has the next byte.
    pub(super) fn source_at_content(&mut self) -> io::Result<&R> {
        self.source.fill_buf()?;
        Ok(&self.source)
    }

    /// Where in the stream the header of the last member is.
    pub(super) fn header_at(&self) -> u64 {
        self.header_at
    }

    /// From now on hashes what is read of the content.
    pub(super) fn hash_content(&mut self) {
        self.hasher = Some(Sha256::new());
    }

    /// Reads the rest of the content; gives the SHA-256 of all of it, if it was asked for before the first byte.
    pub(super) fn content_digest(&mut self) -> io::Result<Option<[u8; 32]>> {
        if self.hasher.is_some() {
            let mut buffer = [0; 16 << 10];
            while self.read(&mut buffer)? > 0 {}
        }
        Ok(self.hasher.take().map(|hasher| hasher.finalize().into()))
    }

    /// The stream itself, wherever it stands.
    pub(super) fn into_inner(self) -> R {
        self.source
    }

    fn next_header(&mut self) -> Result<Option<Header>, TarError> {
        if self.ended {
            return Ok(None);
        }
        let at = self.offset;
        let Some(block) = read_block(&mut self.source, &mut self.offset)? else {
            self.ended = true;
            return Ok(None);
        };
        if block != [0; BLOCK] {
            return Header::parse(block, at).map(Some);
        }
        self.ended = true;
        match read_block(&mut self.source, &mut self.offset)? {
            Some(second) if second != [0; BLOCK] => Err(TarError::LoneZeroBlock { offset: self.offset }),
            Some(_) | None => Ok(None),
        }
    }

    fn member(&mut self, header: &Header, size: u64, pending: Pending, at: u64) -> Result<Member, TarError> {
        let pax = pending.pax.unwrap_or_default();
        let global = &self.global;
        if let (Some(path), Some(long)) = (&pax.path, &pending.long_name)
            && path != long
        {
            self.ambiguity = Some(Ambiguity::TwoNames);
        }
        let name = pax.path.clone().or(pending.long_name);
        let name = name.or_else(|| global.path.clone()).unwrap_or_else(|| header.path());
        let link = pax.link.clone().or(pending.long_link);
        let link = link.or_else(|| global.link.clone()).unwrap_or_else(|| header.link());
        let kind = match header.flag() {
            0 if name.ends_with(b"/") => MemberKind::Directory,
            0 | b'0' | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::Hardlink { target: link },
            b'2' => MemberKind::Symlink { target: link },
            b'3' | b'4' | b'6' => MemberKind::Special,
            b'5' => MemberKind::Directory,
            flag => MemberKind::Unknown { flag },
        };
        let mut member = Member {
            name,
            kind,
            size: 0,
            mode: header.mode(),
            uid: pax.uid.or(global.uid).unwrap_or_else(|| header.uid()),
            gid: pax.gid.or(global.gid).unwrap_or_else(|| header.gid()),
            capability: pax.capability || global.capability,
        };
        let stored = match member.kind {
            MemberKind::File | MemberKind::Unknown { .. } => pax.size.or(global.size).unwrap_or(size),
            // Links, directories and devices have no content, whatever their size field says.
            MemberKind::Hardlink { .. }
            | MemberKind::Symlink { .. }
            | MemberKind::Directory
            | MemberKind::Special => 0,
        };
        self.header_at = at;
        self.begin(stored, at)?;
        if member.kind == MemberKind::File {
            self.expand(header, &pax, &mut member, at)?;
        }
        Ok(member)
    }

    /// Starts a content of `stored` bytes.
    fn begin(&mut self, stored: u64, at: u64) -> Result<(), TarError> {
        if stored > u64::MAX / 4 {
            return Err(TarError::Number { field: "size", offset: at });
        }
        self.content.stored = stored;
        self.content.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        self.content.sparse = None;
        Ok(())
    }

    /// Sets the member's real size and name, and reads the sparse map if it has one.
    fn expand(
        &mut self,
        header: &Header,
        pax: &Records,
        member: &mut Member,
        at: u64,
    ) -> Result<(), TarError> {
        let stated = &pax.sparse;
        let (segments, real_size) = if header.flag() == b'S' {
            let (first, extended, real_size) = header.old_sparse(at)?;
            let segments = sparse::old_map(first, extended, &mut self.source, &mut self.offset)?;
            (segments, real_size)
        } else if stated.major == Some(1) && stated.minor.unwrap_or(0) == 0 {
            let real_size = stated.size.ok_or(TarError::Sparse { offset: at })?;
            let stored = &mut self.content.stored;
            (sparse::leading_map(&mut self.source, stored, &mut self.offset)?, real_size)
        } else if stated.size.is_some() && stated.major.unwrap_or(0) == 0 {
            let real_size = stated.size.unwrap_or_default();
            (sparse::listed_map(&stated.map, at)?, real_size)
        } else if stated.major.is_some() {
            return Err(TarError::Sparse { offset: at });
        } else {
            member.size = self.content.stored;
            return Ok(());
        };
        if let Some(name) = &stated.name {
            member.name.clone_from(name);
        }
        member.size = real_size;
        self.content.sparse = Some(SparseContent::new(segments, self.content.stored, real_size, at)?);
        Ok(())
    }

    /// For who looks for something in the current member: its holes read as a few zeros each from here on.
    pub(super) fn shorten_holes(&mut self) {
        if let Some(sparse) = &mut self.content.sparse {
            sparse.shorten_holes();
        }
    }

    fn records(&mut self, size: u64, at: u64) -> Result<Records, TarError> {
        let block = self.extension(size, self.limits.header_bytes, at)?;
        Records::parse(&block, at)
    }

    fn long_name(&mut self, size: u64, at: u64) -> Result<Vec<u8>, TarError> {
        let block = self.extension(size, self.limits.name_bytes, at)?;
        Ok(until_nul(&block).to_vec())
    }

    /// The content of an extended header, which is bounded before a byte of it is read.
    fn extension(&mut self, size: u64, limit: u64, at: u64) -> Result<Vec<u8>, TarError> {
        if size > limit {
            return Err(TarError::HeaderTooLarge { offset: at, size, limit });
        }
        self.begin(size, at)?;
        let mut block = Vec::new();
        self.read_to_end(&mut block).map_err(TarError::Read)?;
        self.skip_content()?;
        Ok(block)
    }

    /// Skips the rest of the content and its padding. A stream may end without the last padding, as it may
    /// end without the zero blocks: every reader takes that for the end.
    fn skip_content(&mut self) -> Result<(), TarError> {
        self.content.sparse = None;
        let stored = std::mem::take(&mut self.content.stored);
        if self.skip(stored)? < stored {
            return Err(TarError::Truncated { offset: self.offset });
        }
        let padding = std::mem::take(&mut self.content.padding);
        self.ended |= self.skip(padding)? < padding;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<u64, TarError> {
        let mut skipped = 0;
        while skipped < bytes {
            let available = self.source.fill_buf().map_err(TarError::Read)?.len();
            if available == 0 {
                break;
            }
            let step = usize::try_from(bytes - skipped).map_or(available, |left| left.min(available));
            self.source.consume(step);
            skipped += step as u64;
        }
        self.offset += skipped;
        Ok(skipped)
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

/// The content of the current member. A stream that ends too early is an error, not an end.
impl<R: BufRead> BufRead for Archive<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let truncated = |offset| io::Error::new(io::ErrorKind::UnexpectedEof, TarError::Truncated { offset });
        let Content { stored, sparse, holes, .. } = &mut self.content;
        if let Some(sparse) = sparse {
            let before = *stored;
            let expanded = sparse.fill_buf(&mut self.source, stored, holes)?;
            self.offset += before - *stored;
            return expanded.ok_or_else(|| truncated(self.offset));
        }
        if *stored == 0 {
            return Ok(&[]);
        }
        let available = self.source.fill_buf()?;
        if available.is_empty() {
            return Err(truncated(self.offset));
        }
        Ok(&available[..usize::try_from(*stored).map_or(available.len(), |left| left.min(available.len()))])
    }

    fn consume(&mut self, count: usize) {
        if let Some(mut hasher) = self.hasher.take() {
            // What is consumed lies there already.
            hasher.update(self.fill_buf().map_or(&[][..], |bytes| &bytes[..count.min(bytes.len())]));
            self.hasher = Some(hasher);
        }
        match &mut self.content.sparse {
            Some(sparse) => sparse.consume(count),
            None => {
                self.source.consume(count);
                self.content.stored -= count as u64;
                self.offset += count as u64;
            }
        }
    }
}

impl<R: BufRead> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffered::read(self, buffer)
    }
}

/// One whole block, or `None` if the stream ends before it. Half a block is an error.
fn read_block(source: &mut impl BufRead, offset: &mut u64) -> Result<Option<[u8; BLOCK]>, TarError> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        match source.read(&mut block[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(TarError::Truncated { offset: *offset }),
            Ok(read) => {
                filled += read;
                *offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(TarError::Read(error)),
        }
    }
    Ok(Some(block))
}

#[cfg(test)]
mod tests;
