//! npm's lock files: `package-lock.json` and `npm-shrinkwrap.json` in, what they declare out; and
//! `node_modules/.package-lock.json`, which npm writes about what it really installed.
//!
//! Format: npm's package-lock.json(5), lockfile versions 1 (nested `dependencies`), 2 and 3 (`packages`).

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, Package};

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, node, registry};

/// Reads npm's lock files.
pub struct NpmLock;

/// The file in which npm notes what it installed.
const HIDDEN: &str = "node_modules/.package-lock.json";

impl PackageList for NpmLock {
    const NAME: &'static str = "npm-lock";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Name("package-lock.json"),
        Trigger::Name("npm-shrinkwrap.json"),
        Trigger::Name(".package-lock.json"),
    ];

    fn is_one(path: &str) -> bool {
        path.ends_with(HIDDEN) || lock::is_own(path)
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let evidence = match path.ends_with(HIDDEN) {
            true => Evidence::Installed,
            false => Evidence::Declared,
        };
        let lock: Lock = serde_json::from_str(text)?;
        match &lock.packages {
            // Version 2 has both sections, for older readers; `packages` is the precise one.
            Some(packages) => flat(packages, evidence, entries),
            None => nested(&lock.dependencies, evidence, entries),
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Option<BTreeMap<String, Entry>>,
    #[serde(default)]
    dependencies: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<serde_json::Value>,
    license: Option<serde_json::Value>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    dependencies: Option<serde_json::Value>,
}

fn flat(packages: &BTreeMap<String, Entry>, evidence: Evidence, entries: &mut Entries<'_>) {
    for (key, entry) in packages {
        // The project itself, its workspaces, and links to them lie outside of node_modules.
        let Some((_, place)) = key.rsplit_once("node_modules/") else { continue };
        let is_excluded = entry.dev && evidence == Evidence::Declared;
        if entry.link || is_excluded {
            continue;
        }
        let name = entry.name.as_deref().unwrap_or(place);
        if let Some(version) = &entry.version {
            entries.add(package(name, version, entry, evidence));
        }
    }
}

/// Version 1: dependencies in dependencies, walked with a stack of our own.
fn nested(dependencies: &BTreeMap<String, Entry>, evidence: Evidence, entries: &mut Entries<'_>) {
    let mut waiting: Vec<(String, Entry)> = Vec::new();
    let visit = |name: &str, entry: &Entry, entries: &mut Entries<'_>| {
        if entry.dev && evidence == Evidence::Declared {
            return;
        }
        let Some(version) = entry.version.as_deref() else { return };
        let (name, version) = match version.strip_prefix("npm:").and_then(|real| real.rsplit_once('@')) {
            Some(real) => real,
            None => (name, version),
        };
        if !version.contains(':') && !version.contains('/') {
            entries.add(package(name, version, entry, evidence));
        }
    };
    let children = |entry: &Entry| -> BTreeMap<String, Entry> {
        let stated = entry.dependencies.clone().unwrap_or_default();
        serde_json::from_value(stated).unwrap_or_default()
    };
    for (name, entry) in dependencies {
        visit(name, entry, entries);
        waiting.extend(children(entry));
        while let Some((name, entry)) = waiting.pop() {
            visit(&name, &entry, entries);
            waiting.extend(children(&entry));
        }
    }
}

fn package(name: &str, version: &str, entry: &Entry, evidence: Evidence) -> Option<Package> {
    let resolved = entry.resolved.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    let is_foreign = resolved.starts_with("git") || resolved.starts_with("file:");
    let evidence = if is_foreign { Evidence::Unmatched } else { evidence };
    let mut package = node::package(name, version, evidence)?;
    let license = entry.license.as_ref().and_then(serde_json::Value::as_str);
    package.licenses.extend(license.map(str::to_owned));
    Some(registry::fetched(package, Some(resolved)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const V1: &str = r#"{"lockfileVersion":1,"dependencies":{
        "a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}},
        "@s/c":{"version":"3.0.0"},"alias":{"version":"npm:real@4.0.0"},
        "d":{"version":"5.0.0","dev":true},"local":{"version":"file:local"}}}"#;
    const V3: &str = r#"{"lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"},
        "node_modules/a":{"version":"1.0.0"},"node_modules/a/node_modules/b":{"version":"2.0.0"},
        "node_modules/@s/c":{"version":"3.0.0"},"node_modules/alias":{"name":"real","version":"4.0.0"},
        "node_modules/d":{"version":"5.0.0","dev":true},
        "node_modules/local":{"resolved":"local","link":true},"local":{"version":"0.0.1"}}}"#;
    const SET: [&str; 4] = [
        "npm/a@1.0.0 Declared",
        "npm/b@2.0.0 Declared",
        "npm/real@4.0.0 Declared",
        "npm/%40s/c@3.0.0 Declared",
    ];

    #[test]
    fn every_version_of_the_format_says_the_same_of_one_project() {
        let v2 =
            V3.replacen("\"packages\"", "\"dependencies\":{\"x\":{\"version\":\"9.9.9\"}},\"packages\"", 1);
        for content in [V1, V3, &v2] {
            check(&NpmLock, "app/package-lock.json", content, &SET);
        }
    }

    #[test]
    fn what_npm_notes_about_its_work_is_installed() {
        let content = r#"{"packages":{"node_modules/a":{"version":"1.0.0","dev":true,"license":"MIT"}}}"#;
        check(&NpmLock, "app/node_modules/.package-lock.json", content, &["npm/a@1.0.0 Installed"]);
        let found = analyze(&NpmLock, "app/node_modules/.package-lock.json", content.as_bytes());
        assert_eq!(found.packages[0].package.licenses, ["MIT"]);
    }

    #[test]
    fn what_was_resolved_tells_another_registry() {
        let v1 = r#"{"dependencies":{"a":{"version":"1.0.0","resolved":"https://npm.acme.example/a.tgz",
            "dependencies":{"b":{"version":"2.0.0","resolved":"https://registry.npmjs.org/b.tgz"}}}}}"#;
        let v3 = r#"{"packages":{
            "node_modules/a":{"version":"1.0.0","resolved":"https://ci:secret@npm.acme.example/a.tgz"},
            "node_modules/b":{"version":"2.0.0","resolved":"https://registry.npmjs.org/b.tgz"}}}"#;
        for content in [v1, v3] {
            for (path, evidence) in
                [("package-lock.json", "Declared"), ("node_modules/.package-lock.json", "Installed")]
            {
                let a = format!("npm/a@1.0.0?repository_url=npm.acme.example {evidence}");
                check(&NpmLock, path, content, &[&a, &format!("npm/b@2.0.0 {evidence}")]);
            }
        }
    }

    #[test]
    fn locks_of_others_are_ignored_and_broken_ones_reported() {
        check(&NpmLock, "app/node_modules/a/package-lock.json", V1, &[]);
        check(&NpmLock, "package-lock.json", "{", &["analyzer-failed"]);
        let deep = format!("{}1{}", "{\"dependencies\":{\"a\":".repeat(100_000), "}}".repeat(100_000));
        check(&NpmLock, "package-lock.json", &deep, &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..V3.len(), byte: u8) {
            analyze(&NpmLock, "package-lock.json", &content);
            for sample in [V1, V3] {
                let mut sample = sample.as_bytes().to_vec();
                let at = at % sample.len();
                sample[at] = byte;
                analyze(&NpmLock, "package-lock.json", &sample);
            }
        }
    }
}
