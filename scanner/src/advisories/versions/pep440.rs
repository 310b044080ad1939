//! Python's order: PEP 440, "Summary of permitted suffixes and relative ordering", read as leniently as its appendix
//! B does.
//!
//! Texts that predate the PEP stand below all others, among themselves in the order that setuptools gave them.

use std::cmp::Ordering;

use super::{compare_digits, take_while};

mod legacy;

/// How `a` stands to `b`; `None` if either is empty.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (a.trim(), b.trim());
    if a.is_empty() || b.is_empty() {
        return None;
    }
    Some(match (Version::parse(a), Version::parse(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => legacy::compare(a, b),
    })
}

struct Version<'a> {
    epoch: &'a [u8],
    release: &'a [u8],
    /// The letter and number of `a1`, `b1` and `rc1`.
    pre: Option<(Pre, &'a [u8])>,
    post: Option<&'a [u8]>,
    dev: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pre {
    Alpha,
    Beta,
    Candidate,
}

/// Where a version stands among those of the same release, before its number is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Dev,
    Pre(Pre),
    Final,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.as_bytes();
        skip(&mut rest, |byte| matches!(byte, b'v' | b'V'));
        let (epoch, release) = epoch_and_release(&mut rest)?;
        let version = Self {
            epoch,
            release,
            pre: word_and_number(&mut rest, PRE),
            post: post(&mut rest),
            dev: word_and_number(&mut rest, &[("dev", ())]).map(|((), number)| number),
            local: local(&mut rest)?,
        };
        rest.is_empty().then_some(version)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let number = |pre: Option<(Pre, &'a [u8])>| pre.map_or(&b""[..], |(_, number)| number);
        compare_digits(self.epoch, other.epoch)
            .then_with(|| compare_releases(self.release, other.release))
            .then_with(|| self.phase().cmp(&other.phase()))
            .then_with(|| compare_digits(number(self.pre), number(other.pre)))
            .then_with(|| compare_present(self.post, other.post))
            .then_with(|| compare_dev(self.dev, other.dev))
            .then_with(|| compare_locals(self.local, other.local))
    }

    /// `1.dev1` stands below `1a1`, but `1.post1.dev1` above `1`.
    fn phase(&self) -> Phase {
        match (self.pre, self.post, self.dev) {
            (Some((pre, _)), _, _) => Phase::Pre(pre),
            (None, None, Some(_)) => Phase::Dev,
            (None, _, _) => Phase::Final,
        }
    }
}

/// The spellings of prereleases; a longer one stands before its beginning.
const PRE: &[(&str, Pre)] = &[
    ("alpha", Pre::Alpha),
    ("a", Pre::Alpha),
    ("beta", Pre::Beta),
    ("b", Pre::Beta),
    ("preview", Pre::Candidate),
    ("pre", Pre::Candidate),
    ("rc", Pre::Candidate),
    ("c", Pre::Candidate),
];

const POST: &[(&str, ())] = &[("post", ()), ("rev", ()), ("r", ())];

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

/// Drops one byte if it belongs.
fn skip(rest: &mut &[u8], belongs: impl Fn(u8) -> bool) {
    if rest.first().is_some_and(|&byte| belongs(byte)) {
        *rest = &rest[1..];
    }
}

/// `[N!]N(.N)*`.
fn epoch_and_release<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut ahead = *rest;
    let epoch = take_while(&mut ahead, is_digit);
    let epoch = match ahead.split_first() {
        Some((b'!', after)) => {
            *rest = after;
            epoch
        }
        Some(_) | None => b"",
    };
    let whole = *rest;
    if take_while(rest, is_digit).is_empty() {
        return None;
    }
    while let [b'.', b'0'..=b'9', ..] = rest {
        *rest = &rest[1..];
        take_while(rest, is_digit);
    }
    Some((epoch, &whole[..whole.len() - rest.len()]))
}

/// `[sep]word[sep][N]` for the first word of the list that fits; nothing is taken if none does.
fn word_and_number<'a, T: Copy>(rest: &mut &'a [u8], words: &[(&str, T)]) -> Option<(T, &'a [u8])> {
    let mut ahead = *rest;
    skip(&mut ahead, is_separator);
    let starts = |word: &str| {
        ahead
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    let &(word, meaning) = words.iter().find(|(word, _)| starts(word))?;
    *rest = &ahead[word.len()..];
    skip(rest, is_separator);
    let number = take_while(rest, is_digit);
    Some((meaning, number))
}

/// `-N`, or one of the words for a post-release.
fn post<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if let [b'-', b'0'..=b'9', ..] = rest {
        *rest = &rest[1..];
        return Some(take_while(rest, is_digit));
    }
    word_and_number(rest, POST).map(|((), number)| number)
}

/// `+x[.y]*`; outer `None` if the text goes on in a way that is no local version.
fn local<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Some(local) = rest.strip_prefix(b"+") else {
        return Some(None);
    };
    *rest = b"";
    let legal = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_alphanumeric);
    local
        .split(|&byte| is_separator(byte))
        .all(legal)
        .then_some(Some(local))
}

/// Dotted numbers; missing ones are zero.
fn compare_releases(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (a.split(|&byte| byte == b'.'), b.split(|&byte| byte == b'.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_digits(a.unwrap_or_default(), b.unwrap_or_default()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// A number that is there stands above one that is not.
fn compare_present(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare_digits(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// A development release stands below one that is none.
fn compare_dev(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare_digits(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

/// Part by part: numbers above words, words without regard to case, more parts above fewer.
fn compare_locals(a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_some().cmp(&b.is_some());
    };
    let (mut a, mut b) = (
        a.split(|&byte| is_separator(byte)),
        b.split(|&byte| is_separator(byte)),
    );
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => compare_local_parts(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn compare_local_parts(a: &[u8], b: &[u8]) -> Ordering {
    let is_number = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    match (is_number(a), is_number(b)) {
        (true, true) => compare_digits(a, b),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let (a, b) = (
                a.iter().map(u8::to_ascii_lowercase),
                b.iter().map(u8::to_ascii_lowercase),
            );
            a.cmp(b)
        }
    }
}
