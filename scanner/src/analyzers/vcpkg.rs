//! vcpkg: the C and C++ packages that it installed, and the versions that a manifest pins.
//!
//! Each installed port writes `share/<port>/vcpkg.spdx.json`, an SPDX 2.2 document in which `SPDXRef-port` is the port.
//! Of a manifest, `vcpkg.json`, only `overrides[{name, version}]` state a version; `version>=` is a bound.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::ProblemKind;

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `vcpkg.spdx.json` and `vcpkg.json`.
pub struct Vcpkg;

impl PackageList for Vcpkg {
    const NAME: &'static str = "vcpkg";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("vcpkg.spdx.json"), Trigger::Name("vcpkg.json")];

    fn is_one(path: &str) -> bool {
        match lock::file_name(path) {
            // A port's recipe has a manifest as well.
            "vcpkg.json" => lock::is_own(path) && !path.split('/').any(|part| part == "ports"),
            _ => path.rsplit('/').nth(2) == Some("share"),
        }
    }

    fn loss(path: &str) -> ProblemKind {
        match path.ends_with(".spdx.json") {
            true => ProblemKind::AnalyzerFailed,
            false => ProblemKind::RecordSkipped,
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "vcpkg.json" => {
                let manifest: Manifest = serde_json::from_str(text)?;
                for pin in &manifest.overrides {
                    entries.add(pin.package());
                }
            }
            _ => {
                let document: Document = serde_json::from_str(text)?;
                let port = document.packages.iter().find(|package| package.id.as_deref() == Some(PORT));
                entries.add(port.and_then(Described::package));
            }
        }
        Ok(())
    }
}

/// What the port itself is called in its document; others are its binary package and its sources.
const PORT: &str = "SPDXRef-port";

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    packages: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "SPDXID")]
    id: Option<String>,
    name: Option<String>,
    #[serde(rename = "versionInfo")]
    version: Option<String>,
    #[serde(rename = "licenseConcluded")]
    license: Option<String>,
}

impl Described {
    fn package(&self) -> Option<Package> {
        let mut package = package(self.name.as_deref()?, self.version.as_deref()?, Evidence::Installed)?;
        package.licenses.extend(self.license.clone().filter(|license| license != "NOASSERTION"));
        Some(package)
    }
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    overrides: Vec<Override>,
}

#[derive(Deserialize)]
struct Override {
    name: Option<String>,
    #[serde(alias = "version-string", alias = "version-semver", alias = "version-date")]
    version: Option<String>,
}

impl Override {
    fn package(&self) -> Option<Package> {
        package(self.name.as_deref()?, self.version.as_deref()?, Evidence::Declared)
    }
}

/// What follows `#` counts the changes of the recipe.
fn package(name: &str, version: &str, evidence: Evidence) -> Option<Package> {
    lock::package(PackageKind::Vcpkg, name, version.split('#').next().unwrap_or(version), evidence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "app/vcpkg_installed/x64-linux/share/zlib/vcpkg.spdx.json";
    const SPDX: &str = r#"{"spdxVersion":"SPDX-2.2","name":"zlib:x64-linux@1.3.1#1 00","packages":[
        {"name":"zlib","SPDXID":"SPDXRef-port","versionInfo":"1.3.1#1","licenseConcluded":"Zlib"},
        {"name":"zlib:x64-linux","SPDXID":"SPDXRef-binary","versionInfo":"00"},
        {"SPDXID":"SPDXRef-resource-1","name":"madler/zlib"}]}"#;

    #[test]
    fn a_port_is_installed_and_an_override_declared() {
        check(&Vcpkg, PATH, SPDX, &["vcpkg/zlib@1.3.1 Installed"]);
        assert_eq!(analyze(&Vcpkg, PATH, SPDX.as_bytes()).packages[0].package.licenses, ["Zlib"]);
        let manifest = r#"{"dependencies":["fmt",{"name":"zlib","version>=":"1.2.11"}],"overrides":[{"name":"fmt","version":"6.0.0"}]}"#;
        check(&Vcpkg, "app/vcpkg.json", manifest, &["vcpkg/fmt@6.0.0 Declared"]);
        check(&Vcpkg, "opt/vcpkg/ports/a/vcpkg.json", manifest, &[]);
        check(&Vcpkg, PATH, r#"{"packages":[]}"#, &["record-skipped"]);
        check(&Vcpkg, PATH, "", &["analyzer-failed"]);
        check(&Vcpkg, "vcpkg.json", "", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..SPDX.len(), byte: u8) {
            analyze(&Vcpkg, PATH, &content);
            analyze(&Vcpkg, "vcpkg.json", &content);
            let mut sample = SPDX.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Vcpkg, PATH, &sample);
        }
    }
}
