//! apk-tools' order, `number{.number}[letter[number]]{_suffix[number]}[~hash][-r[number]]`: apk-package(5) and
//! `apk_version_compare`.
//!
//! The comparison walks both texts token by token and is decided by the first difference, so it is an order of
//! everything, also of texts that the grammar refuses: what cannot be read any further stands below the end of the
//! text, and is compared bytewise among its like. Two leniencies of apk-tools 2 are kept because released packages
//! need them: a number after the letter (`9.9p1-r0`), and `-r` without a number, which is `-r0`.

use std::cmp::Ordering;

use super::{compare_digits, take_while};

/// How `a` stands to `b`; `None` if either is empty.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (a.trim_ascii(), b.trim_ascii());
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (mut a, mut b) = (Lexer::new(a), Lexer::new(b));
    loop {
        let (left, right) = (a.next_token(), b.next_token());
        let order = left.compare(right);
        if order.is_ne() || left == Token::End {
            return Some(order);
        }
    }
}

/// One token; what follows from a difference of kinds is said by [`Token::rank`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    FirstNumber(&'a [u8]),
    Number(&'a [u8]),
    Letter(u8),
    LetterNumber(&'a [u8]),
    Suffix(Suffix),
    SuffixNumber(&'a [u8]),
    Hash(&'a [u8]),
    Revision(&'a [u8]),
    End,
    /// The rest of a text that cannot be read any further.
    Unreadable(&'a [u8]),
}

/// The suffixes, in their order; a version without one stands between `rc` and `cvs`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Suffix {
    Alpha,
    Beta,
    Pre,
    Rc,
    Cvs,
    Svn,
    Git,
    Hg,
    P,
}

impl Suffix {
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"alpha" => Self::Alpha,
            b"beta" => Self::Beta,
            b"pre" => Self::Pre,
            b"rc" => Self::Rc,
            b"cvs" => Self::Cvs,
            b"svn" => Self::Svn,
            b"git" => Self::Git,
            b"hg" => Self::Hg,
            b"p" => Self::P,
            _ => return None,
        })
    }
}

impl Token<'_> {
    /// Which of two tokens of different kinds is the greater: a version that goes on is greater than one that ends,
    /// except into a prerelease.
    fn rank(self) -> u8 {
        match self {
            Self::Suffix(suffix) if suffix < Suffix::Cvs => 0,
            Self::Unreadable(_) => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::Hash(_) => 4,
            Self::SuffixNumber(_) => 5,
            Self::Suffix(_) => 6,
            Self::LetterNumber(_) => 7,
            Self::Letter(_) => 8,
            Self::Number(_) => 9,
            Self::FirstNumber(_) => 10,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::FirstNumber(a), Self::FirstNumber(b))
            | (Self::LetterNumber(a), Self::LetterNumber(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => compare_digits(a, b),
            (Self::Number(a), Self::Number(b)) => compare_fraction(a, b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(&b),
            (Self::Suffix(a), Self::Suffix(b)) => a.cmp(&b),
            (Self::Hash(a), Self::Hash(b)) | (Self::Unreadable(a), Self::Unreadable(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

/// Numbers after the first: with a leading zero on either side they are compared like fractions, digit by digit.
fn compare_fraction(a: &[u8], b: &[u8]) -> Ordering {
    if a.first() == Some(&b'0') || b.first() == Some(&b'0') { a.cmp(b) } else { compare_digits(a, b) }
}

/// How far the grammar has been read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Start,
    Numbers,
    Letter,
    LetterNumber,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    Over,
}

struct Lexer<'a> {
    rest: &'a [u8],
    stage: Stage,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes(), stage: Stage::Start }
    }

    fn next_token(&mut self) -> Token<'a> {
        let Some((&first, after)) = self.rest.split_first() else {
            self.stage = Stage::Over;
            return Token::End;
        };
        match (first, self.stage) {
            (_, Stage::Over) => return Token::End,
            (b'0'..=b'9', Stage::Start) => return self.number(Stage::Numbers, Token::FirstNumber),
            (b'0'..=b'9', Stage::Letter) => return self.number(Stage::LetterNumber, Token::LetterNumber),
            (b'0'..=b'9', Stage::Suffix) => return self.number(Stage::SuffixNumber, Token::SuffixNumber),
            (b'.', Stage::Numbers) if after.first().is_some_and(u8::is_ascii_digit) => {
                self.rest = after;
                return self.number(Stage::Numbers, Token::Number);
            }
            (b'a'..=b'z', Stage::Numbers) => {
                self.rest = after;
                self.stage = Stage::Letter;
                return Token::Letter(first);
            }
            (b'_', stage) if stage > Stage::Start && stage < Stage::Hash => {
                let mut rest = after;
                if let Some(suffix) = Suffix::of(take_while(&mut rest, |byte| byte.is_ascii_lowercase())) {
                    self.rest = rest;
                    self.stage = Stage::Suffix;
                    return Token::Suffix(suffix);
                }
            }
            (b'~', stage) if stage > Stage::Start && stage < Stage::Hash => {
                let mut rest = after;
                let hash = take_while(&mut rest, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                if !hash.is_empty() {
                    self.rest = rest;
                    self.stage = Stage::Hash;
                    return Token::Hash(hash);
                }
            }
            (b'-', stage) if stage > Stage::Start && stage < Stage::Revision => {
                if let Some(revision) = self.revision(after) {
                    return revision;
                }
            }
            _ => {}
        }
        self.unreadable()
    }

    fn number(&mut self, stage: Stage, token: impl Fn(&'a [u8]) -> Token<'a>) -> Token<'a> {
        self.stage = stage;
        token(take_while(&mut self.rest, |byte| byte.is_ascii_digit()))
    }

    /// `-r` and its number, which may be missing unless a word goes on instead (`-ruff`).
    fn revision(&mut self, after: &'a [u8]) -> Option<Token<'a>> {
        let mut rest = after.strip_prefix(b"r")?;
        let number = take_while(&mut rest, |byte| byte.is_ascii_digit());
        if number.is_empty() && !matches!(rest.first(), None | Some(b'-')) {
            return None;
        }
        self.rest = rest;
        self.stage = Stage::Revision;
        Some(Token::Revision(number))
    }

    /// Gives up. What stands where only a revision can stand says nothing and is not compared.
    fn unreadable(&mut self) -> Token<'a> {
        let silent = self.stage == Stage::Revision || self.rest.starts_with(b"-");
        self.stage = Stage::Over;
        Token::Unreadable(if silent { b"" } else { self.rest })
    }
}
