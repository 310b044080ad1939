//! What one pass over one layer keeps, and what it says about damaged and hostile ones.

use std::io::Cursor;
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::image::built::*;
use crate::image::{Engine, analyze_layer};
use crate::limits::Limits;

fn analyze_as(media_type: &str, bytes: &[u8]) -> LayerAnalysis {
    let descriptor = descriptor(media_type, bytes);
    analyze_layer(Box::new(Cursor::new(bytes.to_vec())), &descriptor, &engine()).unwrap()
}

fn analyze(puts: &[Put]) -> LayerAnalysis {
    analyze_as(TAR, &tarball(puts))
}

fn kinds(analysis: &LayerAnalysis) -> Vec<ProblemKind> {
    analysis.problems.iter().map(|problem| problem.kind).collect()
}

/// `path: analyzer name version …` for every file that was read.
fn evidence(analysis: &LayerAnalysis) -> Vec<String> {
    let entries: Vec<Entry> = analysis.entries.iter().map(Result::unwrap).collect();
    let of = |evidence: &Evidence| {
        let path = String::from_utf8_lossy(&entries[evidence.entry as usize].path).into_owned();
        let readings = evidence.readings.iter().map(|reading| {
            let packages = reading.found.packages.iter();
            let packages = packages.map(|found| format!(" {} {}", found.package.name, found.package.version));
            format!("{}{}", reading.analyzer, packages.collect::<String>())
        });
        format!("{path}: {}", readings.collect::<Vec<_>>().join(", "))
    };
    analysis.evidence.iter().map(of).collect()
}

