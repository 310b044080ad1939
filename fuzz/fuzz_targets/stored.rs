//! What lies in a queue, a store or a cache, whoever wrote it: decoded or refused, and what is decoded is written
//! and read again as the same.
//!
//! The first byte chooses the decoder.

#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scanner::image::{LayerAnalysis, analyze_layer};
use shared::fuzzing;
use shared::model::digest::Digest;
use shared::model::job::Job;
use tidewaiter_fuzz::budget::ENGINE;
use tidewaiter_fuzz::layers::descriptor;

/// How a kept analysis begins; what follows is a zstd frame.
static HEAD: LazyLock<[u8; 9]> = LazyLock::new(|| {
    let nothing = [0; 1024];
    let descriptor = descriptor("application/vnd.oci.image.layer.v1.tar", &nothing);
    let analysis = analyze_layer(Box::new(Cursor::new(nothing)), &descriptor, &ENGINE);
    let kept = analysis.expect("an empty tar").encode().expect("memory takes everything");
    kept[..9].try_into().expect("it is longer")
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    match choice {
        b'a' => analysis(rest),
        b'p' => {
            let packed = zstd::encode_all(rest, 1).expect("memory takes everything");
            analysis(&[&HEAD[..], &packed].concat());
        }
        b'j' => {
            if let Ok(job) = Job::from_json(rest) {
                assert_eq!(Job::from_json(&job.to_json()).expect("what is written can be read"), job);
            }
        }
        b'q' => fuzzing::queued(rest),
        _ => fuzzing::stored(&digest_in(rest), rest),
    }
});

fn analysis(bytes: &[u8]) {
    if let Some(analysis) = LayerAnalysis::decode(bytes) {
        let kept = analysis.encode().expect("memory takes everything");
        assert_eq!(LayerAnalysis::decode(&kept), Some(analysis));
    }
}

/// The first digest in a JSON text: what is stored about it is asked for under it.
fn digest_in(bytes: &[u8]) -> Digest {
    let text = String::from_utf8_lossy(bytes);
    let found = text.split('"').find_map(|word| word.parse().ok());
    found.unwrap_or_else(|| Digest::of(bytes))
}
