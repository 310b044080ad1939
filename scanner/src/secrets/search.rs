//! One file, searched while its bytes go by: bounded memory, the same hits wherever the blocks are cut.

use std::collections::HashSet;

use shared::model::report::Severity;

use super::nested::Nested;
use super::rule::{BEFORE, BEHIND, Reach};
use super::{Secrets, assignment, client_file, named_file};
use crate::analyzers::FoundObservation;

/// What is searched at a time.
const BLOCK: usize = 128 << 10;
/// What decides about the nature of a file.
const SNIFFED: usize = 8 << 10;
/// Hits of one file that are kept.
const MOST_HITS: usize = 100;

/// A search through one file.
///
/// Feed it all bytes in order, then ask for the hits.
pub struct Search<'s> {
    secrets: &'s Secrets,
    /// What is not searched to its end yet, preceded by up to [`BEFORE`] bytes that are.
    buffer: Vec<u8>,
    /// How many bytes at the beginning of the buffer are only there to be looked back at.
    done: usize,
    /// Newlines before the buffer.
    lines: u32,
    nature: Option<Nature>,
    /// Half a character of UTF-16 whose other half comes with the next piece.
    half: Option<u8>,
    hits: Hits,
    nested: Option<Box<Nested<'s>>>,
    named: Named,
    size: u64,
}

/// What a file's name says about it. Such files are small, and looked at as a whole.
#[derive(Clone, Copy, Default)]
struct Named {
    /// People write settings in it, or code.
    assignments: Option<assignment::Style>,
    /// It promises a secret.
    promising: bool,
    /// A program keeps its passwords in it.
    client: Option<&'static client_file::Form>,
    /// A private key in it is one of those.
    key: Option<NamedKey>,
}

/// What a private key is by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedKey {
    /// One that nobody trusts: made by the package `ssl-cert` for whoever has none of his own.
    Snakeoil,
    /// By which clients of SSH know a host, and all containers of the image are the same one.
    Host,
}

impl NamedKey {
    fn of(path: &[u8]) -> Option<Self> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let is_host_key = name.starts_with(b"ssh_host_") && name.ends_with(b"_key");
        match path {
            _ if path.ends_with(b"etc/ssl/private/ssl-cert-snakeoil.key") => Some(Self::Snakeoil),
            _ if is_host_key && path.ends_with(&[b"etc/ssh/", name].concat()) => Some(Self::Host),
            _ => None,
        }
    }

    /// The same finding, with what is known about the key.
    fn tell(self, hit: &mut FoundObservation) {
        match self {
            Self::Snakeoil => hit.severity = hit.severity.min(Severity::Low),
            Self::Host if hit.rule != "TW-SEC-PRIVATE-KEY" => {}
            Self::Host => {
                "TW-SEC-SSH-HOST-KEY".clone_into(&mut hit.rule);
                "A host key of an SSH server, the same in every container".clone_into(&mut hit.title);
                "Delete it in the command that installs the server, and make one when a container starts (ssh-keygen -A)."
                    .clone_into(&mut hit.remediation);
            }
        }
    }
}

impl Named {
    fn of(path: &[u8], size: u64) -> Self {
        Self {
            assignments: assignment::style(path, size),
            promising: named_file::promises(path, size),
            client: client_file::form(path, size),
            key: NamedKey::of(path),
        }
    }
}

/// What kind of bytes a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Text,
    /// UTF-16 with a byte order mark; whether the low byte comes first.
    Utf16(ByteOrder),
    Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

/// Whether hits were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// All are there.
    #[default]
    None,
    /// There were more than are kept.
    Some,
}

/// How much of a file was searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it, and what is packed inside as far as it can be unpacked.
    #[default]
    Whole,
    /// More is packed inside than is unpacked of one file.
    Part,
}

/// What a search comes to.
#[derive(Debug, Default)]
pub struct Searched {
    /// The hits.
    pub found: Vec<FoundObservation>,
    /// Whether there were more.
    pub cut: Cut,
    /// Whether all was looked at.
    pub extent: Extent,
    /// The search's memory, for the next one.
    pub memory: Memory,
}

