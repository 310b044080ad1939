//! Executables as analyzers look at them: bytes in; sections, segments and bytes at addresses out.
//!
//! ELF (gABI), PE (Microsoft PE/COFF) and Mach-O, thin or universal. The headers are foreign: every range is
//! checked against the file, and a file whose headers cannot be read still has its bytes.

use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

pub(crate) mod code;
#[cfg(test)]
pub(crate) mod sample;

/// An analyzer of whatever can be loaded: what is left to say about it.
pub(super) struct Executables {
    /// See [`Analyzer::name`].
    pub(super) name: &'static str,
    /// See [`Analyzer::version`].
    pub(super) version: u32,
    /// How the files begin that it wants: [`MAGICS`], or one of them.
    pub(super) magics: &'static [Trigger],
    /// See [`Analyzer::analyze`].
    pub(super) read: fn(&CapturedFile<'_>, &Limits) -> Found,
}

impl Analyzer for Executables {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn triggers(&self) -> &'static [Trigger] {
        self.magics
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        is_loadable(file)
    }

    fn class(&self) -> FileClass {
        FileClass::BinaryWithoutCode
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        (self.read)(file, limits)
    }
}

/// How executables begin.
pub(super) const MAGICS: &[Trigger] = &[
    Trigger::Magic(b"\x7fELF"),
    Trigger::Magic(b"MZ"),
    Trigger::Magic(b"\xfe\xed\xfa\xce"),
    Trigger::Magic(b"\xfe\xed\xfa\xcf"),
    Trigger::Magic(b"\xce\xfa\xed\xfe"),
    Trigger::Magic(b"\xcf\xfa\xed\xfe"),
    Trigger::Magic(b"\xca\xfe\xba\xbe"),
    Trigger::Magic(b"\xca\xfe\xba\xbf"),
];

/// Mach-O images in one universal file; Java class files share the magic and state 45 and more here.
const MOST_ARCHITECTURES: usize = 16;

/// Whether a file that begins like an executable can be loaded: neither an object file, a core dump, a Java
/// class, nor a text that begins with `MZ`.
pub(super) fn is_loadable(file: &Candidate<'_>) -> bool {
    let head = file.head;
    if head.starts_with(b"\x7fELF") {
        let [Some(&order), Some(&low), Some(&high)] = [head.get(5), head.get(16), head.get(17)] else {
            return false;
        };
        let kind = if order == 2 { [high, low] } else { [low, high] };
        let (executable, shared) = (2, 3);
        [executable, shared].contains(&u16::from_le_bytes(kind))
    } else if head.starts_with(b"MZ") {
        let offset = head.get(60..64).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        offset.is_some_and(|offset| offset > 0 && u64::from(offset) < file.size)
    } else if head.starts_with(b"\xca\xfe\xba") {
        let count = head.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        count.is_some_and(|count| (1..=MOST_ARCHITECTURES as u32).contains(&count))
    } else {
        true
    }
}

/// One program for one machine.
pub(super) struct Image<'a> {
    /// All of its bytes.
    pub(super) bytes: &'a [u8],
    /// Its headers, where they can be read.
    object: Option<object::File<'a>>,
}

/// The programs in a file: one, or one for each architecture of a universal binary.
pub(super) fn images(content: &[u8]) -> Vec<Image<'_>> {
    let slices: Vec<&[u8]> = if let Ok(fat) = MachOFatFile32::parse(content) {
        slices(content, fat.arches())
    } else if let Ok(fat) = MachOFatFile64::parse(content) {
        slices(content, fat.arches())
    } else {
        vec![content]
    };
    let image = |bytes| Image { bytes, object: object::File::parse(bytes).ok() };
    slices.into_iter().map(image).collect()
}

fn slices<'a, Fat: FatArch>(content: &'a [u8], arches: &[Fat]) -> Vec<&'a [u8]> {
    let arches = arches.iter().take(MOST_ARCHITECTURES);
    arches.filter_map(|arch| arch.data(content).ok()).collect()
}

impl<'a> Image<'a> {
    /// Whether the headers could be read.
    pub(super) fn is_readable(&self) -> bool {
        self.object.is_some()
    }

