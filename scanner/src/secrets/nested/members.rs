//! The files of an archive, each searched as if it lay on disk: under its own name, by the rules for its name.
//!
//! A file that is itself an archive is unpacked in its turn, whatever it is called.

use std::io;

use super::Nested;
use super::content::{Content, TELLING};
use super::level::Level;
use crate::analyzers::FoundObservation;
use crate::secrets::Search;
use crate::secrets::search::{Cut, Extent, Searched};

/// A file of up to so many bytes is searched as a whole, which the rules for files of settings want.
const WHOLE: usize = 256 << 10;
/// Hits of one archive that are kept.
const MOST_HITS: usize = 100;

/// Which files of an archive are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    /// What is no text is left out: others search its bytes, or it is known to hold code.
    Texts,
}

/// What the files of an archive are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// As the archive says.
    Files,
    /// There is one only, which has no name: an archive in it takes its place.
    Stream,
}

/// What becomes of a file that is being fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    Wanted,
    /// No more of it is needed.
    LeftOut,
}

/// The files of one archive, one after the other.
pub(super) struct Members<'s> {
    level: Level<'s>,
    keep: Keep,
    naming: Naming,
    open: Option<Member<'s>>,
    found: Vec<FoundObservation>,
    cut: Cut,
    pub(super) extent: Extent,
}

struct Member<'s> {
    name: String,
    state: State<'s>,
}

enum State<'s> {
    /// What was read of it, as long as it may be searched as a whole.
    Whole(Vec<u8>),
    /// It is longer.
    Search(Search<'s>),
    /// It is an archive.
    Nested(Box<Nested<'s>>),
}

impl<'s> Members<'s> {
    pub(super) fn new(level: Level<'s>, keep: Keep, naming: Naming) -> Self {
        Self { level, keep, naming, open: None, found: Vec::new(), cut: Cut::None, extent: Extent::Whole }
    }

    /// A file begins; the one before it has ended.
    pub(super) fn begin(&mut self, name: String) {
        self.end();
        self.open = Some(Member { name, state: State::Whole(Vec::new()) });
    }

    /// Bytes of the file; an error once enough was unpacked.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> io::Result<Fed> {
        if !self.level.takes(bytes.len()) {
            self.extent = Extent::Part;
            return Err(io::Error::other("enough was unpacked"));
        }
        let Some(member) = &mut self.open else { return Ok(Fed::LeftOut) };
        match &mut member.state {
            State::Whole(text) => text.extend_from_slice(bytes),
            State::Search(search) => search.feed(bytes),
            State::Nested(nested) => nested.feed(bytes),
        }
        let State::Whole(text) = &mut member.state else { return Ok(Fed::Wanted) };
        if text.len() < TELLING {
            return Ok(Fed::Wanted);
        }
        if let Some(content) = Content::of(text) {
            let text = std::mem::take(text);
            return Ok(self.unpack(content, &text));
        }
        if self.keep == Keep::Texts && !is_text(text) {
            self.open = None;
            return Ok(Fed::LeftOut);
        }
        if text.len() > WHOLE {
            let mut search = self.level.secrets.search_plain(u64::MAX);
            search.feed(&std::mem::take(text));
            member.state = State::Search(search);
        }
        Ok(Fed::Wanted)
    }

    /// The open file is an archive that begins so.
    fn unpack(&mut self, content: Content, head: &[u8]) -> Fed {
        let Some(member) = &mut self.open else { return Fed::LeftOut };
        let Some(level) = self.level.below(&member.name) else {
            self.extent = Extent::Part;
            self.open = None;
            return Fed::LeftOut;
        };
        let mut nested = Nested::inside(level, content);
        nested.feed(head);
        member.state = State::Nested(Box::new(nested));
        Fed::Wanted
    }

    /// The file has ended.
    pub(super) fn end(&mut self) {
        if let Some(Member { state: State::Whole(text), .. }) = &mut self.open
            && let Some(content) = Content::of(text)
        {
            let text = std::mem::take(text);
            self.unpack(content, &text);
        }
        let Some(Member { name, state }) = self.open.take() else { return };
        let is_archive = matches!(state, State::Nested(_));
        let searched = match state {
            State::Nested(nested) => nested.finish(),
            State::Search(search) => search.finish(),
            State::Whole(text) if self.keep == Keep::Texts && !is_text(&text) => return,
            State::Whole(text) => {
                let path = self.path_of(&name);
                let mut search = self.level.secrets.search_inside(path.as_bytes(), text.len() as u64);
                search.feed(&text);
                search.finish()
            }
        };
        if searched.cut == Cut::Some || self.found.len() + searched.found.len() > MOST_HITS {
            self.cut = Cut::Some;
        }
        if searched.extent == Extent::Part {
            self.extent = Extent::Part;
        }
        let naming = self.naming;
        let named = |found: FoundObservation| {
            let inner_path = match found.inner_path {
                Some(inner) if naming == Naming::Stream && is_archive => inner,
                Some(inner) => format!("{name}!/{inner}"),
                None => name.clone(),
            };
            FoundObservation { inner_path: Some(inner_path), ..found }
        };
        let left = MOST_HITS.saturating_sub(self.found.len());
        self.found.extend(searched.found.into_iter().take(left).map(named));
    }

    /// What decides how a file is searched: `settings.json.gz` holds settings.
    fn path_of(&self, name: &str) -> String {
        let path = &self.level.path;
        match (self.naming, path.rsplit_once('.')) {
            (Naming::Stream, Some((stem, _))) => stem.to_owned(),
            (Naming::Stream, None) => path.clone(),
            (Naming::Files, _) => format!("{path}!/{name}"),
        }
    }

    pub(super) fn finish(mut self) -> Searched {
        self.end();
        Searched { found: self.found, cut: self.cut, extent: self.extent, ..Searched::default() }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    // UTF-16 has zeros in every text.
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    has_mark || memchr::memchr(0, &bytes[..bytes.len().min(TELLING)]).is_none()
}
