//! Who counts as a base, and whose layers are then whose.

use jiff::Timestamp;
use serde_json::json;
use shared::model::report::{Inventory, Revision, ScanRevisions};
use shared::store::embedded::EmbeddedStore;
use tempfile::TempDir;

use super::*;

const BASE: &str = "r.example/base/debian";
const APP: &str = "r.example/team/app";

struct Site {
    bases: Bases,
    _folder: TempDir,
}

impl Site {
    fn with(patterns: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::open(&folder.path().join("store")).unwrap());
        let patterns: Vec<_> = patterns.iter().map(|text| ImagePattern::new(text).unwrap()).collect();
        Self { bases: Bases::new(store, &patterns), _folder: folder }
    }

    async fn push(&self, image: &str, layers: &[&str]) {
        self.bases.remember(&image.parse().unwrap(), &report(layers)).await.unwrap();
    }

    /// What an image of these layers is found to be built on: the repository, and how many layers.
    async fn base_of(&self, layers: &[&str]) -> Option<(String, u16)> {
        let mut report = report(layers);
        self.bases.recognise(&mut report).await.unwrap();
        let base = report.inventory().unwrap().base.clone()?;
        assert!(base.digest.is_some());
        Some((base.name?, base.layers?))
    }
}

/// A report of an image whose layers hold these; `?` cannot be read.
fn report(layers: &[&str]) -> Report {
    let layer = |text: &&str| Layer {
        digest: Digest::of(text.as_bytes()),
        diff_id: (*text != "?").then(|| Digest::of(text.as_bytes())),
        size_bytes: 1,
        created_by: None,
    };
    let inventory: Inventory = serde_json::from_value(json!({"layers": [], "packages": []})).unwrap();
    let inventory = Inventory { layers: layers.iter().map(layer).collect(), ..inventory };
    Report {
        digest: Digest::of(layers.join(" ").as_bytes()),
        subject: Subject::Image(Box::new(inventory)),
        revisions: ScanRevisions {
            analyzer: Revision::new("analyzers-1"),
            database: Revision::new("database-1"),
            database_as_of: Timestamp::UNIX_EPOCH,
        },
        scanned_at: Timestamp::UNIX_EPOCH,
        findings: Vec::new(),
        problems: Vec::new(),
        coverage: Vec::new(),
        support_ends: None,
        observations: Vec::new(),
        signatures: Vec::new(),
        sboms: Vec::new(),
    }
}

#[tokio::test]
async fn the_layers_of_a_known_base_are_its_own() {
    let site = Site::with(&["r.example/base/*"]);
    site.push(BASE, &["a", "b"]).await;
    site.push("r.example/base/python", &["a", "b", "c"]).await;
    assert_eq!(site.base_of(&["a", "b", "x"]).await, Some((BASE.to_owned(), 2)));
    let longest = Some(("r.example/base/python".to_owned(), 3));
    assert_eq!(site.base_of(&["a", "b", "c", "x"]).await, longest);
    assert_eq!(site.base_of(&["a", "b"]).await, None, "a base is not built on itself");
    assert_eq!(site.base_of(&["b", "a", "x"]).await, None, "the order counts");
    assert_eq!(site.base_of(&["a", "x", "b"]).await, None, "so does what lies between");
    assert_eq!(site.base_of(&["a"]).await, None);
}

#[tokio::test]
async fn nobody_makes_a_base_of_his_own_layers() {
    let site = Site::with(&["r.example/base/*"]);
    site.push(APP, &["a", "x"]).await;
    assert_eq!(site.base_of(&["a", "x", "y"]).await, None);
    let nothing = Site::with(&[]);
    nothing.push(BASE, &["a"]).await;
    assert_eq!(nothing.base_of(&["a", "x"]).await, None);
}

#[tokio::test]
async fn i4_a_layer_that_could_not_be_read_leaves_the_origin_unknown() {
    let site = Site::with(&["*/*"]);
    site.push(BASE, &["a", "?"]).await;
    site.push(BASE, &["a"]).await;
    assert_eq!(site.base_of(&["a", "?", "x"]).await, None);
}

#[tokio::test]
async fn what_was_observed_replaces_what_labels_say() {
    let site = Site::with(&["r.example/base/*"]);
    site.push(BASE, &["a"]).await;
    let mut report = report(&["a", "x"]);
    let Subject::Image(inventory) = &mut report.subject else { unreachable!() };
    inventory.base =
        Some(BaseImage { name: Some("scratch".to_owned()), layers: Some(2), ..BaseImage::default() });
    site.bases.recognise(&mut report).await.unwrap();
    let base = report.inventory().unwrap().base.clone().unwrap();
    assert_eq!((base.name.as_deref(), base.layers), (Some(BASE), Some(1)));
}
