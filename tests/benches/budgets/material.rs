//! Images of real bytes: this machine's own libraries, scripts and package databases, in gzip layers.
//!
//! Layers are streamed into an OCI layout under `.run/bench` and kept there for the next run.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::model::digest::Digest;
use tests::image::Layout;

use crate::images;

/// Where ordinary images have their bytes, too. The first make the scanner's work real.
const ROOTS: &[&str] = &[
    "/etc/os-release",
    "/usr/lib/os-release",
    "/var/lib/dpkg/status",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/share",
    "/usr/bin",
    "/opt",
];
/// Files beyond this would make one layer of one file.
const LARGEST_FILE: u64 = 64 << 20;

/// Layers in a layout, from which manifests are made.
pub(crate) struct Stack {
    pub(crate) layout: Layout,
    pub(crate) layers: Vec<BuiltLayer>,
}

/// A gzip layer among a layout's blobs.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct BuiltLayer {
    pub(crate) digest: Digest,
    diff_id: Digest,
    pub(crate) stored_bytes: u64,
    pub(crate) raw_bytes: u64,
}

impl Stack {
    /// So many layers of together about `stored_bytes` compressed bytes, made in `.run/bench/<name>`.
    pub(crate) fn of_this_machine(
        name: &str,
        layers: usize,
        stored_bytes: u64,
        effort: Compression,
    ) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/bench").join(name);
        let layout = Layout::new(&folder)?;
        let known = folder.join("stack.json");
        if let Ok(text) = std::fs::read(&known) {
            return Ok(Self { layout, layers: serde_json::from_slice(&text)? });
        }
        eprintln!("building {name}: {layers} layers, {} MB", stored_bytes / 1_000_000);
        let files = files_of_this_machine();
        if files.len() < layers {
            bail!("this machine has no files to build images of");
        }
        let share = stored_bytes / layers as u64;
        let blobs = folder.join("blobs/sha256");
        let built: Vec<Result<BuiltLayer>> = std::thread::scope(|scope| {
            let parts = files.chunks(files.len().div_ceil(layers)).enumerate();
            let running: Vec<_> = parts
                .map(|(at, part)| {
                    let blobs = &blobs;
                    scope.spawn(move || build(blobs, at, part, share, effort))
                })
                .collect();
            running.into_iter().map(|thread| thread.join().expect("building does not panic")).collect()
        });
        let layers = built.into_iter().collect::<Result<Vec<_>>>()?;
        std::fs::write(known, serde_json::to_vec(&layers)?)?;
        Ok(Self { layout, layers })
    }

    /// One layer of each of these roots (see `images`), bottom first, made in `.run/bench/<name>`.
    pub(crate) fn of_roots(name: &str, roots: &[&str]) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/bench").join(name);
        let layout = Layout::new(&folder)?;
        let blobs = folder.join("blobs/sha256");
        let layers = roots.iter().map(|root| {
            let mut layer = LayerWriter::create(&blobs, root, Compression::default())?;
            layer.add_tree(&images::root(root)?)?;
            layer.finish(&blobs)
        });
        Ok(Self { layout, layers: layers.collect::<Result<_>>()? })
    }

    /// Writes a manifest of these layers and perhaps one more small one; `salt` makes its digest another.
    pub(crate) fn manifest(&self, salt: &str, top: Option<&[u8]>) -> Result<Value> {
        let mut layers = self.layers.clone();
        if let Some(content) = top {
            let blobs = self.layout.folder().join("blobs/sha256");
            let mut layer = LayerWriter::create(&blobs, "top", Compression::fast())?;
            layer.add("app/main.py", content)?;
            layers.push(layer.finish(&blobs)?);
        }
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"User": "1000", "Labels": {"bench": salt}},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>()},
            "history": layers.iter().map(|_| json!({"created_by": "bench"})).collect::<Vec<_>>(),
        });
        let config = self.put(&config, "application/vnd.oci.image.config.v1+json")?;
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| {
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer.digest, "size": layer.stored_bytes})
            })
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        self.put(
            &json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}),
            media_type,
        )
    }

    /// The layers' files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let blobs = self.layout.folder().join("blobs/sha256");
        self.layers.iter().map(|layer| blobs.join(layer.digest.encoded())).collect()
    }

    /// `4 layers, 501 MB stored, 1102 MB inflated`.
    pub(crate) fn described(&self) -> String {
        let megabytes =
            |bytes: fn(&BuiltLayer) -> u64| self.layers.iter().map(bytes).sum::<u64>() / 1_000_000;
        format!(
            "{} layers, {} MB stored, {} MB inflated",
            self.layers.len(),
            megabytes(|layer| layer.stored_bytes),
            megabytes(|layer| layer.raw_bytes)
        )
    }

    fn put(&self, document: &Value, media_type: &str) -> Result<Value> {
        let content = serde_json::to_vec(document)?;
        let digest = Digest::of(&content);
        std::fs::write(self.layout.folder().join("blobs/sha256").join(digest.encoded()), &content)?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": content.len()}))
    }
}

