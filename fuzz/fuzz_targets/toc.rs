//! A layer with a table of contents for lazy runtimes (eStargz): whatever the table says, the layer has an analysis, and
//! a table that shows another file than the tar never goes unnoticed.
//!
//! The input is the table; the tar around it and the footer are in order.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use scanner::image::analyze_layer;
use shared::model::problem::ProblemKind;
use tidewaiter_fuzz::budget::ENGINE;
use tidewaiter_fuzz::layers::{descriptor, gzip, tar_of_lines};

/// The one file of the tar.
const FILE: &[u8] = b"etc/motd\thello\n";

fuzz_target!(|table: &[u8]| {
    let mut stored = gzip(&without_end(&tar_of_lines(FILE)));
    let offset = stored.len();
    let mut member = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(table.len() as u64);
    header.set_mode(0o444);
    member.append_data(&mut header, "stargz.index.json", table).expect("a vector takes everything");
    stored.extend(gzip(&member.into_inner().expect("a vector takes everything")));
    stored.extend(footer(offset));
    let descriptor = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &stored);
    let analysis = analyze_layer(Box::new(Cursor::new(stored)), &descriptor, &ENGINE);
    let analysis = analysis.expect("the bytes are what their digest says");
    let differs = analysis.problems.iter().any(|problem| problem.kind == ProblemKind::LazyTocMismatch);
    let names_the_file = table.windows(8).any(|window| window == b"etc/motd");
    // JSON may spell the name with escapes.
    assert!(differs || names_the_file || table.contains(&b'\\'), "the table hides the only file");
});

/// The tar without the two blocks that end it.
fn without_end(tar: &[u8]) -> Vec<u8> {
    tar[..tar.len() - 1024].to_vec()
}

/// An empty gzip member whose extra field says where the table begins: stargz-snapshotter, "eStargz Footer".
fn footer(offset: usize) -> Vec<u8> {
    let mut footer = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0];
    footer.extend(format!("{offset:016x}STARGZ").bytes());
    footer.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    footer
}
