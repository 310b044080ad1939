//! Extensions of Visual Studio Code and of editors made from it: each `extensions/<directory>/package.json` in, the
//! extension out. It has a `publisher`, which no other `package.json` has. Format: VS Code's "Extension Manifest".

use serde::Deserialize;
use serde_json::Value;
use shared::model::package::{Evidence, PackageKind};
use shared::model::problem::ProblemKind;

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads extensions.
pub struct VsCode;

impl PackageList for VsCode {
    const NAME: &'static str = "vscode";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("package.json")];

    fn is_one(path: &str) -> bool {
        path.rsplit('/').nth(2) == Some("extensions")
    }

    fn loss(_path: &str) -> ProblemKind {
        ProblemKind::RecordSkipped
    }

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let manifest: Manifest = serde_json::from_str(text)?;
        let Some(publisher) = manifest.publisher.as_ref().and_then(Value::as_str) else { return Ok(()) };
        let member =
            |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, version) = (member(&manifest.name), member(&manifest.version));
        let package = lock::package(PackageKind::VsCode, &name, &version, Evidence::Installed);
        entries.add(package.map(|mut package| {
            package.namespace = Some(publisher.to_owned()).filter(|publisher| !publisher.is_empty());
            package
        }));
        Ok(())
    }
}

#[derive(Deserialize)]
struct Manifest {
    publisher: Option<Value>,
    name: Option<Value>,
    version: Option<Value>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "root/.vscode-server/extensions/ms-python.python-2024.2.1/package.json";
    const MANIFEST: &str =
        r#"{"name":"python","publisher":"ms-python","version":"2024.2.1","engines":{"vscode":"^1.82.0"}}"#;

    #[test]
    fn what_has_a_publisher_is_an_extension() {
        check(&VsCode, PATH, MANIFEST, &["vscode-extension/ms-python/python@2024.2.1 Installed"]);
        check(&VsCode, PATH, r#"{"name":"a","version":"1.0.0"}"#, &[]);
        check(&VsCode, "app/node_modules/a/package.json", MANIFEST, &[]);
        check(&VsCode, PATH, r#"{"publisher":"a"}"#, &["record-skipped"]);
        check(&VsCode, PATH, "[", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..MANIFEST.len(), byte: u8) {
            analyze(&VsCode, PATH, &content);
            let mut sample = MANIFEST.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&VsCode, PATH, &sample);
        }
    }
}
