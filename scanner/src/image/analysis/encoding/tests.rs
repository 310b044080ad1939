use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use shared::model::functions::{FunctionHash, FunctionSet};
use shared::model::package::{Package, SourcePackage};
use shared::model::problem::Problem;
use shared::model::report::{Distribution, Revision};

use super::*;
use crate::analyzers::{Account, Checksum, Found, FoundObservation, FoundPackage, OwnedFile, OwnedFiles};
use crate::image::analysis::{
    Checksums, Compression, FileSums, LayerObservation, Reading, TablePlace, WantedLink,
};
use crate::image::analysis::{Entry, EntryKind, EntryTable, Evidence as FileEvidence};
use crate::image::entries::EntryWriter;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9./-]{0,12}", "\\PC{0,6}"]
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

fn package() -> impl Strategy<Value = Package> {
    let source =
        option::of((text(), some_text()).prop_map(|(name, version)| SourcePackage { name, version }));
    let evidence = prop::sample::select(&[Evidence::Installed, Evidence::Claimed, Evidence::Recognised]);
    let names = (some_text(), text(), text(), some_text());
    let more = (source, some_text(), some_text(), vec(text(), 0..3), evidence);
    (prop::sample::select(PackageKind::ALL), names, more).prop_map(
        |(kind, (namespace, name, version, architecture), (source, vendor, module, licenses, evidence))| {
            Package {
                namespace,
                architecture,
                source,
                vendor,
                module,
                licenses,
                ..Package::new(kind, name, version, evidence)
            }
        },
    )
}

fn problem() -> impl Strategy<Value = Problem> {
    let parts = (prop::sample::select(ProblemKind::ALL), text(), some_text(), option::of(any::<u8>()));
    parts.prop_map(|(kind, detail, path, layer)| {
        let problem = Problem::new(kind, detail);
        let problem = path.into_iter().fold(problem, Problem::at);
        layer.iter().fold(problem, |problem, layer| problem.in_layer(&Digest::of(&[*layer])))
    })
}

fn observation() -> impl Strategy<Value = FoundObservation> {
    let kind = prop::sample::select(&ObservationKind::ALL);
    let severity = prop::sample::select(&[Severity::Unknown, Severity::Medium, Severity::Critical]);
    let more = (some_text(), option::of(any::<u32>()), some_text(), some_text(), vec(text(), 0..2));
    (text(), kind, severity, text(), text(), more).prop_map(
        |(rule, kind, severity, title, remediation, (inner_path, line, masked, fingerprint, controls))| {
            FoundObservation {
                rule,
                kind,
                severity,
                title,
                remediation,
                inner_path,
                line,
                masked,
                fingerprint,
                controls,
            }
        },
    )
}

fn checksum() -> impl Strategy<Value = Checksum> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(Checksum::Md5),
        any::<[u8; 20]>().prop_map(Checksum::Sha1),
        any::<[u8; 32]>().prop_map(Checksum::Sha256),
    ]
}

fn owned() -> impl Strategy<Value = OwnedFiles> {
    let file = (text(), option::of(checksum())).prop_map(|(path, checksum)| OwnedFile { path, checksum });
    (text(), some_text(), vec(file, 0..3)).prop_map(|(package, architecture, files)| OwnedFiles {
        package,
        architecture,
        files,
    })
}

fn distribution() -> impl Strategy<Value = Distribution> {
    (text(), text(), some_text(), vec(text(), 0..2), text())
        .prop_map(|(id, version, codename, like, name)| Distribution { id, version, codename, like, name })
}

fn functions() -> impl Strategy<Value = FunctionSet> {
    let hash = text().prop_map(|name| FunctionHash::of_package(name.as_bytes()));
    vec(hash, 0..4).prop_map(|hashes| FunctionSet::new(hashes).unwrap())
}

fn found() -> impl Strategy<Value = Found> {
    let packages =
        (package(), some_text()).prop_map(|(package, inner_path)| FoundPackage { package, inner_path });
    (
        vec(packages, 0..4),
        vec(owned(), 0..3),
        option::of(distribution()),
        (vec(text(), 0..2), some_text()),
        option::of(functions()),
        vec((text(), any::<u32>()).prop_map(|(name, uid)| Account { name, uid }), 0..2),
        vec(observation(), 0..2),
        vec(problem(), 0..2),
    )
        .prop_map(
            |(
                packages,
                owned,
                distribution,
                (repositories, log_of),
                functions,
                accounts,
                observations,
                problems,
            )| Found {
                packages,
                owned,
                distribution,
                repositories,
                log_of,
                functions,
                accounts,
                observations,
                problems,
            },
        )
}

fn evidence() -> impl Strategy<Value = FileEvidence> {
    let reading = (text(), found()).prop_map(|(analyzer, found)| Reading { analyzer, found });
    let checksums = option::of(vec(any::<u8>(), 0..4).prop_map(|content| Checksums::of(&content)));
    (any::<u32>(), some_text(), vec(reading, 0..3), checksums, vec(problem(), 0..2)).prop_map(
        |(entry, read_as, readings, checksums, problems)| FileEvidence {
            entry,
            read_as,
            readings,
            checksums,
            problems,
        },
    )
}

