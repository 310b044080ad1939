//! A root file system in a folder, as an archive that can be an image's layer.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tar::{Builder, EntryType, Header};

/// Of zstd: for layers that are read once and thrown away.
const FAST: i32 = 1;

/// The files and links of a root, as a tar in zstd.
pub fn whole(root: &Path) -> Result<Vec<u8>> {
    reduced(root, FAST, |_, content| Ok(Some(content)))
}

/// The same in zstd of another level, with what `carried` puts in the place of each file, whose path has no leading slash;
/// `None` leaves it out. The same files make the same bytes.
pub fn reduced(
    root: &Path,
    level: i32,
    carried: impl Fn(&Path, Vec<u8>) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let mut tar = Builder::new(zstd::Encoder::new(Vec::new(), level)?);
    for path in entries(root)? {
        let inside = path.strip_prefix(root)?;
        // Links are carried along, since they decide what paths mean: `/lib` leads to `/usr/lib`.
        if path.is_symlink() {
            let mut header = header(EntryType::Symlink, 0o777, 0);
            tar.append_link(&mut header, inside, fs::read_link(&path)?)?;
        } else if let Some(content) = carried(inside, fs::read(&path)?)? {
            let mut header = header(EntryType::Regular, 0o644, content.len() as u64);
            tar.append_data(&mut header, inside, content.as_slice())?;
        }
    }
    let mut compressed = tar.into_inner()?;
    compressed.flush()?;
    Ok(compressed.finish()?)
}

/// Of nobody in particular, made at the beginning of time.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// Regular files and links, each directory's in the order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut listed = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    listed.sort_by_key(fs::DirEntry::file_name);
    let mut entries = Vec::new();
    for entry in listed {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            entries.extend(self::entries(&entry.path())?);
        } else if kind.is_file() || kind.is_symlink() {
            entries.push(entry.path());
        }
    }
    Ok(entries)
}
