//! From which repositories the packages of a root come: Red Hat's content sets, apk's list, and what is subscribed to.
//!
//! Red Hat's builds leave `{"metadata": {…}, "content_sets": ["rhel-9-for-x86_64-baseos-rpms", …]}` in
//! `root/buildinfo/content_manifests/` or `usr/share/buildinfo/`, one file a build, and `labels.json` with the product's
//! `cpe`; each layered image adds its own. Format: release-engineering/atomic-reactor, "Image content manifest".
//! `etc/apk/repositories` has one URL a line, `#` begins a comment, and `@tag` before a URL pins it to packages that
//! somebody names with the tag. Format: apk-repositories(5).
//! `var/lib/ubuntu-advantage/status.json` is what `pro status --format json` printed last: `attached`, and of `services`
//! each with a `name` and a `status`, `enabled` or `warning` where it is switched on. Format: Ubuntu Pro Client, "pro status".
//! `etc/products.d/SLES-LTSS.prod` is one file for each product of SUSE; its name tells. Format: libzypp, "Products".

use std::collections::BTreeSet;

use serde::Deserialize;
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::advisories::ecosystems::{SUSE_PRODUCT, UBUNTU_PRO};
use crate::limits::Limits;

/// Reads content manifests and apk's list.
#[derive(Debug)]
pub struct Repositories;

const APK: &str = "etc/apk/repositories";
const PRO: &str = "var/lib/ubuntu-advantage/status.json";
const PRODUCTS: &str = "etc/products.d/";
/// The most repositories of one file that are kept, and the longest name of one in bytes.
const MOST: usize = 1000;
const LONGEST: usize = 1000;

impl Analyzer for Repositories {
    fn name(&self) -> &'static str {
        "repositories"
    }

    fn version(&self) -> u32 {
        2
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path(APK),
            Trigger::Path(PRO),
            Trigger::Parent("etc/products.d"),
            Trigger::Parent("root/buildinfo"),
            Trigger::Parent("root/buildinfo/content_manifests"),
            Trigger::Parent("usr/share/buildinfo"),
            Trigger::Parent("usr/share/buildinfo/content_manifests"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let path = file.path;
        if path.starts_with(PRODUCTS.as_bytes()) {
            return path.ends_with(b".prod");
        }
        path == APK.as_bytes() || path.ends_with(b".json")
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn is_of_root(&self) -> bool {
        true
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let stated = match file.path {
            APK => listed(file.content),
            PRO => services(file.content),
            path => match path.strip_prefix(PRODUCTS) {
                Some(name) => Ok(product(name).into_iter().collect()),
                None => manifest(file.content),
            },
        };
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
                Found::problem(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path))
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

/// The services of Ubuntu Pro that are switched on.
fn services(content: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let status: Status = serde_json::from_str(&super::lock::text(content))?;
    if status.attached != Some(true) {
        return Ok(Vec::new());
    }
    let services = status.services.unwrap_or_default().into_iter().flatten();
    let is_on = |service: &Service| matches!(service.status.as_deref(), Some("enabled" | "warning"));
    let names = services.filter(is_on).filter_map(|service| service.name);
    Ok(names.map(|name| format!("{UBUNTU_PRO}{name}")).collect())
}

/// The product that a file of this name stands for.
fn product(name: &str) -> Option<String> {
    name.strip_suffix(".prod").map(|name| format!("{SUSE_PRODUCT}{name}"))
}

#[derive(Deserialize)]
struct Status {
    attached: Option<bool>,
    services: Option<Vec<Option<Service>>>,
}

#[derive(Deserialize)]
struct Service {
    name: Option<String>,
    status: Option<String>,
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

    /// As `pro` left it on a machine with a subscription, shortened.
    const STATUS: &str = r#"{"_schema_version":"0.1","attached":true,"contract":{"id":"c","name":"n"},
        "services":[{"available":"yes","entitled":"yes","name":"esm-apps","status":"enabled","warning":null},
        {"entitled":"yes","name":"esm-infra","status":"enabled"},{"entitled":"yes","name":"fips","status":"disabled"},
        {"entitled":"yes","name":"livepatch","status":"n/a"},null],"expires":"9999-12-31T00:00:00+00:00"}"#;

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
            (PRO, STATUS, &["ubuntu-pro:esm-apps", "ubuntu-pro:esm-infra"]),
            (PRO, r#"{"attached":false,"services":[{"name":"esm-infra","status":"enabled"}]}"#, &[]),
            (PRO, r#"{"attached":null,"services":null}"#, &[]),
            ("etc/products.d/SLES-LTSS.prod", "<product/>", &["suse-product:SLES-LTSS"]),
        ] {
            let found = analyze(path, content.as_bytes());
            assert_eq!(found.repositories, expected, "{path}");
            assert_eq!(found.problems, []);
        }
        for path in [sets, PRO] {
            let problem = &analyze(path, b"[").problems[0];
            assert_eq!((problem.kind, problem.path.as_deref()), (ProblemKind::RecordSkipped, Some(path)));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>) {
            for path in [APK, PRO, "usr/share/buildinfo/a.json"] {
                assert!(analyze(path, &content).repositories.len() <= MOST);
            }
        }
    }
}