fn paths(table: &crate::image::analysis::EntryTable) -> Vec<String> {
    let entries = table.iter().map(Result::unwrap);
    entries.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

#[test]
fn the_analysis_holds_every_entry_and_all_findings() {
    let puts = [
        directory("./"),
        file("./var/lib/dpkg/status", "libc6 2.36\nbash 5"),
        file("opt//app.jar", "log4j 2.14"),
        file("plain", "nobody cares"),
        file("usr/bin/tool", "\x7fELFgo 1.22"),
        symlink("a", "b"),
        hardlink("usr/lib/x.jar", "./opt/app.jar"),
    ];
    let plain = tarball(&puts);
    let bytes = gzip(&plain);
    let analysis = analyze_as(TAR_GZIP, &bytes);
    assert_eq!(
        paths(&analysis.entries),
        ["var/lib/dpkg/status", "opt/app.jar", "plain", "usr/bin/tool", "a", "usr/lib/x.jar"]
    );
    assert_eq!(
        evidence(&analysis),
        [
            "var/lib/dpkg/status: database libc6 2.36 bash 5",
            "opt/app.jar: jar log4j 2.14",
            "usr/bin/tool: binary go 1.22",
        ]
    );
    assert_eq!(analysis.links.len(), 1);
    assert_eq!(analysis.diff_id, Some(Digest::of(&plain)));
    assert_eq!((analysis.size_bytes, analysis.inflated_bytes), (bytes.len() as u64, plain.len() as u64));
    assert_eq!(analysis.problems, []);
    assert!(analysis.evidence[0].checksums.is_none() && analysis.evidence[1].checksums.is_some());
}

#[test]
fn i6_an_analysis_survives_being_stored() {
    let analysis = analyze(&[file("a.jar", "x 1"), file("d/.wh.y", ""), hardlink("b.jar", "a.jar")]);
    let bytes = postcard::to_allocvec(&analysis).unwrap();
    assert_eq!(postcard::from_bytes::<LayerAnalysis>(&bytes).unwrap(), analysis);
    let json = serde_json::to_vec(&analysis).unwrap();
    assert_eq!(serde_json::from_slice::<LayerAnalysis>(&json).unwrap(), analysis);
}

#[test]
fn i6_the_revision_changes_with_the_limits() {
    let other = engine_within(Limits { text_bytes: 1, ..Limits::default() });
    assert_ne!(engine().revision(), other.revision());
    assert_eq!(analyze(&[]).analyzer, engine().revision());
}

#[test]
fn whiteouts_are_kept_apart_from_entries() {
    let analysis = analyze(&[
        file("a/.wh.b", ""),
        file(".wh.c", ""),
        file("d/.wh..wh..opq", ""),
        file(".wh..wh.plnk/1.2", ""),
        file("e/.wh..wh.aufs", ""),
        file("f", ""),
    ]);
    assert_eq!(paths(&analysis.entries), ["f"]);
    assert_eq!(paths(&analysis.removals), ["a/b", "c", "d"]);
    assert_eq!(analysis.problems, []);
    for nameless in ["a/.wh.", ".wh..", ".wh..."] {
        let analysis = analyze(&[file(nameless, "")]);
        assert_eq!(kinds(&analysis), [ProblemKind::LayerMalformed], "{nameless}");
        assert!(analysis.removals.is_empty());
    }
}

#[test]
fn paths_outside_the_root_are_ignored_and_reported() {
    let analysis = analyze(&[file("../../etc/passwd", ""), hardlink("a.jar", "../x"), file("b", "")]);
    assert_eq!(paths(&analysis.entries), ["b"]);
    assert_eq!(kinds(&analysis), [ProblemKind::PathTraversal; 2]);
}

#[test]
fn names_that_are_not_utf8_stay_bytes() {
    let mut bytes = tarball(&[file("aXb.jar", "x 1")]);
    let mut header = ::tar::Header::from_byte_slice(&bytes[..512]).clone();
    header.as_old_mut().name[1] = 0xff;
    header.set_cksum();
    bytes[..512].copy_from_slice(header.as_bytes());
    let analysis = analyze_as(TAR, &bytes);
    assert_eq!(analysis.entries.iter().next().unwrap().unwrap().path, b"a\xffb.jar");
    assert_eq!(evidence(&analysis), ["a\u{fffd}b.jar: jar x 1"]);
}

#[test]
fn the_merged_spelling_of_a_database_is_read_under_the_known_one() {
    let analysis = analyze(&[file("usr/lib/apk/db/installed", "musl 1")]);
    assert_eq!(evidence(&analysis), ["usr/lib/apk/db/installed: database musl 1"]);
    let nested = analyze(&[file("rootfs/lib/apk/db/installed", "musl 1")]);
    assert_eq!(evidence(&nested), ["rootfs/lib/apk/db/installed: database musl 1"]);
    assert_eq!(nested.nested_databases, [0]);
}

#[test]
fn i4_a_file_over_its_limit_is_a_problem_not_a_silence() {
    let engine = engine_within(Limits { database_bytes: 10, ..Limits::default() });
    let bytes = tarball(&[file("var/lib/dpkg/status", "bash 5.2.15-2+b7"), file("a.jar", "x 1")]);
    let analysis =
        analyze_layer(Box::new(Cursor::new(bytes.clone())), &descriptor(TAR, &bytes), &engine).unwrap();
    let problem = &analysis.evidence[0].problems[0];
    assert_eq!(problem.kind, ProblemKind::FileTooLarge);
    assert_eq!(problem.path.as_deref(), Some("var/lib/dpkg/status"));
    assert_eq!(problem.layer.as_ref(), Some(&Digest::of(&bytes)));
    assert_eq!(evidence(&analysis)[1], "a.jar: jar x 1");
}

#[test]
fn i4_more_in_an_archive_than_is_searched_for_secrets_is_said() {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..65 {
        packed.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    }
    let analysis = analyze(&[file("var/log/old.log.gz", packed.finish().unwrap())]);
    assert_eq!(kinds(&analysis), [ProblemKind::PartiallyScanned]);
    assert_eq!(analysis.problems[0].path.as_deref(), Some("var/log/old.log.gz"));
}

#[test]
fn i7_an_analyzer_that_panics_costs_its_file_and_nothing_else() {
    let analysis = analyze(&[file("panic.me", "!"), file("a.jar", "x 1")]);
    let problem = &analysis.evidence[0].readings[0].found.problems[0];
    assert_eq!(problem.kind, ProblemKind::AnalyzerFailed);
    assert_eq!(evidence(&analysis)[1], "a.jar: jar x 1");
}

#[test]
fn i4_what_is_wrong_with_a_layer_is_said_and_the_rest_is_kept() {
    let good = tarball(&[file("a.jar", "x 1"), file("b.jar", "y 1")]);
    let hidden = tarball(&[file("c.jar", "z 1")]);
    let truncated = good[..good.len() - 1024 - 600].to_vec();
    let squashed = [b"hsqs".to_vec(), vec![1; 2000]].concat();
    for (bytes, kind, files) in [
        ([good.clone(), hidden.clone()].concat(), ProblemKind::DataAfterTarEnd, 2),
        ([gzip(&good), b"x".to_vec()].concat(), ProblemKind::TrailingData, 2),
        ([gzip(&good), gzip(&hidden)].concat(), ProblemKind::DataAfterTarEnd, 2),
        (truncated.clone(), ProblemKind::LayerMalformed, 1),
        (gzip(&truncated), ProblemKind::LayerMalformed, 1),
        (gzip(&good)[..60].to_vec(), ProblemKind::LayerMalformed, 0),
        (squashed, ProblemKind::LayerMalformed, 0),
    ] {
        let analysis = analyze_as("application/octet-stream", &bytes);
        assert_eq!(kinds(&analysis), [kind]);
        assert!(analysis.evidence.len() >= files, "{kind}");
    }
}

#[test]
fn i5_bytes_that_are_not_what_the_descriptor_says_give_no_analysis() {
    let bytes = gzip(&tarball(&[file("a.jar", "x 1")]));
    let descriptor = descriptor(TAR_GZIP, &bytes);
    let mut flipped = bytes.clone();
    flipped[20] ^= 1;
    for wrong in [
        flipped,
        bytes[..bytes.len() - 1].to_vec(),
        [bytes.clone(), vec![0]].concat(),
        [bytes.clone(), vec![0; 1 << 20]].concat(),
        Vec::new(),
    ] {
        let result = analyze_layer(Box::new(Cursor::new(wrong)), &descriptor, &engine());
        assert!(matches!(result, Err(LayerError::DigestMismatch { .. })));
    }
}

#[test]
fn a_sha512_descriptor_is_verified() {
    use shared::model::digest::{Algorithm, Hasher};
    let bytes = tarball(&[file("a.jar", "x 1")]);
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(&bytes);
    let mut descriptor = descriptor(TAR, &bytes);
    descriptor.digest = hasher.finish();
    let analysis = analyze_layer(Box::new(Cursor::new(bytes.clone())), &descriptor, &engine()).unwrap();
    assert_eq!(analysis.diff_id, Some(Digest::of(&bytes)));
    descriptor.size -= 1;
    assert!(analyze_layer(Box::new(Cursor::new(bytes)), &descriptor, &engine()).is_err());
}

#[test]
fn i7_entries_and_time_are_bounded() {
    let puts: Vec<Put> = (0..50).map(|n| file(&format!("f{n}"), "")).collect();
    let bytes = tarball(&puts);
    let few = engine_within(Limits { layer_entries: 10, ..Limits::default() });
    let read = |engine| analyze_layer(Box::new(Cursor::new(bytes.clone())), &descriptor(TAR, &bytes), engine);
    let analysis = read(&few).unwrap();
    assert_eq!(kinds(&analysis), [ProblemKind::LimitExceeded]);
    assert_eq!(analysis.entries.len(), 10);
    let hurried = engine_within(Limits { layer_time: std::time::Duration::ZERO, ..Limits::default() });
    assert!(matches!(read(&hurried), Err(LayerError::TimedOut { .. })));
}

#[test]
fn large_files_are_read_whole_through_every_buffer() {
    let content = "name-of-a-package 1.2.3\n".repeat(60_000);
    let analysis = analyze_as(TAR_GZIP, &gzip(&tarball(&[file("big.jar", &content), file("b.jar", "x 1")])));
    assert_eq!(analysis.evidence[0].readings[0].found.packages.len(), 60_000);
    assert_eq!(evidence(&analysis)[1], "b.jar: jar x 1");
}

#[test]
fn i4_the_code_of_a_large_program_is_searched_although_it_is_not_kept() {
    let mut code = vec![0x90; 3 << 20];
    let token = format!("\0gl{}{}\0", "pat-", "xK3v9QmT7bRw2ZpL5hNd");
    code[2 << 20..][..token.len()].copy_from_slice(token.as_bytes());
    let program = crate::analyzers::executable::sample::rust_program(&code);
    assert_eq!(crate::analyzers::executable::code::of(&program[..4096], program.len() as u64).len(), 1);
    let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
    // As a Debian package may bring it, and as only an administrator does.
    for path in ["usr/bin/tool", "usr/local/bin/tool"] {
        let bytes = tarball(&[file(path, &program), file("after", "x")]);
        let read = analyze_layer(Box::new(Cursor::new(bytes.clone())), &descriptor(TAR, &bytes), &engine);
        let analysis = read.unwrap();
        assert_eq!(evidence(&analysis).len(), 1, "{path}");
        assert!(evidence(&analysis)[0].contains("rust-program rust 1.91.0"), "{:?}", evidence(&analysis));
        assert_eq!(analysis.observations.len(), 1, "{path}: {:?}", analysis.observations);
        assert_eq!(paths(&analysis.entries), [path, "after"]);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        analyze_as(TAR, &bytes);
        analyze_as(TAR_GZIP, &gzip(&bytes));
    }
}

#[test]
fn of_a_file_of_any_size_the_beginning_can_be_read() {
    let mut model = include_bytes!("../../../fixtures/models/tiny.gguf").to_vec();
    model.resize(3 << 20, 0);
    let engine = Engine::new(Limits { binary_bytes: 10, ..Limits::default() }, NonZeroUsize::MIN);
    let bytes = tarball(&[file("blobs/sha256-1", &model), file("after", "x")]);
    let analysis =
        analyze_layer(Box::new(Cursor::new(bytes.clone())), &descriptor(TAR, &bytes), &engine).unwrap();
    assert_eq!(evidence(&analysis), ["blobs/sha256-1: models Tiny v1.1"]);
    assert_eq!(paths(&analysis.entries), ["blobs/sha256-1", "after"]);
}
