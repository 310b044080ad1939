//! Programs that no package manager knows: an executable or a library in, `pkg:generic/<program>@<version>` out.
//!
//! What a program prints about itself is in its bytes. [`table`] says which files are looked at and between which
//! bytes their version stands; this file finds it. Nothing else is read: a program of another name, or one whose
//! version is put together at run time, stays unknown. A program that an OS package owns is that package, and
//! the squash leaves it out.

use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, executable};
use crate::limits::Limits;
use mark::Mark;

mod mark;
mod table;

/// Recognises programs by what they say about themselves.
pub struct Programs;

impl Analyzer for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn version(&self) -> u32 {
        4
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
        let is_meant = |program: &&Program| program.is_named(name) && !program.is_another(file.content);
        for program in table::PROGRAMS.iter().filter(is_meant) {
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
    /// What only a fork of it has in its bytes; nothing if empty.
    fork: &'static [u8],
}

/// What a file is called.
enum FileName {
    /// So, or so with a version behind it: `python`, `python3.12`.
    Program(&'static str),
    /// A shared library whose name begins so.
    Library(&'static str),
}

impl Program {
    fn is_named(&self, name: &[u8]) -> bool {
        self.files.iter().any(|file| file.is(name))
    }

    fn is_another(&self, content: &[u8]) -> bool {
        !self.fork.is_empty() && memchr::memmem::find(content, self.fork).is_some()
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

#[cfg(test)]
mod tests;
