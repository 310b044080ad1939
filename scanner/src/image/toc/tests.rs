//! eStargz layers as honest builders write them, and as others do.

use std::io::Cursor;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use shared::model::problem::ProblemKind;

use super::*;
use crate::image::analysis::LayerAnalysis;
use crate::image::analyze_layer;
use crate::image::built::*;

/// Bytes of the two blocks that end a tar.
const END: usize = 1024;
const STATUS: &str = "var/lib/dpkg/status";

fn rows(puts: &[Put]) -> Vec<Value> {
    let row = |put: &Put| match put {
        Put::File(path, content) if content.is_empty() => json!({"name": path, "type": "reg"}),
        Put::File(path, content) => json!({
            "name": path, "type": "reg", "size": content.len(), "offset": 7,
            "digest": Digest::of(content), "chunkDigest": Digest::of(content),
        }),
        Put::Directory(path) => json!({"name": path, "type": "dir", "mode": 493, "NumLink": 0}),
        Put::Symlink(path, target) => json!({"name": path, "type": "symlink", "linkName": target}),
        Put::Hardlink(path, target) => json!({"name": path, "type": "hardlink", "linkName": target}),
    };
    puts.iter().map(row).collect()
}

/// Every entry in members of its own, then the table, then the end of the tar; gives the table's place.
fn body(puts: &[Put], table: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    for put in puts {
        let tar = tarball(std::slice::from_ref(put));
        let (header, content) = tar[..tar.len() - END].split_at(512);
        bytes.extend(gzip(header));
        if !content.is_empty() {
            bytes.extend(gzip(content));
        }
    }
    let at = bytes.len();
    bytes.extend(gzip(&tarball(&[file("stargz.index.json", table)])));
    (bytes, at)
}

fn footer(at: usize) -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
    let end = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    [&head[..], b"\x1a\0SG\x16\0", format!("{at:016x}STARGZ").as_bytes(), &end].concat()
}

fn legacy_footer(at: usize) -> Vec<u8> {
    let footer = footer(at);
    [&footer[..10], b"\x16\0", &footer[16..]].concat()
}

fn external_footer() -> Vec<u8> {
    let footer = footer(0);
    [&footer[..10], b"\x15\0SG\x11\0STARGZEXTERNALTOC", &footer[38..]].concat()
}

fn table(rows: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"version": 1, "entries": rows})).unwrap()
}

fn layer(puts: &[Put], rows: &[Value]) -> Vec<u8> {
    let (mut bytes, at) = body(puts, &table(rows));
    bytes.extend(footer(at));
    bytes
}

fn analyze(bytes: &[u8]) -> LayerAnalysis {
    let descriptor = descriptor(TAR_GZIP, bytes);
    analyze_layer(Box::new(Cursor::new(bytes.to_vec())), &descriptor, &engine()).unwrap()
}

fn kinds(bytes: &[u8]) -> Vec<ProblemKind> {
    analyze(bytes).problems.iter().map(|problem| problem.kind).collect()
}

const MISMATCH: [ProblemKind; 1] = [ProblemKind::LazyTocMismatch];

fn image() -> Vec<Put> {
    vec![
        directory("var/lib/"),
        file(STATUS, "bash 5"),
        file(".prefetch.landmark", "\x0f"),
        file("./etc/empty", ""),
        symlink("lib", "usr/lib"),
        hardlink("status", STATUS),
        file(".wh.gone", ""),
        file("opt/data", vec![7; 100_000]),
    ]
}

#[test]
fn an_honest_layer_has_one_view() {
    let puts = image();
    let (bytes, at) = body(&puts, &table(&rows(&puts)));
    for footer in [footer(at), legacy_footer(at)] {
        assert_eq!(kinds(&[&bytes[..], &footer].concat()), []);
    }
    let without_landmark: Vec<Value> = rows(&puts).into_iter().filter(|row| row["size"] != 1).collect();
    assert_eq!(kinds(&layer(&puts, &without_landmark)), []);
}

#[test]
fn i4_a_table_that_hides_alters_or_invents_is_told() {
    let puts = image();
    let changed = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut rows = rows(&puts);
        change(&mut rows);
        layer(&puts, &rows)
    };
    let other = Digest::of(b"zsh 99").to_string();
    let cases: [(&str, Vec<u8>); 8] = [
        ("hidden", changed(&|rows| drop(rows.remove(1)))),
        (
            "another content",
            changed(&|rows| {
                rows[1]["digest"] = json!(other);
                rows[1]["chunkDigest"] = json!(other);
            }),
        ),
        ("another chunk", changed(&|rows| rows[1]["chunkDigest"] = json!(other))),
        ("another size", changed(&|rows| rows[1]["size"] = json!(7))),
        ("another type", changed(&|rows| rows[0]["type"] = json!("fifo"))),
        ("another target", changed(&|rows| rows[4]["linkName"] = json!("usr/lib64"))),
        ("invented", changed(&|rows| rows.push(json!({"name": "bin/x", "type": "dir"})))),
        ("spelt for runtimes only", changed(&|rows| rows[1]["NAME"] = json!("elsewhere"))),
    ];
    for (what, bytes) in cases {
        let analysis = analyze(&bytes);
        let found: Vec<_> = analysis.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(found, MISMATCH, "{what}");
    }
}

#[test]
fn i4_a_footer_that_leads_to_other_bytes_is_told() {
    let puts = image();
    let (bytes, at) = body(&puts, &table(&rows(&puts)));
    for place in [0, at - 1, at + 1] {
        assert_eq!(kinds(&[&bytes[..], &footer(place)].concat()), MISMATCH, "{place}");
    }
    // A second table behind the first: runtimes read the one that the footer names.
    let (again, second) = body(&[file("x", "y")], &table(&[]));
    assert_ne!(kinds(&[&bytes[..], &again, &footer(bytes.len() + second)].concat()), []);
    let (broken, at) = body(&puts, b"{\"version\": 1, \"entries\": [");
    assert_eq!(kinds(&[&broken[..], &footer(at)].concat()), MISMATCH);
}

#[test]
fn what_no_runtime_reads_lazily_is_a_tar_and_nothing_else() {
    let puts = image();
    let (bytes, _) = body(&puts, &table(&[]));
    assert_eq!(kinds(&bytes), [], "no footer");
    assert_eq!(kinds(&[&bytes[..], &footer(1 << 40)].concat()), [], "beyond the layer");
    assert_eq!(kinds(&[&bytes[..], &external_footer()].concat()), [], "the table is elsewhere");
}

proptest! {
    #[test]
    fn i7_any_table_and_any_tail_are_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let _ = read(&bytes[..]);
        let _ = toc_offset(&bytes);
        let mut table = table(&rows(&image()));
        let at = at.index(table.len());
        table[at] = byte;
        let _ = read(&table[..]);
        let mut footer = footer(77);
        let at = at % footer.len();
        footer[at] = byte;
        let _ = toc_offset(&footer);
    }
}
