//! The `affected` entries of an OSV record: one package each, with its ranges and what its ecosystem adds.

use serde::Deserialize;
use serde_json::Value;
use shared::model::functions::FunctionHash;
use shared::model::report::FindingKind;

use super::wire::{WireSeverity, is_usable_name, null_is_default, vectors};
use super::{Affected, Event, Range, RangeOrder, Urgency};
use crate::advisories::{names, upstream};

/// The most events of one range, and the most versions of one entry, that are kept.
const MOST_VERSIONS: usize = 100_000;

#[derive(Deserialize)]
pub(super) struct WireAffected {
    package: Option<WirePackage>,
    #[serde(default, deserialize_with = "null_is_default")]
    severity: Vec<WireSeverity>,
    #[serde(default, deserialize_with = "null_is_default")]
    ranges: Vec<WireRange>,
    #[serde(default, deserialize_with = "null_is_default")]
    versions: Vec<String>,
    #[serde(default)]
    ecosystem_specific: Value,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Deserialize)]
struct WirePackage {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct WireRange {
    #[serde(rename = "type", default)]
    kind: String,
    /// Of a range of commits: where.
    repo: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    events: Vec<WireEvent>,
}

#[derive(Deserialize)]
struct WireEvent {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

impl WireAffected {
    /// Whether RustSec files it as unmaintained, unsound or a notice.
    pub(super) fn is_informational(&self) -> bool {
        self.database_specific.get("informational").is_some_and(Value::is_string)
    }

    /// The entry; one that names no package but a source repository is an entry of that repository, and one that
    /// names neither is none.
    pub(super) fn into_affected(self, kind: FindingKind) -> Vec<Affected> {
        let names_ecosystem = |package: &WirePackage| !package.ecosystem.is_empty();
        if self.package.as_ref().is_some_and(names_ecosystem) {
            self.into_package(kind).into_iter().collect()
        } else {
            self.into_repositories()
        }
    }

    /// One entry for each repository that programs come from.
    fn into_repositories(self) -> Vec<Affected> {
        let addresses = self.ranges.iter().filter(|range| range.kind == "GIT");
        let addresses = addresses.filter_map(|range| range.repo.as_deref());
        let mut repositories: Vec<&str> = addresses.filter_map(upstream::repository).collect();
        repositories.sort_unstable();
        repositories.dedup();
        let vectors = vectors(&self.severity);
        let mut versions = self.versions;
        versions.truncate(MOST_VERSIONS);
        let ranges: Vec<Range> = self.ranges.into_iter().filter_map(WireRange::into_range).collect();
        let semver = ranges.into_iter().filter(|range| range.order == RangeOrder::Semver);
        let semver: Vec<Range> = semver.collect();
        let entry = |name: &str| Affected {
            ecosystem: upstream::GIT.to_owned(),
            name: name.to_owned(),
            // Who is asked for by a tag cannot be ordered; the tags are listed.
            ranges: if upstream::is_named_by_version(name) { semver.clone() } else { Vec::new() },
            versions: versions.clone(),
            vectors: vectors.clone(),
            urgency: None,
            binaries: Vec::new(),
            systems: Vec::new(),
            architectures: Vec::new(),
            functions: Vec::new(),
        };
        repositories.into_iter().map(entry).collect()
    }