    /// The bytes of the section of this name; an error if there is one and it lies outside of the file.
    pub(super) fn section(&self, name: &str) -> Option<Result<&'a [u8], object::Error>> {
        Some(self.object.as_ref()?.section_by_name(name)?.data())
    }

    /// The bytes of each segment that is written to and not executed: where initialised variables are.
    pub(super) fn variables(&self) -> Vec<&'a [u8]> {
        let Some(object) = &self.object else {
            return Vec::new();
        };
        object
            .segments()
            .filter(|segment| segment.permissions().writable() && !segment.permissions().executable())
            .filter_map(|segment| segment.data().ok())
            .collect()
    }

    /// The address of a symbol, of those for linkers or for loaders.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        let object = self.object.as_ref()?;
        let mut symbols = object.symbols().chain(object.dynamic_symbols());
        // Mach-O puts an underscore before the names of C.
        let is_it = |stated: &str| stated == name || stated.strip_prefix('_') == Some(name);
        symbols.find(|symbol| symbol.name().is_ok_and(is_it)).map(|symbol| symbol.address())
    }

    /// The bytes that are loaded at an address.
    pub(super) fn loaded(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        let mut segments = self.object.as_ref()?.segments();
        segments.find_map(|segment| segment.data_range(address, size).ok().flatten())
    }
}

/// Whether an executable was packed by UPX, which hides everything that is looked for.
///
/// UPX leaves `UPX!` behind the program headers and, in its trailer, at the end of the file; on PE its sections
/// are named `UPX0` and `UPX1`.
pub(super) fn is_packed(content: &[u8]) -> bool {
    let head = &content[..content.len().min(1024)];
    let tail = &content[content.len().saturating_sub(64)..];
    let has = |part: &[u8], needle: &[u8]| memchr::memmem::find(part, needle).is_some();
    if content.starts_with(b"MZ") {
        return has(head, b"UPX0") && has(head, b"UPX1");
    }
    has(head, b"UPX!") && has(tail, b"UPX!")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sample::{self, Section};
    use super::*;

    const SECTIONS: [Section; 2] =
        [Section::constants(".first", b"constant"), Section::variables(".second", b"variable")];

    #[test]
    fn sections_and_addresses_are_found_in_every_format() {
        for (format, file) in sample::every_format(&SECTIONS) {
            let images = images(&file);
            assert!(images.iter().all(Image::is_readable), "{format}");
            for image in &images {
                assert_eq!(image.section(".second").unwrap().unwrap(), b"variable", "{format}");
                assert!(image.section(".third").is_none(), "{format}");
                let address = sample::address(1) + 3;
                assert_eq!(image.loaded(address, 4), Some(&b"iabl"[..]), "{format}");
                assert_eq!(image.loaded(address, 1 << 40), None, "{format}");
                assert_eq!(image.loaded(u64::MAX, u64::MAX), None, "{format}");
                assert!(image.variables().iter().any(|bytes| bytes.starts_with(b"variable")), "{format}");
            }
        }
    }

    #[test]
    fn what_cannot_be_loaded_is_not_wanted() {
        let elf = |kind: u8| [&b"\x7fELF\x02\x01"[..], &[0; 10], &[kind, 0], &[0; 46]].concat();
        let mz = |offset: u32| [&b"MZ"[..], &[0; 58], &offset.to_le_bytes()].concat();
        for (head, expected) in [
            (elf(2), true),
            (elf(3), true),
            (elf(1), false),
            (elf(4), false),
            (b"\x7fELF".to_vec(), false),
            (mz(64), true),
            (mz(0), false),
            (mz(9999), false),
            (b"MZ is the mark of Zbikowski".to_vec(), false),
            (b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec(), true),
            (b"\xca\xfe\xba\xbe\0\0\0\x34".to_vec(), false),
            (b"\xcf\xfa\xed\xfe".to_vec(), true),
        ] {
            let file = Candidate { path: b"x", size: 100, mode: 0, head: &head };
            assert_eq!(is_loadable(&file), expected, "{head:?}");
        }
    }

    #[test]
    fn packed_executables_are_recognised_by_both_marks() {
        let file = |head: &[u8], tail: &[u8]| [head, &[0; 4000], tail].concat();
        for (content, expected) in [
            (file(b"\x7fELF....UPX!", b"UPX!\x0d"), true),
            (file(b"\x7fELF....UPX!", b""), false),
            (file(b"\x7fELF", b"UPX!"), false),
            (file(b"MZ..UPX0..UPX1", b""), true),
            (Vec::new(), false),
        ] {
            assert_eq!(is_packed(&content), expected);
        }
    }

    proptest! {
        #[test]
        fn no_flip_panics(position: prop::sample::Index, value: u8) {
            for (_, mut file) in sample::every_format(&SECTIONS) {
                let position = position.index(file.len());
                file[position] = value;
                for image in images(&file) {
                    let _ = (image.section(".second"), image.variables(), image.loaded(4096, 8));
                }
            }
        }
    }
}
