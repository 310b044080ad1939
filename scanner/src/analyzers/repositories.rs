//! From which repositories the packages of a root come: Red Hat's content sets, and apk's list.
//!
//! Red Hat's builds leave `{"metadata": {…}, "content_sets": ["rhel-9-for-x86_64-baseos-rpms", …]}` in
//! `root/buildinfo/content_manifests/` or `usr/share/buildinfo/`, one file a build, and `labels.json` with the product's
//! `cpe`; each layered image adds its own. Format: release-engineering/atomic-reactor, "Image content manifest".
//! `etc/apk/repositories` has one URL a line, `#` begins a comment, and `@tag` before a URL pins it to packages that
//! somebody names with the tag. Format: apk-repositories(5).

use std::collections::BTreeSet;

use serde::Deserialize;
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// Reads content manifests and apk's list.
#[derive(Debug)]
pub struct Repositories;

const APK: &str = "etc/apk/repositories";
/// The most repositories of one file that are kept, and the longest name of one in bytes.
const MOST: usize = 1000;
const LONGEST: usize = 1000;

impl Analyzer for Repositories {
    fn name(&self) -> &'static str {
        "repositories"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path(APK),
            Trigger::Parent("root/buildinfo"),
            Trigger::Parent("root/buildinfo/content_manifests"),
            Trigger::Parent("usr/share/buildinfo"),
            Trigger::Parent("usr/share/buildinfo/content_manifests"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.path == APK.as_bytes() || file.path.ends_with(b".json")
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn is_of_root(&self) -> bool {
        true
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let stated = if file.path == APK { listed(file.content) } else { manifest(file.content) };
        match stated {
            Ok(stated) => {
                let known = stated.into_iter().filter(|name| !name.is_empty() && name.len() <= LONGEST);
                let known: BTreeSet<String> = known.collect();
                Found { repositories: known.into_iter().take(MOST).collect(), ..Found::default() }
            }
            Err(error) => {
                let detail = format!(
                    "which repositories the packages are from cannot be read: {error}; it is assumed"
                );
                Found::problem(Problem::new(ProblemKind::RecordSkipped, detail))
            }
        }
    }
}

/// Every URL that packages may come from without being told to.
fn listed(content: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let text = String::from_utf8_lossy(content);
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.starts_with(['#', '@'])).map(str::to_owned).collect())
}

/// Content sets, or the CPE of the product.
fn manifest(content: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let text = super::lock::text(content);
    let manifest: Manifest = serde_json::from_str(&text)?;
    Ok(manifest.content_sets.unwrap_or_default().into_iter().flatten().chain(manifest.cpe).collect())
}

#[derive(Deserialize)]
struct Manifest {
    content_sets: Option<Vec<Option<String>>>,
    cpe: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As ubi9's build left it, shortened.
    const MANIFEST: &str = r#"{"metadata":{"icm_version":1,"icm_spec":"https://raw.githubusercontent.com/containerbuildsystem/atomic-reactor/master/atomic_reactor/schemas/content_manifest.json","image_layer_index":1},"content_sets":["rhel-9-for-x86_64-baseos-rpms","rhel-9-for-x86_64-appstream-rpms"],"image_contents":[]}"#;

    fn analyze(path: &str, content: &[u8]) -> Found {
        Repositories.analyze(&CapturedFile { path, mode: 0o644, content }, &Limits::default())
    }

    #[test]
    fn each_file_names_repositories() {
        let sets = "root/buildinfo/content_manifests/ubi9-container-9.4-947.json";
        let apk = "# main\nhttps://dl-cdn.alpinelinux.org/alpine/v3.20/main\r\n\n@edge https://dl-cdn.alpinelinux.org/alpine/edge/main";
        for (path, content, expected) in [
            (sets, MANIFEST, &["rhel-9-for-x86_64-appstream-rpms", "rhel-9-for-x86_64-baseos-rpms"][..]),
            (
                "usr/share/buildinfo/labels.json",
                r#"{"cpe":"cpe:/a:redhat:openshift:4.13::el9","name":"x"}"#,
                &["cpe:/a:redhat:openshift:4.13::el9"],
            ),
            (sets, r#"{"content_sets":[null,"","a"]}"#, &["a"]),
            (sets, "{}", &[]),
            (APK, apk, &["https://dl-cdn.alpinelinux.org/alpine/v3.20/main"]),
        ] {
            let found = analyze(path, content.as_bytes());
            assert_eq!(found.repositories, expected, "{path}");
            assert_eq!(found.problems, []);
        }
        assert_eq!(analyze(sets, b"[").problems[0].kind, ProblemKind::RecordSkipped);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>) {
            for path in [APK, "usr/share/buildinfo/a.json"] {
                assert!(analyze(path, &content).repositories.len() <= MOST);
            }
        }
    }
}
