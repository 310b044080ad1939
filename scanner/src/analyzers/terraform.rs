//! Terraform: the providers and modules that `terraform init` chose, as inventory. Nobody publishes advisories.
//!
//! `.terraform.lock.hcl` holds blocks `provider "host/namespace/type" { version = "…" }`; `.terraform/modules/modules.json`
//! is JSON, `Modules[{Source, Version}]`, where modules of the same project have no version.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::ProblemKind;

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads `.terraform.lock.hcl` and `modules.json`.
pub struct Terraform;

impl PackageList for Terraform {
    const NAME: &'static str = "terraform";
    const TRIGGERS: &'static [Trigger] =
        &[Trigger::Name(".terraform.lock.hcl"), Trigger::Parent(".terraform/modules")];

    fn is_one(path: &str) -> bool {
        matches!(lock::file_name(path), ".terraform.lock.hcl" | "modules.json")
    }

    fn loss(_path: &str) -> ProblemKind {
        ProblemKind::RecordSkipped
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        if path.ends_with(".json") {
            let list: ModuleList = serde_json::from_str(text)?;
            for module in &list.modules {
                if let (Some(source), Some(version)) = (&module.source, &module.version) {
                    entries.add(package(source, version));
                }
            }
            return Ok(());
        }
        let parsed = terms::parse(text, &terms::HCL)?;
        for block in parsed.windows(3) {
            if let [Term::Word("provider"), Term::Text(address), Term::Group('{', body)] = block {
                let version = body.windows(3).find_map(|words| match words {
                    [Term::Word("version"), Term::Mark('='), Term::Text(version)] => Some(&**version),
                    _ => None,
                });
                entries.add(version.and_then(|version| package(address, version)));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct ModuleList {
    #[serde(rename = "Modules", default)]
    modules: Vec<Module>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Module {
    source: Option<String>,
    version: Option<String>,
}

/// A provider or module by its address on a registry.
fn package(address: &str, version: &str) -> Option<Package> {
    let (namespace, name) = address.rsplit_once('/')?;
    let mut package = lock::package(PackageKind::Terraform, name, version, Evidence::Unmatched)?;
    package.namespace = Some(namespace.to_owned());
    Some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const LOCK: &str = include_str!("../../fixtures/terraform.lock.hcl");
    const MODULES: &str = r#"{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"a","Source":"./mods/a","Dir":"mods/a"},
        {"Key":"vpc","Source":"registry.terraform.io/terraform-aws-modules/vpc/aws","Version":"5.0.0","Dir":".terraform/modules/vpc"}]}"#;

    #[test]
    fn providers_and_modules_are_inventory() {
        let provider = ["terraform/registry.terraform.io/hashicorp/aws@4.67.0 Unmatched"];
        check(&Terraform, "infra/.terraform.lock.hcl", LOCK, &provider);
        let path = "infra/.terraform/modules/modules.json";
        let module = ["terraform/registry.terraform.io/terraform-aws-modules/vpc/aws@5.0.0 Unmatched"];
        check(&Terraform, path, MODULES, &module);
        check(&Terraform, "infra/.terraform/modules/README", MODULES, &[]);
        check(&Terraform, ".terraform.lock.hcl", "provider \"a/b\" {}", &["record-skipped"]);
        check(&Terraform, ".terraform.lock.hcl", "provider \"a/b\" {", &["record-skipped"]);
        check(&Terraform, path, "[", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..LOCK.len(), byte: u8) {
            analyze(&Terraform, ".terraform.lock.hcl", &content);
            analyze(&Terraform, ".terraform/modules/modules.json", &content);
            let mut sample = LOCK.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Terraform, ".terraform.lock.hcl", &sample);
        }
    }
}
