//! Debian's package database: installed packages out of `status`, owned files out of the `info` lists.
//!
//! `var/lib/dpkg/status` has one stanza a package; images without dpkg have one file a package in
//! `var/lib/dpkg/status.d/`. Owned files: `info/<package>[:<architecture>].list` and `.md5sums`,
//! `status.d/<package>.md5sums`, and `Conffiles` in `status`. What an interrupted run left in `updates/` counts beside `status`. Formats: deb-control(5), deb822(5), dpkg-query(1), deb-md5sums(5).

mod archive;
mod stanza;

use shared::model::package::{Evidence, Package, PackageKind, SourcePackage};

pub(super) use self::archive::read_archive;
use self::stanza::{Stanza, StanzaDamage};
use super::ledger::{Ledger, lines, text};
use super::{Analyzer, Candidate, CapturedFile, Checksum, FileClass, Found, OwnedFile, OwnedFiles, Trigger};
use crate::limits::Limits;

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_PARTS: &str = "var/lib/dpkg/status.d";
/// What dpkg has done but not yet written into `status`: numbered files, gone after an orderly end.
const JOURNAL: &str = "var/lib/dpkg/updates";
const LISTS: &str = "var/lib/dpkg/info";

/// Reads dpkg's database.
#[derive(Debug)]
pub struct Dpkg;

impl Analyzer for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path(STATUS),
            Trigger::Parent(STATUS_PARTS),
            Trigger::Parent(JOURNAL),
            Trigger::Parent(LISTS),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).is_ok_and(|path| Part::of(path).is_some())
    }

    fn class(&self) -> FileClass {
        FileClass::Database
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        match Part::of(file.path) {
            Some(Part::Status(layout)) => {
                read_packages(file.content, layout, PackageKind::Deb, &mut ledger);
            }
            Some(Part::List(owner)) => {
                let files = listed(file.content, &mut ledger);
                ledger.owner(owner.of_files(files));
            }
            Some(Part::Checksums(owner)) => read_checksums(file.content, owner, &mut ledger),
            None => {}
        }
        ledger.close()
    }
}

/// What a file of the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Status(Layout),
    List(Owner<'a>),
    Checksums(Owner<'a>),
}

/// How stanzas are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// All in one file; each has a `Status`, without which dpkg takes the package as not installed.
    OneFile,
    /// One file a package; being there is being installed.
    FilePerPackage,
}

/// The package whose files a list names, as the list's own name says: `libc6:amd64.list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner<'a> {
    package: &'a str,
    architecture: Option<&'a str>,
}

impl<'a> Part<'a> {
    fn of(path: &'a str) -> Option<Self> {
        if path == STATUS {
            return Some(Self::Status(Layout::OneFile));
        }
        let (directory, name) = path.rsplit_once('/')?;
        match (directory, name.rsplit_once('.')) {
            (STATUS_PARTS | LISTS, Some((owner, "md5sums"))) => Some(Self::Checksums(Owner::of(owner))),
            (LISTS, Some((owner, "list"))) => Some(Self::List(Owner::of(owner))),
            (JOURNAL, None) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Self::Status(Layout::OneFile))
            }
            (STATUS_PARTS, _) => Some(Self::Status(Layout::FilePerPackage)),
            _ => None,
        }
    }
}

impl<'a> Owner<'a> {
    fn of(stem: &'a str) -> Self {
        match stem.split_once(':') {
            Some((package, architecture)) => Self { package, architecture: Some(architecture) },
            None => Self { package: stem, architecture: None },
        }
    }

    fn of_files(self, files: Vec<OwnedFile>) -> OwnedFiles {
        OwnedFiles {
            package: self.package.to_owned(),
            architecture: self.architecture.map(str::to_owned),
            files,
        }
    }
}

/// Enters every stanza that says it is installed.
pub(super) fn read_packages(content: &[u8], layout: Layout, kind: PackageKind, ledger: &mut Ledger<'_>) {
    for stanza in stanza::stanzas(content) {
        if ledger.is_full() {
            return;
        }
        if let Some(damage) = stanza.damage {
            ledger.damage(damage);
        }
        match installed(&stanza, layout, kind) {
            Ok(Some(package)) => {
                read_conffiles(&stanza, &package, ledger);
                ledger.package(package);
            }
            Ok(None) => {}
            Err(damage) => ledger.damage(damage),
        }
    }
    // dpkg ends every stanza with an empty line. Where even the line end is missing, writing was cut short.
    if layout == Layout::OneFile && !content.is_empty() && !content.ends_with(b"\n") {
        ledger.damage("the file ends in the middle of a line");
    }
}

