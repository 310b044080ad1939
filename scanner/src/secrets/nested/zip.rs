//! Texts in a zip archive, read from the front while its bytes go by: jars, wheels, zips.
//!
//! Only local headers are looked at. What is left out is skipped without being unpacked, to where the next local header
//! begins; in archives that are stored inside of the archive, such as Spring's, these are those of its own files. Format:
//! PKWARE APPNOTE 6.3.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};

use super::level::Level;
use super::members::{Fed, Keep, Members, Naming};
use crate::secrets::search::Searched;

const LOCAL: &[u8] = b"PK\x03\x04";
const HEADER: usize = 30;
/// The longest name of a file that is searched, in bytes.
const LONGEST_NAME: usize = 4096;

/// Ends of names whose files are no texts: not unpacked at all.
const NO_TEXTS: [&str; 20] = [
    "/", ".class", ".so", ".dll", ".dylib", ".exe", ".pyc", ".pyd", ".png", ".jpg", ".jpeg", ".gif", ".ico",
    ".webp", ".woff", ".woff2", ".ttf", ".eot", ".mo", ".pdf",
];

/// Ends of names of archives.
const ARCHIVES: [&str; 10] =
    [".zip", ".jar", ".war", ".ear", ".whl", ".egg", ".nupkg", ".hpi", ".jpi", ".vsix"];

/// Whether a file is read as a zip archive, by its name.
pub(super) fn is_named_so(path: &[u8]) -> bool {
    ARCHIVES.iter().any(|end| path.ends_with(end.as_bytes()))
}

/// An archive that is read as it comes.
pub(super) struct Zip<'s> {
    members: Members<'s>,
    state: State,
    /// Bytes that have gone by.
    position: u64,
    /// The archive stored in this one that is gone through, and where it ends.
    inner: Option<(String, u64)>,
}

enum State {
    /// Looking for a local header; the last bytes that may be the beginning of one.
    Between(Vec<u8>),
    /// The beginning of a local header.
    Header(Vec<u8>),
    Deflated(Box<Decompress>),
    /// So many bytes are left.
    Stored(u64),
}

impl State {
    fn between() -> Self {
        Self::Between(Vec::new())
    }
}

impl<'s> Zip<'s> {
    pub(super) fn new(level: Level<'s>) -> Self {
        let members = Members::new(level, Keep::Texts, Naming::Files);
        Self { members, state: State::between(), position: 0, inner: None }
    }

    /// Takes the next bytes; an error once enough was unpacked.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let used = self.step(bytes)?;
            self.position = self.position.saturating_add(used as u64);
            bytes = &bytes[used..];
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Searched {
        self.members.finish()
    }

    /// Uses some of the bytes: how many.
    fn step(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Between(carried) => {
                let (used, is_found) = seek(carried, bytes);
                if is_found {
                    self.state = State::Header(LOCAL.to_vec());
                }
                Ok(used)
            }
            State::Header(header) => {
                let missing = header_length(header).saturating_sub(header.len());
                let used = missing.min(bytes.len());
                header.extend_from_slice(&bytes[..used]);
                if header.len() >= header_length(header) {
                    let header = std::mem::take(header);
                    let at = self.position.saturating_add(used as u64);
                    self.state = self.enter(&header, at);
                }
                Ok(used)
            }
            State::Deflated(inflate) => {
                let mut output = [0; 32 << 10];
                let (read, written) = (inflate.total_in(), inflate.total_out());
                let inflated = inflate.decompress(bytes, &mut output, FlushDecompress::None);
                let used = usize::try_from(inflate.total_in() - read).unwrap_or(bytes.len());
                let written = usize::try_from(inflate.total_out() - written).unwrap_or(0);
                let fed = self.members.feed(&output[..written])?;
                let is_stuck = used == 0 && written == 0;
                match inflated {
                    Ok(Status::Ok | Status::BufError) if !is_stuck && fed == Fed::Wanted => {}
                    // At its end, broken, or not wanted.
                    Ok(_) | Err(_) => {
                        self.members.end();
                        self.state = State::between();
                    }
                }
                Ok(used)
            }
            State::Stored(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= used as u64;
                let is_over = *left == 0;
                if self.members.feed(&bytes[..used])? == Fed::LeftOut || is_over {
                    self.members.end();
                    self.state = State::between();
                }
                Ok(used)
            }
        }
    }

    /// What follows a whole local header that ends at this position.
    fn enter(&mut self, header: &[u8], at: u64) -> State {
        /// The size is in the header.
        const UNKNOWN: u16 = 8;
        const ENCRYPTED: u16 = 1;
        let (flags, method) = (short(header, 6), short(header, 8));
        let size = u32::from_le_bytes([header[18], header[19], header[20], header[21]]);
        let size = (flags & UNKNOWN == 0 && size != u32::MAX).then_some(u64::from(size));
        let length = usize::from(short(header, 26));
        let name = String::from_utf8_lossy(&header[HEADER..HEADER + length]).into_owned();
        if self.inner.as_ref().is_some_and(|(_, end)| at > *end) {
            self.inner = None;
        }
        let is_archive = is_named_so(name.as_bytes());
        if let (0, true, Some(size)) = (method, is_archive, size) {
            self.inner = Some((name, at.saturating_add(size)));
            return State::between();
        }
        let is_left_out = flags & ENCRYPTED != 0 || NO_TEXTS.iter().any(|end| name.ends_with(end));
        let state = match (method, size) {
            _ if is_left_out || length > LONGEST_NAME => return State::between(),
            (8, _) => State::Deflated(Box::new(Decompress::new(false))),
            (0, Some(size)) if size > 0 => State::Stored(size),
            _ => return State::between(),
        };
        self.members.begin(match &self.inner {
            Some((archive, _)) => format!("{archive}!/{name}"),
            None => name,
        });
        state
    }
}

/// Looks for a local header in what was carried over and the bytes: how many of these were used, and whether there is
/// one. At most three bytes are carried over.
fn seek(carried: &mut Vec<u8>, bytes: &[u8]) -> (usize, bool) {
    let few = bytes.len().min(LOCAL.len() - 1);
    let before = carried.len();
    carried.extend_from_slice(&bytes[..few]);
    if let Some(at) = memchr::memmem::find(carried, LOCAL) {
        carried.clear();
        return (at + LOCAL.len() - before, true);
    }
    if let Some(at) = memchr::memmem::find(bytes, LOCAL) {
        carried.clear();
        return (at + LOCAL.len(), true);
    }
    if bytes.len() >= LOCAL.len() - 1 {
        carried.clear();
        carried.extend_from_slice(&bytes[bytes.len() - few..]);
    } else {
        carried.drain(..carried.len().saturating_sub(LOCAL.len() - 1));
    }
    (bytes.len(), false)
}

/// How long a local header is, as far as it is known yet.
fn header_length(header: &[u8]) -> usize {
    match header.len() {
        ..HEADER => HEADER,
        _ => HEADER + usize::from(short(header, 26)) + usize::from(short(header, 28)),
    }
}

fn short(header: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([header[at], header[at + 1]])
}
