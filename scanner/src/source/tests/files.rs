//! Layouts and archives that are damaged, or that do not say which image is meant.

use std::path::Path;

use shared::model::digest::Digest;
use shared::model::document::Document;
use shared::registry::RegistryClient;

use super::super::layout::OciLayout;
use super::super::{ImageSource, SourceError};
use crate::limits::Limits;

use super::{layer, pull, told, write_index, write_layout};

fn nowhere() -> RegistryClient {
    RegistryClient::new(Vec::new()).unwrap()
}

/// Packs the files of a directory into `x.tar` beside it.
fn pack(directory: &Path) -> String {
    let file = directory.with_extension("tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&file).unwrap());
    tar.append_dir_all("", directory).unwrap();
    tar.finish().unwrap();
    file.display().to_string()
}

#[tokio::test]
async fn a_layout_says_which_image_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("x");
    let digest = write_layout(&layout, &[layer("a", b"1")]);
    let at = format!("oci:{}", layout.display());
    for tag in ["", ":v1"] {
        assert_eq!(pull(&format!("{at}{tag}"), &nowhere()).await.unwrap().digest, digest);
    }
    let error = pull(&format!("{at}:v2"), &nowhere()).await.err().unwrap();
    assert!(told(&error).contains(r#"no image "v2"; it has: v1"#), "{}", told(&error));

    let entry = |digest: &Digest, name: &str| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
            "annotations": { "org.opencontainers.image.ref.name": name },
        })
    };
    write_index(&layout, &[entry(&Digest::of(b""), "v2"), entry(&digest, "r.io/a:v1")]);
    assert_eq!(pull(&format!("{at}:v1"), &nowhere()).await.unwrap().digest, digest);
    let error = pull(&at, &nowhere()).await.err().unwrap();
    assert!(told(&error).contains("name one of: v2, r.io/a:v1"), "{}", told(&error));
    write_index(&layout, &[]);
    let error = pull(&at, &nowhere()).await.err().unwrap();
    assert!(told(&error).contains("holds no image"), "{}", told(&error));
}

#[tokio::test]
async fn a_document_without_a_media_type_is_what_its_parent_calls_it() {
    let directory = tempfile::tempdir().unwrap();
    write_layout(directory.path(), &[layer("a", b"1")]);
    let store = |text: &str, kind: &str| {
        let digest = Digest::of(text.as_bytes());
        std::fs::write(directory.path().join("blobs/sha256").join(digest.encoded()), text).unwrap();
        serde_json::json!({ "mediaType": kind, "digest": digest, "size": text.len() })
    };
    let config = store("{}", "application/vnd.oci.image.config.v1+json");
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string();
    let child = store(&manifest, "application/vnd.oci.image.manifest.v1+json");
    let parent = serde_json::json!({ "schemaVersion": 2, "manifests": [child] }).to_string();
    write_index(directory.path(), &[store(&parent, "application/vnd.oci.image.index.v1+json")]);
    let layout = OciLayout::directory(directory.path().to_owned(), &Limits::default()).await.unwrap();
    let child = Digest::of(manifest.as_bytes());
    assert!(matches!(layout.document(&child).await, Err(SourceError::Malformed { .. })));
    let root = layout.image(None).unwrap();
    assert!(matches!(layout.document(&root).await, Ok(Document::Index(_))));
    assert!(matches!(layout.document(&child).await, Ok(Document::Manifest(_))));
}

