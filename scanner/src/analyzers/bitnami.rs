//! Bitnami's images: the components below `/opt/bitnami`.
//!
//! `.bitnami_components.json` maps a component to `{arch, distro, type, version}`. Each component has an SPDX document
//! `.spdx-<component>.spdx` besides, in which its packages have purls of type `bitnami`; what else the document lists
//! was built into the component, as its author claims. Versions end in `-<revision>` of Bitnami's own builds.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::sbom;

/// Reads `.bitnami_components.json` and `.spdx-*.spdx`.
pub struct Bitnami;

const COMPONENTS: &str = ".bitnami_components.json";

impl PackageList for Bitnami {
    const NAME: &'static str = "bitnami";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name(COMPONENTS), Trigger::Extension(".spdx")];

    fn is_one(path: &str) -> bool {
        lock::file_name(path) == COMPONENTS || is_document(path)
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        if lock::file_name(path) == COMPONENTS {
            let components: BTreeMap<String, Component> = serde_json::from_str(text)?;
            for (name, component) in components {
                entries.add(component.into_package(&name));
            }
            return Ok(());
        }
        match sbom::read(text, evidence)? {
            Some(listing) => sbom::enter(path, listing, entries),
            None => return Err(Unreadable::new(&"it is no SPDX document")),
        }
        Ok(())
    }
}

/// The document's own component is installed; what else it lists was built into that, as its author claims.
fn evidence(purl: &str) -> Evidence {
    if purl.starts_with("pkg:bitnami/") { Evidence::Installed } else { Evidence::Claimed }
}

/// Whether a file is the SPDX document of a component.
pub(super) fn is_document(path: &str) -> bool {
    let name = lock::file_name(path);
    path.starts_with("opt/bitnami/") && name.starts_with(".spdx-") && name.ends_with(".spdx")
}

#[derive(Deserialize)]
struct Component {
    arch: Option<String>,
    distro: Option<String>,
    version: Option<String>,
}

impl Component {
    fn into_package(self, name: &str) -> Option<Package> {
        let mut package =
            lock::package(PackageKind::Bitnami, name, self.version.as_deref()?, Evidence::Installed)?;
        package.architecture = self.arch;
        package.qualifiers.extend(self.distro.map(|distro| ("distro".to_owned(), distro)));
        Some(package)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const LIST: &str = "opt/bitnami/.bitnami_components.json";
    const DOCUMENT: &str = "opt/bitnami/postgresql/.spdx-postgresql.spdx";
    /// As in the image of Redis 7.2.
    const REDIS: &str = r#"{
    "redis": {"arch": "amd64", "distro": "debian-12", "type": "NAMI", "version": "7.2.5-0"},
    "wait-for-port": {"arch": "amd64", "distro": "debian-12", "type": "NAMI", "version": "1.0.7-13"}
}"#;
    const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","packages":[
        {"name":"postgresql","versionInfo":"18.6.0-3","externalRefs":[{"referenceType":"purl",
         "referenceLocator":"pkg:bitnami/postgresql@18.6.0-3?arch=amd64&distro=photon-5"}]},
        {"name":"org.postgresql:pljava","externalRefs":[{"referenceType":"purl",
         "referenceLocator":"pkg:maven/org.postgresql/pljava@1.6.10"}]}]}"#;

    #[test]
    fn components_are_installed_and_what_is_in_them_claimed() {
        let redis = [
            "bitnami/redis@7.2.5-0?arch=amd64&distro=debian-12 Installed",
            "bitnami/wait-for-port@1.0.7-13?arch=amd64&distro=debian-12 Installed",
        ];
        check(&Bitnami, LIST, REDIS, &redis);
        let postgresql = [
            "maven/org.postgresql/pljava@1.6.10 Claimed",
            "bitnami/postgresql@18.6.0-3?arch=amd64&distro=photon-5 Installed",
        ];
        check(&Bitnami, DOCUMENT, SPDX, &postgresql);
        check(&Bitnami, "srv/.spdx-postgresql.spdx", SPDX, &[]);
        check(&Bitnami, LIST, r#"{"a":{"version":null},"b":{}}"#, &["record-skipped"]);
        check(&Bitnami, LIST, "{", &["analyzer-failed"]);
        check(&Bitnami, DOCUMENT, "", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..REDIS.len(), byte: u8) {
            analyze(&Bitnami, LIST, &content);
            analyze(&Bitnami, DOCUMENT, &content);
            let mut sample = REDIS.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Bitnami, LIST, &sample);
        }
    }
}
