//! zstd:chunked layers as skopeo writes them, and as others would.

use std::io::Cursor;
use std::sync::Arc;

use serde_json::{Value, json};
use shared::model::digest::Digest;
use shared::model::document::MANIFEST_TYPES;
use shared::model::observation::ObservationKind;
use shared::model::problem::ProblemKind;
use shared::model::report::Severity;

use super::*;
use crate::image::analysis::LayerAnalysis;
use crate::image::analyze_layer;
use crate::image::built::*;
use crate::image::examine::Examination;

/// Written by skopeo; the table is where its manifest says.
const REAL: &[u8] = include_bytes!("../../../../fixtures/layers/zstd-chunked.tar.zst");
const REAL_PLACE: TablePlace = TablePlace { at: 563, length: 439 };
const REAL_POSITION: &str = "563:439:1799:1";
const MISMATCH: [ProblemKind; 1] = [ProblemKind::LazyTocMismatch];
const TAR_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

fn analyze(bytes: &[u8]) -> LayerAnalysis {
    let descriptor = descriptor(TAR_ZSTD, bytes);
    analyze_layer(Box::new(Cursor::new(bytes.to_vec())), &descriptor, &engine()).unwrap()
}

fn kinds(bytes: &[u8]) -> Vec<ProblemKind> {
    analyze(bytes).problems.iter().map(|problem| problem.kind).collect()
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[0x50, 0x2a, 0x4d, 0x18], &length[..], payload].concat()
}

fn footer_for(place: TablePlace) -> Vec<u8> {
    let mut payload = Vec::new();
    for number in [place.at, place.length, 9999, 1, 0, 0, 0] {
        payload.extend(u64::to_le_bytes(number));
    }
    payload.extend(b"GNUlInUx");
    frame(&payload)
}

/// The real layer's files, with another table.
fn with_table(change: impl FnOnce(&mut Vec<Value>)) -> (Vec<u8>, TablePlace) {
    let end = usize::try_from(REAL_PLACE.at).unwrap();
    let length = usize::try_from(REAL_PLACE.length).unwrap();
    let table = zstd::decode_all(&REAL[end..end + length]).unwrap();
    let mut table: Value = serde_json::from_slice(&table).unwrap();
    change(table["entries"].as_array_mut().unwrap());
    let table = zstd::encode_all(&serde_json::to_vec(&table).unwrap()[..], 0).unwrap();
    let mut bytes = REAL[..end - HEADER].to_vec();
    let place = TablePlace { at: REAL_PLACE.at, length: table.len() as u64 };
    bytes.extend(frame(&table));
    (bytes, place)
}

#[test]
fn a_layer_that_skopeo_wrote_has_one_view() {
    let analysis = analyze(REAL);
    assert_eq!(analysis.problems, []);
    assert_eq!(analysis.tables, [REAL_PLACE]);
    let (again, place) = with_table(|_| {});
    let tar_split = frame(&zstd::encode_all(&b"{\"type\":2,\"payload\":\"\"}\n"[..], 0).unwrap());
    let analysis = analyze(&[again, tar_split, footer_for(place)].concat());
    assert_eq!((analysis.problems, analysis.tables), (vec![], vec![place]));
}

#[test]
fn i4_a_table_that_hides_alters_or_invents_is_told() {
    type Change = fn(&mut Vec<Value>);
    let changes: [(&str, Change); 4] = [
        ("hidden", |rows| rows.retain(|row| row["name"] != "etc/os-release")),
        ("altered", |rows| rows[1]["digest"] = json!(Digest::of(b"another").to_string())),
        ("invented", |rows| rows.push(json!({"name": "bin/x", "type": "dir"}))),
        ("retargeted", |rows| {
            let link = rows.iter_mut().find(|row| row["type"] == "symlink").unwrap();
            link["linkName"] = json!("usr/lib64");
        }),
    ];
    for (what, change) in changes {
        let (bytes, place) = with_table(change);
        let analysis = analyze(&[bytes, footer_for(place)].concat());
        assert_eq!(analysis.tables, [], "{what}");
        let found: Vec<_> = analysis.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(found, MISMATCH, "{what}");
    }
    let (bytes, _) = with_table(Vec::clear);
    assert_eq!(kinds(&bytes), [], "nothing leads there");
}

/// The image with this layer and these annotations on it.
fn examined(bytes: &[u8], position: Option<&str>) -> Examination {
    let mut source = MemorySource::default();
    let image = Image::default().layer(TAR_ZSTD, bytes.to_vec());
    let (manifest, _) = image.into_source(&mut source);
    let Some(position) = position else {
        return examine(&engine(), source, &manifest.digest).unwrap();
    };
    let mut document = source.document_held(&manifest.digest);
    document["layers"][0]["annotations"] = json!({ POSITION[1]: position });
    let manifest = source.hold_document(MANIFEST_TYPES[0], &document);
    examine_shared(&engine(), &Arc::new(source), &manifest.digest).unwrap()
}

fn misled(examination: &Examination) -> Vec<ProblemKind> {
    let kinds = examination.problems.iter().map(|problem| problem.kind);
    kinds.filter(|kind| MISMATCH.contains(kind)).collect()
}

#[test]
fn i4_a_manifest_that_leads_to_another_table_is_told() {
    for position in [None, Some(REAL_POSITION)] {
        assert_eq!(misled(&examined(REAL, position)), [], "{position:?}");
    }
    let (hiding, place) = with_table(|rows| rows.truncate(1));
    let hidden = format!("{}:{}:1799:1", place.at, place.length);
    for (bytes, position) in [
        (&hiding[..], &hidden[..]),
        (REAL, "564:439:1799:1"),
        (REAL, "563:440:1799:1"),
        (REAL, "0:9:9:1"),
        (REAL, "?"),
        (REAL, ""),
    ] {
        let examination = examined(bytes, Some(position));
        assert_eq!(misled(&examination), MISMATCH, "{position}");
        let mut observations = examination.observations.iter();
        let observation =
            observations.find(|observation| observation.kind == ObservationKind::Evasion).unwrap();
        assert_eq!(observation.rule, "TW-IMG-TOC");
        assert_eq!(observation.severity, Severity::Critical);
        assert_eq!(observation.place.layer.map(|layer| layer.0), Some(0));
    }
}

#[test]
fn i7_frames_that_end_early_or_hold_anything_harm_nobody() {
    let tar = zstd::encode_all(&tarball(&[file("a", "b")])[..], 0).unwrap();
    for cut in [&frame(b"abc")[..6], &frame(b"abc")[..10]] {
        assert_eq!(kinds(&[&tar, cut].concat()), [ProblemKind::LayerMalformed]);
    }
    for payload in [&b""[..], b"abc", &zstd::encode_all(&b"{}"[..], 0).unwrap(), &tar] {
        assert_eq!(kinds(&[&tar[..], &frame(payload)].concat()), []);
        assert_eq!(kinds(&[&frame(payload), &tar[..]].concat()), []);
    }
    let many: Vec<u8> = (0..2 * MOST)
        .flat_map(|_| with_table(|_| {}).0[REAL_PLACE.at as usize - HEADER..].to_vec())
        .collect();
    assert_eq!(analyze(&[REAL, &many].concat()).tables.len(), MOST);
}
