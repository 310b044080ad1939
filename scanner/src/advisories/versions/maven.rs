//! Maven's order: the POM reference, "Version Order Specification".
//!
//! Numbers and words, each with the separator before it; a change between digits and other characters separates like
//! a dash. Zeros and words that mean a release (`ga`, `final`, `release`) are dropped where the text ends or a dash
//! follows. The known words come first, in the order of development; the end of the text stands between `snapshot`
//! and `sp`.
//!
//! A dotted word is not the same as a dashed one, as the specification had it when most ranges were written; since
//! 3.8.7, Maven reads `.rc1` as `-rc1`. Read literally, that order goes round in circles where zeros stand before a
//! dotted word (`1.0.0.rc` below `1`, `1` below `1-x`, `1-x` below `1.0.0.rc`). Here the word decides first on which
//! side of the end of the text it stands, and only then the separators: so every three versions agree.

use std::cmp::Ordering;

use super::{compare_digits, is_number, take_while};

/// How `a` stands to `b`; `None` if either is empty.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (a.trim_ascii(), b.trim_ascii());
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if is_numeric(a) && is_numeric(b) {
        return Some(compare_numeric(a, b));
    }
    let (a, b) = (canonical(a.as_bytes()), canonical(b.as_bytes()));
    let agree = a.iter().zip(&b).take_while(|(a, b)| a.is_equal(b)).count();
    Some(compare_rest(&a[agree..], &b[agree..]))
}

/// Whether a version is the most common kind: dotted numbers.
fn is_numeric(text: &str) -> bool {
    text.split('.').all(is_number)
}

/// Dotted numbers; missing ones are zero.
fn compare_numeric(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_digits(a.unwrap_or("").as_bytes(), b.unwrap_or("").as_bytes()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// What stood before a token; a change between digits and other characters counts as a dash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Separator {
    Dot,
    Dash,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(&'a [u8]),
    Word(Word<'a>),
}

/// A word, in the order of development.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'a> {
    Alpha,
    Beta,
    Milestone,
    Candidate,
    Snapshot,
    Release,
    ServicePack,
    Other(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    separator: Separator,
    value: Value<'a>,
}

impl<'a> Word<'a> {
    /// `a`, `b` and `m` are short forms only directly before a digit.
    fn of(text: &'a [u8], before_digit: bool) -> Self {
        let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
        if is("alpha") || (before_digit && is("a")) {
            Self::Alpha
        } else if is("beta") || (before_digit && is("b")) {
            Self::Beta
        } else if is("milestone") || (before_digit && is("m")) {
            Self::Milestone
        } else if is("rc") || is("cr") {
            Self::Candidate
        } else if is("snapshot") {
            Self::Snapshot
        } else if is("ga") || is("final") || is("release") {
            Self::Release
        } else if is("sp") {
            Self::ServicePack
        } else {
            Self::Other(text)
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Alpha => 0,
            Self::Beta => 1,
            Self::Milestone => 2,
            Self::Candidate => 3,
            Self::Snapshot => 4,
            Self::Release => 5,
            Self::ServicePack => 6,
            Self::Other(_) => 7,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => {
                let (a, b) = (
                    a.iter().map(u8::to_ascii_lowercase),
                    b.iter().map(u8::to_ascii_lowercase),
                );
                a.cmp(b)
            }
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl Value<'_> {
    /// Whether it says nothing where the text ends or a dash follows.
    fn is_null(&self) -> bool {
        match self {
            Self::Number(digits) => digits.iter().all(|&digit| digit == b'0'),
            Self::Word(word) => *word == Word::Release,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => compare_digits(a, b),
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Word(a), Self::Word(b)) => a.compare(*b),
        }
    }
}

impl Token<'_> {
    fn is_equal(&self, other: &Self) -> bool {
        self.separator == other.separator && self.value.compare(&other.value).is_eq()
    }

    fn is_dotted_zero(&self) -> bool {
        self.separator == Separator::Dot && matches!(self.value, Value::Number(_)) && self.value.is_null()
    }
}

/// The tokens without those that say nothing.
fn canonical(text: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = tokens(text);
    let mut kept = Vec::with_capacity(tokens.len());
    // From the end: a null token goes if nothing or a dash follows what is kept so far.
    while let Some(token) = tokens.pop() {
        let before_dash = kept
            .last()
            .is_none_or(|next: &Token<'_>| next.separator == Separator::Dash);
        if !(token.value.is_null() && before_dash) {
            kept.push(token);
        }
    }
    kept.reverse();
    kept
}

fn tokens(mut rest: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::with_capacity(12);
    let mut separator = Separator::Dot;
    let is_separator = |byte: u8| byte == b'.' || byte == b'-';
    loop {
        let value = match rest.first() {
            Some(b'0'..=b'9') => Value::Number(take_while(&mut rest, |byte| byte.is_ascii_digit())),
            Some(&byte) if !is_separator(byte) => {
                let word = take_while(&mut rest, |byte| !byte.is_ascii_digit() && !is_separator(byte));
                Value::Word(Word::of(word, rest.first().is_some_and(u8::is_ascii_digit)))
            }
            Some(_) | None => Value::Number(b""),
        };
        tokens.push(Token { separator, value });
        separator = match rest.first() {
            None => return tokens,
            Some(b'.') => Separator::Dot,
            Some(_) => Separator::Dash,
        };
        if is_separator(rest[0]) {
            rest = &rest[1..];
        }
    }
}

/// Where what is left of a version stands among all continuations, as far as separators and kinds say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A word below a release.
    Before(Join),
    End,
    /// A word above a release.
    After(Join),
    /// A number after a dot.
    Number,
}

/// How a word (or a number after a dash) is joined to what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Join {
    DottedWord,
    DashedWord,
    DashedNumber,
    /// By zeros and a dot, which earlier tokens have shown to differ from the other version.
    Zeros,
}

/// Compares what is left of two versions after their equal beginnings.
fn compare_rest(a: &[Token<'_>], b: &[Token<'_>]) -> Ordering {
    let places = place(a).cmp(&place(b));
    places.then_with(|| match (a.first(), b.first()) {
        (Some(a), Some(b)) => a.value.compare(&b.value),
        (a, b) => a.is_some().cmp(&b.is_some()),
    })
}

fn place(rest: &[Token<'_>]) -> Place {
    let Some(first) = rest.first() else {
        return Place::End;
    };
    match (first.separator, first.value) {
        (Separator::Dot, Value::Word(word)) => beside_release(word, Join::DottedWord),
        (Separator::Dash, Value::Word(word)) => beside_release(word, Join::DashedWord),
        (Separator::Dash, Value::Number(_)) => Place::After(Join::DashedNumber),
        (Separator::Dot, Value::Number(_)) => match rest.iter().find(|token| !token.is_dotted_zero()) {
            Some(Token {
                separator: Separator::Dot,
                value: Value::Word(word),
            }) if first.is_dotted_zero() => beside_release(*word, Join::Zeros),
            Some(_) | None => Place::Number,
        },
    }
}

fn beside_release(word: Word<'_>, join: Join) -> Place {
    if word.rank() < Word::Release.rank() {
        Place::Before(join)
    } else {
        Place::After(join)
    }
}