/// The package of a stanza; `None` if it is not installed; else why that cannot be told.
fn installed(
    stanza: &Stanza<'_>,
    layout: Layout,
    kind: PackageKind,
) -> Result<Option<Package>, StanzaDamage> {
    let name = stanza.package.filter(|name| !name.is_empty());
    let name = name.ok_or(StanzaDamage::NoName(stanza.line))?;
    let is_present = match (stanza.status, layout) {
        (Some(status), Layout::OneFile | Layout::FilePerPackage) => is_present(status),
        (None, Layout::FilePerPackage) => true,
        // dpkg writes a status for every stanza and takes one without it as not installed.
        (None, Layout::OneFile) => return Err(StanzaDamage::NoStatus(stanza.line)),
    };
    if !is_present {
        return Ok(None);
    }
    let version = stanza.version.filter(|version| !version.is_empty());
    let version = version.ok_or(StanzaDamage::NoVersion(stanza.line))?;
    let (name, version) = (text(name), text(version));
    Ok(Some(Package {
        kind,
        namespace: None,
        architecture: stanza.architecture.map(text),
        // What opkg calls a source is a directory of its build.
        source: (kind == PackageKind::Deb).then(|| source(stanza.source, &name, &version)),
        vendor: stanza.maintainer.map(text).filter(|maintainer| !maintainer.is_empty()),
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: Vec::new(),
        evidence: Evidence::Installed,
        name,
        version,
    }))
}

/// Whether a package's files are in the image. `Status` is three words: what is wanted, whether it failed, and
/// the state, which alone tells what is on disk. Only two states leave nothing but configuration; a state that
/// nobody knows hides nothing.
fn is_present(status: &[u8]) -> bool {
    let mut words = status.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let state = words.nth(2).unwrap_or_default();
    let absent = [&b"config-files"[..], b"not-installed"];
    !absent.iter().any(|word| state.eq_ignore_ascii_case(word))
}

/// `Source: name (version)`. Without it the source is called like the package; without parentheses it has
/// the package's version.
fn source(field: Option<&[u8]>, package: &str, version: &str) -> SourcePackage {
    let field = field.map(text).unwrap_or_default();
    let (name, rest) = field.split_once('(').unwrap_or((&field, ""));
    let stated = rest.split(')').next().unwrap_or_default().trim();
    let or = |stated: &str, fallback: &str| match stated {
        "" => fallback.to_owned(),
        stated => stated.to_owned(),
    };
    SourcePackage { name: or(name.trim(), package), version: Some(or(stated, version)) }
}

/// Enters what a package installed for people to change: `path digest`, and words about it; only here stands what it was
/// before they did. deb-conffiles(5), dpkg-query(1).
fn read_conffiles(stanza: &Stanza<'_>, package: &Package, ledger: &mut Ledger<'_>) {
    let mut files = Vec::new();
    for line in &stanza.conffiles {
        let words = [&b" remove-on-upgrade"[..], b" obsolete"];
        let line = words.iter().fold(*line, |line, word| line.strip_suffix(*word).unwrap_or(line));
        let mut md5 = [0; 16];
        // `newconffile` stands in the place of a digest while the package is being unpacked.
        if let Some(space) = memchr::memrchr(b' ', line)
            && hex::decode_to_slice(&line[space + 1..], &mut md5).is_ok()
        {
            files.extend(ledger.file(b"", line[..space].trim_ascii(), Some(Checksum::Md5(md5))));
        }
    }
    let (name, architecture) = (package.name.clone(), package.architecture.clone());
    ledger.owner(OwnedFiles { package: name, architecture, files });
}

/// Enters the files of a package out of its list.
pub(super) fn read_list(content: &[u8], package: &str, ledger: &mut Ledger<'_>) {
    let files = listed(content, ledger);
    ledger.owner(OwnedFiles { package: package.to_owned(), architecture: None, files });
}

/// A `.list` file: one absolute path a line, directories too.
fn listed(content: &[u8], ledger: &mut Ledger<'_>) -> Vec<OwnedFile> {
    let mut files = Vec::new();
    for (_, path) in lines(content) {
        if ledger.is_full() {
            break;
        }
        if !matches!(path, b"" | b"/" | b"/.") {
            files.extend(ledger.file(b"", path, None));
        }
    }
    files
}

/// An `.md5sums` file: digest, two spaces, path without leading slash.
fn read_checksums(content: &[u8], owner: Owner<'_>, ledger: &mut Ledger<'_>) {
    let mut files = Vec::new();
    for (number, line) in lines(content) {
        if ledger.is_full() {
            break;
        }
        match line.split_at_checked(32) {
            Some((digest, path)) if path.starts_with(b" ") => {
                let mut md5 = [0; 16];
                if hex::decode_to_slice(digest, &mut md5).is_err() {
                    ledger.skipped(format_args!("line {number} has no MD5 digest"));
                    continue;
                }
                files.extend(ledger.file(b"", path.trim_ascii_start(), Some(Checksum::Md5(md5))));
            }
            _ if line.trim_ascii().is_empty() => {}
            _ => ledger.skipped(format_args!("line {number} is not a digest and a path")),
        }
    }
    ledger.owner(owner.of_files(files));
}

#[cfg(test)]
mod tests;
