//! RubyGems' order: `Gem::Version`.
//!
//! Numbers and words, split at dots and where digits meet letters; a dash means `.pre.`; words are less than numbers;
//! missing numbers are zero, also in front of the first word (`1.0.a` equals `1.a`). A platform that follows the
//! version (`1.13.0-x86_64-linux`) is not part of it.

use std::cmp::Ordering;

use super::{compare_digits, take_while};

/// How `a` stands to `b`; `None` if either is no gem version.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (mut a, mut b) = (Segments::parse(a)?, Segments::parse(b)?);
    loop {
        let (left, right) = (a.next(), b.next());
        let order = match (left, right) {
            (None, None) => return Some(Ordering::Equal),
            (left, right) => left.unwrap_or(ZERO).compare(right.unwrap_or(ZERO)),
        };
        if order.is_ne() {
            return Some(order);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment<'a> {
    Word(&'a [u8]),
    Number(&'a [u8]),
}

const ZERO: Segment<'static> = Segment::Number(b"");

impl Segment<'_> {
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
            (Self::Number(a), Self::Number(b)) => compare_digits(a, b),
        }
    }
}

/// The segments of a version, without the zeros that stand directly before its first word.
#[derive(Clone)]
struct Segments<'a> {
    rest: &'a [u8],
    /// How many segments come before those zeros, how many zeros there are, and how many segments were given.
    leading: usize,
    zeros: usize,
    given: usize,
}

impl<'a> Segments<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = without_platform(text.trim_ascii());
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        if !text.starts_with(|c: char| c.is_ascii_digit()) || !text.bytes().all(legal) {
            return None;
        }
        let mut segments = Self { rest: text.as_bytes(), leading: 0, zeros: 0, given: 0 };
        let mut ahead = segments.clone();
        while let Some(Segment::Number(number)) = ahead.take() {
            if number.iter().all(|&digit| digit == b'0') {
                segments.zeros += 1;
            } else {
                segments.leading += segments.zeros + 1;
                segments.zeros = 0;
            }
        }
        Some(segments)
    }

    /// The next segment as it is written.
    fn take(&mut self) -> Option<Segment<'a>> {
        take_while(&mut self.rest, |byte| byte == b'.');
        match self.rest.first()? {
            b'0'..=b'9' => Some(Segment::Number(take_while(&mut self.rest, |byte| byte.is_ascii_digit()))),
            b'-' => {
                self.rest = &self.rest[1..];
                Some(Segment::Word(b"pre"))
            }
            _ => Some(Segment::Word(take_while(&mut self.rest, |byte| byte.is_ascii_alphabetic()))),
        }
    }

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.given == self.leading {
            for _ in 0..std::mem::take(&mut self.zeros) {
                self.take();
            }
        }
        self.given += 1;
        self.take()
    }
}

/// Cuts off a platform: everything from the first dash behind which a known machine or engine is named.
fn without_platform(text: &str) -> &str {
    const PLATFORMS: [&str; 17] = [
        "x86",
        "x64",
        "i386",
        "i486",
        "i586",
        "i686",
        "amd64",
        "arm",
        "aarch64",
        "ppc",
        "powerpc",
        "s390",
        "riscv",
        "universal",
        "java",
        "jruby",
        "mswin",
    ];
    let names_platform = |suffix: &str| {
        PLATFORMS.iter().any(|platform| suffix.starts_with(platform))
            || suffix.starts_with("mingw")
            || suffix == "ruby"
    };
    text.match_indices('-')
        .find(|&(at, _)| names_platform(&text[at + 1..]))
        .map_or(text, |(at, _)| &text[..at])
}
