//! One layer through the whole engine: decompression, tar, every analyzer, secrets. Bytes that are what their digest says
//! always give an analysis, and it can be kept.
//!
//! The first byte says how the rest is stored, so that mutations get behind checksums and compression.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use scanner::image::{LayerAnalysis, analyze_layer};
use tidewaiter_fuzz::budget::ENGINE;
use tidewaiter_fuzz::layers::{descriptor, gzip, tar_of_lines, with_checksums};

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let stored = match how {
        b'c' => with_checksums(rest),
        b'g' => gzip(&with_checksums(rest)),
        b'z' => zstd::encode_all(&with_checksums(rest)[..], 1).expect("memory takes everything"),
        b'l' => tar_of_lines(rest),
        _ => rest.to_vec(),
    };
    let descriptor = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &stored);
    let analysis = analyze_layer(Box::new(Cursor::new(stored)), &descriptor, &ENGINE);
    let analysis = analysis.expect("the bytes are what their digest says");
    let kept = analysis.encode().expect("memory takes everything");
    assert_eq!(LayerAnalysis::decode(&kept).as_ref(), Some(&analysis));
});
