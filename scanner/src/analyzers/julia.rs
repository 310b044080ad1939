//! Julia: the packages that an environment's manifest declares, and those that lie in a depot.
//!
//! `Manifest.toml` (`JuliaManifest.toml`, `Manifest-v1.11.toml`) lists since format 2.0 `[[deps.Name]] uuid, version,
//! git-tree-sha1`, before that `[[Name]]`. Parts of Julia itself have no tree of their own. A depot holds packages in
//! `packages/Name/slug/Project.toml`. Format: Pkg's documentation, "Project.toml and Manifest.toml".

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads the manifests and depots of Julia.
pub struct Julia;

impl PackageList for Julia {
    const NAME: &'static str = "julia";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Extension(".toml")];

    fn is_one(path: &str) -> bool {
        let name = lock::file_name(path);
        let is_manifest = matches!(name, "Manifest.toml" | "JuliaManifest.toml")
            || name
                .strip_prefix("Manifest-v")
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        match is_manifest {
            // What lies in a depot was locked by somebody else.
            true => lock::is_own(path) && !path.contains("/packages/"),
            false => name == "Project.toml" && in_depot(path).is_some(),
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match in_depot(path) {
            Some(directory) => {
                let project: Project = toml::from_str(text)?;
                let name = project.name.as_deref().unwrap_or(directory);
                // Julia's oldest packages state no version in their projects.
                if let Some(version) = &project.version {
                    entries.add(package(name, version, project.uuid.as_deref(), Evidence::Installed));
                }
            }
            None => {
                let manifest: Manifest = toml::from_str(text)?;
                for (name, locked) in manifest.locked() {
                    if let Some(package) = locked.package(&name) {
                        entries.add(package);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The name of the package in whose directory of a depot a file lies: `packages/Name/slug/Project.toml`.
fn in_depot(path: &str) -> Option<&str> {
    let mut parts = path.rsplit('/').skip(1);
    let (slug, name, packages) = (parts.next()?, parts.next()?, parts.next()?);
    let is_slug = (4..=5).contains(&slug.len()) && slug.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_slug && packages == "packages").then_some(name)
}

#[derive(Deserialize)]
struct Project {
    name: Option<String>,
    uuid: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    deps: Option<BTreeMap<String, Vec<Locked>>>,
    /// The packages of the older format, and whatever else stands at the top.
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Locked {
    uuid: Option<String>,
    version: Option<String>,
    path: Option<String>,
    repo_url: Option<String>,
}

impl Manifest {
    fn locked(self) -> Vec<(String, Locked)> {
        let older = self.others.into_iter().filter_map(|(name, value)| match value {
            toml::Value::Array(tables) => {
                let tables = tables.into_iter().filter_map(|table| table.try_into().ok());
                Some((name, tables.collect::<Vec<Locked>>()))
            }
            _ => None,
        });
        let packages: Vec<(String, Vec<Locked>)> = match self.deps {
            Some(deps) => deps.into_iter().collect(),
            None => older.collect(),
        };
        packages
            .into_iter()
            .flat_map(|(name, locked)| locked.into_iter().map(move |one| (name.clone(), one)))
            .collect()
    }
}

impl Locked {
    /// `None` for a part of Julia itself, `Some(None)` for what names no package.
    fn package(&self, name: &str) -> Option<Option<Package>> {
        let version = self.version.as_deref()?;
        let is_elsewhere = self.path.is_some() || self.repo_url.is_some();
        let evidence = if is_elsewhere { Evidence::Unmatched } else { Evidence::Declared };
        Some(package(name, version, self.uuid.as_deref(), evidence))
    }
}

/// Julia's registries may hold several packages of one name; the UUID tells them apart.
fn package(name: &str, version: &str, uuid: Option<&str>, evidence: Evidence) -> Option<Package> {
    let mut package = lock::package(PackageKind::Julia, name, version, evidence)?;
    package.qualifiers.extend(uuid.map(|uuid| ("uuid".to_owned(), uuid.to_owned())));
    Some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const V2: &str = "julia_version = \"1.9.0\"\nmanifest_format = \"2.0\"\nproject_hash = \"00\"\n\n[[deps.Adapt]]\ndeps = [\"LinearAlgebra\"]\ngit-tree-sha1 = \"42c4\"\nuuid = \"79e6a3ab\"\nversion = \"2.3.0\"\n\n[[deps.Base64]]\nuuid = \"2a0f44e3\"\n\n[[deps.Mine]]\npath = \"../Mine\"\nuuid = \"00\"\nversion = \"0.1.0\"\n";

    #[test]
    fn every_format_declares_what_is_not_julia_itself() {
        let expected = ["julia/Adapt@2.3.0?uuid=79e6a3ab Declared", "julia/Mine@0.1.0?uuid=00 Unmatched"];
        check(&Julia, "app/Manifest.toml", V2, &expected);
        check(&Julia, "app/Manifest-v1.11.toml", V2, &expected);
        let head = V2.find("\n\n").map_or("", |end| &V2[end..]);
        check(&Julia, "app/JuliaManifest.toml", &head.replace("[[deps.", "[["), &expected);
        check(&Julia, "app/other/Cargo.toml", V2, &[]);
        check(&Julia, "Manifest.toml", "[[deps.A]]\nversion = \"\"\n", &["record-skipped"]);
        check(&Julia, "Manifest.toml", "[[", &["analyzer-failed"]);
    }

    #[test]
    fn packages_in_a_depot_are_installed() {
        let project =
            "name = \"JSON\"\nuuid = \"682c06a0\"\nversion = \"0.21.4\"\n\n[compat]\njulia = \"0.7\"\n";
        check(
            &Julia,
            "root/.julia/packages/JSON/93Ea8/Project.toml",
            project,
            &["julia/JSON@0.21.4?uuid=682c06a0 Installed"],
        );
        check(&Julia, "app/Project.toml", project, &[]);
        check(&Julia, "root/.julia/packages/JSON/93Ea8/test/Manifest.toml", V2, &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..V2.len(), byte: u8) {
            analyze(&Julia, "Manifest.toml", &content);
            let mut sample = V2.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Julia, "Manifest.toml", &sample);
            analyze(&Julia, "packages/A/00000/Project.toml", &sample);
        }
    }
}