/// What a search needs while it goes on; one after the other can use the same.
#[derive(Debug, Default)]
pub struct Memory {
    /// For the file.
    own: Vec<u8>,
    /// For what is packed inside of it.
    nested: Vec<u8>,
}

/// The hits of a file: each secret once, and not more than anybody reads.
#[derive(Default)]
struct Hits {
    kept: Vec<FoundObservation>,
    /// There were more.
    cut: Cut,
    seen: HashSet<(String, String)>,
}

impl Hits {
    /// Keeps a hit. The same secret in a file of an archive is told there, where it can be found.
    fn push(&mut self, found: FoundObservation) {
        let key = (found.rule.clone(), found.fingerprint.clone().unwrap_or_default());
        if !self.seen.insert(key) {
            let same = |known: &&mut FoundObservation| {
                known.rule == found.rule
                    && known.fingerprint == found.fingerprint
                    && known.inner_path.is_none()
                    && found.inner_path.is_some()
            };
            if let Some(known) = self.kept.iter_mut().find(same) {
                *known = found;
            }
            return;
        }
        if self.kept.len() < MOST_HITS {
            self.kept.push(found);
        } else {
            self.cut = Cut::Some;
        }
    }
}

impl Secrets {
    /// Begins to search the file at `path`, of `size` bytes.
    pub fn search<'s>(&'s self, path: &[u8], size: u64) -> Search<'s> {
        Search {
            nested: Nested::of(self, path, size).map(Box::new),
            named: Named::of(path, size),
            ..self.search_plain(size)
        }
    }

    /// Begins to search a file of an archive at this path; it is not looked into for further ones.
    pub(super) fn search_inside(&self, path: &[u8], size: u64) -> Search<'_> {
        Search { named: Named::of(path, size), ..self.search_plain(size) }
    }

    /// A search that looks neither into archives nor for assignments.
    pub(super) fn search_plain(&self, size: u64) -> Search<'_> {
        Search {
            secrets: self,
            buffer: Vec::new(),
            done: 0,
            lines: 0,
            nature: None,
            half: None,
            hits: Hits::default(),
            nested: None,
            named: Named::default(),
            size,
        }
    }
}