/// Takes files until the layer is large enough; begins again under another folder where there are too few.
fn build(
    blobs: &Path,
    at: usize,
    files: &[PathBuf],
    stored_bytes: u64,
    effort: Compression,
) -> Result<BuiltLayer> {
    let mut layer = LayerWriter::create(blobs, &at.to_string(), effort)?;
    for round in 0_u32.. {
        let before = layer.stored_bytes();
        for file in files {
            let inside = file.strip_prefix("/").context("roots are absolute")?;
            let name = if round == 0 {
                inside.to_owned()
            } else {
                Path::new(&format!("again-{round}")).join(inside)
            };
            let Ok(content) = std::fs::read(file) else { continue };
            layer.add(&name.to_string_lossy(), &content)?;
            if layer.stored_bytes() >= stored_bytes {
                return layer.finish(blobs);
            }
        }
        if layer.stored_bytes() == before {
            bail!("none of {} files can be read", files.len());
        }
    }
    unreachable!("every round makes the layer larger")
}

fn files_of_this_machine() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for root in ROOTS {
        collect(Path::new(root), &mut files);
    }
    files
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    if metadata.is_file() && metadata.len() <= LARGEST_FILE {
        files.push(path.to_owned());
    } else if metadata.is_dir()
        && let Ok(entries) = path.read_dir()
    {
        let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inside.sort();
        inside.iter().for_each(|path| collect(path, files));
    }
}

/// tar → hash → gzip → hash → file.
struct LayerWriter {
    path: PathBuf,
    archive: tar::Builder<Hashed<GzEncoder<Hashed<File>>>>,
}

impl LayerWriter {
    fn create(blobs: &Path, name: &str, effort: Compression) -> Result<Self> {
        let path = blobs.join(format!("unfinished-{name}"));
        let stored = Hashed::new(File::create(&path)?);
        Ok(Self { path, archive: tar::Builder::new(Hashed::new(GzEncoder::new(stored, effort))) })
    }

    fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        Ok(self.archive.append_data(&mut header, name, content)?)
    }

    /// Everything below a folder; links stay links.
    fn add_tree(&mut self, root: &Path) -> Result<()> {
        self.archive.follow_symlinks(false);
        Ok(self.archive.append_dir_all(".", root)?)
    }

    fn stored_bytes(&self) -> u64 {
        self.archive.get_ref().inner.get_ref().bytes
    }

    fn finish(self, blobs: &Path) -> Result<BuiltLayer> {
        let raw = self.archive.into_inner()?;
        let stored = raw.inner.finish()?;
        let layer = BuiltLayer {
            digest: digest(stored.hash)?,
            diff_id: digest(raw.hash)?,
            stored_bytes: stored.bytes,
            raw_bytes: raw.bytes,
        };
        std::fs::rename(self.path, blobs.join(layer.digest.encoded()))?;
        Ok(layer)
    }
}

fn digest(hash: Sha256) -> Result<Digest> {
    Ok(format!("sha256:{}", hex::encode(hash.finalize())).try_into()?)
}

/// Counts and hashes what goes through.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
