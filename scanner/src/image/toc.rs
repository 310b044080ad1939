//! Layers with two views: the tar, and a table of contents by which lazy runtimes read single files (eStargz, and
//! zstd:chunked, see [`chunked`]).
//!
//! Nothing makes the two agree, so a layer can show one thing to a scanner and another to a runtime. Both
//! views are folded into sums of keyed hashes as they pass, whatever their size, and compared at the end.
//! stargz-snapshotter, "eStargz: Standard-Compatible Extension to Container Image Layers".

pub(super) mod chunked;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, Read};
use std::sync::LazyLock;

use chunked::TablePlace;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::tar::{MemberKind, canonical};

/// The member of the tar that holds the table.
pub(super) const NAME: &[u8] = b"stargz.index.json";
/// The longest footer of a gzip layer.
const GZIP_FOOTER: usize = 51;
/// The longest footer.
pub(super) const FOOTER: usize = chunked::FOOTER;
/// Mark where prefetching ends; they mean nothing to the file system.
const LANDMARKS: [&[u8]; 2] = [b".prefetch.landmark", b".no.prefetch.landmark"];

/// Unknown to whoever made a layer, so that nobody can make two views of one sum.
static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// A set of files as one number: equal for equal sets, in whatever order they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    sum: u128,
    files: u64,
}

/// What a file is, as far as both views say it.
#[derive(Hash)]
enum Shape<'a> {
    /// Size, and SHA-256 of the content unless it is empty.
    File(u64, Option<&'a [u8]>),
    Hardlink(Vec<u8>),
    Symlink(&'a [u8]),
    Directory,
    Special,
}

impl View {
    /// Adds a member of the tar under its canonical path; `digest` is the SHA-256 of a file's content, if it was taken.
    pub(super) fn add_member(&mut self, path: &[u8], kind: &MemberKind, size: u64, digest: Option<&[u8]>) {
        let shape = match kind {
            _ if path == NAME => return,
            MemberKind::File if size == 0 => Shape::File(0, None),
            MemberKind::File => Shape::File(size, Some(digest.unwrap_or_default())),
            MemberKind::Hardlink { target } => Shape::Hardlink(canonical_or_raw(target)),
            MemberKind::Symlink { target } => Shape::Symlink(target),
            MemberKind::Directory => Shape::Directory,
            MemberKind::Special | MemberKind::Unknown { .. } => Shape::Special,
        };
        self.add(path, &shape);
    }

    fn add_row(&mut self, row: &Row) -> Result<(), &'static str> {
        if row.kind == "chunk" {
            return Ok(());
        }
        let path = canonical_or_raw(row.name.as_bytes());
        let digest = row.digest.strip_prefix("sha256:").and_then(|text| hex::decode(text).ok());
        let shape = match &*row.kind {
            "reg" if row.size == 0 => Shape::File(0, None),
            "reg" => Shape::File(row.size, Some(digest.as_deref().ok_or("a file has no digest")?)),
            "hardlink" => Shape::Hardlink(canonical_or_raw(row.link.as_bytes())),
            "symlink" => Shape::Symlink(row.link.as_bytes()),
            "dir" => Shape::Directory,
            "char" | "block" | "fifo" => Shape::Special,
            _ => return Err("an entry has an unknown type"),
        };
        // One chunk is the whole file: runtimes check it instead of the file.
        let is_whole = row.chunk_size == 0 || row.chunk_size == row.size;
        if is_whole && !row.chunk_digest.is_empty() && row.chunk_digest != row.digest {
            return Err("a file and its only chunk have different digests");
        }
        self.add(&path, &shape);
        Ok(())
    }

    fn add(&mut self, path: &[u8], shape: &Shape<'_>) {
        if path.is_empty() || LANDMARKS.contains(&path) {
            return;
        }
        let [high, low] = KEYS.each_ref().map(|key| u128::from(key.hash_one((path, shape))));
        self.sum = self.sum.wrapping_add(high << 64 | low);
        self.files += 1;
    }
}

fn canonical_or_raw(name: &[u8]) -> Vec<u8> {
    canonical(name, usize::MAX).unwrap_or_else(|_| name.to_vec())
}

/// The table's view, or why it has none. An error of reading is the reader's own.
pub(super) fn read(content: impl Read) -> Result<View, serde_json::Error> {
    let table: Table = serde_json::from_reader(BufReader::new(content))?;
    Ok(table.entries)
}

