//! `pnpm-lock.yaml`: the npm packages that it declares, without those that only development needs.
//!
//! Lockfile versions 5 (`/@s/n/1.2.3_peers`), 6 (`/@s/n@1.2.3(peer@1)`) and 9 (`n@1.2.3`, where reachability
//! from the importers tells what is not for development).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use shared::model::package::Evidence;

use super::lock::{Entries, PackageList, Unreadable};
use super::{Trigger, node, registry};

/// Reads `pnpm-lock.yaml`.
pub struct Pnpm;

impl PackageList for Pnpm {
    const NAME: &'static str = "pnpm";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("pnpm-lock.yaml")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let lock: Lock = serde_saphyr::from_str(text)?;
        let reachable = (!lock.snapshots.is_empty()).then(|| lock.reachable());
        for (key, entry) in &lock.packages {
            let is_excluded =
                entry.dev || reachable.as_ref().is_some_and(|reachable| !reachable.contains(key.as_str()));
            if is_excluded {
                continue;
            }
            let (name, version) = identity(key);
            let (name, version) =
                (entry.name.as_deref().unwrap_or(name), entry.version.as_deref().unwrap_or(version));
            // Directories, repositories and archives by URL are not what the registry calls so.
            if !version.contains([':', '/']) {
                let package = node::package(name, version, Evidence::Declared);
                entries.add(package.map(|package| registry::fetched(package, entry.tarball())));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Entry>,
    #[serde(default)]
    snapshots: BTreeMap<String, Dependencies>,
    #[serde(default)]
    importers: BTreeMap<String, Dependencies>,
}

#[derive(Deserialize)]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    dev: bool,
    resolution: Option<Value>,
}

impl Entry {
    /// Where it was fetched, which is stated where its name, version and registry do not tell.
    fn tarball(&self) -> Option<&str> {
        self.resolution.as_ref()?.get("tarball")?.as_str()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dependencies {
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Value>,
}

impl Dependencies {
    /// The keys of the snapshots that these lead to.
    fn keys(&self) -> impl Iterator<Item = String> {
        self.dependencies.iter().chain(&self.optional_dependencies).filter_map(|(name, reference)| {
            let version = reference.get("version").unwrap_or(reference).as_str()?;
            let bare = version.split('(').next().unwrap_or(version);
            // An alias states the whole key of another package.
            let is_key = bare.get(1..).is_some_and(|rest| rest.contains('@'));
            Some(if is_key { version.to_owned() } else { format!("{name}@{version}") })
        })
    }
}

impl Lock {
    /// Keys of the packages that importers need outside of development.
    fn reachable(&self) -> BTreeSet<String> {
        let mut waiting: Vec<String> = self.importers.values().flat_map(Dependencies::keys).collect();
        let mut seen = BTreeSet::new();
        while let Some(key) = waiting.pop() {
            if let Some(snapshot) = self.snapshots.get(&key)
                && !seen.contains(&key)
            {
                waiting.extend(snapshot.keys());
                seen.insert(key);
            }
        }
        seen.iter().map(|key| key.split('(').next().unwrap_or(key).to_owned()).collect()
    }
}

/// Name and version of a key, in whichever version of the format.
fn identity(key: &str) -> (&str, &str) {
    let key = key.split('(').next().unwrap_or(key);
    // Version 5 may put the registry's host in front.
    let path = key.strip_prefix('/').or_else(|| match key.starts_with('@') {
        true => None,
        false => key.split_once('/').filter(|(host, _)| host.contains('.')).map(|(_, path)| path),
    });
    let path = path.unwrap_or(key);
    // Version 5 separates the version by a slash and peers by `_`; later ones separate it by `@`.
    let unpeered = path.match_indices('_').map(|(at, _)| &path[..at]).find(|left| ends_in_version(left));
    let unpeered = unpeered.unwrap_or(path);
    match unpeered.rsplit_once('/').filter(|_| ends_in_version(unpeered)) {
        Some(old) => old,
        None => path.rsplit_once('@').unwrap_or((path, "")),
    }
}

/// Whether the last segment of a key of version 5 is a version.
fn ends_in_version(path: &str) -> bool {
    let last = path.rsplit_once('/').map_or("", |(_, last)| last);
    last.starts_with(|first: char| first.is_ascii_digit()) && !last.contains('@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const V5: &str = "lockfileVersion: 5.4\npackages:\n  /@s/n/1.2.3_react@17.0.2:\n    resolution: {integrity: x}\n    dev: false\n  /a/1.0.0:\n    dev: false\n  /dev/2.0.0:\n    dev: true\n";
    const V6: &str = "lockfileVersion: '6.0'\npackages:\n  /@s/n@1.2.3(react@17.0.2):\n    resolution: {integrity: x}\n  /a@1.0.0:\n    dev: false\n  /dev@2.0.0:\n    dev: true\n";
    const V9: &str = "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      '@s/n':\n        specifier: ^1\n        version: 1.2.3(react@17.0.2)\n    devDependencies:\n      dev:\n        specifier: ^2\n        version: 2.0.0\npackages:\n  '@s/n@1.2.3':\n    resolution: {integrity: x}\n  a@1.0.0: {}\n  dev@2.0.0: {}\nsnapshots:\n  '@s/n@1.2.3(react@17.0.2)':\n    dependencies:\n      a: 1.0.0\n  a@1.0.0: {}\n  dev@2.0.0: {}\n";

    #[test]
    fn every_version_of_the_format_leaves_out_development() {
        for content in [V5, V6, V9] {
            check(
                &Pnpm,
                "app/pnpm-lock.yaml",
                content,
                &["npm/a@1.0.0 Declared", "npm/%40s/n@1.2.3 Declared"],
            );
        }
        check(&Pnpm, "node_modules/a/pnpm-lock.yaml", V6, &[]);
        check(&Pnpm, "pnpm-lock.yaml", "packages: [", &["analyzer-failed"]);
        let deep = format!("a: {}{}", "[".repeat(50_000), "]".repeat(50_000));
        check(&Pnpm, "pnpm-lock.yaml", &deep, &["analyzer-failed"]);
    }

    #[test]
    fn a_tarball_tells_another_registry() {
        let content = "packages:\n  /a@1.0.0:\n    resolution: {integrity: x, tarball: 'https://ci:secret@npm.acme.example/a.tgz'}\n  /b@1.0.0:\n    resolution: {tarball: 'https://registry.npmjs.org/b.tgz'}\n  /c@1.0.0:\n    resolution: [x]\n";
        check(
            &Pnpm,
            "pnpm-lock.yaml",
            content,
            &[
                "npm/a@1.0.0?repository_url=npm.acme.example Declared",
                "npm/b@1.0.0 Declared",
                "npm/c@1.0.0 Declared",
            ],
        );
    }

    #[test]
    fn keys_name_packages() {
        for (key, name, version) in [
            ("/a/1.0.0_b@2.0.0", "a", "1.0.0"),
            ("/@s/n/1.0.0_@t+b@2.0.0", "@s/n", "1.0.0"),
            ("registry.example.org/a/1.0.0", "a", "1.0.0"),
            ("/a_b@1.0.0", "a_b", "1.0.0"),
            ("@s/n@1.0.0(x@2)", "@s/n", "1.0.0"),
        ] {
            assert_eq!(identity(key), (name, version), "{key}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, key: String, at in 0..V9.len(), byte: u8) {
            identity(&key);
            analyze(&Pnpm, "pnpm-lock.yaml", &content);
            let mut sample = V9.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Pnpm, "pnpm-lock.yaml", &sample);
        }
    }
}
