//! One pass over a layer beside what it cannot do without: inflating and hashing the same bytes.
//!
//! The figure that counts is the ratio of the two, taken in the same run on the same machine.

use std::hint::black_box;
use std::io::{Cursor, Read, Write};
use std::num::NonZeroUsize;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scanner::image::{Engine, analyze_layer};
use scanner::limits::Limits;
use sha2::{Digest as _, Sha256};
use shared::model::digest::Digest;
use shared::model::document::Descriptor;

/// A layer of many small files and some large ones, about as compressible as libraries are.
fn layer() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
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
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let path = format!("usr/lib/package-{}/file-{number}.so", number / 20);
        builder.append_data(&mut header, path, &content[..]).expect("memory takes everything");
    }
    let plain = builder.into_inner().expect("memory takes everything");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&plain).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
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

fn one_layer(criterion: &mut Criterion) {
    let bytes = layer();
    let descriptor = Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        annotations: Default::default(),
        artifact_type: None,
        platform: None,
    };
    let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
    let mut group = criterion.benchmark_group("layer");
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
    group.bench_function("inflate and hash", |bencher| {
        bencher.iter(|| black_box(inflate_and_hash(&bytes)));
    });
    group.bench_function("analyze", |bencher| {
        bencher.iter(|| {
            let reader = Box::new(Cursor::new(bytes.clone()));
            black_box(analyze_layer(reader, &descriptor, &engine).expect("the layer is whole"))
        });
    });
    group.finish();
}

criterion_group!(benches, one_layer);
criterion_main!(benches);
