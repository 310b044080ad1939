//! Conda: each `conda-meta/*.json` in, the one installed package that it describes out.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{Entries, PackageList, Unreadable};

/// Reads the records of installed Conda packages.
pub struct Conda;

impl PackageList for Conda {
    const NAME: &'static str = "conda";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Parent("conda-meta")];

    fn is_one(path: &str) -> bool {
        path.ends_with(".json")
    }

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let record: Record = serde_json::from_str(text)?;
        entries.add(record.package());
        Ok(())
    }
}

#[derive(Deserialize)]
struct Record {
    name: Option<String>,
    version: Option<String>,
    subdir: Option<String>,
    license: Option<String>,
}

impl Record {
    fn package(self) -> Option<Package> {
        let stated = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (name, version) = (stated(self.name)?, stated(self.version)?);
        let mut package = Package::new(PackageKind::Conda, name, version, Evidence::Installed);
        package.architecture = stated(self.subdir);
        package.licenses.extend(stated(self.license));
        Some(package)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "opt/conda/conda-meta/numpy-1.26.4-py312_0.json";

    #[test]
    fn a_record_is_an_installed_package() {
        let record = r#"{"name":"numpy","version":"1.26.4","build":"py312_0","subdir":"linux-64","license":"BSD-3-Clause"}"#;
        check(&Conda, PATH, record, &["conda/numpy@1.26.4?arch=linux-64 Installed"]);
        assert_eq!(analyze(&Conda, PATH, record.as_bytes()).packages[0].package.licenses, ["BSD-3-Clause"]);
        check(&Conda, "opt/conda/conda-meta/history", record, &[]);
        check(&Conda, PATH, "{}", &["record-skipped"]);
        check(&Conda, PATH, "", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>) {
            analyze(&Conda, PATH, &content);
        }
    }
}
