//! Lock files of .NET projects: what they declare.
//!
//! `packages.lock.json` (`dependencies{framework{name{type, resolved}}}`), `project.assets.json`
//! (`libraries{"Name/Version"{type}}`) and `packages.config` (`<package id version developmentDependency>`).

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::Evidence;

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, dotnet};

/// Reads NuGet's lock files.
pub struct NuGetLock;

impl PackageList for NuGetLock {
    const NAME: &'static str = "nuget-lock";
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Name("packages.lock.json"),
        Trigger::Name("project.assets.json"),
        Trigger::Name("packages.config"),
    ];

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "packages.lock.json" => locked(text, entries),
            "project.assets.json" => assets(text, entries),
            _ => {
                config(text, entries);
                Ok(())
            }
        }
    }
}

fn locked(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        dependencies: BTreeMap<String, BTreeMap<String, Locked>>,
    }
    #[derive(Deserialize)]
    struct Locked {
        #[serde(rename = "type", default)]
        kind: String,
        resolved: Option<String>,
    }
    let lock: Lock = serde_json::from_str(text)?;
    for (name, locked) in lock.dependencies.values().flatten() {
        // Other projects of the solution have no release.
        if !locked.kind.eq_ignore_ascii_case("project") {
            let version = locked.resolved.as_deref().unwrap_or_default();
            entries.add(dotnet::package(name, version, Evidence::Declared));
        }
    }
    Ok(())
}

fn assets(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    #[derive(Deserialize)]
    struct Assets {
        #[serde(default)]
        libraries: BTreeMap<String, Library>,
    }
    #[derive(Deserialize)]
    struct Library {
        #[serde(rename = "type", default)]
        kind: String,
    }
    let assets: Assets = serde_json::from_str(text)?;
    for (key, _) in assets.libraries.iter().filter(|(_, library)| library.kind == "package") {
        let named = key.split_once('/');
        entries.add(named.and_then(|(name, version)| dotnet::package(name, version, Evidence::Declared)));
    }
    Ok(())
}

/// Flat XML: each element by itself, comments passed over, nothing expanded.
fn config(text: &str, entries: &mut Entries<'_>) {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let element = &rest[..rest.find('>').unwrap_or(rest.len())];
        rest = &rest[element.len()..];
        let Some(attributes) =
            element.strip_prefix("package").filter(|rest| rest.starts_with(char::is_whitespace))
        else {
            continue;
        };
        if attribute(attributes, "developmentDependency") != Some("true") {
            let named = attribute(attributes, "id").zip(attribute(attributes, "version"));
            entries.add(named.and_then(|(name, version)| dotnet::package(name, version, Evidence::Declared)));
        }
    }
}

/// The value of an attribute of an element.
fn attribute<'a>(mut attributes: &'a str, name: &str) -> Option<&'a str> {
    loop {
        let (key, rest) = attributes.split_once('=')?;
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let (value, next) = rest[1..].split_once(quote)?;
        if key.trim() == name {
            return Some(value);
        }
        attributes = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const CONFIG: &str = "<?xml version=\"1.0\"?>\n<packages>\n  <!-- <package id=\"C\" version=\"1.0\" /> -->\n  <package id=\"jQuery\" version='3.1.1' targetFramework=\"net46\" />\n  <package id=\"Dev\" version=\"1.0\" developmentDependency=\"true\" />\n</packages>";

    #[test]
    fn every_format_names_packages_and_no_projects() {
        let lock = r#"{"version":1,"dependencies":{"net8.0":{"A.B":{"type":"Direct","requested":"[1, )","resolved":"1.2.3"},"app":{"type":"Project"}}}}"#;
        check(&NuGetLock, "src/packages.lock.json", lock, &["nuget/A.B@1.2.3 Declared"]);
        let assets =
            r#"{"version":3,"libraries":{"A.B/1.2.3":{"type":"package"},"app/1.0.0":{"type":"project"}}}"#;
        check(&NuGetLock, "src/obj/project.assets.json", assets, &["nuget/A.B@1.2.3 Declared"]);
        check(&NuGetLock, "src/packages.config", CONFIG, &["nuget/jQuery@3.1.1 Declared"]);
        check(&NuGetLock, "packages.config", "<package id=\"a\"/>", &["record-skipped"]);
        check(&NuGetLock, "packages.lock.json", "{", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..CONFIG.len(), byte: u8, xml in "[<>!=\"' a-zé-]{0,40}") {
            for path in ["packages.config", "packages.lock.json", "project.assets.json"] {
                analyze(&NuGetLock, path, &content);
            }
            analyze(&NuGetLock, "packages.config", format!("<package {xml}").as_bytes());
            let mut sample = CONFIG.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&NuGetLock, "packages.config", &sample);
        }
    }
}
