//! Lock files of Python projects: what they declare.
//!
//! `requirements*.txt` and `_vendor/vendor.txt` (only pins, `==` and `===`), `Pipfile.lock`, `poetry.lock`, `pdm.lock`, `uv.lock` and
//! `pylock.toml` (PEP 751). Groups that only development installs are left out where the file names them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use shared::model::package::{Evidence, Package, PackageKind};

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, python, registry};

/// Reads the lock files of pip, Pipenv, Poetry, PDM, uv and PEP 751.
pub struct PythonLock;

impl PackageList for PythonLock {
    const NAME: &'static str = "python-lock";
    const VERSION: u32 = 4;
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Extension(".txt"),
        Trigger::Name("Pipfile.lock"),
        Trigger::Name("poetry.lock"),
        Trigger::Name("pdm.lock"),
        Trigger::Name("uv.lock"),
        Trigger::Name("pylock.toml"),
    ];

    fn is_one(path: &str) -> bool {
        let name = lock::file_name(path);
        match name.strip_suffix(".txt") {
            // What pip and others carry copies of.
            Some("vendor") => path.ends_with("/_vendor/vendor.txt"),
            Some(stem) => stem.starts_with("requirements") && lock::is_own(path),
            None => lock::is_own(path),
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "Pipfile.lock" => pipfile(text, entries),
            name if name.ends_with(".txt") => {
                requirements(text, entries);
                Ok(())
            }
            _ => tables(text, entries),
        }
    }
}

fn package(name: &str, version: &str, evidence: Evidence) -> Option<Package> {
    let name = python::normalised(name)?;
    let is_version = version.starts_with(|first: char| first.is_ascii_digit() || first == 'v');
    is_version.then(|| Package::new(PackageKind::PyPi, name, version, evidence))
}

/// pip's format: options, comments and ranges are no evidence of any one version.
pub(super) fn requirements(text: &str, entries: &mut Entries<'_>) {
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with(['#', '-']) {
            continue;
        }
        let pin = line.split([';', '\\']).next().unwrap_or(line);
        let Some((name, rest)) = pin.split_once("==") else { continue };
        let name = name.split('[').next().unwrap_or(name).trim();
        let version = rest.trim_start_matches('=').split(" --").next().unwrap_or(rest).trim();
        // A wildcard or a second condition makes it a range.
        if !version.contains(['*', ',', '<', '>', '!']) && !name.contains(['<', '>', '!', '~', ',', '@']) {
            entries.add(package(name, version, Evidence::Declared));
        }
    }
}

fn pipfile(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default, rename = "_meta")]
        meta: Value,
        #[serde(default)]
        default: BTreeMap<String, Value>,
    }
    let lock: Lock = serde_json::from_str(text)?;
    let sources = Sources::of(&lock.meta);
    for (name, entry) in &lock.default {
        let version = entry.get("version").and_then(Value::as_str);
        // Without a version it comes from a repository or a directory.
        if let Some(version) = version {
            let package = package(name, version.trim_start_matches('=').trim(), Evidence::Declared);
            entries.add(package.map(|package| registry::fetched(package, sources.index(entry))));
        }
    }
    Ok(())
}

/// The indexes of a project that Pipenv locked, by name.
struct Sources<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Sources<'a> {
    fn of(meta: &'a Value) -> Self {
        let stated = meta.get("sources").and_then(Value::as_array).into_iter().flatten();
        let text = |source: &'a Value, key: &str| source.get(key).and_then(Value::as_str);
        Self(stated.filter_map(|source| Some((text(source, "name")?, text(source, "url")?))).collect())
    }

    /// The URL of the index that a package is from: the one that its entry names, or the only one.
    fn index(&self, entry: &Value) -> Option<&'a str> {
        match entry.get("index").and_then(Value::as_str) {
            Some(name) => self.0.get(name).copied(),
            None => self.0.values().next().copied().filter(|_| self.0.len() == 1),
        }
    }
}

#[derive(Deserialize)]
struct Tables {
    #[serde(default, alias = "packages")]
    package: Vec<Table>,
}

#[derive(Deserialize)]
struct Table {
    name: Option<String>,
    version: Option<String>,
    category: Option<String>,
    groups: Option<Vec<String>>,
    source: Option<BTreeMap<String, toml::Value>>,
    index: Option<toml::Value>,
    git: Option<toml::Value>,
    vcs: Option<toml::Value>,
    directory: Option<toml::Value>,
    path: Option<toml::Value>,
    dependencies: Option<toml::Value>,
    #[serde(rename = "optional-dependencies")]
    optional: Option<toml::Value>,
    #[serde(rename = "dev-dependencies")]
    development: Option<toml::Value>,
}

impl Table {
    fn is_for_development(&self) -> bool {
        let is_main = |group: &String| matches!(&**group, "main" | "default");
        self.category.as_deref() == Some("dev")
            || self.groups.as_ref().is_some_and(|groups| !groups.is_empty() && !groups.iter().any(is_main))
    }

