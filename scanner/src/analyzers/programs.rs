//! Programs that no package manager knows: an executable or a library in, `pkg:generic/<program>@<version>` out.
//!
//! What a program prints about itself is in its bytes. [`table`] says which files are looked at and between which
//! bytes their version stands; this file finds it. Nothing else is read: a program of another name, or one whose
//! version is put together at run time, stays unknown. A program that an OS package owns is that package, and
//! the squash leaves it out.

use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, executable};
use crate::limits::Limits;

mod table;

/// Recognises programs by what they say about themselves.
pub struct Programs;

impl Analyzer for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn version(&self) -> u32 {
        2
    }

    fn triggers(&self) -> &'static [Trigger] {
        executable::MAGICS
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let name = base_name(file.path);
        table::PROGRAMS.iter().any(|program| program.is_named(name)) && executable::is_loadable(file)
    }

    fn class(&self) -> FileClass {
        FileClass::Binary
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let name = base_name(file.path.as_bytes());
        let mut found = Found::default();
        for program in table::PROGRAMS.iter().filter(|program| program.is_named(name)) {
            let mut versions = program.evidence.iter().filter_map(|mark| mark.version(name, file.content));
            if let Some(version) = versions.next() {
                found.push(Package::new(PackageKind::Generic, program.name, version, Evidence::Recognised));
            }
        }
        found
    }
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// One program: what its files are called, and what in them tells its version.
struct Program {
    /// The name in the purl.
    name: &'static str,
    files: &'static [FileName],
    /// In the order in which it is believed; the first that tells a version counts.
    evidence: &'static [Mark],
}

/// What a file is called.
enum FileName {
    /// So, or so with a version behind it: `python`, `python3.12`.
    Program(&'static str),
    /// A shared library whose name begins so.
    Library(&'static str),
}

/// Where in a file a version stands.
enum Mark {
    /// Between these bytes; before any byte that is neither letter nor digit if the second are none.
    Between(&'static [u8], &'static [u8]),
    /// Right before these bytes.
    Before(&'static [u8]),
    /// At the start of the NUL-terminated string after the one that follows these bytes.
    NextString(&'static [u8]),
    /// A whole NUL-terminated string that begins with the version in the file's name, of which it is a patch.
    PatchOfFileName,
}

impl Program {
    fn is_named(&self, name: &[u8]) -> bool {
        self.files.iter().any(|file| file.is(name))
    }
}

impl FileName {
    fn is(&self, name: &[u8]) -> bool {
        match self {
            Self::Program(stem) => name
                .strip_prefix(stem.as_bytes())
                .is_some_and(|rest| rest.iter().all(|byte| byte.is_ascii_digit() || b".-".contains(byte))),
            Self::Library(stem) => name
                .strip_prefix(stem.as_bytes())
                .is_some_and(|rest| memchr::memmem::find(rest, b".so").is_some()),
        }
    }
}

/// Longer than any version of a program; a longer one is something else.
const LONGEST_VERSION: usize = 32;
/// The longest string that [`Mark::NextString`] passes over.
const LONGEST_STRING: usize = 64;

impl Mark {
    /// The version that stands at the first convincing place. The work is one pass over the content.
    fn version(&self, name: &[u8], content: &[u8]) -> Option<String> {
        match self {
            Self::Between(before, after) => memchr::memmem::find_iter(content, before)
                .find_map(|at| ended(&content[at + before.len()..], after)),
            Self::Before(after) => {
                memchr::memmem::find_iter(content, after).find_map(|at| preceding(&content[..at]))
            }
            Self::NextString(before) => memchr::memmem::find_iter(content, before).find_map(|at| {
                let rest = &content[at + before.len()..];
                let end = rest.iter().take(LONGEST_STRING).position(|byte| *byte == 0)?;
                ended(&rest[end + 1..], b"")
            }),
            Self::PatchOfFileName => {
                let needle = [b"\0", file_version(name)?, b"."].concat();
                let mut places = memchr::memmem::find_iter(content, &needle);
                places.find_map(|at| ended(&content[at + 1..], b"\0"))
            }
        }
    }
}

/// The version at the start of `text`, if `after` follows it.
fn ended(text: &[u8], after: &[u8]) -> Option<String> {
    let length = version_length(&text[..text.len().min(LONGEST_VERSION)])?;
    let rest = &text[length..];
    let ends = match after {
        [] => !rest.first().is_some_and(u8::is_ascii_alphanumeric),
        after => rest.starts_with(after),
    };
    ends.then(|| String::from_utf8_lossy(&text[..length]).into_owned())
}

/// The version at the end of `text`, if no word runs into it.
fn preceding(text: &[u8]) -> Option<String> {
    let tail = &text[text.len().saturating_sub(LONGEST_VERSION)..];
    let other = tail.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let version = &tail[other + 1..];
    let is_whole = !tail[other].is_ascii_alphanumeric() && version_length(version) == Some(version.len());
    is_whole.then(|| String::from_utf8_lossy(version).into_owned())
}

/// How many bytes of `text` are a version: numbers with dots, then a build (`+7`, `_392`), a stage (`rc1`,
/// `-beta.2`) or OpenSSL's letter. A number alone is a version only with a build.
fn version_length(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    let mut numbers = 0;
    loop {
        let digits = digits(&text[length..]);
        if digits == 0 {
            return None;
        }
        length += digits;
        numbers += 1;
        match &text[length..] {
            [b'.', next, ..] if next.is_ascii_digit() => length += 1,
            _ => break,
        }
    }
    let more = build(&text[length..]).or_else(|| stage(&text[length..])).or_else(|| letter(&text[length..]));
    (numbers > 1 || text.get(length) == Some(&b'+')).then_some(length + more.unwrap_or(0))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn build(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"_"))?;
    Some(1 + digits(rest)).filter(|length| *length > 1)
}

fn stage(text: &[u8]) -> Option<usize> {
    let dash = usize::from(text.starts_with(b"-"));
    let stages: [&[u8]; 7] = [b"alpha", b"beta", b"preview", b"pre", b"rc", b"a", b"b"];
    let stage = stages.into_iter().find(|stage| text[dash..].starts_with(stage))?;
    let start = dash + stage.len();
    let start = start + usize::from(text[start..].starts_with(b"."));
    Some(start + digits(&text[start..])).filter(|length| *length > start)
}

fn letter(text: &[u8]) -> Option<usize> {
    let length = text.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let ends = !text.get(length).is_some_and(u8::is_ascii_alphanumeric);
    ((1..=2).contains(&length) && ends).then_some(length)
}

/// `3.12` of `python3.12` and of `libpython3.12.so.1.0`.
fn file_version(name: &[u8]) -> Option<&[u8]> {
    let start = name.iter().position(u8::is_ascii_digit)?;
    let length = version_length(&name[start..])?;
    Some(&name[start..start + length])
}

#[cfg(test)]
mod tests;
