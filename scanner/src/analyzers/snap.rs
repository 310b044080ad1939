//! Snaps that an image unpacked: `meta/snap.yaml` in, the snap out.
//!
//! Format: Snapcraft, "The snap format", `name`, `version` and `architectures` of `meta/snap.yaml`.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads what snaps say about themselves.
#[derive(Debug)]
pub struct Snap;

impl Analyzer for Snap {
    fn name(&self) -> &'static str {
        "snap"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("snap.yaml")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.path == b"meta/snap.yaml" || file.path.ends_with(b"/meta/snap.yaml")
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let stated: Stated = match serde_saphyr::from_str(&lock::text(file.content)) {
            Ok(stated) => stated,
            Err(error) => return lock::unreadable(file, &error),
        };
        let mut entries = lock::Entries::new(file, limits);
        entries.add(stated.package());
        entries.finish()
    }
}

#[derive(Deserialize)]
struct Stated {
    name: Option<String>,
    version: Option<String>,
    architectures: Option<Vec<String>>,
}

impl Stated {
    fn package(self) -> Option<Package> {
        let stated = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (name, version) = (stated(self.name)?, stated(self.version)?);
        let mut package = Package::new(PackageKind::Generic, name, version, Evidence::Installed);
        package.architecture = self.architectures.and_then(|all| all.into_iter().next());
        Some(package)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "snap/core22/1033/meta/snap.yaml";

    #[test]
    fn a_snap_is_an_installed_program() {
        let yaml = "name: core22\nversion: '20231123'\nsummary: Runtime environment\narchitectures:\n- amd64\nbase: none\n";
        check(&Snap, PATH, yaml, &["generic/core22@20231123?arch=amd64 Installed"]);
        check(&Snap, "meta/snap.yaml", "name: a\nversion: 1.50\n", &["generic/a@1.50 Installed"]);
        check(&Snap, "snap/snap.yaml", yaml, &[]);
        check(&Snap, PATH, "name: a\n", &["record-skipped"]);
        check(&Snap, PATH, "[", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, text in "\\PC{0,100}") {
            analyze(&Snap, PATH, &content);
            analyze(&Snap, PATH, text.as_bytes());
        }
    }
}