    /// The names of what it needs when it runs, as uv lists them.
    fn needs(&self) -> Vec<&str> {
        [named(self.dependencies.as_ref()), named(self.optional.as_ref())].concat()
    }

    /// The URL of the index that has it: Poetry's `url`, uv's `registry`, the `index` of PEP 751.
    fn index(&self) -> Option<&str> {
        let source = self.source.as_ref();
        let named = source.and_then(|source| source.get("url").or_else(|| source.get("registry")));
        named.or(self.index.as_ref())?.as_str()
    }

    /// Whether it is something else than what the index calls so.
    fn is_from_elsewhere(&self) -> bool {
        const ELSEWHERE: [&str; 6] = ["git", "editable", "virtual", "directory", "path", "url"];
        let by_key = |source: &BTreeMap<String, toml::Value>| match source.get("type") {
            // Poetry names what its `url` leads to; of these only an index has releases.
            Some(kind) => kind.as_str() != Some("legacy"),
            None => ELSEWHERE.iter().any(|key| source.contains_key(*key)),
        };
        let places = [&self.git, &self.vcs, &self.directory, &self.path];
        self.source.as_ref().is_some_and(by_key) || places.into_iter().any(Option::is_some)
    }
}

/// What uv locks for development alone: what the dependency groups of its projects lead to, and nothing else does.
fn only_for_development(tables: &[Table]) -> BTreeSet<&str> {
    let is_project = |table: &&Table| {
        let source = table.source.as_ref();
        source.is_some_and(|source| source.contains_key("editable") || source.contains_key("virtual"))
    };
    let projects: Vec<&Table> = tables.iter().filter(is_project).collect();
    let needed = reached(tables, projects.iter().flat_map(|project| project.needs()).collect());
    let groups = projects.iter().flat_map(|project| named(project.development.as_ref()));
    &reached(tables, groups.collect()) - &needed
}

/// The names in a list of `{name = …}`, or in a table of such lists.
fn named(stated: Option<&toml::Value>) -> Vec<&str> {
    let lists: Vec<&toml::Value> = match stated {
        Some(toml::Value::Table(groups)) => groups.values().collect(),
        Some(list) => vec![list],
        None => Vec::new(),
    };
    let entries = lists.into_iter().filter_map(toml::Value::as_array).flatten();
    entries.filter_map(|entry| entry.get("name")?.as_str()).collect()
}

/// The packages of these names, and all that they need.
fn reached<'t>(tables: &'t [Table], mut waiting: Vec<&'t str>) -> BTreeSet<&'t str> {
    let mut by_name: BTreeMap<&str, Vec<&Table>> = BTreeMap::new();
    for table in tables {
        by_name.entry(table.name.as_deref().unwrap_or_default()).or_default().push(table);
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if seen.insert(name) {
            for table in by_name.get(name).into_iter().flatten() {
                waiting.extend(table.needs());
            }
        }
    }
    seen
}

