//! The files of an archive, each searched as if it lay on disk: under its own name, by the rules for its name.

use std::io;

use super::MOST_UNPACKED;
use crate::analyzers::FoundObservation;
use crate::secrets::search::{Cut, Extent, Searched};
use crate::secrets::{Search, Secrets};

/// A file of up to so many bytes is searched as a whole, which the rules for files of settings want.
const WHOLE: usize = 256 << 10;
/// What decides whether a file is a text.
const SNIFFED: usize = 512;
/// Hits of one archive that are kept.
const MOST_HITS: usize = 100;

/// Which files of an archive are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    /// What is no text is left out: others search its bytes, or it is known to hold code.
    Texts,
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
    secrets: &'s Secrets,
    /// The path of the archive.
    path: String,
    keep: Keep,
    /// So many bytes more are searched.
    left: u64,
    open: Option<Member<'s>>,
    found: Vec<FoundObservation>,
    cut: Cut,
    extent: Extent,
}

struct Member<'s> {
    name: String,
    /// What was read of it, as long as it may be searched as a whole.
    text: Vec<u8>,
    /// Of a longer one.
    search: Option<Search<'s>>,
}

impl<'s> Members<'s> {
    pub(super) fn new(secrets: &'s Secrets, path: &[u8], keep: Keep) -> Self {
        Self {
            secrets,
            path: String::from_utf8_lossy(path).into_owned(),
            keep,
            left: MOST_UNPACKED,
            open: None,
            found: Vec::new(),
            cut: Cut::None,
            extent: Extent::Whole,
        }
    }

    /// A file begins; the one before it has ended.
    pub(super) fn begin(&mut self, name: String) {
        self.end();
        self.open = Some(Member { name, text: Vec::new(), search: None });
    }

    /// Bytes of the file; an error once enough of the archive was searched.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> io::Result<Fed> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            self.extent = Extent::Part;
            return Err(io::Error::other("enough was unpacked"));
        };
        self.left = left;
        let Some(member) = &mut self.open else { return Ok(Fed::LeftOut) };
        if let Some(search) = &mut member.search {
            search.feed(bytes);
            return Ok(Fed::Wanted);
        }
        member.text.extend_from_slice(bytes);
        if self.keep == Keep::Texts && member.text.len() >= SNIFFED && !is_text(&member.text) {
            self.open = None;
            return Ok(Fed::LeftOut);
        }
        if member.text.len() > WHOLE {
            let mut search = self.secrets.search_plain(u64::MAX);
            search.feed(&std::mem::take(&mut member.text));
            member.search = Some(search);
        }
        Ok(Fed::Wanted)
    }

    /// The file has ended.
    pub(super) fn end(&mut self) {
        let Some(Member { name, text, search }) = self.open.take() else { return };
        let searched = match search {
            Some(search) => search.finish(),
            None if self.keep == Keep::Texts && !is_text(&text) => return,
            None => {
                let path = format!("{}!/{name}", self.path);
                let mut search = self.secrets.search_inside(path.as_bytes(), text.len() as u64);
                search.feed(&text);
                search.finish()
            }
        };
        if searched.cut == Cut::Some || self.found.len() + searched.found.len() > MOST_HITS {
            self.cut = Cut::Some;
        }
        let named = |found| FoundObservation { inner_path: Some(name.clone()), ..found };
        let left = MOST_HITS.saturating_sub(self.found.len());
        self.found.extend(searched.found.into_iter().take(left).map(named));
    }

    pub(super) fn finish(mut self) -> Searched {
        self.end();
        Searched { found: self.found, cut: self.cut, extent: self.extent, ..Searched::default() }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    // UTF-16 has zeros in every text.
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    has_mark || memchr::memchr(0, &bytes[..bytes.len().min(SNIFFED)]).is_none()
}
