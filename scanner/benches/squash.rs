//! An image whose layers are all known: their analyses are unpacked, squashed and attributed; no layer is read.
//!
//! Measured are a layer of this machine's files below one with many more, which have no content. An image from
//! elsewhere, an OCI layout that holds one, comes from `TIDEWAITER_BENCH_LAYOUT`.

mod material;

use std::any::Any;
use std::collections::HashMap;
use std::hint::black_box;
use std::io::{Cursor, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use material::{described, empty_files, real_files};
use scanner::image::{Engine, LayerAnalysis, LayerCache, Silent, Turn};
use scanner::limits::Limits;
use scanner::source::layout::OciLayout;
use scanner::source::{ImageSource, SourceError};
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document};
use shared::model::report::Revision;

const FURTHER_FILES: usize = 40_000;

/// Analyses as the store keeps them: encoded.
#[derive(Default)]
struct Known(Mutex<HashMap<Digest, Vec<u8>>>);

#[async_trait]
impl LayerCache for Known {
    async fn load(&self, layer: &Digest, _revision: &Revision) -> Option<Arc<LayerAnalysis>> {
        let known = self.0.lock().expect("nobody panics with it");
        LayerAnalysis::decode(known.get(layer)?).map(Arc::new)
    }

    async fn save(&self, analysis: Arc<LayerAnalysis>) {
        let encoded = analysis.encode().expect("memory takes everything");
        self.0.lock().expect("nobody panics with it").insert(analysis.layer.clone(), encoded);
    }

    async fn turn(&self, _layer: &Descriptor, _revision: &Revision) -> Turn {
        Turn::Yours(Box::new(()) as Box<dyn Any + Send>)
    }
}

/// An image in memory.
struct Memory(HashMap<Digest, Vec<u8>>);

impl Memory {
    /// The image of these layers, and its digest.
    fn of(layers: Vec<Vec<u8>>) -> (Self, Digest) {
        let mut blobs = HashMap::new();
        let mut add = |bytes: Vec<u8>| {
            let described = described(&bytes);
            blobs.insert(described.digest.clone(), bytes);
            (described.digest, described.size)
        };
        let blob = |media_type: &str, (digest, size): (Digest, u64)| serde_json::json!({"mediaType": media_type, "digest": digest, "size": size});
        let config =
            add(br#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}"#
                .to_vec());
        let layers: Vec<_> = layers
            .into_iter()
            .map(|layer| blob("application/vnd.oci.image.layer.v1.tar+gzip", add(layer)))
            .collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", config),
            "layers": layers,
        });
        let (digest, _) = add(manifest.to_string().into_bytes());
        (Self(blobs), digest)
    }

    fn get(&self, digest: &Digest) -> Result<Vec<u8>, SourceError> {
        let missing = || SourceError::NotFound { what: digest.to_string(), place: "memory".to_owned() };
        self.0.get(digest).cloned().ok_or_else(missing)
    }
}

#[async_trait]
impl ImageSource for Memory {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        Ok(Document::parse(&self.get(digest)?, None).expect("the manifest was made here"))
    }

    async fn small_blob(&self, descriptor: &Descriptor, _limit: u64) -> Result<Vec<u8>, SourceError> {
        self.get(&descriptor.digest)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(Box::new(Cursor::new(self.get(&descriptor.digest)?)))
    }
}

async fn image() -> (Arc<dyn ImageSource>, Digest) {
    match std::env::var_os("TIDEWAITER_BENCH_LAYOUT") {
        Some(layout) => {
            let layout = OciLayout::directory(PathBuf::from(layout), &Limits::default()).await;
            let layout = layout.expect("TIDEWAITER_BENCH_LAYOUT names an OCI layout");
            let digest = layout.image(None).expect("the layout holds one image");
            (Arc::new(layout), digest)
        }
        None => {
            let (memory, digest) = Memory::of(vec![real_files(), empty_files(FURTHER_FILES)]);
            (Arc::new(memory), digest)
        }
    }
}

fn known_layers(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    let (source, digest) = runtime.block_on(image());
    let known = Arc::new(Known::default());
    let cache: Arc<dyn LayerCache> = Arc::<Known>::clone(&known);
    let engine = Engine::new(Limits::default(), NonZeroUsize::MIN).with_cache(cache);
    let examine = || async {
        let examined = engine.examine(Arc::clone(&source), &digest, Arc::new(Silent)).await;
        black_box(examined.expect("the image is whole"))
    };
    runtime.block_on(examine());
    let encoded: Vec<Vec<u8>> = known.0.lock().expect("nobody panics with it").values().cloned().collect();
    let decode = || encoded.iter().filter_map(|bytes| LayerAnalysis::decode(bytes));
    let entries: u64 = decode().map(|analysis| u64::from(analysis.entries.len())).sum();
    let mut group = criterion.benchmark_group("known layers");
    group.throughput(Throughput::Elements(entries)).sample_size(20);
    group.bench_function("decode", |bencher| bencher.iter(|| black_box(decode().count())));
    group.bench_function("decode and squash", |bencher| {
        bencher.iter(|| runtime.block_on(examine()));
    });
    group.finish();
}

criterion_group!(benches, known_layers);
criterion_main!(benches);
