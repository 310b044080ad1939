//! The order that setuptools gave to version texts before PEP 440, kept by `packaging` as `LegacyVersion` up to its
//! release 21.

use std::cmp::Ordering;

use super::take_while;

/// Compares two texts part by part; the list that ends first is the lesser.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    parts(a).cmp(&parts(b))
}

/// One part of a text. Words stand below numbers, as the `*` before them did in the old keys.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(Vec<u8>),
    /// At least eight digits, filled up with zeros in front: the old keys were texts.
    Number(Vec<u8>),
}

const FINAL: &[u8] = b"final";
const FINAL_DASH: &[u8] = b"final-";

fn parts(text: &str) -> Vec<Part> {
    let text = text.to_lowercase();
    let mut rest = text.as_bytes();
    let mut parts = Vec::new();
    while let Some(&first) = rest.first() {
        match first {
            b'.' => rest = &rest[1..],
            b'-' => {
                rest = &rest[1..];
                push_word(&mut parts, FINAL_DASH);
            }
            b'0'..=b'9' => {
                parts.push(Part::Number(padded(take_while(&mut rest, |byte| byte.is_ascii_digit()))));
            }
            b'a'..=b'z' => {
                let word = take_while(&mut rest, |byte| byte.is_ascii_lowercase());
                push_word(&mut parts, spelled(word));
            }
            _ => {
                let other = |byte: u8| {
                    !byte.is_ascii_lowercase() && !byte.is_ascii_digit() && byte != b'.' && byte != b'-'
                };
                push_word(&mut parts, take_while(&mut rest, other));
            }
        }
    }
    push_word(&mut parts, FINAL);
    parts
}

/// The words that meant the same as another.
fn spelled(word: &[u8]) -> &[u8] {
    match word {
        b"pre" | b"preview" | b"rc" => b"c",
        b"dev" => b"@",
        other => other,
    }
}

/// Adds a word, after dropping what it makes meaningless: dashes before a prerelease, zeros before any word.
fn push_word(parts: &mut Vec<Part>, word: &[u8]) {
    if word < FINAL {
        while matches!(parts.last(), Some(Part::Word(last)) if last == FINAL_DASH) {
            parts.pop();
        }
    }
    while matches!(parts.last(), Some(Part::Number(last)) if last == b"00000000") {
        parts.pop();
    }
    parts.push(Part::Word(word.to_vec()));
}

fn padded(digits: &[u8]) -> Vec<u8> {
    let mut number = vec![b'0'; 8_usize.saturating_sub(digits.len())];
    number.extend_from_slice(digits);
    number
}
