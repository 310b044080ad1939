//! Python's `direct_url.json` (PEP 610): whether a distribution was installed from a directory of its builder, or from an
//! archive of another place than the public index.
//!
//! What lies in a directory, editable or not, is a project of its own, whatever its name is on the index. An archive is
//! matched; its purl says which registry it is from. The file does not say which distribution it is about; the directory
//! in which it lies does. The squash lays the answer over the distribution's metadata.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use shared::model::package::{Evidence, Package, PackageKind};

use super::lock::{self, Entries, PackageList, Unreadable};
use super::registry::OtherRegistry;
use super::{Trigger, python};

/// Reads `direct_url.json`.
pub struct PythonOrigin;

impl PackageList for PythonOrigin {
    const NAME: &'static str = "python-origin";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("direct_url.json")];

    fn is_one(path: &str) -> bool {
        stem(path).is_some_and(|stem| !stem.starts_with('~'))
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let origin: Origin = serde_json::from_str(text)?;
        if origin.dir_info.is_some() {
            entries.add(distribution(path, Evidence::Unmatched));
        } else if let Some(registry) = origin.registry() {
            entries.add(distribution(path, Evidence::Installed).map(|package| registry.qualify(package)));
        }
        Ok(())
    }
}

/// The distribution that a file is about, by the directory in which it lies.
fn distribution(path: &str, evidence: Evidence) -> Option<Package> {
    let (name, version) = stem(path)?.split_once('-')?;
    lock::package(PackageKind::PyPi, &python::normalised(name)?, version, evidence)
}

/// `name-version` of the directory of a distribution's metadata.
fn stem(path: &str) -> Option<&str> {
    path.rsplit('/').nth(1)?.strip_suffix(".dist-info")
}

#[derive(Deserialize)]
struct Origin {
    url: Option<Value>,
    dir_info: Option<IgnoredAny>,
    archive_info: Option<IgnoredAny>,
}

impl Origin {
    /// Where the archive was fetched; an archive that lay on a disk has none.
    fn registry(&self) -> Option<OtherRegistry> {
        self.archive_info.as_ref()?;
        OtherRegistry::of_url(self.url.as_ref()?.as_str()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "usr/lib/python3/site-packages/My_App-0.1.0.dist-info/direct_url.json";

    #[test]
    fn what_was_installed_from_a_directory_is_not_what_the_index_calls_so() {
        let expected = ["pypi/my-app@0.1.0 Unmatched"];
        check(&PythonOrigin, PATH, r#"{"dir_info": {"editable": true}, "url": "file:///src"}"#, &expected);
        check(&PythonOrigin, PATH, r#"{"dir_info": {}, "url": "file:///src"}"#, &expected);
        for elsewhere in [
            r#"{"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "00"}}"#,
            r#"{"url": "https://files.pythonhosted.org/a.whl", "archive_info": {"hash": "sha256=00"}}"#,
            r#"{"url": "file:///srv/a.whl", "archive_info": {}}"#,
            r#"{"url": 7, "archive_info": {}}"#,
        ] {
            check(&PythonOrigin, PATH, elsewhere, &[]);
        }
        check(&PythonOrigin, "app/direct_url.json", "{", &[]);
        check(&PythonOrigin, PATH, "{", &["analyzer-failed"]);
    }

    #[test]
    fn an_archive_of_another_registry_names_it() {
        let archive =
            r#"{"url": "https://ci:secret@pypi.acme.example/a.whl", "archive_info": {"hash": "sha256=00"}}"#;
        let expected = ["pypi/my-app@0.1.0?repository_url=pypi.acme.example Installed"];
        check(&PythonOrigin, PATH, archive, &expected);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, stem in "[a-zA-Z_.~-]{0,9}") {
            analyze(&PythonOrigin, PATH, &content);
            analyze(&PythonOrigin, &format!("{stem}.dist-info/direct_url.json"), b"{\"dir_info\":{}}");
        }
    }
}
