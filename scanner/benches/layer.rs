//! One pass over a layer beside what it cannot do without: inflating and hashing the same bytes on one thread.
//!
//! The figure that counts is the ratio of the two, taken in the same run on the same machine. The pass hashes on
//! threads of its own, so run it twice: bound to one core (`taskset -c 0`) it says what the pass adds to the
//! work, and on all cores how much of it is done beside.

use std::hint::black_box;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::write::GzEncoder;
use scanner::image::{Engine, analyze_layer};
use scanner::limits::Limits;
use sha2::{Digest as _, Sha256};
use shared::model::digest::Digest;
use shared::model::document::Descriptor;

/// How much of this machine's own files goes into a layer.
const REAL_BYTES: usize = 96 << 20;
/// First what analyzers read, then ordinary libraries.
const REAL_ROOTS: [&str; 4] = ["/usr/lib/os-release", "/var/lib/dpkg/status", "/usr/lib/python3", "/usr/lib"];

/// A layer of many small files and some large ones, about as compressible as libraries are.
fn made_up() -> Vec<u8> {
    let mut layer = LayerBuilder::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::new();
    for number in 0..4000_u64 {
        let size = if number % 100 == 0 { 1 << 20 } else { 4096 + number * 7 % 8192 };
        content.clear();
        while (content.len() as u64) < size {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Every word twice: half of it compresses.
            content.extend_from_slice(&state.to_le_bytes());
            content.extend_from_slice(&state.to_le_bytes());
        }
        layer.add(&format!("usr/lib/package-{}/file-{number}.so", number / 20), &content);
    }
    layer.finish()
}

/// A layer of this machine's libraries and package databases.
fn real_files() -> Vec<u8> {
    let mut layer = LayerBuilder::new();
    let mut waiting: Vec<PathBuf> = REAL_ROOTS.iter().rev().map(PathBuf::from).collect();
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            let entries = path.read_dir().into_iter().flatten();
            let mut inside: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.sort_by(|one, other| other.cmp(one));
            waiting.extend(inside);
        } else if metadata.is_file()
            && let Ok(content) = std::fs::read(&path)
        {
            let name = path.strip_prefix("/").unwrap_or(Path::new("file"));
            if layer.add(&name.to_string_lossy(), &content) > REAL_BYTES {
                break;
            }
        }
    }
    layer.finish()
}

struct LayerBuilder {
    archive: tar::Builder<GzEncoder<Vec<u8>>>,
    raw_bytes: usize,
}

impl LayerBuilder {
    fn new() -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::default());
        Self { archive: tar::Builder::new(encoder), raw_bytes: 0 }
    }

    /// Adds a file and says how many bytes there are now.
    fn add(&mut self, name: &str, content: &[u8]) -> usize {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        self.archive.append_data(&mut header, name, content).expect("memory takes everything");
        self.raw_bytes += content.len();
        self.raw_bytes
    }

    fn finish(self) -> Vec<u8> {
        let mut encoder = self.archive.into_inner().expect("memory takes everything");
        encoder.flush().expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }
}

fn inflate_and_hash(bytes: &[u8]) -> ([u8; 32], [u8; 32]) {
    let mut plain = Sha256::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match decoder.read(&mut buffer).expect("the layer was made here") {
            0 => return (Sha256::digest(bytes).into(), plain.finalize().into()),
            read => plain.update(&buffer[..read]),
        }
    }
}

fn layers(criterion: &mut Criterion) {
    one_layer(criterion, "made up", &made_up());
    one_layer(criterion, "real files", &real_files());
}

fn one_layer(criterion: &mut Criterion, name: &str, bytes: &[u8]) {
    let descriptor = Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations: Default::default(),
        artifact_type: None,
        platform: None,
    };
    let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
    let mut group = criterion.benchmark_group(format!("layer {name}"));
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
    group.bench_function("inflate and hash", |bencher| {
        bencher.iter(|| black_box(inflate_and_hash(bytes)));
    });
    group.bench_function("analyze", |bencher| {
        bencher.iter(|| {
            let reader = Box::new(Cursor::new(bytes.to_vec()));
            black_box(analyze_layer(reader, &descriptor, &engine).expect("the layer is whole"))
        });
    });
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
