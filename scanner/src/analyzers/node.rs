//! npm packages: each `package.json` in, the one package that it describes out.
//!
//! A `package.json` in a package's place (`node_modules/<name>/`, `node_modules/@<scope>/<name>/`, the few
//! other directories from which programs load modules) describes something installed. One elsewhere is the
//! application itself: inventory, never matched. One deeper inside a package is a fixture or a build
//! artifact and is not a package. Format: npm's package.json(5).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, registry};
use crate::limits::Limits;

/// Reads `package.json`.
pub struct Node;

impl Analyzer for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn version(&self) -> u32 {
        3
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("package.json")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        std::str::from_utf8(file.path).map_or(true, |path| place(path).is_some())
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        match place(file.path) {
            Some(place) => read(file, place),
            None => Found::default(),
        }
    }
}

/// What a `package.json` means, by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'a> {
    /// In the place of an installed package; the directory's name as it is required, `@scope/name`.
    Installed(&'a str),
    /// Outside of any package.
    Application,
}

/// Directories below which nothing but test input lies.
const FIXTURES: [&str; 7] =
    ["test", "tests", "__tests__", "fixtures", "__fixtures__", "testdata", "test-fixtures"];

/// `None` where a `package.json` describes no package.
fn place(path: &str) -> Option<Place<'_>> {
    let directory = path.strip_suffix("package.json").map(|rest| rest.trim_end_matches('/'))?;
    if let Some(name) = installed_name(directory) {
        return Some(Place::Installed(name));
    }
    let outside = directory.split('/').all(|part| part != "node_modules" && !FIXTURES.contains(&part));
    outside.then_some(Place::Application)
}

/// The name under which a directory's package is required, if programs look for packages there.
fn installed_name(directory: &str) -> Option<&str> {
    let (parent, last) = directory.rsplit_once('/')?;
    let (root, name) = match parent.rsplit_once('/') {
        Some((root, scope)) if scope.starts_with('@') => (root, &directory[root.len() + 1..]),
        Some(_) | None => (parent, last),
    };
    let is_module_root =
        root == "node_modules" || root.ends_with("/node_modules") || root == "usr/share/nodejs";
    // The official images unpack yarn beside node_modules; its directory names the version.
    let is_yarn =
        (parent == "opt" && last.starts_with("yarn-v")) || (parent == "usr/share" && last == "yarn");
    if is_module_root && !name.starts_with('.') && (!name.starts_with('@') || name.contains('/')) {
        Some(name)
    } else {
        is_yarn.then_some("yarn")
    }
}

fn read(file: &CapturedFile<'_>, place: Place<'_>) -> Found {
    let content = file.content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file.content);
    let manifest = match serde_json::from_slice::<Manifest<'_>>(content) {
        Ok(manifest) => manifest,
        Err(error) => return unreadable(file, place, &error),
    };
    match place {
        Place::Installed(directory) => installed(file, &manifest, directory),
        Place::Application => application(&manifest),
    }
}

/// What an unreadable file costs: an installed package that was not seen, or nothing that is ever matched.
fn unreadable(file: &CapturedFile<'_>, place: Place<'_>, error: &serde_json::Error) -> Found {
    let kind = match place {
        Place::Installed(_) => ProblemKind::AnalyzerFailed,
        Place::Application => ProblemKind::RecordSkipped,
    };
    Found::problem(Problem::new(kind, format!("package.json cannot be read: {error}")).at(file.path))
}

fn installed(file: &CapturedFile<'_>, manifest: &Manifest<'_>, directory: &str) -> Found {
    let (name, version) = match (manifest.text(&manifest.name), manifest.text(&manifest.version)) {
        (name, Some(version)) => (name.unwrap_or_else(|| directory.to_owned()), version),
        // Markers such as {"type": "module"} and names without a version state no package.
        (_, None) => return Found::default(),
    };
    let Some((namespace, base)) = split_name(&name) else {
        let detail = format!("{name:?} is no npm package name");
        return Found::problem(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path));
    };
    let version = cleaned(&version);
    if !is_semver(version) {
        let detail =
            format!("npm package {name:?} has the version {version:?}, which is no semantic version");
        return Found::problem(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path));
    }
    // A private package cannot have come from a registry: its name is not the registry's.
    let evidence = match manifest.is_private() {
        true => Evidence::Unmatched,
        false => Evidence::Installed,
    };
    let package = manifest.package(namespace, base, version, evidence);
    let mut found = Found::default();
    found.push(registry::fetched(package, manifest.text(&manifest.resolved).as_deref()));
    found
}

fn application(manifest: &Manifest<'_>) -> Found {
    let mut found = Found::default();
    // An extension of an editor is no package of npm, which knows no publishers.
    if manifest.publisher.is_some() {
        return found;
    }
    let stated = (manifest.text(&manifest.name), manifest.text(&manifest.version));
    if let (Some(name), Some(version)) = stated
        && let Some((namespace, base)) = split_name(&name)
    {
        found.push(manifest.package(namespace, base, cleaned(&version), Evidence::Unmatched));
    }
    found
}

