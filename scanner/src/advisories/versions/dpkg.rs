//! Debian's order of versions, `[epoch:]upstream[-revision]`: Debian policy manual, section "Version", and
//! deb-version(7).

use std::cmp::Ordering;

use super::{compare_digits, take_while};

/// How `a` stands to `b`; `None` if either is empty, holds white space, or has an epoch that is no number.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::parse(a)?, Version::parse(b)?);
    Some(
        compare_digits(a.epoch, b.epoch)
            .then_with(|| compare_part(a.upstream, b.upstream))
            .then_with(|| compare_part(a.revision, b.revision)),
    )
}

/// A version taken apart; what is missing is empty, which compares like zero.
struct Version<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let (epoch, rest) = text.split_once(':').unwrap_or(("", text));
        let spaced = rest.contains(|c: char| c.is_ascii_whitespace());
        if rest.is_empty() || spaced || !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Some(Self {
            epoch: epoch.as_bytes(),
            upstream: upstream.as_bytes(),
            revision: revision.as_bytes(),
        })
    }
}

/// Compares alternating runs of non-digits and digits until one differs.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let texts = compare_text(
            take_while(&mut a, |byte| !byte.is_ascii_digit()),
            take_while(&mut b, |byte| !byte.is_ascii_digit()),
        );
        let order = texts.then_with(|| {
            compare_digits(
                take_while(&mut a, |byte| byte.is_ascii_digit()),
                take_while(&mut b, |byte| byte.is_ascii_digit()),
            )
        });
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Compares two runs of non-digits: `~` before the end, letters before everything else.
fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let weights = |text: &[u8], at: usize| text.get(at).map_or(1, |&byte| weight(byte));
    (0..a.len().max(b.len()))
        .map(|at| weights(a, at).cmp(&weights(b, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Where a byte stands in a run of non-digits; the end of the run stands at 1.
fn weight(byte: u8) -> u16 {
    match byte {
        b'~' => 0,
        b'a'..=b'z' | b'A'..=b'Z' => 2 + u16::from(byte),
        other => 300 + u16::from(other),
    }
}
