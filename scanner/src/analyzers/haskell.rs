//! Haskell: the packages of a package database, and those that Cabal and Stack lock.
//!
//! GHC keeps a description of each library in `package.conf.d/*.conf`, lines `name: value` (`ghc-pkg describe`); parts
//! of a package state what it is called in `package-name`. `cabal.project.freeze` lists constraints `any.name ==version`;
//! `stack.yaml.lock` is YAML, `packages[{completed{hackage: name-version@sha256:…}}]`, and names a snapshot for the rest.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::fields::field;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads package databases, `cabal.project.freeze` and `stack.yaml.lock`.
pub struct Haskell;

impl PackageList for Haskell {
    const NAME: &'static str = "haskell";
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Parent("package.conf.d"),
        Trigger::Name("cabal.project.freeze"),
        Trigger::Name("stack.yaml.lock"),
    ];

    fn is_one(path: &str) -> bool {
        path.ends_with(".conf") || (!path.contains("package.conf.d/") && lock::is_own(path))
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "cabal.project.freeze" => frozen(text, entries),
            "stack.yaml.lock" => return stack(text, entries),
            _ => entries.add(described(text)),
        }
        Ok(())
    }
}

fn described(text: &str) -> Option<Package> {
    let name = field(text, "package-name").or_else(|| field(text, "name"))?;
    let mut package =
        lock::package(PackageKind::Hackage, name, field(text, "version")?, Evidence::Installed)?;
    package.licenses.extend(field(text, "license").map(str::to_owned));
    Some(package)
}

/// Constraints are separated by commas; those on flags name no version.
fn frozen(text: &str, entries: &mut Entries<'_>) {
    for constraint in text.split([',', '\n']).map(str::trim) {
        let constraint = constraint.strip_prefix("constraints:").unwrap_or(constraint).trim_start();
        if let Some((name, version)) = constraint.split_once("==") {
            let name = name.trim();
            let name = name.strip_prefix("any.").unwrap_or(name);
            entries.add(lock::package(PackageKind::Hackage, name, version.trim(), Evidence::Declared));
        }
    }
}

#[derive(Deserialize)]
struct StackLock {
    #[serde(default)]
    packages: Vec<StackPackage>,
}

#[derive(Deserialize)]
struct StackPackage {
    completed: Completed,
}

/// Of a package from elsewhere, `name` and `version` are stated instead.
#[derive(Deserialize)]
struct Completed {
    hackage: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

fn stack(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let lock: StackLock = serde_saphyr::from_str(text)?;
    for package in lock.packages {
        let completed = package.completed;
        entries.add(match (&completed.hackage, completed.name.zip(completed.version)) {
            (Some(revision), _) => {
                let identity = revision.split('@').next().unwrap_or(revision);
                identity.rsplit_once('-').and_then(|(name, version)| {
                    lock::package(PackageKind::Hackage, name, version, Evidence::Declared)
                })
            }
            (None, Some((name, version))) => {
                lock::package(PackageKind::Hackage, &name, &version, Evidence::Unmatched)
            }
            (None, None) => None,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const AESON: &str = include_str!("../../fixtures/aeson.conf");
    const PATH: &str = "var/lib/ghc/package.conf.d/aeson-2.0.3.0.conf";
    const FREEZE: &str = "active-repositories: hackage.haskell.org:merge\nconstraints: any.HUnit ==1.6.2.0,\n             any.aeson ==2.2.3.0,\n             aeson +ordered-keymap,\n             base ==4.18.2.1\nindex-state: hackage.haskell.org 2024-06-01T00:00:00Z\n";
    const STACK: &str = "packages:\n- completed:\n    hackage: llvm-hs-pretty-0.9.0.0@sha256:b7a5de5f,1671\n    pantry-tree:\n      size: 4685\n      sha256: 8cf6d628\n  original:\n    hackage: llvm-hs-pretty-0.9.0.0\n- completed:\n    commit: 00aa\n    git: https://example.org/mine.git\n    name: mine\n    version: 0.1.0\n  original:\n    commit: 00aa\nsnapshots:\n- completed:\n    size: 586268\n    sha256: d9e658a2\n";

    #[test]
    fn a_description_in_a_package_database_is_an_installed_package() {
        check(&Haskell, PATH, AESON, &["hackage/aeson@2.0.3.0 Installed"]);
        assert_eq!(analyze(&Haskell, PATH, AESON.as_bytes()).packages[0].package.licenses, ["BSD-3-Clause"]);
        let part = "name: z-attoparsec-z-internal\npackage-name: attoparsec\nversion:\n    0.14.4\n";
        check(&Haskell, PATH, part, &["hackage/attoparsec@0.14.4 Installed"]);
        check(&Haskell, PATH, "name: a\n", &["record-skipped"]);
        check(&Haskell, "var/lib/ghc/package.conf.d/package.cache", AESON, &[]);
    }

    #[test]
    fn lock_files_declare_versions_of_hackage() {
        let frozen = [
            "hackage/HUnit@1.6.2.0 Declared",
            "hackage/aeson@2.2.3.0 Declared",
            "hackage/base@4.18.2.1 Declared",
        ];
        check(&Haskell, "app/cabal.project.freeze", FREEZE, &frozen);
        let locked = ["hackage/llvm-hs-pretty@0.9.0.0 Declared", "hackage/mine@0.1.0 Unmatched"];
        check(&Haskell, "app/stack.yaml.lock", STACK, &locked);
        check(&Haskell, "stack.yaml.lock", "packages: [", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..FREEZE.len(), byte: u8) {
            for (path, sample) in [("cabal.project.freeze", FREEZE), ("stack.yaml.lock", STACK), (PATH, AESON)] {
                analyze(&Haskell, path, &content);
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&Haskell, path, &sample);
            }
        }
    }
}
