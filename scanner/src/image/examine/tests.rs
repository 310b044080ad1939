//! From digest to examination: what is an image, what goes wrong with it, and what may go better later.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use shared::model::document::{Descriptor, INDEX_TYPES, MANIFEST_TYPES};
use shared::model::report::Revision;

use super::*;
use crate::image::built::*;
use crate::image::engine::{LayerCache, Turn};
use crate::limits::Limits;

const ONE: &str = "pkg:maven/a@1 at a.jar from 0";

fn jar() -> Vec<u8> {
    tarball(&[file("a.jar", "a 1")])
}

/// An image of a good layer below and a spoilt one above.
fn spoilt(fault: Fault) -> (Result<Examination, ExamineError>, usize) {
    let mut source = MemorySource::default();
    let image = Image::of(&[&[file("a.jar", "a 1")], &[file("b.jar", "b 1")]]);
    let (manifest, layers) = image.into_source(&mut source);
    source.spoil(&layers[1].digest, fault);
    let source = Arc::new(source);
    let examined = examine_shared(&engine(), &source, &manifest.digest);
    (examined, source.deliveries.load(Ordering::SeqCst))
}

#[test]
fn i4_a_layer_that_cannot_be_had_costs_only_itself() {
    for (fault, kind) in [
        (Fault::Missing, ProblemKind::LayerMissing),
        (Fault::Flipped, ProblemKind::DigestMismatch),
        (Fault::OneByteLong, ProblemKind::DigestMismatch),
        (Fault::OneByteShort, ProblemKind::DigestMismatch),
    ] {
        let examination = spoilt(fault).0.unwrap();
        assert_eq!(packages(&examination), [ONE], "{fault:?}");
        assert_eq!(kinds(&examination), [kind], "{fault:?}");
        let layers = &inventory(&examination).layers;
        assert_eq!(examination.problems[0].layer.as_ref(), Some(&layers[1].digest));
        assert!(layers[0].diff_id.is_some() && layers[1].diff_id.is_none());
    }
}

#[test]
fn i5_wrong_bytes_are_fetched_once_more_and_only_once() {
    let (examination, deliveries) = spoilt(Fault::FlippedOnce);
    assert_eq!(packages(&examination.unwrap()).len(), 2);
    let (_, again) = spoilt(Fault::Flipped);
    // Config, two layers, and the wrong one again.
    assert!(deliveries <= 4 && again == 4, "{deliveries} {again}");
}

#[test]
fn i3_what_may_work_later_is_an_error_that_says_so() {
    for fault in [Fault::Unavailable, Fault::BreaksOff] {
        let error = spoilt(fault).0.unwrap_err();
        assert!(error.is_retryable(), "{fault:?} {error}");
    }
    let nothing = examine(&engine(), MemorySource::default(), &Digest::of(b"?"));
    assert!(matches!(nothing, Err(ExamineError::Missing { .. })));
    let mut source = MemorySource::default();
    source.spoil(&Digest::of(b"?"), Fault::Unavailable);
    let down = examine(&engine(), source, &Digest::of(b"?"));
    assert!(down.unwrap_err().is_retryable());
}

#[test]
fn i7_an_image_that_takes_too_long_ends_and_says_so() {
    let mut source = MemorySource::default();
    let image = Image::of(&[&[file("a.jar", "a 1")], &[file("b.jar", "b 1")]]);
    let (manifest, layers) = image.into_source(&mut source);
    source.spoil(&layers[1].digest, Fault::Hangs);
    let engine = engine_within(Limits { image_time: Duration::from_millis(300), ..Limits::default() });
    let examination = examine(&engine, source, &manifest.digest).unwrap();
    assert!(kinds(&examination).contains(&ProblemKind::LimitExceeded));
}