/// An npm package by its full name; `None` if npm could not install anything of that name and version.
pub(super) fn package(name: &str, version: &str, evidence: Evidence) -> Option<Package> {
    let (namespace, base) = split_name(name)?;
    let version = cleaned(version);
    let mut package = is_semver(version).then(|| Package::new(PackageKind::Npm, base, version, evidence))?;
    package.namespace = namespace.map(str::to_owned);
    Some(package)
}

/// `@scope/name` as (`@scope`, `name`); `None` if npm could not install anything of that name.
fn split_name(name: &str) -> Option<(Option<&str>, &str)> {
    let fits = |part: &str| {
        !part.is_empty()
            && part.len() <= 214
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "/\\%@?#".contains(c))
    };
    match name.strip_prefix('@') {
        Some(rest) => {
            let (scope, base) = rest.split_once('/')?;
            (fits(scope) && fits(base)).then(|| (Some(&name[..=scope.len()]), base))
        }
        None => fits(name).then_some((None, name)),
    }
}

/// A version without the decoration that npm ignores.
fn cleaned(version: &str) -> &str {
    version.trim().trim_start_matches(['v', '=']).trim_start()
}

/// Whether a text is a version by Semantic Versioning 2.0.0, leading zeros tolerated as npm's loose mode does.
fn is_semver(version: &str) -> bool {
    let is_number =
        |part: &str| !part.is_empty() && part.len() <= 64 && part.bytes().all(|b| b.is_ascii_digit());
    let is_identifiers = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    let (rest, build) = match version.split_once('+') {
        Some((rest, build)) => (rest, Some(build)),
        None => (version, None),
    };
    let (core, pre) = match rest.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (rest, None),
    };
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && build.is_none_or(is_identifiers)
        && pre.is_none_or(is_identifiers)
}

/// The members of a `package.json` that matter, unparsed: packages in the wild hold anything anywhere.
#[derive(Default)]
struct Manifest<'a> {
    name: Option<&'a RawValue>,
    version: Option<&'a RawValue>,
    private: Option<&'a RawValue>,
    license: Option<&'a RawValue>,
    licenses: Option<&'a RawValue>,
    publisher: Option<&'a RawValue>,
    /// What npm wrote into the files that it installed, up to its version 6.
    resolved: Option<&'a RawValue>,
}

/// The longest value that is worth parsing.
const LONGEST_VALUE: usize = 64 << 10;

impl Manifest<'_> {
    /// A member that is a non-empty string.
    fn text(&self, member: &Option<&RawValue>) -> Option<String> {
        let text = member.filter(|raw| raw.get().len() <= LONGEST_VALUE)?.get();
        let text: String = serde_json::from_str(text).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn is_private(&self) -> bool {
        self.private.is_some_and(|raw| matches!(raw.get(), "true" | "\"true\""))
    }

    fn package(&self, namespace: Option<&str>, name: &str, version: &str, evidence: Evidence) -> Package {
        let mut package = Package::new(PackageKind::Npm, name, version, evidence);
        package.namespace = namespace.map(str::to_owned);
        package.licenses = self.license_texts();
        package
    }

    /// `license` and the older `licenses`: strings, objects with a `type`, and lists of both.
    fn license_texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for raw in [self.license, self.licenses].into_iter().flatten() {
            if raw.get().len() > LONGEST_VALUE {
                continue;
            }
            match serde_json::from_str::<Licenses>(raw.get()) {
                Ok(Licenses::One(license)) => texts.extend(license.text()),
                Ok(Licenses::Many(list)) => texts.extend(list.into_iter().filter_map(License::text)),
                // Whatever else stands there names no licence.
                Err(_) => {}
            }
        }
        texts.dedup();
        texts
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Licenses {
    One(License),
    Many(Vec<License>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum License {
    Text(String),
    Object {
        #[serde(rename = "type")]
        kind: Option<String>,
        name: Option<String>,
    },
}

impl License {
    fn text(self) -> Option<String> {
        let text = match self {
            Self::Text(text) => Some(text),
            Self::Object { kind, name } => kind.or(name),
        };
        text.filter(|text| !text.is_empty())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Manifest<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Collects members one by one, so that of duplicate keys the last one counts, as in JavaScript.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Manifest<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut manifest = Manifest::default();
        while let Some(Key(key)) = map.next_key()? {
            let member = match key.as_ref() {
                "name" => &mut manifest.name,
                "version" => &mut manifest.version,
                "private" => &mut manifest.private,
                "license" => &mut manifest.license,
                "licenses" => &mut manifest.licenses,
                "publisher" => &mut manifest.publisher,
                "_resolved" => &mut manifest.resolved,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *member = Some(map.next_value()?);
        }
        Ok(manifest)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Key)
    }
}

#[cfg(test)]
mod tests;