/// The table as runtimes read it. They compare names of fields without case, hence nothing unknown is let pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "version")]
    _version: u64,
    entries: View,
    #[serde(default, rename = "tarSplitDigest")]
    _tar_split: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
    #[serde(default, rename = "linkName")]
    link: String,
    #[serde(default)]
    digest: String,
    #[serde(default, rename = "chunkSize")]
    chunk_size: u64,
    #[serde(default, rename = "chunkDigest")]
    chunk_digest: String,
    #[serde(default, rename = "modtime")]
    _modified: serde::de::IgnoredAny,
    #[serde(default, rename = "mode")]
    _mode: serde::de::IgnoredAny,
    #[serde(default, rename = "uid")]
    _user: serde::de::IgnoredAny,
    #[serde(default, rename = "gid")]
    _group: serde::de::IgnoredAny,
    #[serde(default, rename = "userName")]
    _user_name: serde::de::IgnoredAny,
    #[serde(default, rename = "groupName")]
    _group_name: serde::de::IgnoredAny,
    #[serde(default, rename = "offset")]
    _offset: serde::de::IgnoredAny,
    #[serde(default, rename = "innerOffset")]
    _inner_offset: serde::de::IgnoredAny,
    #[serde(default, rename = "devMajor")]
    _major: serde::de::IgnoredAny,
    #[serde(default, rename = "devMinor")]
    _minor: serde::de::IgnoredAny,
    #[serde(default, rename = "numLink", alias = "NumLink")]
    _links: serde::de::IgnoredAny,
    #[serde(default, rename = "xattrs")]
    _attributes: serde::de::IgnoredAny,
    #[serde(default, rename = "chunkOffset")]
    _chunk_offset: serde::de::IgnoredAny,
    #[serde(default, rename = "chunkType")]
    _chunk_type: serde::de::IgnoredAny,
    #[serde(default, rename = "endOffset")]
    _end: serde::de::IgnoredAny,
    #[serde(default, rename = "accesstime")]
    _accessed: serde::de::IgnoredAny,
    #[serde(default, rename = "changetime")]
    _changed: serde::de::IgnoredAny,
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = View;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the entries of a table of contents")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<View, A::Error> {
                let mut view = View::default();
                while let Some(row) = rows.next_element::<Row>()? {
                    view.add_row(&row).map_err(serde::de::Error::custom)?;
                }
                Ok(view)
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

/// A table that was met in the tar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Toc {
    /// Where the compressed member that it begins starts in the stored bytes; `None` if it begins none.
    pub(super) at: Option<u64>,
    /// What it shows; `None` if it cannot be read.
    pub(super) view: Option<View>,
}

/// Both views of a layer, as they come.
#[derive(Debug, Default)]
pub(super) struct Views {
    pub(super) tar: View,
    pub(super) toc: Option<Toc>,
}

impl Views {
    /// What is wrong, given the last bytes of the layer and how many there are. Without a footer nobody reads
    /// lazily; one that leads out of the layer leads nobody anywhere.
    pub(super) fn disagreement(
        &self,
        tail: &[u8],
        stored: u64,
        agreeing: &[TablePlace],
    ) -> Option<&'static str> {
        if chunked::footer(tail).is_some_and(|place| !agreeing.contains(&place)) {
            return Some(
                "the footer leads lazy runtimes to a table of contents that shows other files than the tar",
            );
        }
        let at = toc_offset(tail).filter(|at| *at < stored)?;
        match self.toc {
            Some(Toc { at: Some(seen), view: Some(view), .. }) if seen == at => (view != self.tar)
                .then_some("the table of contents for lazy runtimes shows other files than the tar"),
            Some(Toc { at: Some(seen), view: None, .. }) if seen == at => {
                Some("the table of contents for lazy runtimes cannot be compared with the tar")
            }
            Some(_) | None => {
                Some("the footer leads lazy runtimes to another table of contents than the tar's")
            }
        }
    }
}

/// Where the table's compressed member starts, as a footer says that ends the layer: 51 bytes, or 47 in the first
/// version. A footer of 46 bytes says that the table is elsewhere.
fn toc_offset(tail: &[u8]) -> Option<u64> {
    let extra = |length: usize| {
        let footer = tail.get(tail.len().checked_sub(length)?..)?;
        let is_gzip = footer.starts_with(&[0x1f, 0x8b, 8]) && footer[3] & 4 != 0;
        is_gzip.then_some(&footer[10..])
    };
    let current = extra(GZIP_FOOTER).and_then(|extra| extra.strip_prefix(b"\x1a\0SG\x16\0"));
    let payload = current.or_else(|| extra(47)?.strip_prefix(b"\x16\0"))?;
    let (offset, rest) = payload.split_at_checked(16)?;
    let is_number = rest.starts_with(b"STARGZ") && offset.iter().all(u8::is_ascii_hexdigit);
    let offset = is_number.then(|| std::str::from_utf8(offset).ok()).flatten()?;
    u64::from_str_radix(offset, 16).ok()
}

#[cfg(test)]
mod tests;
