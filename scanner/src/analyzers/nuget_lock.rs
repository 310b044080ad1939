//! Lock files of .NET projects: what they declare.
//!
//! `packages.lock.json` (`dependencies{framework{name{type, resolved}}}`), `project.assets.json`
//! (`libraries{"Name/Version"{type}}`), `packages.config` (`<package id version developmentDependency>`),
//! `Directory.Packages.props` (`<PackageVersion Include Version>`, where it is not a range) and Paket's `paket.lock`.

use std::collections::BTreeMap;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde::Deserialize;
use shared::model::package::Evidence;

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, dotnet};

/// Reads NuGet's lock files.
pub struct NuGetLock;

impl PackageList for NuGetLock {
    const NAME: &'static str = "nuget-lock";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Name("packages.lock.json"),
        Trigger::Name("project.assets.json"),
        Trigger::Name("packages.config"),
        Trigger::Name("paket.lock"),
        Trigger::Name("Directory.Packages.props"),
    ];

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "packages.lock.json" => locked(text, entries),
            "project.assets.json" => assets(text, entries),
            "paket.lock" => {
                paket(text, entries);
                Ok(())
            }
            "packages.config" => elements(text, &PACKAGE, entries),
            _ => elements(text, &PACKAGE_VERSION, entries),
        }
    }
}

fn locked(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    #[derive(Deserialize)]
    struct Lock {
        #[serde(default)]
        dependencies: BTreeMap<String, BTreeMap<String, Locked>>,
    }
    #[derive(Deserialize)]
    struct Locked {
        #[serde(rename = "type", default)]
        kind: String,
        resolved: Option<String>,
    }
    let lock: Lock = serde_json::from_str(text)?;
    for (name, locked) in lock.dependencies.values().flatten() {
        // Other projects of the solution have no release.
        if !locked.kind.eq_ignore_ascii_case("project") {
            let version = locked.resolved.as_deref().unwrap_or_default();
            entries.add(dotnet::package(name, version, Evidence::Declared));
        }
    }
    Ok(())
}

fn assets(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    #[derive(Deserialize)]
    struct Assets {
        #[serde(default)]
        libraries: BTreeMap<String, Library>,
    }
    #[derive(Deserialize)]
    struct Library {
        #[serde(rename = "type", default)]
        kind: String,
    }
    let assets: Assets = serde_json::from_str(text)?;
    for (key, _) in assets.libraries.iter().filter(|(_, library)| library.kind == "package") {
        let named = key.split_once('/');
        entries.add(named.and_then(|(name, version)| dotnet::package(name, version, Evidence::Declared)));
    }
    Ok(())
}

/// What an element of XML says about a package, and what its parts are called.
struct Element {
    name: &'static str,
    package: &'static [&'static str],
    version: &'static [&'static str],
}

/// A name and a version, as far as they are stated.
type Stated = (Option<String>, Option<String>);

impl Element {
    /// What an element states; `None` if it is another one, or of a package that only development needs.
    fn read(&self, element: &BytesStart<'_>) -> Result<Option<Stated>, Unreadable> {
        let is_wanted = element.local_name().into_inner() == self.name
            && attribute(element, &["developmentDependency"])?.as_deref() != Some("true");
        match is_wanted {
            true => Ok(Some((attribute(element, self.package)?, attribute(element, self.version)?))),
            false => Ok(None),
        }
    }
}

/// Of `packages.config`.
const PACKAGE: Element = Element { name: "package", package: &["id"], version: &["version"] };
/// Of `Directory.Packages.props`, where `GlobalPackageReference` adds tools of the build.
const PACKAGE_VERSION: Element =
    Element { name: "PackageVersion", package: &["Include", "Update"], version: &["Version"] };

