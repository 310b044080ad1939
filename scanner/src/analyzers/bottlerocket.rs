//! Bottlerocket's `application-inventory.json`: the rpms that an image without rpm was built from.
//!
//! `{"Content": [{"Name", "Publisher", "Version", "Release", "Architecture", …}]}`, written by the build of every
//! variant.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::ledger::Ledger;
use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads Bottlerocket's inventory.
#[derive(Debug)]
pub struct Bottlerocket;

/// Below the root, or below the build's `<architecture>-bottlerocket-linux-gnu/sys-root`.
const INVENTORY: &[u8] = b"usr/share/bottlerocket/application-inventory.json";
const SYS_ROOT: &[u8] = b"-bottlerocket-linux-gnu/sys-root/";

impl Analyzer for Bottlerocket {
    fn name(&self) -> &'static str {
        "bottlerocket"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("application-inventory.json")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let root = file.path.strip_suffix(INVENTORY);
        root.is_some_and(|root| root.is_empty() || root.ends_with(SYS_ROOT))
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let mut ledger = Ledger::new(file, limits);
        match serde_json::from_str::<Inventory>(&lock::text(file.content)) {
            Ok(inventory) => {
                for application in inventory.content {
                    match application.package() {
                        Some(package) => ledger.package(package),
                        None => ledger.damage("an application has no name or no version"),
                    }
                }
            }
            Err(error) => ledger.damage(format_args!("the inventory cannot be read: {error}")),
        }
        ledger.close()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inventory {
    content: Vec<Application>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Application {
    name: Option<String>,
    publisher: Option<String>,
    version: Option<String>,
    release: Option<String>,
    architecture: Option<String>,
}

impl Application {
    fn package(self) -> Option<Package> {
        let stated = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (name, version) = (stated(self.name)?, stated(self.version)?);
        let version = match stated(self.release) {
            Some(release) => format!("{version}-{release}"),
            None => version,
        };
        Some(Package {
            architecture: stated(self.architecture),
            vendor: stated(self.publisher),
            ..Package::new(PackageKind::Rpm, name, version, Evidence::Installed)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str =
        "x86_64-bottlerocket-linux-gnu/sys-root/usr/share/bottlerocket/application-inventory.json";

    #[test]
    fn an_inventory_lists_installed_rpms() {
        let inventory = r#"{"Content":[
            {"Name":"glibc","Publisher":"Bottlerocket","Version":"2.38","Release":"1.1700000000.abcdef.br1",
             "InstalledTime":"2024-01-01T00:00:00Z","ApplicationType":"Unspecified","Architecture":"x86_64",
             "Url":"http://www.gnu.org/software/glibc/","Summary":"The GNU libc libraries"},
            {"Name":"bash","Version":"5.2.21","Release":null}]}"#;
        let expected =
            ["rpm/glibc@2.38-1.1700000000.abcdef.br1?arch=x86_64 Installed", "rpm/bash@5.2.21 Installed"];
        for path in [PATH, "usr/share/bottlerocket/application-inventory.json"] {
            check(&Bottlerocket, path, inventory, &expected);
        }
        check(&Bottlerocket, "srv/usr/share/bottlerocket/application-inventory.json", inventory, &[]);
        check(&Bottlerocket, PATH, r#"{"Content":[]}"#, &[]);
    }

    #[test]
    fn i4_what_may_hide_a_package_is_a_blocking_problem() {
        let deep = format!("{{\"Content\":{}", "[".repeat(100_000));
        for damaged in ["", "[]", "{}", r#"{"Content":null}"#, r#"{"Content":[{"Name":"x"}]}"#, &deep] {
            check(&Bottlerocket, PATH, damaged, &["database-unreadable"]);
        }
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            analyze(&Bottlerocket, PATH, &content);
        }
    }
}
