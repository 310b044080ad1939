//! Python's `direct_url.json` (PEP 610): whether a distribution was installed from a directory of its builder.
//!
//! What lies in a directory, editable or not, is a project of its own, whatever its name is on the index. The file
//! does not say which distribution it is about; the directory in which it lies does. The squash lays the answer
//! over the distribution's metadata.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::model::package::{Evidence, PackageKind};

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, python};

/// Reads `direct_url.json`.
pub struct PythonOrigin;

impl PackageList for PythonOrigin {
    const NAME: &'static str = "python-origin";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("direct_url.json")];

    fn is_one(path: &str) -> bool {
        stem(path).is_some_and(|stem| !stem.starts_with('~'))
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let origin: Origin = serde_json::from_str(text)?;
        if origin.dir_info.is_some() {
            let named = stem(path).and_then(|stem| stem.split_once('-'));
            entries.add(named.and_then(|(name, version)| {
                lock::package(PackageKind::PyPi, &python::normalised(name)?, version, Evidence::Unmatched)
            }));
        }
        Ok(())
    }
}

/// `name-version` of the directory of a distribution's metadata.
fn stem(path: &str) -> Option<&str> {
    path.rsplit('/').nth(1)?.strip_suffix(".dist-info")
}

#[derive(Deserialize)]
struct Origin {
    dir_info: Option<IgnoredAny>,
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
            r#"{"url": "https://example.org/a.whl", "archive_info": {"hash": "sha256=00"}}"#,
        ] {
            check(&PythonOrigin, PATH, elsewhere, &[]);
        }
        check(&PythonOrigin, "app/direct_url.json", "{", &[]);
        check(&PythonOrigin, PATH, "{", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, stem in "[a-zA-Z_.~-]{0,9}") {
            analyze(&PythonOrigin, PATH, &content);
            analyze(&PythonOrigin, &format!("{stem}.dist-info/direct_url.json"), b"{\"dir_info\":{}}");
        }
    }
}