fn tables(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let lock: Tables = toml::from_str(text)?;
    let excluded = only_for_development(&lock.package);
    let is_excluded = |table: &Table| {
        table.is_for_development() || table.name.as_deref().is_some_and(|name| excluded.contains(name))
    };
    for table in lock.package.iter().filter(|table| !is_excluded(table)) {
        let (evidence, index) = match table.is_from_elsewhere() {
            true => (Evidence::Unmatched, None),
            false => (Evidence::Declared, table.index()),
        };
        match (&table.name, &table.version) {
            (Some(name), Some(version)) => {
                let package = package(name, version, evidence);
                entries.add(package.map(|package| registry::fetched(package, index)));
            }
            // Directories have no version.
            (Some(_), None) if evidence == Evidence::Unmatched => {}
            (None | Some(_), _) => entries.add(None),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const UV: &str = "version = 1\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\nsource = { editable = \".\" }\n[[package]]\nname = \"Jinja2\"\nversion = \"2.11.2\"\nsource = { registry = \"https://ci:secret@pypi.acme.example/simple\" }\n[[package]]\nname = \"x\"\nversion = \"1.0\"\nsource = { git = \"https://example.org/x\" }\n";

    #[test]
    fn only_pins_of_requirements_are_evidence() {
        let text = "\u{feff}# comment\n-r other.txt\nJinja2[i18n]==2.11.2 ; python_version > '3' --hash=sha256:00\nflask>=1\nmarkupsafe === 1.0 # why\nx==1.* \nb==2.0 \\\n    --hash=sha256:00\nurl @ https://example.org/a==1\n";
        for path in ["app/requirements.txt", "requirements-prod.txt"] {
            let pins = ["pypi/b@2.0 Declared", "pypi/jinja2@2.11.2 Declared", "pypi/markupsafe@1.0 Declared"];
            check(&PythonLock, path, text, &pins);
        }
        check(&PythonLock, "app/notes.txt", text, &[]);
        check(&PythonLock, "lib/site-packages/a/requirements.txt", text, &[]);
        let copies = "CacheControl==0.13.1  # Make sure\nrequests==2.31.0\n    certifi==2023.7.22\n";
        check(
            &PythonLock,
            "lib/site-packages/pip/_vendor/vendor.txt",
            copies,
            &[
                "pypi/cachecontrol@0.13.1 Declared",
                "pypi/certifi@2023.7.22 Declared",
                "pypi/requests@2.31.0 Declared",
            ],
        );
        check(&PythonLock, "src/vendor.txt", copies, &[]);
    }

    #[test]
    fn every_lock_file_leaves_out_what_is_for_development_or_from_elsewhere() {
        let poetry = "[[package]]\nname = \"a\"\nversion = \"1.0\"\ncategory = \"dev\"\n[[package]]\nname = \"b\"\nversion = \"2.0\"\ngroups = [\"main\", \"dev\"]\n[[package]]\nname = \"c\"\nversion = \"3.0\"\ngroups = [\"dev\"]\n";
        check(&PythonLock, "poetry.lock", poetry, &["pypi/b@2.0 Declared"]);
        let uv = [
            "pypi/app@0.1.0 Unmatched",
            "pypi/jinja2@2.11.2?repository_url=pypi.acme.example Declared",
            "pypi/x@1.0 Unmatched",
        ];
        check(&PythonLock, "uv.lock", UV, &uv);
        let pdm = "[[package]]\nname = \"a\"\nversion = \"1.0\"\ngroups = [\"default\"]\n";
        check(&PythonLock, "pdm.lock", pdm, &["pypi/a@1.0 Declared"]);
        let pylock = "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1.0\"\n[[packages]]\nname = \"b\"\ndirectory = { path = \".\" }\n";
        check(&PythonLock, "pylock.toml", pylock, &["pypi/a@1.0 Declared"]);
        let pipfile =
            r#"{"default":{"A.b":{"version":"==1.0"},"g":{"git":"x"}},"develop":{"c":{"version":"==2"}}}"#;
        check(&PythonLock, "Pipfile.lock", pipfile, &["pypi/a-b@1.0 Declared"]);
        for path in ["uv.lock", "Pipfile.lock"] {
            check(&PythonLock, path, "[", &["analyzer-failed"]);
        }
    }

    #[test]
    fn an_index_that_is_not_the_public_one_is_named() {
        let poetry = |url: &str| {
            format!(
                "[[package]]\nname = \"a\"\nversion = \"1.0\"\n[package.source]\ntype = \"legacy\"\nurl = \"{url}\"\n"
            )
        };
        let uv = |url: &str| {
            format!("[[package]]\nname = \"a\"\nversion = \"1.0\"\nsource = {{ registry = \"{url}\" }}\n")
        };
        let pylock =
            |url: &str| format!("[[packages]]\nname = \"a\"\nversion = \"1.0\"\nindex = \"{url}\"\n");
        let pipfile = |url: &str| {
            format!(
                r#"{{"_meta":{{"sources":[{{"name":"own","url":"{url}"}},{{"name":"pypi","url":"https://pypi.org/simple"}}]}},
                "default":{{"a":{{"version":"==1.0","index":"own"}}}}}}"#
            )
        };
        let private = ["pypi/a@1.0?repository_url=pypi.acme.example Declared"];
        let secret = "https://${USER}:secret@pypi.acme.example/simple";
        for (path, lock) in [
            ("poetry.lock", &poetry as &dyn Fn(&str) -> String),
            ("uv.lock", &uv),
            ("pylock.toml", &pylock),
            ("Pipfile.lock", &pipfile),
        ] {
            check(&PythonLock, path, &lock(secret), &private);
            check(&PythonLock, path, &lock("https://pypi.org/simple"), &["pypi/a@1.0 Declared"]);
        }
    }

    #[test]
    fn an_entry_of_pipenv_without_index_is_from_the_only_source_there_is() {
        let own = r#"{"name":"own","url":"https://pypi.acme.example/simple"}"#;
        let both = format!(r#"{own},{{"name":"pypi","url":"https://pypi.org/simple"}}"#);
        for (sources, expected) in [
            (own, "pypi/a@1.0?repository_url=pypi.acme.example Declared"),
            (&both, "pypi/a@1.0 Declared"),
            ("7", "pypi/a@1.0 Declared"),
        ] {
            let lock =
                format!(r#"{{"_meta":{{"sources":[{sources}]}},"default":{{"a":{{"version":"==1.0"}}}}}}"#);
            check(&PythonLock, "Pipfile.lock", &lock, &[expected]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..UV.len(), byte: u8) {
            for path in ["uv.lock", "Pipfile.lock", "requirements.txt"] {
                analyze(&PythonLock, path, &content);
            }
            let mut sample = UV.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&PythonLock, "uv.lock", &sample);
        }
    }
}
