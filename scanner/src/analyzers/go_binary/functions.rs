//! The functions in a Go program: an executable in, the set of their names out.
//!
//! Every program of Go carries the names of its functions for its own tracebacks, those that were inlined too, and
//! stripping leaves them alone. They lie one after the other, each ended by a zero, in the first part of the "pclntab".
//! Format: Go's `debug/gosym` and `runtime` packages, `pcHeader`, since Go 1.16; what came before is not read, and
//! nothing is known then.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;
use shared::model::functions::{FunctionHash, FunctionSet, MOST_FUNCTIONS};

use crate::analyzers::executable::Image;

/// Sections that are nothing but the table.
const SECTIONS: [&str; 3] = [".gopclntab", ".data.rel.ro.gopclntab", "__gopclntab"];

/// Tables looked at where there is no section (PE, and programs whose section headers were removed).
const MOST_TABLES: usize = 64;

/// First bytes of the table, without the order of bytes; and which word says where the names begin.
const MAGICS: [(u32, usize); 3] = [(0xffff_fff1, 3), (0xffff_fff0, 3), (0xffff_fffa, 2)];

/// A function without which no program of Go runs.
const ALWAYS: &[u8] = b"\0runtime.main\0";

/// The packages, and the functions and methods in them, of a program whose main package is `main`. `None` where that
/// cannot be known.
pub(super) fn linked(image: &Image<'_>, main: &str) -> Option<FunctionSet> {
    let names = names(image)?;
    let mut hashes = HashSet::new();
    for name in names.split(|byte| *byte == 0) {
        let Some((package, symbol)) = split(name) else {
            continue;
        };
        // The linker calls every program's own package so; advisories call it by its path.
        let package = if &*package == b"main" { main.as_bytes() } else { &*package };
        if hashes.insert(FunctionHash::of_package(package)) {
            let ancestors = package.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            hashes.extend(ancestors.map(|(slash, _)| FunctionHash::of_package(&package[..slash])));
        }
        hashes.extend(FunctionHash::outer_to_inner(package, symbol));
        if hashes.len() > MOST_FUNCTIONS {
            return None;
        }
    }
    FunctionSet::new(hashes.into_iter().collect())
}

/// All names, each ended by a zero.
fn names<'a>(image: &Image<'a>) -> Option<&'a [u8]> {
    let sections = SECTIONS.iter().filter_map(|name| image.section(name)?.ok());
    let mut tables: Vec<&[u8]> = sections.collect();
    if tables.is_empty() {
        for (magic, _) in MAGICS {
            for magic in [magic.to_le_bytes(), magic.to_be_bytes()] {
                let hits = memmem::find_iter(image.bytes, &magic)
                    .filter(|hit| image.bytes.get(hit + 4..hit + 6) == Some(&[0, 0]));
                tables.extend(hits.take(MOST_TABLES).map(|hit| &image.bytes[hit..]));
            }
        }
    }
    tables.into_iter().find_map(names_of_table)
}

/// The names in a table; `None` where it is none.
fn names_of_table(table: &[u8]) -> Option<&[u8]> {
    let head: [u8; 4] = table.get(..4)?.try_into().ok()?;
    let of = |magic: u32| MAGICS.iter().find(|(known, _)| *known == magic).map(|(_, word)| *word);
    let (first, is_big_endian) = match (of(u32::from_le_bytes(head)), of(u32::from_be_bytes(head))) {
        (Some(word), _) => (word, false),
        (None, Some(word)) => (word, true),
        (None, None) => return None,
    };
    let (step, width) = (*table.get(6)?, usize::from(*table.get(7)?));
    if !matches!(step, 1 | 2 | 4) || !matches!(width, 4 | 8) {
        return None;
    }
    let word = |index: usize| {
        let bytes = table.get(8 + index * width..8 + (index + 1) * width)?;
        let fold = |number: usize, byte: &u8| number.checked_mul(256)?.checked_add(usize::from(*byte));
        match is_big_endian {
            true => bytes.iter().try_fold(0, fold),
            false => bytes.iter().rev().try_fold(0, fold),
        }
    };
    // What follows the names are the files of each compilation.
    let names = table.get(word(first)?..word(first + 1)?)?;
    memmem::find(names, ALWAYS).map(|_| names)
}

