//! `Cargo.lock`: the crates that it declares. Format: TOML, `[[package]]` with `name`, `version`, `source`.
//!
//! Which of them are built into a program only the program says; see [`super::cargo_auditable`].

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{Entries, PackageList, Unreadable};

/// Reads `Cargo.lock`.
pub struct CargoLock;

impl PackageList for CargoLock {
    const NAME: &'static str = "cargo-lock";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("Cargo.lock")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let lock: Lock = toml::from_str(text)?;
        for listed in lock.package {
            entries.add(listed.package());
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: Option<String>,
    version: Option<String>,
    source: Option<String>,
}

impl Listed {
    fn package(self) -> Option<Package> {
        let (name, version) = (self.name?, self.version?);
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_name = !name.is_empty() && name.bytes().all(is_allowed) && !version.trim().is_empty();
        // Members of the workspace and crates from repositories are not what the registry calls so.
        let is_registry = self.source.is_some_and(|source| {
            source.contains("github.com/rust-lang/crates.io-index") || source.contains("index.crates.io")
        });
        let evidence = if is_registry { Evidence::Declared } else { Evidence::Unmatched };
        is_name.then(|| Package::new(PackageKind::Cargo, name, version, evidence))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const LOCK: &str = "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"fork\"\nversion = \"1.0.0\"\nsource = \"git+https://example.org/fork#abc\"\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n";

    #[test]
    fn only_crates_of_the_registry_are_matched() {
        check(
            &CargoLock,
            "src/Cargo.lock",
            LOCK,
            &["cargo/app@0.1.0 Unmatched", "cargo/fork@1.0.0 Unmatched", "cargo/time@0.1.43 Declared"],
        );
        check(&CargoLock, "root/.cargo/registry/src/x/a-1/Cargo.lock", LOCK, &[]);
        check(&CargoLock, "Cargo.lock", "[[package]]\nname=\"a\"", &["record-skipped"]);
        check(&CargoLock, "Cargo.lock", "[", &["analyzer-failed"]);
        let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(&CargoLock, "Cargo.lock", &deep, &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..LOCK.len(), byte: u8) {
            analyze(&CargoLock, "Cargo.lock", &content);
            let mut sample = LOCK.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&CargoLock, "Cargo.lock", &sample);
        }
    }
}
