//! SBOMs that lie in the image: what their authors claim is in it.
//!
//! SPDX 2 (`packages[].externalRefs[]` of type `purl`), SPDX 3 (`@graph[].software_packageUrl`), CycloneDX
//! (`components[].purl`, nested ones too) and syft's own (`artifacts[].purl`), all in JSON; told apart by what they
//! hold, for file names promise nothing. A claim never replaces what was seen; the squash drops those that say the
//! same. Wheels carry SBOMs of the libraries bundled in them in `.dist-info/sboms` (PEP 770).

mod purl;

use serde_json::Value;
use shared::model::package::Evidence;
use shared::model::problem::ProblemKind;

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, bitnami};

pub(super) use purl::package;

/// Reads SBOMs.
pub struct Sbom;

impl PackageList for Sbom {
    const NAME: &'static str = "sbom";
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Extension(".spdx"),
        Trigger::Extension(".spdx.json"),
        Trigger::Extension(".cdx.json"),
        Trigger::Extension(".syft.json"),
        Trigger::Name("bom.json"),
        Trigger::Name("sbom.json"),
        Trigger::Parent("usr/lib/sbom"),
        Trigger::Parent("var/lib/db/sbom"),
        Trigger::Parent(".dist-info/sboms"),
    ];

    /// vcpkg's and Bitnami's are read as what they are: lists of what was installed.
    fn is_one(path: &str) -> bool {
        lock::file_name(path) != "vcpkg.spdx.json" && !bitnami::is_document(path)
    }

    /// A claim that cannot be read hides nothing that is in the image.
    fn loss(_path: &str) -> ProblemKind {
        ProblemKind::SbomUnreadable
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        // Many a project has a file `bom.json` or a text in SPDX's other syntax that is no such document.
        if !text.trim_start().starts_with('{') {
            return if path.ends_with(".spdx") {
                Ok(())
            } else {
                Err(Unreadable::new(&"it is no JSON object"))
            };
        }
        let document: Value = serde_json::from_str(text)?;
        for purl in purls(&document) {
            if let Some(package) = package(purl, Evidence::Claimed) {
                entries.add(Some(package));
            }
        }
        Ok(())
    }
}

/// The purls of all packages that a document lists. The document's own subject is not among them.
pub(super) fn purls(document: &Value) -> Vec<&str> {
    let list = |key: &str| document.get(key).and_then(Value::as_array).into_iter().flatten();
    let mut purls: Vec<&str> = Vec::new();
    for package in list("packages") {
        let references = package.get("externalRefs").and_then(Value::as_array).into_iter().flatten();
        let purl = references.filter(|it| it.get("referenceType").and_then(Value::as_str) == Some("purl"));
        purls.extend(purl.filter_map(|it| it.get("referenceLocator")?.as_str()));
    }
    purls.extend(list("@graph").filter_map(|element| element.get("software_packageUrl")?.as_str()));
    purls.extend(list("artifacts").filter_map(|artifact| artifact.get("purl")?.as_str()));
    // Components lie in each other no deeper than the JSON reader allows.
    let mut components: Vec<&Value> = list("components").collect();
    while let Some(component) = components.pop() {
        purls.extend(component.get("purl").and_then(Value::as_str));
        components.extend(component.get("components").and_then(Value::as_array).into_iter().flatten());
    }
    purls
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"purl":"pkg:npm/me@1"}},
        "components":[{"type":"library","name":"a","purl":"pkg:npm/%40x/a@1.0.0","components":[
        {"name":"b","purl":"pkg:pypi/Flask_B@2"}]},{"name":"no purl"},{"purl":5},null]}"#;
    const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","packages":[{"name":"zlib","externalRefs":[
        {"referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a:b"},
        {"referenceType":"purl","referenceLocator":"pkg:apk/wolfi/zlib@1.3-r1?arch=x86_64"}]},
        {"name":"image","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:oci/image@sha256:00"}]}]}"#;

    #[test]
    fn every_format_claims_its_packages() {
        check(&Sbom, "app/bom.json", CYCLONEDX, &["npm/%40x/a@1.0.0 Claimed", "pypi/flask-b@2 Claimed"]);
        check(&Sbom, "var/lib/db/sbom/zlib-1.3-r1.spdx.json", SPDX, &["apk/zlib@1.3-r1?arch=x86_64 Claimed"]);
        let syft = r#"{"artifacts":[{"name":"x","purl":"pkg:golang/a.b/c/d@v1.0.0"}],"schema":{}}"#;
        check(&Sbom, "usr/share/x.syft.json", syft, &["golang/a.b/c/d@v1.0.0 Claimed"]);
        let three = r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[{"type":"software_Package",
            "software_packageUrl":"pkg:cargo/time@0.1.43"}]}"#;
        check(&Sbom, "x.spdx.json", three, &["cargo/time@0.1.43 Claimed"]);
        let wheel = "usr/lib/python3/site-packages/pillow-11.dist-info/sboms/auditwheel.cdx.json";
        check(&Sbom, wheel, CYCLONEDX, &["npm/%40x/a@1.0.0 Claimed", "pypi/flask-b@2 Claimed"]);
    }

    #[test]
    fn what_is_no_sbom_is_nothing_and_what_is_broken_is_said() {
        check(&Sbom, "a.spdx", "SPDXVersion: SPDX-2.3\n", &[]);
        check(&Sbom, "bom.json", "{}", &[]);
        check(&Sbom, "bom.json", "[1]", &["sbom-unreadable"]);
        check(&Sbom, "a.cdx.json", "{\"components\":", &["sbom-unreadable"]);
        check(&Sbom, "x/share/zlib/vcpkg.spdx.json", SPDX, &[]);
        check(&Sbom, "opt/bitnami/redis/.spdx-redis.spdx", SPDX, &[]);
        let deep = format!("{{\"components\":{}1", "[".repeat(100_000));
        check(&Sbom, "bom.json", &deep, &["sbom-unreadable"]);
        let bom = format!("\u{feff}{}", CYCLONEDX.replace('\n', "\r\n"));
        check(&Sbom, "bom.json", &bom, &["npm/%40x/a@1.0.0 Claimed", "pypi/flask-b@2 Claimed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..SPDX.len(), byte: u8) {
            analyze(&Sbom, "bom.json", &content);
            let mut sample = SPDX.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Sbom, "bom.json", &sample);
        }
    }
}
