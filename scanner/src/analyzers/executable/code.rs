//! Where an ELF file has machine code, told by its first bytes: what no analyzer of sections and tables reads.
//!
//! The program headers say which parts of the file are executed, and linkers write them right behind the file's header.
//! With a segment of their own for constants (`ld -z separate-code`, lld, Go) executable segments are nothing but code;
//! without one they begin with the tables for the loader and have the constants among the code. Format: the System V ABI,
//! "Program Header".

use std::ops::Range;

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, PF_W, PF_X, PT_LOAD, PT_NOTE, ProgramType};
use object::read::elf::{FileHeader, ProgramHeader};

const EXECUTED: u32 = PF_X.0;
const WRITTEN: u32 = PF_W.0;

/// So many first bytes are looked at.
pub(crate) const HEADERS: usize = 4096;

/// Of a segment that begins with the file, what may be headers, notes and the tables for the loader: where constants have
/// a segment of their own, and where they have not.
const TABLES: (u64, u64) = (1 << 20, 16 << 20);

/// The end of a file is never code: packers say there what they did.
const TAIL: u64 = 4096;

/// The parts of a file of `size` bytes that are machine code, in their order. Empty where that cannot be known.
pub(crate) fn of(beginning: &[u8], size: u64) -> Vec<Range<u64>> {
    let read = match beginning.get(4) {
        Some(1) => segments::<FileHeader32<Endianness>>(beginning),
        Some(2) => segments::<FileHeader64<Endianness>>(beginning),
        Some(_) | None => None,
    };
    let Some(segments) = read else { return Vec::new() };
    let loaded = |segment: &&Segment| segment.kind == PT_LOAD;
    let are_constants_apart =
        segments.iter().filter(loaded).any(|segment| segment.flags & (EXECUTED | WRITTEN) == 0);
    let tables = if are_constants_apart { TABLES.0 } else { TABLES.1 };
    let executed =
        segments.iter().filter(loaded).filter(|segment| segment.flags & (EXECUTED | WRITTEN) == EXECUTED);
    let mut code: Vec<Range<u64>> = executed
        .map(
            |segment| {
                if segment.place.start == 0 { tables..segment.place.end } else { segment.place.clone() }
            },
        )
        .map(|place| place.start..place.end.min(size.saturating_sub(TAIL)))
        .filter(|place| place.start < place.end)
        .collect();
    code.sort_by_key(|place| place.start);
    // What else is said to lie there is read there.
    let is_shared = |place: &Range<u64>| {
        let others =
            segments.iter().filter(|segment| segment.kind == PT_NOTE || segment.flags & EXECUTED == 0);
        let mut others = others.filter(|segment| [PT_LOAD, PT_NOTE].contains(&segment.kind));
        others.any(|other| other.place.start < place.end && place.start < other.place.end)
    };
    let is_in_order = code.windows(2).all(|pair| pair[0].end <= pair[1].start);
    if !is_in_order || code.iter().any(is_shared) { Vec::new() } else { code }
}

/// Whether the note of Go's linker is there, which it writes before the code.
pub(crate) fn is_of_go(beginning: &[u8]) -> bool {
    memchr::memmem::find(beginning, b"Go\0\0").is_some()
}

struct Segment {
    kind: ProgramType,
    flags: u32,
    place: Range<u64>,
}

fn segments<Header: FileHeader<Endian = Endianness>>(beginning: &[u8]) -> Option<Vec<Segment>> {
    let header = Header::parse(beginning).ok()?;
    let endian = header.endian().ok()?;
    let read = header.program_headers(endian, beginning).ok()?.iter().map(|segment| {
        let start: u64 = segment.p_offset(endian).into();
        let length: u64 = segment.p_filesz(endian).into();
        let place = start..start.checked_add(length)?;
        Some(Segment { kind: segment.p_type(endian), flags: segment.p_flags(endian).0, place })
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MB: u64 = 1 << 20;
    const R: u32 = 4;
    const RX: u32 = 5;
    const RW: u32 = 6;

    /// A 64-bit ELF header and program headers: kind, flags, offset, size.
    fn headers(segments: &[(u32, u32, u64, u64)]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([3, 0, 62, 0, 1, 0, 0, 0]);
        for word in [0, 64, 0_u64] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([0; 4]);
        for half in [64, 56, segments.len() as u16, 64, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        for (kind, flags, offset, size) in segments {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(flags.to_le_bytes());
            for word in [*offset, *offset, *offset, *size, *size, 4096] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn code_is_what_is_executed_and_nothing_else() {
        for (segments, expected) in [
            // GNU ld and lld: tables, code, constants, variables.
            (
                vec![(1, R, 0, 2 * MB), (1, RX, 2 * MB, 30 * MB), (1, R, 32 * MB, MB), (1, RW, 33 * MB, MB)],
                Some(2 * MB..32 * MB),
            ),
            // Go: code behind the header, then constants.
            (
                vec![(4, R, 0xf9c, 100), (1, RX, 0, 30 * MB), (1, R, 30 * MB, 9 * MB), (1, RW, 39 * MB, MB)],
                Some(MB..30 * MB),
            ),
            // Constants among the code: the tables for the loader come first.
            (vec![(1, RX, 0, 30 * MB), (1, RW, 30 * MB, 9 * MB)], Some(16 * MB..30 * MB)),
            (vec![(1, RX, 0, 10 * MB), (1, RW, 10 * MB, 9 * MB)], None),
            // Cut off, written to, or read as something else as well.
            (vec![(1, R, 0, 100), (1, RX, MB, 500 * MB)], Some(MB..40 * MB - TAIL)),
            (vec![(1, R, 0, 100), (1, 7, MB, 30 * MB)], None),
            (vec![(1, R, 0, 3 * MB), (1, RX, 2 * MB, 30 * MB)], None),
            (vec![(1, R, 0, MB), (1, RX, 2 * MB, 30 * MB), (4, R, 5 * MB, 32)], None),
            (vec![(1, R, 0, MB), (1, RX, 2 * MB, 30 * MB), (1, RX, 3 * MB, MB)], None),
            (vec![(1, R, 0, MB), (1, RX, 2 * MB, u64::MAX)], None),
            (vec![], None),
        ] {
            assert_eq!(of(&headers(&segments), 40 * MB), Vec::from_iter(expected), "{segments:?}");
        }
        // Headers that lie further on, as patchelf leaves them.
        let mut far = headers(&[(1, R, 0, MB), (1, RX, 2 * MB, 30 * MB)]);
        far[32..40].copy_from_slice(&(20 * MB).to_le_bytes());
        assert_eq!(of(&far, 40 * MB), []);
        assert_eq!(of(b"MZ", 40 * MB), []);
    }

    #[test]
    fn this_machine_s_programs_have_code_where_it_is_said_to_be() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let code = of(&program[..HEADERS], program.len() as u64);
        if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
            let text = super::super::images(&program)[0].section(".text").unwrap().unwrap();
            let start = (text.as_ptr().addr() - program.as_ptr().addr()) as u64;
            assert!(
                code.iter().any(|code| code.start <= start && start + text.len() as u64 <= code.end),
                "{code:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, flips: Vec<(prop::sample::Index, u8)>, size: u64) {
            of(&bytes, size);
            bytes = headers(&[(1, R, 0, MB), (1, RX, 2 * MB, 30 * MB), (1, RW, 33 * MB, MB)]);
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let code = of(&bytes, size);
            prop_assert!(code.iter().all(|part| part.start < part.end && part.end <= size));
            prop_assert!(code.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