impl Search<'_> {
    /// The same search in the memory of an earlier one.
    #[must_use]
    pub fn within(mut self, memory: Memory) -> Self {
        self.buffer = memory.own;
        self.buffer.clear();
        self.nested = self
            .nested
            .map(|nested| Box::new(nested.within(Memory { own: memory.nested, nested: Vec::new() })));
        self
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if let Some(nested) = &mut self.nested {
            nested.feed(bytes);
        }
        if self.nature.is_none() && self.buffer.is_empty() && bytes.len() as u64 >= self.size {
            // All at once: searched where it lies.
            self.nature = Some(Nature::of(bytes));
            if !matches!(self.nature, Some(Nature::Utf16(_))) {
                self.scan_all(bytes);
                return;
            }
        }
        for piece in bytes.chunks(BLOCK) {
            self.take(piece);
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Searched {
        self.sniff();
        let (mut memory, mut extent) = (Memory::default(), Extent::Whole);
        let buffer = std::mem::take(&mut self.buffer);
        self.scan(&buffer, buffer.len());
        if let Some(nested) = self.nested.take() {
            let inside = nested.finish();
            inside.found.into_iter().for_each(|found| self.hits.push(found));
            if inside.cut == Cut::Some {
                self.hits.cut = Cut::Some;
            }
            memory.nested = inside.memory.own;
            extent = inside.extent;
        }
        memory.own = buffer;
        if let Some(key) = self.named.key {
            self.hits.kept.iter_mut().for_each(|hit| key.tell(hit));
        }
        Searched { found: self.hits.kept, cut: self.hits.cut, extent, memory }
    }

    fn take(&mut self, piece: &[u8]) {
        match self.nature {
            Some(Nature::Utf16(order)) => self.transcode(piece, order),
            Some(Nature::Text | Nature::Binary) | None => self.buffer.extend_from_slice(piece),
        }
        if self.nature.is_none() && self.buffer.len() >= SNIFFED {
            self.sniff();
        }
        if self.named.assignments.is_none()
            && self.nature.is_some()
            && self.buffer.len() >= self.done + BEHIND + BLOCK
        {
            let buffer = std::mem::take(&mut self.buffer);
            let to = buffer.len() - BEHIND;
            self.scan(&buffer, to);
            self.keep(buffer, to);
        }
    }

    /// Decides what kind of file it is, once there is something to decide by.
    fn sniff(&mut self) {
        if self.nature.is_some() {
            return;
        }
        let nature = Nature::of(&self.buffer);
        self.nature = Some(nature);
        if let Nature::Utf16(order) = nature {
            let raw = std::mem::take(&mut self.buffer);
            self.transcode(&raw, order);
        }
    }

    /// Appends what is ASCII as ASCII, everything else as a byte that is in no secret. Pieces are of any length.
    fn transcode(&mut self, piece: &[u8], order: ByteOrder) {
        let mut units = self.half.take().into_iter().chain(piece.iter().copied());
        while let Some(first) = units.next() {
            let Some(second) = units.next() else {
                self.half = Some(first);
                return;
            };
            self.buffer.push(match (first, second, order) {
                (low, 0, ByteOrder::Little) | (0, low, ByteOrder::Big) => low,
                _ => 0xff,
            });
        }
    }

    /// Leaves in the buffer what the next block may have to look back at, and what was not searched.
    fn keep(&mut self, mut buffer: Vec<u8>, to: usize) {
        let cut = to.saturating_sub(BEFORE);
        self.lines = self.lines.saturating_add(newlines(&buffer[..cut]));
        self.done = to - cut;
        buffer.drain(..cut);
        self.buffer = buffer;
    }

    /// A whole file in memory.
    fn scan_all(&mut self, text: &[u8]) {
        self.scan(text, text.len());
    }

    /// Searches `text[done..to]`; what follows is only looked at.
    fn scan(&mut self, text: &[u8], to: usize) {
        let is_text = !matches!(self.nature, Some(Nature::Binary));
        let (secrets, lines, from) = (self.secrets, self.lines, self.done);
        let hits = &mut self.hits;
        let reach = if is_text { Reach::Texts } else { Reach::Everywhere };
        secrets.hits(text, (from, to), reach, &mut |kind, begin, end| {
            // One more, and it is known that there are more.
            if hits.cut == Cut::None {
                let line = is_text.then(|| lines.saturating_add(newlines(&text[..begin])).saturating_add(1));
                hits.push(secrets.observation(kind, &text[begin..end], line));
            }
        });
        if is_text && from == 0 && to == text.len() {
            self.named.search(secrets, text, hits);
        }
    }
}

impl Named {
    /// Searches a whole file.
    fn search(self, secrets: &Secrets, text: &[u8], hits: &mut Hits) {
        // A rule that knows what it is has said more.
        let mut push = |found: FoundObservation| {
            if hits.kept.iter().all(|known| known.fingerprint != found.fingerprint) {
                hits.push(found);
            }
        };
        if let Some(form) = self.client {
            client_file::search(secrets, form, text, &mut push);
        }
        if let Some(style) = self.assignments {
            assignment::search(secrets, style, text, &mut push);
        }
        if self.promising && hits.kept.is_empty() {
            named_file::search(secrets, text, &mut |found| hits.push(found));
        }
    }
}

impl Nature {
    fn of(head: &[u8]) -> Self {
        match head {
            [0xff, 0xfe, ..] => Self::Utf16(ByteOrder::Little),
            [0xfe, 0xff, ..] => Self::Utf16(ByteOrder::Big),
            _ if memchr::memchr(0, &head[..head.len().min(SNIFFED)]).is_some() => Self::Binary,
            _ => Self::Text,
        }
    }
}

fn newlines(text: &[u8]) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text).count()).unwrap_or(u32::MAX)
}
