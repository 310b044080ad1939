//! Bun's `bun.lock`: the npm packages that it declares, without those that only development needs.
//!
//! JSON with comments and trailing commas; `packages{key: ["name@version", …, {dependencies}, …]}`, where the key
//! of a nested package is the path to it, `a/b`. The older `bun.lockb` is binary: it is only noted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use shared::model::package::Evidence;
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, lock, node};
use crate::limits::Limits;

/// Reads `bun.lock`.
pub struct Bun;

impl Analyzer for Bun {
    fn name(&self) -> &'static str {
        "bun"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("bun.lock"), Trigger::Name("bun.lockb")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        lock::is_own_bytes(file.path)
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        if file.path.ends_with(".lockb") {
            let detail = "Bun's binary lock file is not read";
            return Found::problem(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path));
        }
        let lock: Lock = match serde_json::from_str(&plain_json(&lock::text(file.content))) {
            Ok(lock) => lock,
            Err(error) => return lock::unreadable(file, &error),
        };
        let reachable = lock.reachable();
        let mut entries = lock::Entries::new(file, limits);
        for (_, entry) in lock.packages.iter().filter(|(key, _)| reachable.contains(key.as_str())) {
            let locator = entry.first().and_then(Value::as_str).unwrap_or_default();
            let at = locator.char_indices().skip(1).find(|(_, character)| *character == '@');
            let named = at.map(|(at, _)| (&locator[..at], &locator[at + 1..]));
            // Workspaces, directories and repositories are not what the registry calls so.
            if named.is_none_or(|(_, version)| !version.contains([':', '/'])) {
                entries
                    .add(named.and_then(|(name, version)| node::package(name, version, Evidence::Declared)));
            }
        }
        entries.finish()
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    workspaces: BTreeMap<String, Value>,
    #[serde(default)]
    packages: BTreeMap<String, Vec<Value>>,
}

/// Sections of dependencies that are installed outside of development.
const SECTIONS: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];

/// How many levels of nesting are searched for a package, more than any project has.
const DEEPEST: usize = 10;
/// The longest key below which packages are searched for, in bytes.
const LONGEST_KEY: usize = 512;

fn names(stated: &Value) -> impl Iterator<Item = &str> {
    let sections = SECTIONS.iter().filter_map(|section| stated.get(section)?.as_object());
    sections.flat_map(|section| section.keys()).map(String::as_str)
}

impl Lock {
    /// Keys of the packages that workspaces need outside of development.
    fn reachable(&self) -> BTreeSet<&str> {
        let roots = self.workspaces.values().flat_map(names);
        let mut waiting: Vec<&str> = roots.filter_map(|name| self.key("", name)).collect();
        let mut seen = BTreeSet::new();
        while let Some(key) = waiting.pop() {
            if seen.insert(key) {
                let needed = self.packages[key].iter().flat_map(names);
                waiting.extend(needed.filter_map(|name| self.key(key, name)));
            }
        }
        seen
    }

    /// The key under which a package finds another: the nearest above it, as Node.js searches.
    fn key(&self, from: &str, name: &str) -> Option<&str> {
        let mut place = if from.len() <= LONGEST_KEY { from } else { "" };
        for _ in 0..DEEPEST {
            let wanted = if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
            if let Some((key, _)) = self.packages.get_key_value(&wanted) {
                return Some(key);
            }
            if place.is_empty() {
                return None;
            }
            place = place.rsplit_once('/').map_or("", |(above, _)| above);
        }
        self.packages.get_key_value(name).map(|(key, _)| key.as_str())
    }
}

/// The text without comments and without commas before a closing bracket.
fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
                continue;
            }
            '}' | ']' => {
                let end = plain.trim_end().len();
                if plain[..end].ends_with(',') {
                    plain.truncate(end - 1);
                }
                1
            }
            other => other.len_utf8(),
        };
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    plain
}

/// How many bytes the string literal at the beginning has.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::lock::sample::{analyze, check};
    use super::*;

    const LOCK: &str = r#"{
      // a comment, with "quotes"
      "lockfileVersion": 1,
      "workspaces": { "": { "name": "app", "dependencies": { "a": "^1", "local": "workspace:*", }, "devDependencies": { "dev": "1" }, }, },
      "packages": {
        "a": ["a@1.0.0", "", { "dependencies": { "@s/b": "^2" } }, "sha512-//,]"],
        "a/@s/b": ["@s/b@2.0.0", "", {}, "x"],
        "@s/b": ["@s/b@1.0.0", "", {}, "x"],
        "dev": ["dev@1.0.0", "", {}, "x"],
        "local": ["local@workspace:local"],
      },
    }"#;

    #[test]
    fn the_packages_that_workspaces_need_are_declared() {
        check(&Bun, "app/bun.lock", LOCK, &["npm/a@1.0.0 Declared", "npm/%40s/b@2.0.0 Declared"]);
        check(&Bun, "app/node_modules/a/bun.lock", LOCK, &[]);
        check(&Bun, "app/bun.lockb", "#!/usr/bin/env bun\n", &["record-skipped"]);
        check(&Bun, "bun.lock", "{", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, text in "[\"\\\\/*,{}\\[\\]a é\n]{0,40}", at in 0..LOCK.len(), byte: u8) {
            plain_json(&text);
            analyze(&Bun, "bun.lock", &content);
            let mut sample = LOCK.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Bun, "bun.lock", &sample);
        }
    }
}