#[test]
fn encrypted_foreign_and_unknown_layers_are_told_apart() {
    let base = || Image::default().layer(TAR, jar());
    let examined = |media_type: &str, bytes: Vec<u8>| base().layer(media_type, bytes).examine();
    let encrypted = examined(&format!("{TAR_GZIP}+encrypted"), b"?".to_vec());
    assert_eq!(
        (packages(&encrypted), kinds(&encrypted)),
        (vec![ONE.to_owned()], vec![ProblemKind::EncryptedLayer])
    );

    let other = tarball(&[file("b.jar", "b 1")]);
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let held = examined(foreign, gzip(&other));
    assert_eq!((packages(&held).len(), kinds(&held)), (2, vec![]));
    let mut source = MemorySource::default();
    let (manifest, layers) = base().layer(foreign, gzip(&other)).into_source(&mut source);
    source.forget(&layers[1].digest);
    let absent = examine(&engine(), source, &manifest.digest).unwrap();
    assert_eq!(kinds(&absent), [ProblemKind::ForeignLayerNotScanned]);

    let invented = examined("application/vnd.invented", other);
    assert_eq!((packages(&invented).len(), kinds(&invented)), (2, vec![ProblemKind::UnknownLayerType]));
    let no_tar = examined("application/vnd.invented", b"{\"no\": \"tar\"}".to_vec());
    assert_eq!(kinds(&no_tar), [ProblemKind::UnknownLayerType]);
    let statement = examined("application/vnd.in-toto+json", b"{}".to_vec());
    assert_eq!(kinds(&statement), [ProblemKind::UnknownLayerType]);
}

#[test]
fn the_label_does_not_decide_and_a_wrong_one_is_noted_in_its_own_image_only() {
    let plain = jar();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    let engine = engine().with_cache(Arc::new(Shelf::default()));
    for (media_type, bytes, is_noted) in [
        (TAR, &gzip(&plain), true),
        (TAR_GZIP, &gzip(&plain), false),
        (TAR_GZIP, &plain, true),
        (TAR_GZIP, &zstd, true),
        ("application/vnd.oci.image.layer.v1.tar+zstd", &zstd, false),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", &zstd, false),
        ("application/vnd.docker.image.rootfs.diff.tar+zstd", &zstd, false),
        (TAR, &plain, false),
    ] {
        let mut source = MemorySource::default();
        let (manifest, _) = Image::default().layer(media_type, bytes.clone()).into_source(&mut source);
        let examination = examine(&engine, source, &manifest.digest).unwrap();
        assert_eq!(packages(&examination), [ONE], "{media_type}");
        let noted: &[ProblemKind] = if is_noted { &[ProblemKind::LayerMediatypeMismatch] } else { &[] };
        assert_eq!(kinds(&examination), noted, "{media_type}");
    }
}

#[test]
fn i5_a_config_that_lies_about_a_layer_is_found_out_on_warm_caches_too() {
    let image = || {
        let mut image = Image::default().layer(TAR, jar());
        image.diff_ids = Some(vec![Digest::of(b"another")]);
        image
    };
    let engine = engine().with_cache(Arc::new(Shelf::default()));
    for round in ["cold", "warm"] {
        let mut source = MemorySource::default();
        let (manifest, _) = image().into_source(&mut source);
        let examination = examine(&engine, source, &manifest.digest).unwrap();
        assert_eq!(kinds(&examination), [ProblemKind::DiffidMismatch], "{round}");
        assert_eq!(packages(&examination), [ONE]);
    }
}

#[test]
fn a_config_that_does_not_fit_the_manifest_is_malformed() {
    let mut short = Image::default().layer(TAR, jar());
    short.diff_ids = Some(Vec::new());
    let mut other = Image::default().layer(TAR, jar());
    other.config = json!({"rootfs": {"type": "blobs", "diff_ids": [Digest::of(&jar())]}});
    let mut broken = Image::default().layer(TAR, jar());
    broken.config = json!({"rootfs": 7});
    for image in [short, other, broken] {
        let examination = image.examine();
        assert_eq!(kinds(&examination), [ProblemKind::MalformedManifest]);
        assert_eq!(packages(&examination), [ONE], "the layers are searched all the same");
    }
}

#[test]
fn commands_are_given_to_layers_only_where_they_line_up() {
    let commands = |history: serde_json::Value| {
        let mut image = Image::default().layer(TAR, jar());
        image.config = json!({ "history": history });
        let examination = image.examine();
        let layers = &inventory(&examination).layers;
        (layers[0].created_by.clone(), kinds(&examination))
    };
    let run = json!({"created_by": "RUN x"});
    let set = json!({"created_by": "ENV y", "empty_layer": true});
    assert_eq!(commands(json!([set, run])), (Some("RUN x".to_owned()), vec![]));
    assert_eq!(commands(json!([run, run])), (None, vec![ProblemKind::HistoryMismatch]));
    assert_eq!(commands(json!([set])), (None, vec![]));
    assert_eq!(commands(json!(null)), (None, vec![]));
}