    fn into_package(self, kind: FindingKind) -> Option<Affected> {
        let package = self.package?;
        if !is_usable_name(&package.ecosystem) || !is_usable_name(&package.name) {
            return None;
        }
        let known_range = self.database_specific.get("last_known_affected_version_range");
        let mut ranges: Vec<Range> = self.ranges.into_iter().filter_map(WireRange::into_range).collect();
        if let Some(end) = known_range.and_then(Value::as_str).and_then(upper_bound) {
            for range in ranges.iter_mut().filter(|range| is_open(range)) {
                range.events.push(end.clone());
            }
        }
        let mut versions = self.versions;
        versions.truncate(MOST_VERSIONS);
        // Malware without any version is malware in every version; other records would match nothing.
        if ranges.is_empty() && versions.is_empty() && kind == FindingKind::Malware {
            ranges.push(Range {
                order: RangeOrder::Ecosystem,
                events: vec![Event::Introduced("0".to_owned())],
            });
        }
        let urgency = self.ecosystem_specific.get("urgency").and_then(Value::as_str);
        let (systems, architectures) = platforms(&self.ecosystem_specific);
        Some(Affected {
            name: names::normalized(&package.ecosystem, &package.name).into_owned(),
            ecosystem: package.ecosystem,
            ranges,
            versions,
            vectors: vectors(&self.severity),
            urgency: urgency.and_then(Urgency::of_word),
            binaries: binaries(&self.ecosystem_specific),
            systems,
            architectures,
            functions: functions(&self.ecosystem_specific),
        })
    }
}

impl WireRange {
    /// The range, unless it is one of commits or of a type that nobody knows.
    fn into_range(self) -> Option<Range> {
        let order = match self.kind.as_str() {
            "SEMVER" => RangeOrder::Semver,
            "ECOSYSTEM" => RangeOrder::Ecosystem,
            _ => return None,
        };
        let events = self.events.into_iter().take(MOST_VERSIONS).flat_map(|event| {
            [
                event.introduced.map(Event::Introduced),
                event.fixed.map(Event::Fixed),
                event.last_affected.map(Event::LastAffected),
                event.limit.map(Event::Limit),
            ]
        });
        Some(Range { order, events: events.flatten().collect() })
    }
}

impl Urgency {
    /// Reads the tracker's word; `**` marks one that was derived. What says nothing is `None`.
    fn of_word(word: &str) -> Option<Self> {
        match word.trim_end_matches('*') {
            "unimportant" => Some(Self::Unimportant),
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "end-of-life" => Some(Self::EndOfLife),
            _ => None,
        }
    }
}

/// Whether the range begins and never ends.
fn is_open(range: &Range) -> bool {
    let begins = |event: &Event| matches!(event, Event::Introduced(_));
    !range.events.is_empty() && range.events.iter().all(begins)
}

/// GitHub's remark about a range without a fix: `<= 1.2`, `< 1.3`. It ends the range and promises no fix.
fn upper_bound(text: &str) -> Option<Event> {
    if let Some(version) = text.strip_prefix("<=") {
        return bare_version(version).map(Event::LastAffected);
    }
    bare_version(text.strip_prefix('<')?).map(Event::Limit)
}

/// A single version, not a further condition.
fn bare_version(text: &str) -> Option<String> {
    let version = text.trim();
    let single = !version.is_empty() && !version.contains([',', ' ', '<', '>', '=']);
    single.then(|| version.to_owned())
}

/// The binary packages: Ubuntu's list of objects with `binary_name`, or maps from name to version.
fn binaries(specific: &Value) -> Vec<String> {
    let Some(list) = specific.get("binaries").and_then(Value::as_array) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for entry in list {
        match entry.get("binary_name").and_then(Value::as_str) {
            Some(name) => names.push(name.to_owned()),
            None => names.extend(entry.as_object().into_iter().flatten().map(|(name, _)| name.clone())),
        }
    }
    names.retain(|name| is_usable_name(name));
    names.sort_unstable();
    names.dedup();
    names
}

/// The systems and architectures to which Go or RustSec limit a flaw, in Go's words.
fn platforms(specific: &Value) -> (Vec<String>, Vec<String>) {
    if let Some(imports) = specific.get("imports").and_then(Value::as_array) {
        return (limited_to(imports, "goos"), limited_to(imports, "goarch"));
    }
    let affects = specific.get("affects");
    let list = |key| strings(affects.and_then(|affects| affects.get(key)));
    let systems = list("os").into_iter().map(|name| go_word(&name).to_owned());
    let architectures = list("arch").into_iter().map(|name| go_word(&name).to_owned());
    (sorted(systems.collect()), sorted(architectures.collect()))
}

/// Go's list of packages, each with those of its functions that carry the flaw; without any, all of it does. Nothing if
/// one entry names no package, because then nobody can say where the flaw is not.
fn functions(specific: &Value) -> Vec<FunctionHash> {
    let imports = specific.get("imports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut functions = Vec::new();
    for import in imports {
        let Some(path) = import.get("path").and_then(Value::as_str).filter(|path| !path.is_empty()) else {
            return Vec::new();
        };
        let symbols = strings(import.get("symbols"));
        let hash = |symbol: &String| FunctionHash::of_function(path.as_bytes(), symbol.as_bytes());
        functions.extend(symbols.iter().map(hash));
        if symbols.is_empty() {
            functions.push(FunctionHash::of_package(path.as_bytes()));
        }
    }
    functions.sort_unstable();
    functions.dedup();
    functions
}

/// The union over all imports, or nothing if one of them is not limited.
fn limited_to(imports: &[Value], key: &str) -> Vec<String> {
    let lists: Vec<Vec<String>> = imports.iter().map(|import| strings(import.get(key))).collect();
    if lists.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    sorted(lists.concat())
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

/// Rust's name of a system or architecture as Go calls it.
fn go_word(name: &str) -> &str {
    match name {
        "macos" => "darwin",
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64",
        other => other,
    }
}
