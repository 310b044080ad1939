//! What a build promises: the same bytes for the same records, nothing lost to one bad record, nothing left behind.

use std::fs;
use std::path::{Path, PathBuf};

use super::{BuildError, BuildOptions, BuildSummary, build};
use crate::advisories::{Database, DatabaseError};

const GHSA: &str = r#"{"id":"GHSA-aaaa-bbbb-cccc","modified":"2024-01-02T03:04:05.678Z","aliases":["CVE-2024-0001"],
  "affected":[{"package":{"ecosystem":"npm","name":"left"},"ranges":[{"type":"SEMVER",
  "events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]}]}"#;
const NEWER: &str =
    r#"{"id":"GHSA-aaaa-bbbb-cccc","modified":"2024-02-02T00:00:00Z","withdrawn":"2024-02-02T00:00:00Z"}"#;
const DSA: &str = r#"{"id":"DSA-1-1","modified":"2023-01-01T00:00:00Z","upstream":["CVE-2024-0001","CVE-2024-0002"],
  "affected":[{"package":{"ecosystem":"Debian:12","name":"left"},"ranges":[{"type":"ECOSYSTEM",
  "events":[{"introduced":"0"},{"fixed":"1.2-1"}]}]}]}"#;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn built(inputs: &[PathBuf], output: &Path) -> BuildSummary {
    build(inputs, output, &BuildOptions::default()).unwrap()
}

#[test]
fn i6_the_same_records_give_the_same_bytes_whatever_the_order() {
    let one = folder(&[("npm/GHSA-aaaa-bbbb-cccc.json", GHSA), ("Debian/DSA-1-1.json", DSA)]);
    let other = folder(&[("1.json", DSA), ("a/2.json", GHSA), ("a/again.json", GHSA)]);
    let out = tempfile::tempdir().unwrap();
    let (first, second) = (out.path().join("first"), out.path().join("second"));
    let summary = built(&[one.path().to_owned()], &first);
    let files = [other.path().join("a"), other.path().join("1.json")];
    assert_eq!(built(&files, &second).revision, summary.revision);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "the files differ");
    assert_eq!((summary.advisories, summary.packages, summary.ecosystems), (2, 2, 2));
    let database = Database::open(&first).unwrap();
    assert_eq!(*database.revision(), summary.revision);
    assert_eq!(database.as_of(), "2024-01-02T03:04:05Z".parse().unwrap());
    assert_eq!(database.lookup("npm", "left").unwrap(), ["GHSA-aaaa-bbbb-cccc"]);
    database.verify().unwrap();
}

#[test]
fn the_newest_version_of_a_record_wins_and_a_withdrawn_one_keeps_its_id() {
    let records = folder(&[("old.json", GHSA), ("new.json", NEWER), ("dsa.json", DSA)]);
    let output = records.path().join("db");
    let summary = built(&[records.path().to_owned()], &output);
    assert_eq!((summary.repeated, summary.withdrawn), (1, 1));
    let database = Database::open(&output).unwrap();
    assert!(database.advisory("GHSA-aaaa-bbbb-cccc").unwrap().unwrap().withdrawn);
    assert!(database.lookup("npm", "left").unwrap().is_empty());
    assert!(!database.has_ecosystem("npm"));
}

#[test]
fn one_bad_record_costs_itself_and_is_listed() {
    let records = folder(&[("bad.json", "{"), ("no-id.json", "{}"), ("dsa.json", DSA), ("README.md", "x")]);
    let output = records.path().join("db");
    let summary = built(&[records.path().to_owned()], &output);
    assert_eq!((summary.advisories, summary.skipped_count), (1, 2));
    assert!(summary.skipped[0].name.ends_with("bad.json"), "{:?}", summary.skipped);
}

#[test]
fn the_repository_s_own_set_builds_and_knows_what_the_quick_start_shows() {
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("../advisories");
    let out = tempfile::tempdir().unwrap();
    let output = out.path().join("db");
    let summary = built(&[records], &output);
    assert_eq!(summary.skipped, []);
    assert!(
        summary.advisories >= 60 && summary.known_exploited > 0 && summary.epss_scores > 50,
        "{summary:?}"
    );
    let database = Database::open(&output).unwrap();
    for name in ["AlmaLinux:9", "Alpine:v3.20", "Debian:12", "Go", "Maven", "PyPI", "crates.io", "npm"] {
        assert!(database.has_ecosystem(name), "{name}");
    }
    assert!(database.lookup("PyPI", "jinja2").unwrap().contains(&"PYSEC-2021-66".to_owned()));
    database.verify().unwrap();
}

#[test]
fn i4_nothing_to_compile_is_an_error_and_leaves_the_old_file() {
    let records = folder(&[("README.md", "x"), ("db", "old")]);
    let output = records.path().join("db");
    let error = build(&[records.path().to_owned()], &output, &BuildOptions::default()).unwrap_err();
    assert!(matches!(error, BuildError::Empty), "{error}");
    assert_eq!(fs::read(&output).unwrap(), b"old");
    let left: Vec<_> = fs::read_dir(records.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_difference_names_the_packages_to_judge_again() {
    let out = tempfile::tempdir().unwrap();
    let mut databases = Vec::new();
    for (number, files) in [
        vec![("a.json", GHSA)],
        vec![("a.json", GHSA), ("b.json", DSA)],
        vec![("a.json", NEWER), ("b.json", DSA)],
    ]
    .into_iter()
    .enumerate()
    {
        let output = out.path().join(number.to_string());
        built(&[folder(&files).path().to_owned()], &output);
        databases.push(Database::open(&output).unwrap());
    }
    let check = |older: usize, newer: usize, packages: &[(&str, &str)], ecosystems: &[&str]| {
        let changed = databases[newer].changed_since(&databases[older]).unwrap();
        let named = changed.packages.iter().map(|(ecosystem, name)| (ecosystem.as_str(), name.as_str()));
        assert_eq!(named.collect::<Vec<_>>(), packages);
        assert_eq!(changed.ecosystems, ecosystems);
    };
    check(0, 0, &[], &[]);
    check(0, 1, &[("Debian:12", "left")], &["Debian:12"]);
    // What the announcement's CVE was rated by is gone with the withdrawn record.
    check(1, 2, &[("Debian:12", "left"), ("npm", "left")], &["npm"]);
}

#[test]
fn what_is_no_database_says_so() {
    let folder = folder(&[("text", "no database"), ("empty", "")]);
    for name in ["text", "empty", "missing"] {
        assert!(Database::open(&folder.path().join(name)).is_err(), "{name}");
    }
}

#[test]
fn the_whole_real_dump_builds_opens_and_is_deterministic() {
    let Some(fixtures) = std::env::var_os("TIDEWAITER_FIXTURES") else {
        return;
    };
    let dumps = PathBuf::from(fixtures).join("osv");
    let out = tempfile::tempdir().unwrap();
    let (first, second) = (out.path().join("first"), out.path().join("second"));
    let started = std::time::Instant::now();
    let summary = built(std::slice::from_ref(&dumps), &first);
    println!("built in {:?}: {} bytes, {summary:?}", started.elapsed(), summary.file_bytes);
    let mut parts: Vec<_> = fs::read_dir(&dumps).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.retain(|part| part.file_name().is_some_and(|name| name != "README.md"));
    parts.reverse();
    assert_eq!(built(&parts, &second).revision, summary.revision);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "the files differ");
    assert!(summary.advisories > 54_000 && summary.skipped_count < 10, "{summary:?}");
    let started = std::time::Instant::now();
    let database = Database::open(&first).unwrap();
    println!("opened in {:?}", started.elapsed());
    assert_eq!(*database.revision(), summary.revision);
    database.verify().unwrap();
}

#[test]
fn i4_a_byte_that_is_another_anywhere_in_the_file_is_damage_and_no_answer() {
    let records = folder(&[("ghsa.json", GHSA), ("dsa.json", DSA)]);
    let sound = records.path().join("sound");
    built(&[records.path().to_owned()], &sound);
    let bytes = fs::read(&sound).unwrap();
    let altered = records.path().join("altered");
    for at in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        fs::write(&altered, bytes).unwrap();
        let error = Database::open(&altered).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("build or pull it again"), "byte {at}: {error}");
    }
    for length in [0, 5, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&altered, &bytes[..length]).unwrap();
        let error = Database::open(&altered).map(|_| ()).unwrap_err();
        assert!(matches!(error, DatabaseError::Unsealed { .. }), "{length} bytes: {error}");
    }
}