#[test]
fn an_image_without_layers_is_an_empty_image() {
    let examination = Image::default().examine();
    assert_eq!(inventory(&examination).packages, []);
    assert_eq!(examination.problems, []);
    assert_eq!(inventory(&examination).platform, Some("linux/amd64".parse().unwrap()));
}

#[test]
fn i4_windows_images_say_that_their_system_was_not_inventoried() {
    let mut image = Image::default().layer(TAR, tarball(&[file("Files/app/a.jar", "a 1")]));
    image.config = json!({"os": "windows"});
    let examination = image.examine();
    assert_eq!(packages(&examination), ["pkg:maven/a@1 at Files/app/a.jar from 0"]);
    assert_eq!(kinds(&examination), [ProblemKind::OsInventoryUnsupported]);
}

#[test]
fn i7_layers_beyond_the_budget_of_the_image_are_not_read() {
    let big = tarball(&[file("b.jar", "b 1"), file("filler", vec![b'x'; 100_000])]);
    let mut source = MemorySource::default();
    let image = Image::default().layer(TAR, jar()).layer(TAR, big);
    let (manifest, _) = image.into_source(&mut source);
    let engine = engine_within(Limits { image_bytes: 50_000, ..Limits::default() });
    let examination = examine(&engine, source, &manifest.digest).unwrap();
    assert_eq!(
        (packages(&examination), kinds(&examination)),
        (vec![ONE.to_owned()], vec![ProblemKind::LimitExceeded])
    );
}

#[test]
fn the_same_layer_is_read_once_and_applied_as_often_as_listed() {
    let empty = gzip(&[0; 1024]);
    let image = Image::default().layer(TAR_GZIP, empty.clone()).layer(TAR, jar()).layer(TAR_GZIP, empty);
    let mut source = MemorySource::default();
    let (manifest, _) = image.into_source(&mut source);
    let source = Arc::new(source);
    let examination = examine_shared(&engine(), &source, &manifest.digest).unwrap();
    assert_eq!(packages(&examination), ["pkg:maven/a@1 at a.jar from 1"]);
    assert_eq!(inventory(&examination).layers.len(), 3);
    assert_eq!(source.deliveries.load(Ordering::SeqCst), 3, "config and two distinct layers");
}

/// What artifacts and unreadable documents are answered with.
fn subject(media_type: &str, body: &serde_json::Value) -> Examination {
    let mut source = MemorySource::default();
    let descriptor = source.hold_document(media_type, body);
    examine(&engine(), source, &descriptor.digest).unwrap()
}

#[test]
fn artifacts_are_not_searched_and_not_clean() {
    let config = descriptor("application/vnd.cncf.helm.config.v1+json", b"{}");
    let layer = descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"");
    let chart =
        json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPES[0], "config": config, "layers": [layer]});
    let Subject::Artifact { artifact_type } = subject(MANIFEST_TYPES[0], &chart).subject else {
        panic!("a chart is an artifact");
    };
    assert_eq!(artifact_type, "application/vnd.cncf.helm.config.v1+json");
}

#[test]
fn i4_documents_that_cannot_be_acted_on_are_never_taken_for_clean() {
    let schema1 = json!({"schemaVersion": 1, "fsLayers": []});
    let both = json!({"schemaVersion": 2, "manifests": [], "config": {}, "layers": []});
    let blake3 = json!({
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [{"mediaType": TAR, "digest": format!("blake3:{}", "0".repeat(64)), "size": 1}],
    });
    for (body, kind) in [
        (schema1, ProblemKind::UnsupportedManifest),
        (both, ProblemKind::MalformedManifest),
        (blake3, ProblemKind::MalformedManifest),
    ] {
        let examination = subject(MANIFEST_TYPES[0], &body);
        assert_eq!(kinds(&examination), [kind]);
        assert_eq!(examination.subject, Subject::Unreadable);
    }
}

fn child(media_type: &str, bytes: &[u8], os: &str, architecture: &str) -> serde_json::Value {
    let mut child = serde_json::to_value(descriptor(media_type, bytes)).unwrap();
    child["platform"] = json!({"os": os, "architecture": architecture});
    child
}