#[tokio::test]
async fn i5_a_damaged_layout_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("x");
    let digest = write_layout(&layout, &[layer("a", b"1")]);
    let at = format!("oci:{}", layout.display());
    let manifest = layout.join("blobs/sha256").join(digest.encoded());
    let text = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, [text.as_slice(), b" "].concat()).unwrap();
    let error = pull(&at, &nowhere()).await.err().unwrap();
    assert!(matches!(error, SourceError::DigestMismatch { .. }), "{error:?}");
    std::fs::remove_file(&manifest).unwrap();
    let error = pull(&at, &nowhere()).await.err().unwrap();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error:?}");
    std::fs::create_dir(&manifest).unwrap();
    let error = pull(&at, &nowhere()).await.err().unwrap();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error:?}");
    std::fs::write(layout.join("oci-layout"), "{}").unwrap();
    let error = pull(&at, &nowhere()).await.err().unwrap();
    assert!(told(&error).contains("imageLayoutVersion"), "{}", told(&error));
    let error = pull("oci-archive:/nonexistent.tar", &nowhere()).await.err().unwrap();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error:?}");
}

/// An archive as `docker save` writes it: each file by name.
fn archive(directory: &Path, files: &[(&str, &[u8])]) -> String {
    let root = directory.join("saved");
    let _ = std::fs::remove_dir_all(&root);
    for (name, content) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    pack(&root)
}

#[tokio::test]
async fn a_docker_archive_says_which_image_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (layer("a", b"1"), layer("b", b"2"));
    let list = r#"[
        {"Config":"1.json","RepoTags":["nginx:1"],"Layers":["1/layer.tar"]},
        {"Config":"2.json","RepoTags":null,"Layers":["1/layer.tar","2/layer.tar"]},
        {"Config":"1.json","RepoTags":["r.io:5000/a:2"],"Layers":["2/layer.tar"]}]"#;
    let files: [(&str, &[u8]); 5] = [
        ("manifest.json", list.as_bytes()),
        ("1.json", b"{}"),
        ("2.json", b"{}"),
        ("1/layer.tar", &one),
        ("2/layer.tar", &two),
    ];
    let file = archive(directory.path(), &files);
    let pulled = async |name: &str| pull(&format!("docker-archive:{file}{name}"), &nowhere()).await;
    assert_eq!(pulled(":nginx:1").await.unwrap().layers, [one.as_slice()]);
    assert_eq!(pulled(":docker.io/library/nginx:1").await.unwrap().layers, [one.as_slice()]);
    assert_eq!(pulled(":r.io:5000/a:2").await.unwrap().layers, [two.as_slice()]);
    for name in ["", ":nginx:2"] {
        let error = pulled(name).await.err().unwrap();
        assert!(told(&error).contains(": nginx:1, r.io:5000/a:2"), "{}", told(&error));
    }
}

#[tokio::test]
async fn i5_a_blob_that_is_not_what_its_name_says_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (layer("a", b"1"), layer("b", b"2"));
    let name = format!("blobs/sha256/{}", Digest::of(&one).encoded());
    let config = format!("blobs/sha256/{}", Digest::of(b"{}").encoded());
    let list = serde_json::json!([{ "Config": config, "RepoTags": ["a:1"], "Layers": [name] }]).to_string();
    for (content, is_good) in [(&one, true), (&two, false)] {
        let files: [(&str, &[u8]); 3] =
            [("manifest.json", list.as_bytes()), (&config, b"{}"), (&name, content.as_slice())];
        let file = archive(directory.path(), &files);
        let pulled = pull(&format!("docker-archive:{file}"), &nowhere()).await;
        match pulled {
            Ok(pulled) => assert!(is_good && pulled.layers == [one.as_slice()]),
            Err(error) => assert!(!is_good && matches!(error, SourceError::DigestMismatch { .. })),
        }
    }
}

#[tokio::test]
async fn a_damaged_docker_archive_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (list, expected) in [
        ("{}", "manifest.json cannot be read"),
        ("[]", "holds no image"),
        (r#"[{"Config":"c.json"}]"#, "config c.json does not exist"),
        (r#"[{"Config":"manifest.json","Layers":["../x"]}]"#, "layer ../x does not exist"),
    ] {
        let file = archive(directory.path(), &[("manifest.json", list.as_bytes())]);
        let error = pull(&format!("docker-archive:{file}"), &nowhere()).await.err().unwrap();
        assert!(told(&error).contains(expected), "{list}: {}", told(&error));
    }
}
