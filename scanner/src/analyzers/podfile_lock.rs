//! CocoaPods' `Podfile.lock`: the pods that it declares.
//!
//! YAML. `PODS` lists `Name (version)` or `Name/Subspec (version)`, each with what it needs; `EXTERNAL SOURCES` names
//! the pods that come from elsewhere than the specs repository. A subspec is a part of its pod.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::model::package::{Evidence, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `Podfile.lock`.
pub struct PodfileLock;

impl PackageList for PodfileLock {
    const NAME: &'static str = "podfile-lock";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("Podfile.lock")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let lock: Lock = serde_saphyr::from_str(text)?;
        let external: BTreeSet<&str> = lock.external.keys().map(|name| pod(name)).collect();
        for entry in &lock.pods {
            let stated = match entry {
                Entry::Alone(stated) => Some(stated),
                Entry::Needing(needing) => needing.keys().next(),
            };
            let named = stated.and_then(|stated| stated.trim_end().strip_suffix(')')?.split_once(" ("));
            entries.add(named.and_then(|(name, version)| {
                let name = pod(name);
                let evidence = if external.contains(name) { Evidence::Unmatched } else { Evidence::Declared };
                lock::package(PackageKind::CocoaPods, name, version, evidence)
            }));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "PODS", default)]
    pods: Vec<Entry>,
    #[serde(rename = "EXTERNAL SOURCES", default)]
    external: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Alone(String),
    Needing(BTreeMap<String, IgnoredAny>),
}

/// The pod of a subspec.
fn pod(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const LOCK: &str = "PODS:\n  - AFNetworking (4.0.1):\n    - AFNetworking/NSURLSession (= 4.0.1)\n  - AFNetworking/NSURLSession (4.0.1)\n  - \"GoogleUtilities/NSData+zlib (7.11.5)\"\n  - Local (0.1.0)\n\nDEPENDENCIES:\n  - AFNetworking\n  - Local (from `../Local`)\n\nEXTERNAL SOURCES:\n  Local:\n    :path: \"../Local\"\n\nSPEC CHECKSUMS:\n  AFNetworking: 7864c38297c79aaca1500c33288e429c3451fdce\n\nCOCOAPODS: 1.12.1\n";

    #[test]
    fn a_pod_is_declared_once_whatever_its_subspecs() {
        check(
            &PodfileLock,
            "ios/Podfile.lock",
            LOCK,
            &[
                "cocoapods/AFNetworking@4.0.1 Declared",
                "cocoapods/GoogleUtilities@7.11.5 Declared",
                "cocoapods/Local@0.1.0 Unmatched",
            ],
        );
        check(&PodfileLock, "Podfile.lock", "PODS:\n  - A\n", &["record-skipped"]);
        check(&PodfileLock, "Podfile.lock", "PODS: [", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..LOCK.len(), byte: u8) {
            analyze(&PodfileLock, "Podfile.lock", &content);
            let mut sample = LOCK.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&PodfileLock, "Podfile.lock", &sample);
        }
    }
}
