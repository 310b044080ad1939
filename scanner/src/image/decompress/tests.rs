//! Every compression, every way to end, and the same bytes through all of them.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use shared::model::digest::Digest;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::image::built::{descriptor, gzip};
use crate::image::engine::Silent;
use crate::image::stored::{Stored, Watch};
use crate::limits::Limits;

struct Decoded {
    bytes: Vec<u8>,
    error: Option<String>,
    digests: Digests,
}

fn start(stored: &[u8], limits: &Limits) -> Inflated {
    let descriptor = descriptor("", stored);
    let watch =
        Watch::start(&descriptor.digest, Duration::from_secs(60), CancellationToken::new(), Arc::new(Silent));
    let stored = Stored::new(Box::new(Cursor::new(stored.to_vec())), &descriptor, watch);
    let decoder = match Decoder::open(stored, limits) {
        Ok(decoder) => decoder,
        Err((halt, _)) => panic!("{halt}"),
    };
    Inflated::start(decoder).unwrap()
}

fn decode_within(stored: &[u8], limits: &Limits) -> Decoded {
    let mut inflated = start(stored, limits);
    let mut bytes = Vec::new();
    let error = inflated.read_to_end(&mut bytes).err();
    Decoded { bytes, error: error.map(|error| error.to_string()), digests: inflated.finish().unwrap() }
}

fn decode(stored: &[u8]) -> Decoded {
    decode_within(stored, &Limits::default())
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that no compression makes fewer, so that the layer is decoded on a thread of its own.
fn incompressible(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn what_is_decoded_beside_is_what_is_decoded_here() {
    let large = incompressible(3 << 20);
    let plain = decode(&large);
    assert!(plain.bytes == large && plain.digests.inflated == Some(Digest::of(&large)));
    for encode in [gzip, zstd, bzip2, xz] {
        let (whole, end) = (encode(&large), encode(b"the end"));
        let decoded = decode(&[&*whole, &end, b"more"].concat());
        let both = [&*large, b"the end"].concat();
        assert!(decoded.bytes == both && decoded.error.is_none());
        assert_eq!(decoded.digests.inflated, Some(Digest::of(&both)));
        assert!(decoded.digests.has_trailing_bytes);
        // What came before the damage is there, and the stored side is hashed to its end.
        let cut = &whole[..whole.len() - 100_000];
        let decoded = decode(cut);
        assert!(decoded.bytes.len() > 1 << 20 && large.starts_with(&decoded.bytes));
        assert!(decoded.error.is_some_and(|error| error.contains("ends too early")));
        assert_eq!((decoded.digests.stored, decoded.digests.inflated), (Digest::of(cut), None));
    }
}

#[test]
fn nobody_waits_for_a_decoder_that_is_not_read_to_its_end() {
    let stored = gzip(&incompressible(3 << 20));
    let mut inflated = start(&stored, &Limits::default());
    inflated.read_exact(&mut [0; 1000]).unwrap();
    assert_eq!(inflated.finish().unwrap().stored, Digest::of(&stored));
}

const SKIPPABLE: &[u8] = &[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];

#[test]
fn all_members_of_every_compression_are_decoded_and_both_sides_hashed() {
    let (one, two) = (vec![7_u8; 300_000], b"the second".to_vec());
    let both = [one.clone(), two.clone()].concat();
    for encode in [gzip, zstd, bzip2, xz] {
        let stored = [encode(&one), encode(b""), encode(&two)].concat();
        let decoded = decode(&stored);
        assert_eq!(decoded.error, None);
        assert!(decoded.bytes == both && !decoded.digests.has_trailing_bytes);
        assert_eq!(decoded.digests.stored, Digest::of(&stored));
        assert_eq!(decoded.digests.inflated, Some(Digest::of(&both)));
        assert_eq!(decoded.digests.inflated_bytes, both.len() as u64);
    }
    let framed =
        [SKIPPABLE.to_vec(), zstd(&one), SKIPPABLE.to_vec(), zstd(&two), SKIPPABLE.to_vec()].concat();
    assert!(decode(&framed).bytes == both);
    let plain = decode(&both);
    assert!(plain.bytes == both && plain.digests.inflated == Some(Digest::of(&both)));
    assert_eq!(decode(b"").digests.inflated, Some(Digest::of(b"")));
}

#[test]
fn gzip_headers_with_every_field_are_passed_over() {
    let mut encoder = flate2::GzBuilder::new()
        .filename("a name")
        .comment("a comment")
        .extra(vec![9; 300])
        .write(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"content").unwrap();
    let stored = encoder.finish().unwrap();
    assert_eq!(decode(&stored).bytes, b"content");
}

#[test]
fn zeros_after_the_last_member_are_legal_and_anything_else_is_seen() {
    for encode in [gzip, zstd, bzip2, xz] {
        let padded = [encode(b"content"), vec![0; 3000]].concat();
        let decoded = decode(&padded);
        assert_eq!((decoded.bytes.as_slice(), decoded.error), (&b"content"[..], None));
        assert!(!decoded.digests.has_trailing_bytes);
        assert_eq!(decoded.digests.stored, Digest::of(&padded));

        let trailed = [encode(b"content"), vec![0; 30], b"hidden".to_vec()].concat();
        let decoded = decode(&trailed);
        assert!(decoded.digests.has_trailing_bytes);
        assert_eq!(decoded.digests.stored, Digest::of(&trailed));
    }
}

#[test]
fn cut_and_damaged_streams_have_no_uncompressed_digest() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
    for encode in [gzip, zstd, bzip2, xz] {
        let whole = encode(&bytes);
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        for stored in [whole[..whole.len() - 1].to_vec(), whole[..middle].to_vec(), damaged] {
            let decoded = decode(&stored);
            // A format without a checksum may decode damage; a cut it must notice.
            if decoded.error.is_some() {
                assert_eq!(decoded.digests.inflated, None);
            } else {
                assert!(stored.len() == whole.len());
            }
            assert_eq!(decoded.digests.stored, Digest::of(&stored));
        }
    }
}

#[test]
fn i7_inflating_stops_at_the_limits() {
    let bomb = gzip(&vec![0; 4 << 20]);
    let limits = Limits { layer_bytes: 1 << 20, ..Limits::default() };
    let decoded = decode_within(&bomb, &limits);
    assert!(decoded.bytes.len() <= (1 << 20));
    assert!(decoded.error.unwrap().contains("the inflated size exceeds"));
    assert_eq!(decoded.digests.stored, Digest::of(&bomb));
}

#[test]
fn the_magic_decides() {
    for (start, compression) in [
        (&b"\x1f\x8b\x08"[..], Compression::Gzip),
        (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        (b"\x50\x2a\x4d\x18", Compression::Zstd),
        (b"BZh9", Compression::Bzip2),
        (b"\xfd7zXZ\0", Compression::Xz),
        (b"usr/", Compression::Plain),
        (b"", Compression::Plain),
    ] {
        assert_eq!(Compression::of(start), compression, "{start:x?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_behind_any_magic(magic in 0_usize..5, bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let magics: [&[u8]; 5] = [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\0", b"\x50\x2a\x4d\x18"];
        let stored = [magics[magic], &bytes].concat();
        let decoded = decode(&stored);
        prop_assert_eq!(decoded.digests.stored, Digest::of(&stored));
    }
}
