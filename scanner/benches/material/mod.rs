//! Layers to measure with: of this machine's own files, or made up.

#![allow(dead_code, reason = "every benchmark uses a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use shared::model::digest::Digest;
use shared::model::document::Descriptor;

/// How much of this machine's own files goes into a layer.
const REAL_BYTES: usize = 96 << 20;
/// First what analyzers read, then ordinary libraries.
const REAL_ROOTS: [&str; 4] = ["/usr/lib/os-release", "/var/lib/dpkg/status", "/usr/lib/python3", "/usr/lib"];

/// Larger files are passed over: what is measured lies in memory.
const LARGEST: u64 = 128 << 20;

/// The regular files at and below these paths, in the order of their names: path without its first slash, content.
pub(crate) fn files_of(roots: &[&str]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut waiting: Vec<PathBuf> = roots.iter().rev().map(PathBuf::from).collect();
    std::iter::from_fn(move || {
        while let Some(path) = waiting.pop() {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_dir() {
                let entries = path.read_dir().into_iter().flatten();
                let mut inside: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                inside.sort_by(|one, other| other.cmp(one));
                waiting.extend(inside);
            } else if metadata.is_file()
                && metadata.len() <= LARGEST
                && let Ok(content) = std::fs::read(&path)
            {
                let name = path.strip_prefix("/").unwrap_or(Path::new("file"));
                return Some((name.to_string_lossy().into_owned(), content));
            }
        }
        None
    })
}

/// A layer of this machine's libraries and package databases.
pub(crate) fn real_files() -> Vec<u8> {
    let mut layer = LayerBuilder::new();
    for (name, content) in files_of(&REAL_ROOTS) {
        if layer.add(&name, &content) > REAL_BYTES {
            break;
        }
    }
    layer.finish()
}

/// A layer of so many empty files.
pub(crate) fn empty_files(count: usize) -> Vec<u8> {
    let mut layer = LayerBuilder::new();
    for number in 0..count {
        layer.add(&format!("opt/service/part-{}/module-{number}.py", number / 20), b"");
    }
    layer.finish()
}

/// What a manifest would say about a layer.
pub(crate) fn described(bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: Default::default(),
        artifact_type: None,
        platform: None,
    }
}

/// A gzip layer on its way.
pub(crate) struct LayerBuilder {
    archive: tar::Builder<GzEncoder<Vec<u8>>>,
    raw_bytes: usize,
}

impl LayerBuilder {
    pub(crate) fn new() -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::default());
        Self { archive: tar::Builder::new(encoder), raw_bytes: 0 }
    }

    /// Adds a file and says how many bytes there are now.
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) -> usize {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        self.archive.append_data(&mut header, name, content).expect("memory takes everything");
        self.raw_bytes += content.len();
        self.raw_bytes
    }

    /// The stored bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut encoder = self.archive.into_inner().expect("memory takes everything");
        encoder.flush().expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }
}
