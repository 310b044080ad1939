//! The functions that a linker kept in a program: names in, a small set of hashes out.
//!
//! Advisories for Go name the functions that carry a flaw. Of a program's names only hashes of 28 bits are kept, because
//! they lie in every report: two bytes each instead of fifty. That two names share a hash makes a function look linked
//! that is not, once in some thousands; the other way round cannot happen.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

/// Hashes are this wide, so that the gaps between those of a large program fit into two bytes.
const HASH_BITS: u32 = 28;

/// The most functions of one program; a program with more is one of which nothing is known.
pub const MOST_FUNCTIONS: usize = 2_000_000;

/// A package, or a function in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FunctionHash(u32);

impl FunctionHash {
    /// Of a package by its import path: `golang.org/x/net/http2`.
    pub fn of_package(path: &[u8]) -> Self {
        Self::folded(hashed(START, path))
    }

    /// Of a function or method, as an advisory or a symbol table names it: `Unmarshal`, `Framer.ReadFrame`,
    /// `(*Framer).ReadFrame`, `Map[...].Load`. Of a closure it is that of the function around it and its own name.
    pub fn of_function(path: &[u8], symbol: &[u8]) -> Self {
        *Self::outer_to_inner(path, symbol).last().expect("a name has at least one part")
    }

    /// Of everything that a linked function proves to be there: what it is a method of or a closure in, then itself.
    pub fn outer_to_inner(path: &[u8], symbol: &[u8]) -> Vec<Self> {
        let mut state = hashed(START, path);
        let plain = plain(symbol);
        let parts = plain.split(|byte| *byte == b'.').take(NAME_PARTS);
        let named = parts.map(|part| {
            // A method that is used as a value.
            let part = part.strip_suffix(b"-fm").unwrap_or(part);
            state = hashed(hashed(state, b"."), part);
            Self::folded(state)
        });
        named.collect()
    }

    fn folded(state: u64) -> Self {
        Self(((state >> 32) ^ state) as u32 & ((1 << HASH_BITS) - 1))
    }
}

/// Type and method; what follows numbers closures.
const NAME_PARTS: usize = 2;

const START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, which is short and will not change.
fn hashed(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A symbol without the marks of pointers and the arguments of types.
fn plain(symbol: &[u8]) -> Vec<u8> {
    let mut depth = 0_u32;
    let mut plain = Vec::with_capacity(symbol.len());
    for byte in symbol {
        match byte {
            b'[' => depth = depth.saturating_add(1),
            b']' => depth = depth.saturating_sub(1),
            b'(' | b')' | b'*' => {}
            other if depth == 0 => plain.push(*other),
            _ => {}
        }
    }
    plain
}

/// The packages and functions in one program: some hundred kilobytes, so that copies share them. As text: base64 of the gaps between sorted hashes, each a varint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "gAGAAQ")]
pub struct FunctionSet(Arc<[FunctionHash]>);

/// Why a text is no set of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a set of functions must be base64 of at most {MOST_FUNCTIONS} ascending numbers of {HASH_BITS} bits"
)]
pub struct FunctionSetError;

impl FunctionSet {
    /// The set of these; `None` if there are more than [`MOST_FUNCTIONS`].
    pub fn new(mut hashes: Vec<FunctionHash>) -> Option<Self> {
        hashes.sort_unstable();
        hashes.dedup();
        (hashes.len() <= MOST_FUNCTIONS).then(|| Self(hashes.into()))
    }

    /// Whether a package or function is in the program; rarely also if it is not.
    pub fn contains(&self, hash: FunctionHash) -> bool {
        self.0.binary_search(&hash).is_ok()
    }
}

impl From<FunctionSet> for String {
    fn from(set: FunctionSet) -> Self {
        let mut bytes = Vec::with_capacity(set.0.len() * 2);
        let mut last = 0;
        for &FunctionHash(hash) in &*set.0 {
            let mut gap = hash - last;
            last = hash;
            while gap >= 0x80 {
                bytes.push((gap & 0x7f) as u8 | 0x80);
                gap >>= 7;
            }
            bytes.push(gap as u8);
        }
        STANDARD_NO_PAD.encode(bytes)
    }
}

impl TryFrom<String> for FunctionSet {
    type Error = FunctionSetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| FunctionSetError)?;
        let mut hashes = Vec::new();
        let (mut hash, mut gap, mut shift) = (0_u32, 0_u32, 0_u32);
        for byte in bytes {
            if shift >= HASH_BITS || hashes.len() >= MOST_FUNCTIONS {
                return Err(FunctionSetError);
            }
            gap |= u32::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                hash = hash.checked_add(gap).filter(|hash| *hash < 1 << HASH_BITS).ok_or(FunctionSetError)?;
                hashes.push(FunctionHash(hash));
                (gap, shift) = (0, 0);
            }
        }
        let is_ascending = hashes.windows(2).all(|pair| pair[0] < pair[1]);
        (shift == 0 && is_ascending).then(|| Self(hashes.into())).ok_or(FunctionSetError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_function_has_one_name_in_advisories_and_symbol_tables() {
        let hash = |symbol: &str| FunctionHash::of_function(b"a/b", symbol.as_bytes());
        for (listed, linked) in [
            ("F", "F"),
            ("T.M", "(*T).M"),
            ("T.M", "T.M"),
            ("T.M", "(*T[...]).M"),
            ("T[...].M", "T.M"),
            ("T.M", "(*T).M-fm"),
            ("F", "F[go.shape.struct { a/b.x }]"),
        ] {
            assert_eq!(hash(listed), hash(linked), "{listed} {linked}");
        }
        for (one, other) in [("F", "G"), ("T.M", "T.N"), ("T.M", "TM"), ("T", "T.M")] {
            assert_ne!(hash(one), hash(other), "{one} {other}");
        }
        let closure = FunctionHash::outer_to_inner(b"a/b", b"(*T).M.func1.2");
        assert_eq!(closure, [hash("T"), hash("T.M")]);
        assert_ne!(FunctionHash::of_package(b"a/b"), FunctionHash::of_package(b"a"));
    }

    #[test]
    fn hashes_do_not_change() {
        // They lie in reports and in advisory databases.
        assert_eq!(FunctionHash::of_package(b"net/http").0, 165_870_280);
        assert_eq!(FunctionHash::of_function(b"net/http", b"(*Server).Serve").0, 45_210_402);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["!", "gA", "AAA", "/////w8", "//////////8B"] {
            assert_eq!(FunctionSet::try_from(text.to_owned()), Err(FunctionSetError), "{text}");
        }
        assert_eq!(FunctionSet::try_from(String::new()), Ok(FunctionSet::default()));
    }

    proptest! {
        #[test]
        fn a_set_survives_as_text(hashes in proptest::collection::vec(0_u32..1 << HASH_BITS, 0..50)) {
            let hashes: Vec<FunctionHash> = hashes.into_iter().map(FunctionHash).collect();
            let set = FunctionSet::new(hashes.clone()).unwrap();
            let read = FunctionSet::try_from(String::from(set.clone())).unwrap();
            prop_assert!(hashes.iter().all(|hash| read.contains(*hash)));
            prop_assert_eq!(set, read);
        }

        #[test]
        fn no_text_panics(text: String, base64 in "[A-Za-z0-9+/]{0,40}", symbol: Vec<u8>) {
            let _ = (FunctionSet::try_from(text), FunctionSet::try_from(base64));
            FunctionHash::of_function(&symbol, &symbol);
        }
    }
}
