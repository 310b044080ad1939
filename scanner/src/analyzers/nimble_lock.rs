//! Nim's `nimble.lock`: the packages that it declares. JSON, `packages{name{version, vcsRevision, …}}`.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `nimble.lock`.
pub struct NimbleLock;

impl PackageList for NimbleLock {
    const NAME: &'static str = "nimble-lock";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("nimble.lock")];

    /// Nimble keeps installed packages, with all of their files, below `pkgs` or `pkgs2`.
    fn is_one(path: &str) -> bool {
        lock::is_own(path) && !path.contains(".nimble/")
    }

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let lock: Lock = serde_json::from_str(text)?;
        for (name, locked) in &lock.packages {
            let version = locked.version.as_deref().unwrap_or_default();
            // `#head` and the like are revisions, not releases.
            let evidence = if version.starts_with('#') { Evidence::Unmatched } else { Evidence::Declared };
            entries.add(lock::package(PackageKind::Nimble, name, version, evidence));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    version: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const LOCK: &str = r##"{"version":1,"packages":{"chronos":{"version":"3.0.11","vcsRevision":"00","url":"https://example.org/chronos",
        "downloadMethod":"git","dependencies":[],"checksums":{"sha1":"00"}},"stew":{"version":"#head"}},"tasks":{}}"##;

    #[test]
    fn packages_are_declared() {
        check(
            &NimbleLock,
            "app/nimble.lock",
            LOCK,
            &["nimble/chronos@3.0.11 Declared", "nimble/stew@%23head Unmatched"],
        );
        check(&NimbleLock, "root/.nimble/pkgs2/a-1.0-00/nimble.lock", LOCK, &[]);
        check(&NimbleLock, "nimble.lock", r#"{"packages":{"a":{}}}"#, &["record-skipped"]);
        check(&NimbleLock, "nimble.lock", "", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..LOCK.len(), byte: u8) {
            analyze(&NimbleLock, "nimble.lock", &content);
            let mut sample = LOCK.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&NimbleLock, "nimble.lock", &sample);
        }
    }
}
