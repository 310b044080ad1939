//! One pass over a layer beside what it cannot do without: inflating and hashing the same bytes on one thread.
//!
//! The figure that counts is the ratio of the two, taken in the same run on the same machine. The pass hashes on
//! threads of its own, so run it twice: bound to one core (`taskset -c 0`) it says what the pass adds to the
//! work, and on all cores how much of it is done beside. A layer of empty files is nothing but tar headers.

mod material;

use std::hint::black_box;
use std::io::{Cursor, Read};
use std::num::NonZeroUsize;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use material::{LayerBuilder, described, empty_files, real_files};
use scanner::image::{Engine, analyze_layer};
use scanner::limits::Limits;
use sha2::{Digest as _, Sha256};

const HEADERS: usize = 100_000;

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
    let stored_bytes = |bytes: &[u8]| Throughput::Bytes(bytes.len() as u64);
    let (made_up, real) = (made_up(), real_files());
    one_layer(criterion, "made up", &made_up, stored_bytes(&made_up));
    one_layer(criterion, "real files", &real, stored_bytes(&real));
    one_layer(criterion, "headers", &empty_files(HEADERS), Throughput::Elements(HEADERS as u64));
}

fn one_layer(criterion: &mut Criterion, name: &str, bytes: &[u8], throughput: Throughput) {
    let descriptor = described(bytes);
    let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
    let mut group = criterion.benchmark_group(format!("layer {name}"));
    group.throughput(throughput).sample_size(10);
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
