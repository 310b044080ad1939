//! Semantic Versioning 2.0.0 and the orders made from it: NuGet (any number of numbers, no case) and Dart's pub
//! (build metadata count).
//!
//! Read generously: a leading `v` and missing minor and patch numbers are allowed, as the advisories of npm, Go and
//! Bitnami have them, a prerelease may follow without its dash, and prerelease identifiers may hold any character that is not white space.

use std::cmp::Ordering;

use super::{compare_digits, is_number};

/// The order of semver.org, section 11. `None` if either text is no semantic version even when read generously.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(a.compare(&b, str::cmp))
}

/// NuGet's order: as semantic versions, but identifiers are compared without regard to case.
pub(super) fn compare_nuget(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(a.compare(&b, compare_ignoring_case))
}

/// pub's order: as semantic versions, and then by build metadata, where none is the least.
pub(super) fn compare_pub(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(a.compare(&b, str::cmp).then_with(|| match (a.build, b.build) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => compare_identifiers(a, b, str::cmp),
    }))
}

struct Version<'a> {
    numbers: &'a str,
    prerelease: Option<&'a str>,
    build: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let text = text.strip_prefix(['v', 'V', '=']).unwrap_or(text);
        let (text, build) = split_off(text, '+');
        let (numbers, prerelease) = split_off(text, '-');
        let (numbers, prerelease) = without_dash(numbers, text).unwrap_or((numbers, prerelease));
        let spaced = |text: Option<&str>| text.is_some_and(|text| text.contains(|c: char| c.is_whitespace()));
        let legal = numbers.split('.').all(is_number) && !spaced(prerelease) && !spaced(build);
        legal.then_some(Self {
            numbers,
            prerelease,
            build,
        })
    }

    fn compare(&self, other: &Self, compare_text: fn(&str, &str) -> Ordering) -> Ordering {
        compare_numbers(self.numbers, other.numbers).then_with(|| match (self.prerelease, other.prerelease) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_identifiers(a, b, compare_text),
        })
    }
}

/// npm's loose reading: letters directly behind the last number begin a prerelease (`3.0.0alpha`).
fn without_dash<'a>(numbers: &str, text: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let letters = numbers.find(|c: char| c.is_ascii_alphabetic())?;
    let (numbers, prerelease) = text.split_at_checked(letters)?;
    let follows_number = numbers.ends_with(|c: char| c.is_ascii_digit());
    follows_number.then_some((numbers, Some(prerelease)))
}

/// What stands before the first `separator`, and after it.
fn split_off(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator)
        .map_or((text, None), |(before, after)| (before, Some(after)))
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

/// Compares dotted identifiers one by one; of two lists that agree so far, the longer is the greater.
fn compare_identifiers(a: &str, b: &str, compare_text: fn(&str, &str) -> Ordering) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => compare_identifier(a, b, compare_text),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers are less than other identifiers.
fn compare_identifier(a: &str, b: &str, compare_text: fn(&str, &str) -> Ordering) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => compare_digits(a.as_bytes(), b.as_bytes()),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_text(a, b),
    }
}

fn compare_ignoring_case(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.bytes(), b.bytes());
    a.map(|byte| byte.to_ascii_lowercase())
        .cmp(b.map(|byte| byte.to_ascii_lowercase()))
}
