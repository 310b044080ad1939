//! .NET applications: `*.deps.json` in, the NuGet packages that are shipped with the program out.
//!
//! Shipped is what the target of `runtimeTarget` lists with `runtime` or `native` files. Format: the SDK's
//! runtime-configuration-file.md, "deps.json".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads `*.deps.json`.
pub struct DotNet;

impl Analyzer for DotNet {
    fn name(&self) -> &'static str {
        "dotnet"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Extension(".deps.json")]
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let deps: Deps = match serde_json::from_str(&lock::text(file.content)) {
            Ok(deps) => deps,
            Err(error) => return lock::unreadable(file, &error),
        };
        let mut entries = lock::Entries::new(file, limits);
        let target_name = deps.runtime_target.name();
        let target = deps.targets.get(target_name);
        let mut has_framework = false;
        for (key, library) in &deps.libraries {
            let is_runtime = library.kind == "runtimepack" || key.starts_with("runtimepack.");
            if library.kind != "package" && !is_runtime {
                continue;
            }
            let is_shipped = target.is_none_or(|target| target.get(key).is_some_and(Assets::are_shipped));
            if is_shipped {
                let stated = key.strip_prefix("runtimepack.").unwrap_or(key);
                has_framework |= stated.contains(".App.Runtime.");
                let named = stated.split_once('/');
                entries.add(named.and_then(|(name, version)| package(name, version, Evidence::Installed)));
            }
        }
        if let (false, Some((framework, version))) = (has_framework, shared_framework(file.path)) {
            let platform = target_name.rsplit_once('/').map_or("", |(_, platform)| platform);
            if !platform.is_empty() {
                let name = format!("{framework}.Runtime.{platform}");
                entries.add(package(&name, version, Evidence::Installed));
            }
        }
        entries.finish()
    }
}

/// A NuGet package; `None` if NuGet allows no such name or version.
pub(super) fn package(name: &str, version: &str, evidence: Evidence) -> Option<Package> {
    let is_name = !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_version = version.starts_with(|first: char| first.is_ascii_digit())
        && version.len() <= 128
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte));
    (is_name && is_version).then(|| Package::new(PackageKind::NuGet, name, version, evidence))
}

/// (`framework`, `version`) of `dotnet/shared/<framework>/<version>/<framework>.deps.json`.
fn shared_framework(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/');
    let stem = parts.next()?.strip_suffix(".deps.json")?;
    let (version, framework, shared) = (parts.next()?, parts.next()?, parts.next()?);
    (shared == "shared" && framework == stem).then_some((framework, version))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deps {
    #[serde(default)]
    runtime_target: RuntimeTarget,
    #[serde(default)]
    targets: BTreeMap<String, BTreeMap<String, Assets>>,
    #[serde(default)]
    libraries: BTreeMap<String, Library>,
}

/// An object in today's files, a plain name in the oldest.
#[derive(Deserialize)]
#[serde(untagged)]
enum RuntimeTarget {
    Named { name: String },
    Plain(String),
}

impl Default for RuntimeTarget {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl RuntimeTarget {
    fn name(&self) -> &str {
        match self {
            Self::Named { name } | Self::Plain(name) => name,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assets {
    runtime: Option<Value>,
    native: Option<Value>,
    runtime_targets: Option<Value>,
}

impl Assets {
    fn are_shipped(&self) -> bool {
        let members = [&self.runtime, &self.native, &self.runtime_targets];
        members.into_iter().flatten().any(|files| files.as_object().is_some_and(|files| !files.is_empty()))
    }
}

#[derive(Deserialize)]
struct Library {
    #[serde(rename = "type", default)]
    kind: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::lock::sample::{analyze, check};
    use super::*;

    const DEPS: &str = r#"{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-x64"},
        "targets":{".NETCoreApp,Version=v8.0":{},".NETCoreApp,Version=v8.0/linux-x64":{
            "app/1.0.0":{"runtime":{"app.dll":{}}},
            "Newtonsoft.Json/12.0.1":{"runtime":{"lib/Newtonsoft.Json.dll":{}}},
            "Build.Only/1.0.0":{},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1":{"runtime":{"a.dll":{}}}}},
        "libraries":{"app/1.0.0":{"type":"project"},"Newtonsoft.Json/12.0.1":{"type":"package"},
            "Build.Only/1.0.0":{"type":"package"},"System.X/4.0.0":{"type":"reference"},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1":{"type":"runtimepack"}}}"#;

    #[test]
    fn only_packages_whose_files_are_shipped_count() {
        check(
            &DotNet,
            "app/app.deps.json",
            DEPS,
            &[
                "nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.1 Installed",
                "nuget/Newtonsoft.Json@12.0.1 Installed",
            ],
        );
        check(&DotNet, "app/app.deps.json", "{", &["analyzer-failed"]);
    }

    #[test]
    fn a_shared_framework_is_the_package_that_ships_it() {
        check(
            &DotNet,
            "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json",
            r#"{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-musl-x64"},"targets":{},"libraries":{}}"#,
            &["nuget/Microsoft.NETCore.App.Runtime.linux-musl-x64@8.0.1 Installed"],
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..DEPS.len(), byte: u8) {
            analyze(&DotNet, "a.deps.json", &content);
            let mut sample = DEPS.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&DotNet, "a.deps.json", &sample);
        }
    }
}
