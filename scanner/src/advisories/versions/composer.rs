//! Composer's order: PHP's `version_compare` over versions without their leading `v`.
//!
//! Everything that is neither digit nor letter separates, and so does a change between digits and letters. Words are
//! known by their beginnings: `dev` < `alpha` = `a` < `beta` = `b` < `RC` = `rc` < the end < numbers < `pl` = `p`. Every
//! other word, `BETA` too, stands below `dev`, and all of those are equal.

use std::cmp::Ordering;

use super::{compare_digits, take_while};

/// How `a` stands to `b`; `None` if either is empty or names a branch (`dev-main`), which has no place in the order.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (mut a, mut b) = (parse(a)?, parse(b)?);
    loop {
        let (left, right) = (Part::take(&mut a), Part::take(&mut b));
        let order = left.compare(right);
        if order.is_ne() || left == Part::End {
            return Some(order);
        }
    }
}

fn parse(text: &str) -> Option<&[u8]> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let is_branch = text.starts_with("dev-") || text.is_empty();
    (!is_branch).then_some(text.as_bytes())
}

/// A part, in the order of the kinds; words that mean the same are equal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Word(Word),
    End,
    Number(&'a [u8]),
    Patch,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Other,
    Dev,
    Alpha,
    Beta,
    Candidate,
}

impl<'a> Part<'a> {
    fn take(rest: &mut &'a [u8]) -> Self {
        take_while(rest, |byte| !byte.is_ascii_alphanumeric());
        match rest.first() {
            None => Self::End,
            Some(b'0'..=b'9') => Self::Number(take_while(rest, |byte| byte.is_ascii_digit())),
            Some(_) => Self::of_word(take_while(rest, |byte| byte.is_ascii_alphabetic())),
        }
    }

    fn of_word(word: &[u8]) -> Self {
        let begins = |name: &[u8]| word.starts_with(name);
        if begins(b"dev") {
            Self::Word(Word::Dev)
        } else if begins(b"a") {
            Self::Word(Word::Alpha)
        } else if begins(b"b") {
            Self::Word(Word::Beta)
        } else if begins(b"RC") || begins(b"rc") {
            Self::Word(Word::Candidate)
        } else if begins(b"p") {
            Self::Patch
        } else {
            Self::Word(Word::Other)
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Word(_) => 0,
            Self::End => 1,
            Self::Number(_) => 2,
            Self::Patch => 3,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Word(a), Self::Word(b)) => a.cmp(&b),
            (Self::Number(a), Self::Number(b)) => compare_digits(a, b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}