fn table() -> impl Strategy<Value = EntryTable> {
    let bytes = || vec(any::<u8>(), 1..10);
    let kind = prop_oneof![
        any::<u64>().prop_map(|size| EntryKind::File { size }),
        bytes().prop_map(|target| EntryKind::Symlink { target }),
        bytes().prop_map(|target| EntryKind::Hardlink { target }),
        Just(EntryKind::Directory),
        Just(EntryKind::Whiteout),
    ];
    vec((bytes(), kind, any::<(u32, u32, bool)>()), 0..8).prop_map(|entries| {
        let mut writer = EntryWriter::default();
        for (path, kind, (mode, owner, capability)) in entries {
            writer.push(&Entry { path, kind, mode, uid: owner, gid: owner, capability }).unwrap();
        }
        writer.finish().unwrap()
    })
}

prop_compose! {
    fn analysis()(
        (layer, revision, diff_id) in (any::<u8>(), text(), option::of(any::<u8>())),
        compression in prop::sample::select(&[
            Compression::Plain, Compression::Gzip, Compression::Zstd, Compression::Bzip2, Compression::Xz,
        ]),
        (size_bytes, inflated_bytes) in any::<(u64, u64)>(),
        (entries, removals) in (table(), table()),
        evidence in vec(evidence(), 0..3),
        links in vec((any::<u32>(), vec(text(), 0..3)), 0..3),
        nested_databases in vec(any::<u32>(), 0..3),
        observations in vec((any::<u32>(), observation()), 0..3),
        sums in vec(any::<(u32, [u8; 2])>(), 0..3),
        tables in vec(any::<(u64, u64)>(), 0..3),
        problems in vec(problem(), 0..3),
    ) -> LayerAnalysis {
        LayerAnalysis {
            layer: Digest::of(&[layer]),
            analyzer: Revision::new(revision),
            compression,
            diff_id: diff_id.map(|byte| Digest::of(&[byte])),
            size_bytes,
            inflated_bytes,
            entries,
            removals,
            evidence,
            links: links.into_iter().map(|(entry, analyzers)| WantedLink { entry, analyzers }).collect(),
            nested_databases,
            observations: observations
                .into_iter()
                .map(|(entry, found)| LayerObservation { entry, found })
                .collect(),
            sums: sums
                .into_iter()
                .map(|(entry, content)| FileSums { entry, checksums: Checksums::of(&content) })
                .collect(),
            tables: tables.into_iter().map(|(at, length)| TablePlace { at, length }).collect(),
            problems,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_analysis_is_read_back_as_it_was_written(analysis in analysis()) {
        let bytes = analysis.encode().unwrap();
        prop_assert_eq!(LayerAnalysis::decode(&bytes), Some(analysis));
    }

    #[test]
    fn i6_damaged_bytes_are_no_analysis(
        analysis in analysis(), at in any::<prop::sample::Index>(), flip in 1_u8.., cut in any::<prop::sample::Index>(),
    ) {
        let bytes = analysis.encode().unwrap();
        let mut damaged = bytes.clone();
        let at = at.index(bytes.len());
        damaged[at] ^= flip;
        // A bit of the frame's header says nothing; then what is read is what was written.
        let read = LayerAnalysis::decode(&damaged);
        prop_assert!(read.is_none() || read.as_ref() == Some(&analysis));
        prop_assert_eq!(LayerAnalysis::decode(&bytes[..cut.index(bytes.len())]), None);
    }

    #[test]
    fn i7_any_bytes_may_stand_in_the_store(bytes in vec(any::<u8>(), 0..200), plain in vec(any::<u8>(), 0..200)) {
        LayerAnalysis::decode(&bytes);
        let packed = zstd::encode_all(&plain[..], 1).unwrap();
        LayerAnalysis::decode(&[&[VERSION][..], &WORDS[..], &packed].concat());
    }
}

#[test]
fn i6_another_version_or_vocabulary_is_not_read() {
    let reader = Box::new(io::Cursor::new(vec![0; 1024]));
    let descriptor = crate::image::built::descriptor(crate::image::built::TAR, &[0; 1024]);
    let analysis = crate::image::analyze_layer(reader, &descriptor, &crate::image::built::engine()).unwrap();
    let bytes = analysis.encode().unwrap();
    assert_eq!(LayerAnalysis::decode(&bytes), Some(analysis));
    for at in 0..9 {
        let mut other = bytes.clone();
        other[at] = other[at].wrapping_add(1);
        assert_eq!(LayerAnalysis::decode(&other), None, "byte {at}");
    }
}

#[test]
fn i7_a_bomb_in_the_store_is_not_inflated() {
    let mut encoder = zstd::Encoder::new([&[VERSION][..], &WORDS[..]].concat(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..=(LARGEST >> 20) {
        encoder.write_all(&zeros).unwrap();
    }
    assert_eq!(LayerAnalysis::decode(&encoder.finish().unwrap()), None);
}
