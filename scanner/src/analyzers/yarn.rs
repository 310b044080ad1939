//! Yarn's `yarn.lock`: the npm packages that it declares.
//!
//! Version 1 is a format of its own: blocks whose head lists patterns, `"a@^1", a@^2:`. Later versions
//! ("berry") look the same to a reader of lines but are YAML and name the package in `resolution`. Which
//! packages only development needs, the file does not say.

use shared::model::package::Evidence;

use super::lock::{Entries, PackageList, Unreadable};
use super::{Trigger, node, registry};

/// Reads `yarn.lock`.
pub struct Yarn;

impl PackageList for Yarn {
    const NAME: &'static str = "yarn";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("yarn.lock")];

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let mut block = Block::default();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            if line.starts_with(' ') || line.starts_with('\t') {
                block.field(line);
            } else {
                block.finish(entries);
                block = Block { head: line, ..Block::default() };
            }
        }
        block.finish(entries);
        Ok(())
    }
}

#[derive(Default)]
struct Block<'a> {
    head: &'a str,
    version: Option<&'a str>,
    resolution: Option<&'a str>,
    /// Where version 1 of the format says that it was fetched.
    resolved: Option<&'a str>,
}

impl<'a> Block<'a> {
    fn field(&mut self, line: &'a str) {
        // Deeper lines are dependencies; a package may be called `version`.
        let indent = line.len() - line.trim_start().len();
        let Some((key, value)) = line.trim().split_once([' ', ':']) else { return };
        let value = value.trim_matches([' ', ':', '"', '\'']);
        match (indent, key) {
            (2, "version") => self.version = Some(value),
            (2, "resolution") => self.resolution = Some(value),
            (2, "resolved") => self.resolved = Some(value),
            _ => {}
        }
    }

    fn finish(&self, entries: &mut Entries<'_>) {
        if self.head.is_empty() || self.head.starts_with("__metadata") {
            return;
        }
        match self.resolution {
            Some(resolution) => match locator(resolution) {
                Locator::Registry { name, version } => {
                    entries.add(node::package(&name, &version, Evidence::Declared));
                }
                Locator::Unclear => entries.add(None),
                Locator::Elsewhere => {}
            },
            None => self.finish_classic(entries),
        }
    }

    fn finish_classic(&self, entries: &mut Entries<'_>) {
        let pattern = self.head.split(',').next().unwrap_or_default();
        let Some((name, range)) = split_locator(pattern.trim_matches([' ', ':', '"'])) else {
            return entries.add(None);
        };
        let real = range.strip_prefix("npm:").and_then(split_locator);
        let is_elsewhere = range.contains(':') && !range.starts_with("npm:");
        if !is_elsewhere {
            let name = real.map_or(name, |(real, _)| real);
            let version = self.version.unwrap_or_default();
            let package = node::package(name, version, Evidence::Declared);
            entries.add(package.map(|package| registry::fetched(package, self.resolved)));
        }
    }
}

enum Locator {
    /// A release of the registry.
    Registry { name: String, version: String },
    /// It says neither.
    Unclear,
    /// A workspace, a directory, a repository.
    Elsewhere,
}

/// How many patches may be laid over each other.
const MOST_PATCHES: usize = 4;

/// `name@npm:1.2.3`, or a patch of one.
fn locator(text: &str) -> Locator {
    let mut text = text.replace("%3A", ":").replace("%40", "@");
    for _ in 0..MOST_PATCHES {
        let Some((name, reference)) = split_locator(&text) else { return Locator::Unclear };
        if let Some(inner) = reference.strip_prefix("patch:") {
            text = inner.split('#').next().unwrap_or_default().to_owned();
            continue;
        }
        let version = match reference.strip_prefix("npm:") {
            Some(version) => version,
            None if reference.contains(':') => return Locator::Elsewhere,
            None => reference,
        };
        let version = version.split("::").next().unwrap_or(version);
        let (name, version) = split_locator(version).unwrap_or((name, version));
        return Locator::Registry { name: name.to_owned(), version: version.to_owned() };
    }
    Locator::Elsewhere
}

/// `@scope/name@rest` as name and rest.
fn split_locator(text: &str) -> Option<(&str, &str)> {
    let scope = usize::from(text.starts_with('@'));
    let at = text[scope..].find('@')? + scope;
    (at > 0).then(|| (&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const CLASSIC: &str = "# yarn lockfile v1\n\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1.0\":\n  version \"1.2.3\"\n  resolved \"https://ci:secret@npm.acme.example/a.tgz#00\"\n  dependencies:\n    version \"^9.0.0\"\n\nx@npm:real@^1:\n  version \"1.0.1\"\n  resolved \"https://registry.yarnpkg.com/real.tgz#00\"\n\nlocal@file:./local:\n  version \"0.0.0\"\n";
    const BERRY: &str = "__metadata:\n  version: 6\n\n\"a@npm:^1.0.0, a@npm:^1.1\":\n  version: 1.2.3\n  resolution: \"a@npm:1.2.3\"\n  languageName: node\n\n\"b@patch:b@^2#~builtin<x>\":\n  version: 2.0.0\n  resolution: \"b@patch:b@npm%3A2.0.0#~builtin<x>::version=2.0.0&hash=1\"\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"app@workspace:.\"\n";

    #[test]
    fn both_formats_name_packages_of_the_registry() {
        let classic =
            ["npm/real@1.0.1 Declared", "npm/%40s/a@1.2.3?repository_url=npm.acme.example Declared"];
        check(&Yarn, "app/yarn.lock", CLASSIC, &classic);
        check(&Yarn, "app/yarn.lock", &CLASSIC.replace('\n', "\r\n"), &classic);
        check(&Yarn, "yarn.lock", BERRY, &["npm/a@1.2.3 Declared", "npm/b@2.0.0 Declared"]);
        check(&Yarn, "node_modules/a/yarn.lock", CLASSIC, &[]);
        check(&Yarn, "yarn.lock", "junk:\n  version \"1\"\n", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..BERRY.len(), byte: u8, lines in "([\"@:,# a-z]{0,12}\n){0,6}") {
            analyze(&Yarn, "yarn.lock", &content);
            analyze(&Yarn, "yarn.lock", lines.as_bytes());
            for sample in [CLASSIC, BERRY] {
                let mut sample = sample.as_bytes().to_vec();
                let at = at % sample.len();
                sample[at] = byte;
                analyze(&Yarn, "yarn.lock", &sample);
            }
        }
    }
}
