//! rpm's order of `[epoch:]version[-release]`: epochs as numbers, then version and release by the algorithm of
//! `rpmvercmp`, rpm-version(7), with `~` (below everything) and `^` (above its base, below anything longer).

use std::cmp::Ordering;

use super::{compare_digits, take_while};

/// How `a` stands to `b`; `None` if either is empty.
///
/// A missing release is empty and stands below every other, or the order would not be one: `1-1` and `1-2` cannot
/// both equal `1`.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(
        compare_digits(a.epoch, b.epoch)
            .then_with(|| compare_part(a.version, b.version))
            .then_with(|| compare_part(a.release, b.release)),
    )
}

struct Version<'a> {
    epoch: &'a [u8],
    version: &'a [u8],
    release: &'a [u8],
}

impl<'a> Version<'a> {
    /// As rpm's `parseEVR`: only digits before a colon are an epoch, the release follows the last dash.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return None;
        }
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
            Some(_) | None => ("", text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Some(Self { epoch: epoch.as_bytes(), version: version.as_bytes(), release: release.as_bytes() })
    }
}

/// `rpmvercmp`: segments of digits or letters, everything else only separates.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let (left, right) = (Segment::take(&mut a), Segment::take(&mut b));
        let order = left.compare(&right);
        if order.is_ne() || left == Segment::End {
            return order;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Letters(&'a [u8]),
    Digits(&'a [u8]),
}

impl<'a> Segment<'a> {
    fn take(rest: &mut &'a [u8]) -> Self {
        take_while(rest, |byte| !byte.is_ascii_alphanumeric() && byte != b'~' && byte != b'^');
        match rest.first() {
            None => Self::End,
            Some(b'~') => {
                *rest = &rest[1..];
                Self::Tilde
            }
            Some(b'^') => {
                *rest = &rest[1..];
                Self::Caret
            }
            Some(b'0'..=b'9') => Self::Digits(take_while(rest, |byte| byte.is_ascii_digit())),
            Some(_) => Self::Letters(take_while(rest, |byte| byte.is_ascii_alphabetic())),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Tilde => 0,
            Self::End => 1,
            Self::Caret => 2,
            Self::Letters(_) => 3,
            Self::Digits(_) => 4,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Letters(a), Self::Letters(b)) => a.cmp(b),
            (Self::Digits(a), Self::Digits(b)) => compare_digits(a, b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}