/// Package and symbol: `gopkg.in/yaml%2ev2.(*Decoder).Decode` is `Decode` of a `Decoder` in `gopkg.in/yaml.v2`.
///
/// What the compiler made has no package: `type:.eq.…`, `go:…`.
fn split(name: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let path_end = name.iter().position(|byte| b"[(".contains(byte)).unwrap_or(name.len());
    let last = name[..path_end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let dot = last + name[last..].iter().position(|byte| *byte == b'.')?;
    let (package, symbol) = (&name[..dot], &name[dot + 1..]);
    (!package.is_empty() && !package.contains(&b':') && !symbol.is_empty())
        .then(|| (unescaped(package), symbol))
}

/// An import path as it is written in source: `%2e` is a dot (cmd/internal/objabi, `PathToPrefix`).
fn unescaped(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *byte == b'%').and_then(|code| hex::decode(code).ok());
        match code {
            Some(code) => {
                plain.extend(code);
                rest = &after[2..];
            }
            None => {
                plain.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A table as Go 1.20 and later write it, for a 64-bit machine.
    fn table(names: &[&str], is_big_endian: bool) -> Vec<u8> {
        let names: Vec<u8> = names.iter().flat_map(|name| [name.as_bytes(), &[0]].concat()).collect();
        let number = |number: usize| match is_big_endian {
            true => (number as u64).to_be_bytes(),
            false => (number as u64).to_le_bytes(),
        };
        let magic = if is_big_endian { 0xffff_fff1_u32.to_be_bytes() } else { 0xffff_fff1_u32.to_le_bytes() };
        let start = 8 + 8 * 8;
        let words = [3, 1, 0, start, start + names.len(), 0, 0, 0].map(number);
        [&magic[..], &[0, 0, 1, 8], &words.concat(), &names].concat()
    }

    fn check(bytes: &[u8], linked_functions: &[(&str, &str)], absent: &[(&str, &str)]) {
        let images = crate::analyzers::executable::images(bytes);
        let set = linked(&images[0], "example.org/app").unwrap();
        let has = |(package, symbol): &(&str, &str)| match *symbol {
            "" => set.contains(FunctionHash::of_package(package.as_bytes())),
            symbol => set.contains(FunctionHash::of_function(package.as_bytes(), symbol.as_bytes())),
        };
        for function in linked_functions {
            assert!(has(function), "{function:?}");
        }
        for function in absent {
            assert!(!has(function), "{function:?}");
        }
    }

    #[test]
    fn names_are_read_in_either_order_of_bytes() {
        let names = [
            "",
            "runtime.main",
            "main.run.func1",
            "golang.org/x/net/http2.(*Framer).ReadFrame",
            "gopkg.in/yaml%2ev2.Unmarshal",
            "a/b.Map[go.shape.struct { c/d.x }].Load",
            "type:.eq.a/z.T",
        ];
        for is_big_endian in [false, true] {
            let expected = [
                ("golang.org/x/net/http2", "Framer.ReadFrame"),
                ("golang.org/x/net/http2", ""),
                ("golang.org/x/net", ""),
                ("gopkg.in/yaml.v2", "Unmarshal"),
                ("example.org/app", "run"),
                ("a/b", "Map.Load"),
            ];
            let absent =
                [("golang.org/x/net/http2", "Framer.WriteFrame"), ("c/d", ""), ("a/z", ""), ("main", "run")];
            check(&table(&names, is_big_endian), &expected, &absent);
        }
    }

    #[test]
    fn what_is_no_table_says_nothing() {
        for bytes in [
            table(&["main.main"], false),
            table(&["", "runtime.main", ""], false)[..60].to_vec(),
            b"\xf1\xff\xff\xff\0\0\x01\x08".to_vec(),
            Vec::new(),
        ] {
            let images = crate::analyzers::executable::images(&bytes);
            assert_eq!(linked(&images[0], "m"), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, name: Vec<u8>, position: prop::sample::Index, value: u8) {
            let mut flipped = table(&["", "runtime.main", "a%2.b", "%zz/x.(*"], false);
            let position = position.index(flipped.len());
            flipped[position] = value;
            for bytes in [bytes, flipped] {
                for image in crate::analyzers::executable::images(&bytes) {
                    linked(&image, "m");
                }
            }
            split(&name);
        }
    }
}
