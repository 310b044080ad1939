//! Finding and decoding Go build information inside an executable.
//!
//! It begins with a 14-byte mark on a 16-byte boundary, then the pointer size and flags. Since Go 1.18 the two
//! strings follow inline, each behind its length; before, two pointers to Go string headers do. It has a section
//! of its own, or lies among the initialised variables. Format: Go's `debug/buildinfo`, `buildInfoMagic`.

use std::borrow::Cow;

use memchr::memmem;

use crate::analyzers::executable::Image;

/// What build information begins with.
pub(super) const MARK: &[u8] = b"\xff Go buildinf:";

/// Marks looked at in one part of a file. Programs that read Go programs contain the mark as a constant, a
/// few times at most.
const MOST_MARKS: usize = 4096;

/// Guards around the module text, so that it is also found without headers.
const SENTINEL: usize = 16;

const IS_BIG_ENDIAN: u8 = 1;
const IS_INLINE: u8 = 2;

/// What a program says about its build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// The toolchain, `go1.22.3`; begins with `go` or `devel`.
    pub(super) go_version: String,
    /// Lines about modules; empty where modules were not used.
    pub(super) modules: String,
}

impl BuildInfo {
    /// The import path of the main package.
    pub(super) fn main_package(&self) -> Option<&str> {
        self.modules.lines().find_map(|line| line.strip_prefix("path\t"))
    }
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// A Go program, readable.
    Found(BuildInfo),
    /// A Go program, but its build information is damaged.
    Undecodable,
    /// No Go program.
    Nothing,
}

/// Whether the mark occurs anywhere: false for nearly every executable, at the speed of memory.
pub(super) fn is_marked(content: &[u8]) -> bool {
    memmem::find(content, MARK).is_some()
}

/// Looks in the section that is meant for it, then among the variables, then everywhere.
pub(super) fn find(image: &Image<'_>) -> Search {
    let mut is_go = false;
    for name in [".go.buildinfo", "__go_buildinfo"] {
        match image.section(name) {
            Some(Ok(bytes)) => match decode_first(image, bytes) {
                Some(info) => return Search::Found(info),
                None => is_go = true,
            },
            Some(Err(_)) => is_go = true,
            None => {}
        }
    }
    for bytes in image.variables() {
        if let Some(info) = decode_first(image, bytes) {
            return Search::Found(info);
        }
        is_go |= marks(bytes).any(is_plausible);
    }
    if let Some(info) = decode_first(image, image.bytes) {
        return Search::Found(info);
    }
    // Without headers no pointer can be followed; a mark as the linker writes it is then all there is.
    is_go |= !image.is_readable() && marks(image.bytes).any(is_plausible);
    if is_go { Search::Undecodable } else { Search::Nothing }
}

fn decode_first(image: &Image<'_>, bytes: &[u8]) -> Option<BuildInfo> {
    marks(bytes).find_map(|marked| decode(image, marked))
}

/// The bytes from each mark that stands on a 16-byte boundary to the end.
fn marks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let aligned = memmem::find_iter(bytes, MARK).filter(|position| position % 16 == 0);
    aligned.take(MOST_MARKS).map(|position| &bytes[position..])
}

/// Whether what follows the mark is what a linker writes: a word size and known flags.
fn is_plausible(marked: &[u8]) -> bool {
    marked.len() >= 32 && matches!(marked[14], 4 | 8) && marked[15] <= (IS_BIG_ENDIAN | IS_INLINE)
}

fn decode(image: &Image<'_>, marked: &[u8]) -> Option<BuildInfo> {
    let (word, flags) = (*marked.get(14)?, *marked.get(15)?);
    let (go_version, modules) = if flags & IS_INLINE != 0 {
        let (go_version, rest) = inline_string(marked.get(32..)?)?;
        // A program without modules ends its build information here.
        (go_version, inline_string(rest).map_or(&b""[..], |(modules, _)| modules))
    } else {
        let pointers = Pointers { image, word: usize::from(word), is_big_endian: flags & IS_BIG_ENDIAN != 0 };
        let go_version = pointers.string(pointers.number(marked.get(16..)?)?)?;
        let modules = pointers.number(marked.get(16 + pointers.word..)?)?;
        (go_version, pointers.string(modules).unwrap_or_default())
    };
    let go_version = String::from_utf8_lossy(go_version).into_owned();
    let is_toolchain = go_version.starts_with("go") || go_version.starts_with("devel");
    is_toolchain.then(|| BuildInfo { go_version, modules: without_sentinels(modules).into_owned() })
}

/// A length as a base-128 varint, then so many bytes; and what follows.
fn inline_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shifted = bits.checked_shl(7 * index as u32)?;
        if shifted >> (7 * index) != bits {
            return None;
        }
        length |= shifted;
        if byte & 0x80 == 0 {
            return bytes.get(index + 1..)?.split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

/// The text between the sentinels; empty where there are none, because then it is no module text.
fn without_sentinels(modules: &[u8]) -> Cow<'_, str> {
    let is_guarded = modules.len() > 2 * SENTINEL && modules[modules.len() - SENTINEL - 1] == b'\n';
    match is_guarded {
        true => String::from_utf8_lossy(&modules[SENTINEL..modules.len() - SENTINEL]),
        false => Cow::Borrowed(""),
    }
}

/// Follows pointers as the program would, loaded at the addresses that its headers state.
struct Pointers<'i, 'a> {
    image: &'i Image<'a>,
    word: usize,
    is_big_endian: bool,
}

impl<'a> Pointers<'_, 'a> {
    fn number(&self, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.get(..self.word)?;
        match (self.word, self.is_big_endian) {
            (4, false) => Some(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            (4, true) => Some(u32::from_be_bytes(bytes.try_into().ok()?).into()),
            (8, false) => Some(u64::from_le_bytes(bytes.try_into().ok()?)),
            (8, true) => Some(u64::from_be_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// The content of the Go string whose header, pointer and length, is at this address.
    fn string(&self, header: u64) -> Option<&'a [u8]> {
        let header = self.image.loaded(header, 2 * self.word as u64)?;
        let length = self.number(header.get(self.word..)?)?;
        self.image.loaded(self.number(header)?, length)
    }
}