fn index(children: &[serde_json::Value]) -> serde_json::Value {
    json!({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": children})
}

fn platforms(examination: &Examination) -> Vec<String> {
    let Subject::Index { children } = &examination.subject else {
        panic!("not an index: {examination:?}");
    };
    let platforms = children.iter().map(|child| child.platform.as_ref());
    platforms.map(|platform| platform.map_or_else(|| "?".to_owned(), ToString::to_string)).collect()
}

#[test]
fn an_index_lists_what_can_run() {
    let mut attestation = child(MANIFEST_TYPES[0], b"att", "unknown", "unknown");
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let examination = subject(
        INDEX_TYPES[0],
        &index(&[
            child(MANIFEST_TYPES[0], b"1", "linux", "amd64"),
            attestation.clone(),
            serde_json::to_value(descriptor(MANIFEST_TYPES[1], b"2")).unwrap(),
            child("application/vnd.invented", b"3", "linux", "arm64"),
            child(MANIFEST_TYPES[0], b"1", "linux", "amd64"),
        ]),
    );
    assert_eq!(platforms(&examination), ["linux/amd64", "?"]);
    assert_eq!(kinds(&examination), [ProblemKind::UnknownChildType]);
    for nothing in [index(&[]), index(&[attestation])] {
        let examination = subject(INDEX_TYPES[0], &nothing);
        assert!(matches!(examination.subject, Subject::Artifact { .. }));
    }
}

#[test]
fn i4_a_mark_on_a_descriptor_hides_no_image() {
    let mut source = MemorySource::default();
    let (image, _) = Image::of(&[&[file("a.jar", "a 1")]]).into_source(&mut source);
    let mut marked = child(MANIFEST_TYPES[0], b"", "linux", "amd64");
    marked["digest"] = json!(image.digest);
    marked["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    marked["artifactType"] = json!("application/harmless");
    let root = source.hold_document(INDEX_TYPES[0], &index(&[marked]));
    let examination = examine(&engine(), source, &root.digest).unwrap();
    assert_eq!(platforms(&examination), ["linux/amd64"]);
}

#[test]
fn nested_indexes_are_followed_as_deep_as_allowed() {
    let mut source = MemorySource::default();
    let mut inner =
        source.hold_document(INDEX_TYPES[0], &index(&[child(MANIFEST_TYPES[0], b"deep", "linux", "arm64")]));
    for depth in 1..6 {
        let leaf = child(MANIFEST_TYPES[0], format!("{depth}").as_bytes(), "linux", &format!("d{depth}"));
        let nested = serde_json::to_value(&inner).unwrap();
        let outer = source.hold_document(INDEX_TYPES[0], &index(&[leaf, nested]));
        if depth == 3 {
            let examination = examine_again(&source, &outer);
            assert_eq!(platforms(&examination), ["linux/d3", "linux/d2", "linux/d1", "linux/arm64"]);
            assert_eq!(kinds(&examination), []);
        }
        inner = outer;
    }
    let examination = examine_again(&source, &inner);
    assert_eq!(platforms(&examination), ["linux/d5", "linux/d4", "linux/d3", "linux/d2"]);
    assert_eq!(kinds(&examination), [ProblemKind::LimitExceeded]);
}

fn examine_again(source: &MemorySource, descriptor: &Descriptor) -> Examination {
    examine(&engine(), source.copy(), &descriptor.digest).unwrap()
}

/// A cache as small as can be, of bytes as a store keeps them.
#[derive(Default)]
pub(super) struct Shelf(Mutex<HashMap<Digest, Vec<u8>>>);

#[async_trait]
impl LayerCache for Shelf {
    async fn load(&self, layer: &Digest, _revision: &Revision) -> Option<Arc<LayerAnalysis>> {
        LayerAnalysis::decode(self.0.lock().unwrap().get(layer)?).map(Arc::new)
    }

    async fn save(&self, analysis: Arc<LayerAnalysis>) {
        self.0.lock().unwrap().insert(analysis.layer.clone(), analysis.encode().unwrap());
    }

    async fn turn(&self, _layer: &Descriptor, _revision: &Revision) -> Turn {
        Turn::Yours(Box::new(()))
    }
}

#[test]
fn i6_known_layers_are_not_read_again_and_give_the_same() {
    let image = || {
        Image::of(&[
            &[file("a.jar", "a 1"), file("opt/db", "x 1")],
            &[file(".wh.a.jar", ""), file("b.jar", "b 1")],
        ])
    };
    let engine = engine().with_cache(Arc::new(Shelf::default()));
    let mut examinations = Vec::new();
    for deliveries in [3, 1] {
        let mut source = MemorySource::default();
        let (manifest, _) = image().into_source(&mut source);
        let source = Arc::new(source);
        examinations.push(examine_shared(&engine, &source, &manifest.digest).unwrap());
        assert_eq!(source.deliveries.load(Ordering::SeqCst), deliveries);
    }
    assert_eq!(examinations[0], examinations[1]);
}

#[test]
fn i6_an_analysis_of_another_revision_is_never_served() {
    let shelf = Arc::new(Shelf::default());
    let (old, new) = (engine(), engine_within(Limits { archive_depth: 1, ..Limits::default() }));
    for engine in [old, new] {
        let mut source = MemorySource::default();
        let (manifest, _) = Image::of(&[&[file("a.jar", "a 1")]]).into_source(&mut source);
        let source = Arc::new(source);
        let engine = engine.with_cache(Arc::clone(&shelf) as _);
        examine_shared(&engine, &source, &manifest.digest).unwrap();
        assert_eq!(source.deliveries.load(Ordering::SeqCst), 2, "config and layer");
    }
}

#[test]
fn what_a_runtime_would_do_is_kept_without_values_of_variables() {
    let base = tarball(&[file("a.jar", "a 1")]);
    let lifecycle = json!({"runImage": {"topLayer": Digest::of(&base).to_string(), "reference": "x"}});
    let mut image = Image::of(&[&[file("a.jar", "a 1")], &[file("b.jar", "b 1")]]);
    image.config = json!({
        "created": "2026-01-02T03:04:05.5Z",
        "config": {
            "User": "1000:0",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/bin", "DB_PASSWORD=hunter2", "EMPTY"],
            "Healthcheck": {"Test": ["CMD", "true"]},
            "Labels": {
                "team": "web",
                "long": "x".repeat(1000),
                "io.buildpacks.lifecycle.metadata": lifecycle.to_string(),
                "org.opencontainers.image.base.name": "docker.io/library/debian:12",
            },
        },
    });
    let examination = image.examine();
    let inventory = inventory(&examination);
    let settings = inventory.settings.as_ref().unwrap();
    assert_eq!(
        settings.created.map(|created| created.to_string()).as_deref(),
        Some("2026-01-02T03:04:05.5Z")
    );
    assert_eq!(
        (settings.user.as_str(), settings.runs_as_root(), settings.healthcheck),
        ("1000:0", false, true)
    );
    assert_eq!(settings.exposed_ports, ["8080/tcp"]);
    assert_eq!(settings.environment, ["PATH", "DB_PASSWORD", "EMPTY"]);
    assert_eq!(settings.labels["team"], "web");
    assert!(settings.shortened && settings.labels["long"].len() == 512);
    assert!(!serde_json::to_string(&inventory).unwrap().contains("hunter2"));
    let base = inventory.base.as_ref().unwrap();
    assert_eq!(base.name.as_deref(), Some("docker.io/library/debian:12"));
    assert_eq!(base.layers, Some(1));
}

#[test]
fn an_image_that_says_nothing_runs_as_root_and_has_no_base() {
    let examination = Image::of(&[&[file("a.jar", "a 1")]]).examine();
    let inventory = inventory(&examination);
    let settings = inventory.settings.as_ref().unwrap();
    assert!(settings.runs_as_root() && !settings.healthcheck && settings.created.is_none());
    assert_eq!(inventory.base, None);
}

#[test]
fn a_base_is_guessed_from_what_ends_an_image_and_only_shown() {
    let (layer, cmd) =
        (json!({"created_by": "COPY . ."}), json!({"created_by": "CMD [\"sh\"]", "empty_layer": true}));
    let old = json!({"created_by": "/bin/sh -c #(nop)  ENTRYPOINT [\"/x\"]", "empty_layer": true});
    let env = json!({"created_by": "ENV CMD=1", "empty_layer": true});
    for (history, guess) in [
        (vec![&layer, &cmd, &layer, &layer, &cmd], Some(1)),
        (vec![&layer, &cmd, &layer, &old, &env, &layer, &cmd], Some(2)),
        (vec![&layer, &layer, &layer, &cmd], None),
        (vec![&cmd, &layer, &layer, &layer], None),
        (vec![&layer, &env, &layer, &layer], None),
        (vec![&layer, &cmd, &layer], None),
        (vec![], None),
    ] {
        let mut image =
            Image::of(&[&[file("a.jar", "a 1")], &[file("b.jar", "b 1")], &[file("c.jar", "c 1")]]);
        image.config = json!({"history": history});
        let examination = image.examine();
        let base = inventory(&examination).base.clone().unwrap_or_default();
        assert_eq!((base.layers, base.guessed_layers), (None, guess), "{history:?}");
    }
}
