//! The SBOM of Tidewaiter itself, as `scripts/sbom` writes it: not our code, but the schemas are here.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

/// Both documents, of whatever machine this is.
fn written(folder: &Path) -> [String; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let done = Command::new(root.join("scripts/sbom"))
        .arg("--output")
        .arg(folder)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    ["cdx", "spdx"].map(|kind| fs::read_to_string(folder.join(format!("tidewaiter.{kind}.json"))).unwrap())
}

#[test]
fn the_sbom_of_tidewaiter_itself_is_valid_complete_and_the_same_each_time() {
    let (folder, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let documents = written(folder.path());
    assert!(documents == written(again.path()), "two runs give different bytes");
    let [bom, spdx] = documents.map(|text| serde_json::from_str::<Value>(&text).unwrap());
    for (schema, document) in [(schemas::cyclonedx(), &bom), (schemas::spdx(), &spdx)] {
        let errors: Vec<String> = schema.iter_errors(document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    assert_eq!(bom["specVersion"], "1.6");
    assert_eq!(bom["metadata"]["timestamp"], "2023-11-14T22:13:20Z");

    let components = bom["components"].as_array().unwrap();
    assert_eq!(spdx["packages"].as_array().unwrap().len(), components.len() + 1);
    let names: HashSet<&str> = components.iter().map(|each| each["name"].as_str().unwrap()).collect();
    for linked in ["ring", "tokio", "lapin", "zstd-sys", "zstd", "xz", "mimalloc", "rust-std"] {
        assert!(names.contains(linked), "{linked} is linked and not listed");
    }
    // What only builds, derives or tests, and our own.
    for other in ["cc", "serde_derive", "proptest", "insta", "jsonschema", "shared", "scanner", "api"] {
        assert!(!names.contains(other), "{other} is listed and not linked, or ours");
    }
    let known: HashSet<&str> = components.iter().map(|each| each["bom-ref"].as_str().unwrap()).collect();
    for each in components {
        assert!(each["licenses"][0]["expression"].is_string(), "{each}");
        let crates_io = each["purl"].as_str().unwrap().starts_with("pkg:cargo/");
        assert_eq!(crates_io, each["hashes"][0]["content"].is_string(), "{each}");
    }
    let mut reached = HashSet::new();
    for entry in bom["dependencies"].as_array().unwrap() {
        reached.extend(entry["dependsOn"].as_array().unwrap().iter().map(|each| each.as_str().unwrap()));
    }
    assert_eq!(reached, known, "everything is there because something needs it");
}
