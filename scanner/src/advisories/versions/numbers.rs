//! Orders that know only numbers: R's `package_version` (writing R extensions, "The DESCRIPTION file") and Haskell's
//! `Data.Version`. Numbers are compared one by one; of two that agree so far, the longer is the greater.

use std::cmp::Ordering;

use super::{compare_digits, is_number};

/// CRAN: numbers separated by dots or dashes, which mean the same. `None` if a text is anything else.
pub(super) fn compare_cran(a: &str, b: &str) -> Option<Ordering> {
    compare(a, b, |c| c == '.' || c == '-')
}

/// Hackage: numbers separated by dots. `None` if a text is anything else.
pub(super) fn compare_hackage(a: &str, b: &str) -> Option<Ordering> {
    compare(a, b, |c| c == '.')
}

fn compare(a: &str, b: &str, separates: impl Fn(char) -> bool + Copy) -> Option<Ordering> {
    let (a, b) = (a.trim_ascii(), b.trim_ascii());
    if !a.split(separates).chain(b.split(separates)).all(is_number) {
        return None;
    }
    let (mut left, mut right) = (a.split(separates), b.split(separates));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Some(Ordering::Equal),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => compare_digits(a.as_bytes(), b.as_bytes()),
        };
        if order.is_ne() {
            return Some(order);
        }
    }
}
