//! Swift's `Package.resolved`: the packages that it declares, named by where their source code is.
//!
//! JSON. Version 1 `object{pins[{repositoryURL, state{version, revision}}]}`, versions 2 and 3
//! `pins[{identity, kind, location, state}]`. A pin of a branch has no version; one of a registry has no location.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `Package.resolved`.
pub struct SwiftResolved;

impl PackageList for SwiftResolved {
    const NAME: &'static str = "swift-resolved";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("Package.resolved")];

    /// SwiftPM keeps the sources of dependencies below `.build/checkouts`.
    fn is_one(path: &str) -> bool {
        lock::is_own(path) && !path.split('/').any(|part| part == ".build")
    }

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let resolved: Resolved = serde_json::from_str(text)?;
        let pins =
            resolved.pins.into_iter().chain(resolved.object.into_iter().flat_map(|object| object.pins));
        for pin in pins {
            entries.add(pin.package());
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Resolved {
    #[serde(default)]
    pins: Vec<Pin>,
    object: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    pins: Vec<Pin>,
}

#[derive(Deserialize)]
struct Pin {
    identity: Option<String>,
    #[serde(alias = "repositoryURL")]
    location: Option<String>,
    #[serde(default)]
    state: State,
}

#[derive(Default, Deserialize)]
struct State {
    version: Option<String>,
    revision: Option<String>,
}

impl Pin {
    fn package(self) -> Option<Package> {
        let location = self.location.as_deref().and_then(host_and_path);
        // A revision is no release, and a registry's identity no address: advisories name neither.
        let (version, evidence) = match (self.state.version, self.state.revision) {
            (Some(version), _) if location.is_some() => (version, Evidence::Declared),
            (Some(version), _) | (None, Some(version)) => (version, Evidence::Unmatched),
            (None, None) => return None,
        };
        let place = location.or(self.identity)?;
        let (namespace, name) =
            place.rsplit_once('/').map_or((None, &*place), |(front, name)| (Some(front), name));
        let mut package = lock::package(PackageKind::Swift, name, &version, evidence)?;
        package.namespace = namespace.map(str::to_owned);
        Some(package)
    }
}

/// `host/path` of a repository, however it is addressed; `None` for one on the same machine.
fn host_and_path(location: &str) -> Option<String> {
    let location = location.trim_end_matches('/');
    let location = location.strip_suffix(".git").unwrap_or(location);
    let place = match location.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, address)) => address.to_owned(),
        // `user@host:path`, as scp(1) writes it.
        None => location.split_once(':').map(|(host, path)| format!("{host}/{path}"))?,
    };
    // Whoever may log in is no part of the name.
    let place = match place.split_once('@') {
        Some((user, place)) if !user.contains('/') => place,
        Some(_) | None => &place,
    };
    let is_place = place.contains('/') && place.split('/').all(|part| !part.is_empty());
    is_place.then(|| place.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const V1: &str = r#"{"object":{"pins":[{"package":"Vapor","repositoryURL":"https://github.com/vapor/vapor.git",
        "state":{"branch":null,"revision":"aa","version":"4.29.3"}}]},"version":1}"#;
    const V3: &str = r#"{"originHash":"00","pins":[
        {"identity":"vapor","kind":"remoteSourceControl","location":"git@github.com:vapor/vapor.git","state":{"revision":"aa","version":"4.29.3"}},
        {"identity":"tip","kind":"remoteSourceControl","location":"https://github.com/a/tip","state":{"branch":"main","revision":"bb"}},
        {"identity":"mona.linked","kind":"registry","location":"","state":{"version":"1.0.0"}}],"version":3}"#;

    #[test]
    fn packages_are_named_by_the_place_of_their_source_code() {
        let vapor = "swift/github.com/vapor/vapor@4.29.3 Declared";
        check(&SwiftResolved, "app/Package.resolved", V1, &[vapor]);
        let all = ["swift/mona.linked@1.0.0 Unmatched", "swift/github.com/a/tip@bb Unmatched", vapor];
        check(&SwiftResolved, "app/Package.resolved", V3, &all);
        check(&SwiftResolved, "app/.build/checkouts/a/Package.resolved", V3, &[]);
        check(&SwiftResolved, "Package.resolved", r#"{"pins":[{}],"object":null}"#, &["record-skipped"]);
        check(&SwiftResolved, "Package.resolved", "[", &["analyzer-failed"]);
    }

    #[test]
    fn a_repository_has_one_name_however_it_is_addressed() {
        for (location, expected) in [
            ("https://github.com/a/b.git", Some("github.com/a/b")),
            ("https://user@example.org/a/b/", Some("example.org/a/b")),
            ("ssh://git@example.org/a/b.git", Some("example.org/a/b")),
            ("git@example.org:a/b.git", Some("example.org/a/b")),
            ("file:///src/b", None),
            ("/src/b", None),
            ("", None),
        ] {
            assert_eq!(host_and_path(location).as_deref(), expected, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, location: String, at in 0..V1.len(), byte: u8) {
            host_and_path(&location);
            analyze(&SwiftResolved, "Package.resolved", &content);
            for sample in [V1, V3] {
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&SwiftResolved, "Package.resolved", &sample);
            }
        }
    }
}
