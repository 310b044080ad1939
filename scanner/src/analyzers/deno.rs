//! `deno.lock`: the npm and JSR packages that it declares.
//!
//! Version 3 keeps them below `packages`, later ones at the top. A key is `name@version`, peers follow the version
//! after `_`. Nobody publishes advisories about JSR; its packages are inventory. Remote modules have no version.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::model::package::{Evidence, Package, PackageKind};

use super::lock::{Entries, PackageList, Unreadable};
use super::{Trigger, node};

/// Reads `deno.lock`.
pub struct Deno;

impl PackageList for Deno {
    const NAME: &'static str = "deno";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("deno.lock")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let lock: Lock = serde_json::from_str(text)?;
        for section in [&lock.sections, &lock.packages] {
            for key in section.npm.keys() {
                let named = split(key).map(|(name, rest)| (name, rest.split('_').next().unwrap_or(rest)));
                entries
                    .add(named.and_then(|(name, version)| node::package(name, version, Evidence::Declared)));
            }
            for key in section.jsr.keys() {
                entries.add(split(key).and_then(|(name, version)| jsr(name, version)));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(flatten)]
    sections: Sections,
    #[serde(default)]
    packages: Sections,
}

#[derive(Default, Deserialize)]
struct Sections {
    #[serde(default)]
    npm: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    jsr: BTreeMap<String, IgnoredAny>,
}

/// `@scope/name@rest` as name and rest.
fn split(key: &str) -> Option<(&str, &str)> {
    let at = key.char_indices().skip(1).find(|(_, character)| *character == '@')?.0;
    Some((&key[..at], &key[at + 1..]))
}

fn jsr(name: &str, version: &str) -> Option<Package> {
    let mut package = node::package(name, version, Evidence::Declared)?;
    package.kind = PackageKind::Jsr;
    Some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const V4: &str = r#"{"version":"4","specifiers":{"npm:a@1":"1.0.0_b@2.0.0"},"jsr":{"@std/path@1.0.2":{"integrity":"x"}},
        "npm":{"a@1.0.0_b@2.0.0":{"integrity":"x"},"@s/b@2.0.0":{}},"remote":{"https://example.org/x.ts":"00"}}"#;

    #[test]
    fn packages_are_named_without_their_peers() {
        let expected =
            ["npm/a@1.0.0 Declared", "npm/%40s/b@2.0.0 Declared", "jsr/%40std/path@1.0.2 Declared"];
        check(&Deno, "app/deno.lock", V4, &expected);
        let v3 = r#"{"version":"3","packages":{"npm":{"a@1.0.0":{}}},"remote":{}}"#;
        check(&Deno, "app/deno.lock", v3, &["npm/a@1.0.0 Declared"]);
        check(&Deno, "deno.lock", r#"{"npm":{"a":{}}}"#, &["record-skipped"]);
        check(&Deno, "deno.lock", "", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, key: String, at in 0..V4.len(), byte: u8) {
            split(&key);
            analyze(&Deno, "deno.lock", &content);
            let mut sample = V4.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Deno, "deno.lock", &sample);
        }
    }
}
