//! Conan: the C and C++ packages that its lock files declare, and those that lie in its cache.
//!
//! A reference is `name/version[@user/channel][#revision][:package]`. `conan.lock` of Conan 2 lists them in `requires`;
//! what only builds need stands in other lists. Conan 1 wrote `graph_lock{nodes{ref or pref, context}}`, and beside
//! each package in its cache a `conaninfo.txt`, whose path names the package and whose `full_requires` name what it
//! was linked with. `conanfile.txt` lists in `requires` what a project asks for, of which only exact versions count.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `conan.lock`, `conaninfo.txt` and `conanfile.txt`.
pub struct Conan;

impl PackageList for Conan {
    const NAME: &'static str = "conan";
    const TRIGGERS: &'static [Trigger] =
        &[Trigger::Name("conan.lock"), Trigger::Name("conaninfo.txt"), Trigger::Name("conanfile.txt")];

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "conan.lock" => return locked(text, entries),
            "conaninfo.txt" => {
                if let Some(own) = cached(path) {
                    entries.add(package(&own, Evidence::Installed));
                }
                section(text, "[full_requires]", entries);
            }
            _ => section(text, "[requires]", entries),
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    requires: Vec<String>,
    graph_lock: Option<Graph>,
}

#[derive(Deserialize)]
struct Graph {
    #[serde(default)]
    nodes: BTreeMap<String, Node>,
}

#[derive(Deserialize)]
struct Node {
    /// Absent where the node is the project itself.
    #[serde(rename = "ref", alias = "pref")]
    reference: Option<String>,
    /// `build` for what only builds need.
    context: Option<String>,
    /// Of the project itself.
    path: Option<String>,
}

fn locked(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let lock: Lock = serde_json::from_str(text)?;
    for reference in &lock.requires {
        entries.add(package(reference, Evidence::Declared));
    }
    for node in lock.graph_lock.iter().flat_map(|graph| graph.nodes.values()) {
        let is_shipped = node.path.is_none() && node.context.as_deref() != Some("build");
        if let Some(reference) = node.reference.as_deref().filter(|_| is_shipped) {
            entries.add(package(reference, Evidence::Declared));
        }
    }
    Ok(())
}

/// The references of one section of an ini-like file; ranges, `zlib/[>1.2]` and `zlib/1.Y.Z`, are none.
fn section(text: &str, wanted: &str, entries: &mut Entries<'_>) {
    let mut is_wanted = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            is_wanted = line == wanted;
        } else if is_wanted && !line.contains("/[") {
            entries.add(package(line, Evidence::Declared));
        }
    }
}

/// The reference of the package in whose directory of the cache of Conan 1 a file lies:
/// `data/name/version/user/channel/package/id/conaninfo.txt`.
fn cached(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.rsplit('/').take(8).collect();
    match parts.as_slice() {
        [_, _, "package", _, _, version, name, "data"] => Some(format!("{name}/{version}")),
        _ => None,
    }
}

fn package(reference: &str, evidence: Evidence) -> Option<Package> {
    let (name, rest) = reference.split_once('/')?;
    let version = rest.split(['@', '#', ':', '%']).next().unwrap_or(rest);
    lock::package(PackageKind::Conan, name, version.trim_end(), evidence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const V1: &str = include_str!("../../fixtures/conan/v1.lock");
    const V2: &str = include_str!("../../fixtures/conan/v2.lock");
    const INFO: &str = include_str!("../../fixtures/conan/conaninfo.txt");

    #[test]
    fn lock_files_declare_what_is_not_for_building() {
        check(&Conan, "app/conan.lock", V1, &["conan/png@1.6.0 Declared", "conan/zlib@1.2.11 Declared"]);
        check(&Conan, "app/conan.lock", V2, &["conan/zlib@1.2.11 Declared"]);
        let tool = r#"{"requires":[],"build_requires":["cmake/3.22.6#00%1.0"],"graph_lock":{"nodes":{
            "1":{"ref":"ninja/1.11","context":"build"},"2":{"pref":"a/1.0@u/c#0:00#0"}}}}"#;
        check(&Conan, "conan.lock", tool, &["conan/a@1.0 Declared"]);
        check(&Conan, "conan.lock", r#"{"requires":["zlib"]}"#, &["record-skipped"]);
        check(&Conan, "conan.lock", "[", &["analyzer-failed"]);
    }

    #[test]
    fn the_cache_names_its_packages_and_what_they_were_linked_with() {
        let path = "root/.conan/data/png/1.6.0/acme/stable/package/d3cb/conaninfo.txt";
        check(&Conan, path, INFO, &["conan/png@1.6.0 Installed", "conan/zlib@1.2.11 Declared"]);
        let file = "[requires]\nzlib/1.2.11\nfmt/[>=8 <9]\n[tool_requires]\ncmake/3.22.6\n";
        check(&Conan, "app/conanfile.txt", file, &["conan/zlib@1.2.11 Declared"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..INFO.len(), byte: u8) {
            for (path, sample) in [("conan.lock", V1), ("conan.lock", V2), ("conaninfo.txt", INFO)] {
                analyze(&Conan, path, &content);
                let mut sample = sample.as_bytes().to_vec();
                let at = at % sample.len();
                sample[at] = byte;
                analyze(&Conan, path, &sample);
            }
        }
    }
}