/// Enters what the elements of one name say. Nothing is expanded but XML's own five entities.
fn elements(text: &str, wanted: &Element, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let mut reader = quick_xml::Reader::from_str(text);
    // The package whose element is open and has not stated its version.
    let mut open: Option<String> = None;
    let mut is_version = false;
    loop {
        match reader.read_event()? {
            Event::Start(start) if open.is_some() => {
                is_version = wanted.version.contains(&start.local_name().into_inner());
            }
            Event::Start(start) => match wanted.read(&start)? {
                Some((Some(name), None)) => open = Some(name),
                Some((name, version)) => enter(name, version, entries),
                None => {}
            },
            Event::Empty(element) => {
                if let Some((name, version)) = wanted.read(&element)? {
                    enter(name, version, entries);
                }
            }
            Event::Text(text) if is_version => {
                enter(open.take(), Some(text.as_ref().trim().to_owned()), entries);
                is_version = false;
            }
            Event::End(end) => {
                is_version = false;
                if end.local_name().into_inner() == wanted.name
                    && let Some(name) = open.take()
                {
                    enter(Some(name), None, entries);
                }
            }
            Event::Eof => return Ok(()),
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

/// Enters a package, unless its version is a range or the name of one.
fn enter(name: Option<String>, version: Option<String>, entries: &mut Entries<'_>) {
    let version = version.unwrap_or_default();
    let exact = version.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&version);
    if !exact.contains(['$', ',', '*', '[', '(']) {
        entries.add(name.and_then(|name| dotnet::package(&name, exact, Evidence::Declared)));
    }
}

/// The value of the first of these attributes that an element has.
fn attribute(element: &BytesStart<'_>, names: &[&str]) -> Result<Option<String>, Unreadable> {
    for name in names {
        let attribute = element.try_get_attribute(name).map_err(|error| Unreadable::new(&error))?;
        if let Some(attribute) = attribute {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
            return Ok(Some(value.trim().to_owned()));
        }
    }
    Ok(None)
}

/// Paket's own format: in the section `NUGET`, packages are indented by four blanks, what they need by six.
fn paket(text: &str, entries: &mut Entries<'_>) {
    let mut is_nuget = false;
    for line in text.lines() {
        if !line.starts_with(' ') {
            is_nuget = line.trim_end() == "NUGET";
            continue;
        }
        let entry = line.strip_prefix("    ").filter(|entry| is_nuget && !entry.starts_with(' '));
        if let Some(entry) = entry {
            let named = entry.split_once(" (").and_then(|(name, rest)| Some((name, rest.split_once(')')?.0)));
            entries.add(named.and_then(|(name, version)| dotnet::package(name, version, Evidence::Declared)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const CONFIG: &str = "<?xml version=\"1.0\"?>\n<packages>\n  <!-- <package id=\"C\" version=\"1.0\" /> -->\n  <package id=\"jQuery\" version='3.1.1' targetFramework=\"net46\" />\n  <package id=\"Dev\" version=\"1.0\" developmentDependency=\"true\" />\n</packages>";

    const PROPS: &str = "<Project>\n  <PropertyGroup><Version>9.9</Version></PropertyGroup>\n  <ItemGroup>\n    <PackageVersion Include=\"A.B\" Version=\"[1.2.3]\" />\n    <PackageVersion Include=\"C\" Version=\"$(CVersion)\" />\n    <PackageVersion Include=\"D\" Version=\"[1.0,2.0)\" />\n    <PackageVersion Include=\"E\"><Version>3.0.0</Version></PackageVersion>\n    <GlobalPackageReference Include=\"Tool\" Version=\"1.0.0\" />\n  </ItemGroup>\n</Project>\n";
    const PAKET: &str = "RESTRICTION: == net50\nNUGET\n  remote: https://api.nuget.org/v3/index.json\n    Argu (6.1.1)\n      FSharp.Core (>= 4.3.2)\n    FSharp.Core (5.0.1) - restriction: >= netstandard2.0\nGITHUB\n  remote: a/b\n    src/c.fs (00aa)\nGROUP Build\nNUGET\n  remote: https://api.nuget.org/v3/index.json\n";

    #[test]
    fn every_format_names_packages_and_no_projects() {
        let lock = r#"{"version":1,"dependencies":{"net8.0":{"A.B":{"type":"Direct","requested":"[1, )","resolved":"1.2.3"},"app":{"type":"Project"}}}}"#;
        check(&NuGetLock, "src/packages.lock.json", lock, &["nuget/A.B@1.2.3 Declared"]);
        let assets =
            r#"{"version":3,"libraries":{"A.B/1.2.3":{"type":"package"},"app/1.0.0":{"type":"project"}}}"#;
        check(&NuGetLock, "src/obj/project.assets.json", assets, &["nuget/A.B@1.2.3 Declared"]);
        check(&NuGetLock, "src/packages.config", CONFIG, &["nuget/jQuery@3.1.1 Declared"]);
        check(&NuGetLock, "packages.config", "<package id=\"a\"/>", &["record-skipped"]);
        check(&NuGetLock, "packages.config", "<a></b>", &["analyzer-failed"]);
        let central = ["nuget/A.B@1.2.3 Declared", "nuget/E@3.0.0 Declared"];
        check(&NuGetLock, "src/Directory.Packages.props", PROPS, &central);
        let locked = ["nuget/Argu@6.1.1 Declared", "nuget/FSharp.Core@5.0.1 Declared"];
        check(&NuGetLock, "src/paket.lock", PAKET, &locked);
        check(&NuGetLock, "packages.lock.json", "{", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..CONFIG.len(), byte: u8, xml in "[<>!&;=\"' a-zé-]{0,40}") {
            for path in [
                "packages.config", "packages.lock.json", "project.assets.json", "paket.lock", "Directory.Packages.props",
            ] {
                analyze(&NuGetLock, path, &content);
            }
            analyze(&NuGetLock, "packages.config", format!("<package {xml}").as_bytes());
            for (path, sample) in
                [("packages.config", CONFIG), ("Directory.Packages.props", PROPS), ("paket.lock", PAKET)]
            {
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&NuGetLock, path, &sample);
            }
        }
    }
}
