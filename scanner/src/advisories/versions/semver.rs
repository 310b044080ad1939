//! Semantic Versioning 2.0.0, read generously: a leading `v` and missing minor and patch numbers are allowed, as
//! npm's, Go's and Bitnami's advisories have them. Build metadata do not count (section 10).

use std::cmp::Ordering;

use super::compare_digits;

/// How `a` stands to `b`; `None` if either is no semantic version even then.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(compare_numbers(a.numbers, b.numbers).then_with(|| compare_prerelease(a.prerelease, b.prerelease)))
}

struct Version<'a> {
    numbers: &'a str,
    prerelease: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let text = text.strip_prefix(['v', 'V', '=']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let (numbers, prerelease) = match text.split_once('-') {
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
            None => (text, None),
        };
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        numbers
            .split('.')
            .all(is_number)
            .then_some(Self { numbers, prerelease })
    }
}

/// Compares dotted numbers; missing ones are zero.
fn compare_numbers(a: &str, b: &str) -> Ordering {
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

/// Section 11: none is the greatest, identifiers one by one, more of them are greater.
fn compare_prerelease(a: Option<&str>, b: Option<&str>) -> Ordering {
    let (a, b) = match (a, b) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(a), Some(b)) => (a, b),
    };
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => compare_identifier(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers are less than other identifiers.
fn compare_identifier(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number(a), is_number(b)) {
        (true, true) => compare_digits(a.as_bytes(), b.as_bytes()),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}
