//! What Windows programs say of themselves: a version resource in, the .NET assembly or program that it is of out.
//!
//! An assembly without a `*.deps.json` beside or above it (.NET Framework, plug-ins) is taken for the NuGet package of
//! its name, as most are called so; the squash drops those that a list of packages covers. A program of a Windows image
//! that is no assembly is inventory. Nothing is read of Windows itself, whose updates are told by its own version, nor of
//! reference assemblies, which nobody runs. Format: Microsoft PE/COFF, "The .rsrc Section"; Win32, `VS_VERSIONINFO`.

use object::endian::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders, PeFile, PeFile32, PeFile64};
use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, dotnet, executable};
use crate::limits::Limits;

/// Reads version resources.
pub struct PeVersion;

/// Blocks of one resource that are looked at; compilers write about a dozen.
const MOST_BLOCKS: usize = 256;
/// The longest text that is taken, in characters.
const LONGEST_TEXT: usize = 256;

impl Analyzer for PeVersion {
    fn name(&self) -> &'static str {
        "pe-version"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Magic(b"MZ")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let path = String::from_utf8_lossy(file.path).to_ascii_lowercase();
        let is_named = path.ends_with(".dll") || path.ends_with(".exe");
        let is_left_out = path.starts_with("files/windows/")
            || path.ends_with(".resources.dll")
            || path.split('/').any(|part| matches!(part, "packs" | "ref"));
        is_named && !is_left_out && executable::is_loadable(file)
    }

    fn class(&self) -> FileClass {
        FileClass::Binary
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let mut found = Found::default();
        // A program whose headers cannot be read says nothing, and others look at it.
        let program = match PeFile64::parse(file.content) {
            Ok(program) => Program::of(&program, file.content),
            Err(_) => PeFile32::parse(file.content).ok().and_then(|it| Program::of(&it, file.content)),
        };
        if let Some(package) = program.and_then(|program| program.package(file.path)) {
            found.push(package);
        }
        found
    }
}

/// A program with a version resource.
struct Program {
    is_assembly: bool,
    texts: Texts,
}

/// What the resource says, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Texts {
    product: Option<String>,
    product_version: Option<String>,
    file_version: Option<String>,
}

impl Program {
    fn of<Pe: ImageNtHeaders>(file: &PeFile<'_, Pe>, content: &[u8]) -> Option<Self> {
        let header = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR);
        let is_assembly = header.is_some_and(|header| header.virtual_address.get(LE) != 0);
        let resource = version_resource(file, content)?;
        Some(Self { is_assembly, texts: Texts::of(resource) })
    }

    fn package(self, path: &str) -> Option<Package> {
        let Texts { product, product_version, file_version } = self.texts;
        let mut versions = [product_version, file_version].into_iter().flatten();
        let version = versions.find_map(|text| version(&text).map(str::to_owned))?;
        let (stem, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
        if self.is_assembly {
            let is_library = extension.eq_ignore_ascii_case("dll");
            let evidence = if is_library { Evidence::Recognised } else { Evidence::Unmatched };
            return dotnet::package(stem, &version, evidence);
        }
        let product = product?.to_lowercase().split_whitespace().collect::<Vec<_>>().join("-");
        let is_of_windows_image = path.starts_with("Files/") && !product.is_empty();
        is_of_windows_image.then(|| Package::new(PackageKind::Generic, product, version, Evidence::Unmatched))
    }
}

/// The first version resource.
fn version_resource<'d, Pe: ImageNtHeaders>(file: &PeFile<'d, Pe>, content: &'d [u8]) -> Option<&'d [u8]> {
    let sections = file.section_table();
    let directory = file.data_directories().resource_directory(content, &sections).ok()??;
    let kinds = directory.root().ok()?;
    let mut kinds = kinds.entries.iter();
    let kind = kinds.find(|entry| entry.name_or_id().id() == Some(pe::RT_VERSION))?;
    let names = kind.data(directory).ok()?.table()?;
    let languages = names.entries.first()?.data(directory).ok()?.table()?;
    let data = languages.entries.first()?.data(directory).ok()?.data()?;
    let bytes = sections.pe_data_at(content, data.offset_to_data.get(LE))?;
    bytes.get(..usize::try_from(data.size.get(LE)).ok()?)
}

impl Texts {
    /// `VS_VERSIONINFO` > `StringFileInfo` > `StringTable` > `String`.
    fn of(resource: &[u8]) -> Self {
        let mut texts = Self::default();
        let Some(root) = Block::first(resource) else { return texts };
        let mut left = MOST_BLOCKS;
        let information = root.children(FIXED_INFORMATION).filter(|block| block.key == "StringFileInfo");
        for string in information.flat_map(|block| block.children(0)).flat_map(|table| table.children(0)) {
            let Some(next) = left.checked_sub(1) else { break };
            left = next;
            let value = Some(text(string.value).trim().to_owned()).filter(|value| !value.is_empty());
            match string.key.as_str() {
                "ProductName" => texts.product = texts.product.or(value),
                "ProductVersion" => texts.product_version = texts.product_version.or(value),
                "FileVersion" => texts.file_version = texts.file_version.or(value),
                _ => {}
            }
        }
        texts
    }
}

/// Bytes of `VS_FIXEDFILEINFO`, the value of the outermost block.
const FIXED_INFORMATION: usize = 52;
/// Length, length of the value, and type, 16 bits each.
const BLOCK_HEADER: usize = 6;

/// One block: a key, and a value or blocks of its own.
struct Block<'d> {
    key: String,
    /// What follows the key, up to the end of the block.
    value: &'d [u8],
    /// Up to where the next block begins.
    length: usize,
}

impl<'d> Block<'d> {
    fn first(bytes: &'d [u8]) -> Option<Self> {
        let length = usize::from(u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]));
        let block = bytes.get(..length)?;
        let key = block.get(BLOCK_HEADER..)?;
        let end = key.chunks_exact(2).take(LONGEST_TEXT).position(|unit| unit == [0, 0])?;
        let value = aligned(BLOCK_HEADER + (end + 1) * 2);
        Some(Self { key: text(key), value: block.get(value..).unwrap_or_default(), length: aligned(length) })
    }

    /// The blocks in this one, behind a value of so many bytes.
    fn children(&self, value: usize) -> impl Iterator<Item = Block<'d>> + use<'d> {
        let mut rest = self.value.get(aligned(value)..).unwrap_or_default();
        std::iter::from_fn(move || {
            let block = Block::first(rest)?;
            rest = rest.get(block.length..).unwrap_or_default();
            Some(block)
        })
        .take(MOST_BLOCKS)
    }
}

/// Everything begins at multiples of four bytes.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

/// UTF-16 up to its NUL.
fn text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units = units.take_while(|unit| *unit != 0).take(LONGEST_TEXT);
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// `13.0.3` of `13.0.3+0a2e291c`, `8.0.1` of `8.0.1 @Commit: bf5e279`.
fn version(text: &str) -> Option<&str> {
    let version = text.split([' ', '+', ',', '@']).next()?;
    let is_version = version.starts_with(|first: char| first.is_ascii_digit()) && version.contains('.');
    is_version.then_some(version)
}

#[cfg(test)]
mod tests;
