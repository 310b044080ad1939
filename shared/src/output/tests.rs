//! Every format, on every kind of subject: what readers of that format rely on.

use std::collections::HashSet;

use serde_json::Value;

use super::*;
use crate::model::digest::Digest;
use crate::model::image::Platform;
use crate::model::problem::{Problem, ProblemKind};
use crate::model::report::{IndexChild, Subject};
use crate::model::sample;

/// One report of every kind.
fn subjects() -> Vec<Report> {
    let image = sample::report(&Digest::of(b"image"));
    let of = |subject: Subject| Report { subject, findings: Vec::new(), ..image.clone() };
    let child = IndexChild { digest: Digest::of(b"child"), platform: Some(Platform::linux_amd64()) };
    let mut unreadable = of(Subject::Unreadable);
    unreadable.problems = vec![Problem::new(ProblemKind::ImageMissing, "gone")];
    let artifact =
        of(Subject::Artifact { artifact_type: "application/vnd.cncf.helm.config.v1+json".to_owned() });
    vec![of(Subject::Index { children: vec![child] }), artifact, unreadable, image]
}

fn rendered(format: &str, report: &Report) -> Value {
    serde_json::from_slice(&by_name(format).unwrap().render(report)).unwrap()
}

fn texts<'a>(rows: &'a Value, key: &str) -> Vec<&'a str> {
    rows.as_array().into_iter().flatten().filter_map(|row| row[key].as_str()).collect()
}

#[test]
fn formats_have_names_and_media_types_of_their_own() {
    let names: HashSet<_> = ALL.iter().map(|format| format.name()).collect();
    let media_types: HashSet<_> = ALL.iter().map(|format| format.media_type()).collect();
    assert_eq!((names.len(), media_types.len()), (ALL.len(), ALL.len()));
}

#[test]
fn cyclonedx_documents_have_what_the_schema_requires() {
    for report in subjects() {
        let bom = rendered("cyclonedx", &report);
        assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
        let serial = bom["serialNumber"].as_str().unwrap().strip_prefix("urn:uuid:").unwrap();
        assert!(uuid::Uuid::parse_str(serial).is_ok(), "{serial}");
        assert_eq!(bom["metadata"]["component"]["version"], report.digest.as_str());
        for component in bom["components"].as_array().unwrap() {
            assert!(component["type"].is_string() && component["name"].is_string(), "{component}");
        }
    }
}

#[test]
fn cyclonedx_references_point_at_components_and_are_unique() {
    for report in subjects() {
        let bom = rendered("cyclonedx", &report);
        let mut refs = vec![bom["metadata"]["component"]["bom-ref"].as_str().unwrap()];
        refs.extend(texts(&bom["components"], "bom-ref"));
        let known: HashSet<_> = refs.iter().copied().collect();
        assert_eq!(known.len(), refs.len(), "{refs:?}");
        for vulnerability in bom["vulnerabilities"].as_array().unwrap() {
            assert!(texts(&vulnerability["affects"], "ref").iter().all(|found| known.contains(found)));
        }
        for dependency in bom["dependencies"].as_array().unwrap() {
            assert!(known.contains(dependency["ref"].as_str().unwrap()));
        }
    }
}

#[test]
fn cyclonedx_says_what_is_wrong_and_how_to_repair_it() {
    let bom = rendered("cyclonedx", &sample::report(&Digest::of(b"image")));
    let found = &bom["vulnerabilities"][0];
    assert_eq!(found["id"], "CVE-2024-22195");
    assert_eq!(found["ratings"][0]["method"], "CVSSv31");
    assert_eq!(found["ratings"][0]["severity"], "medium");
    assert_eq!(found["recommendation"], "Upgrade to 3.1.3");
    assert_eq!(found["published"], "2024-01-11T15:20:48Z");
    assert_eq!(found["affects"][0]["ref"], "package-1");
    assert_eq!(found.get("analysis"), None, "a scanner cannot say more than that it is affected");
    let jinja = &bom["components"][2];
    assert_eq!((&jinja["bom-ref"], &jinja["purl"]), (&"package-1".into(), &"pkg:pypi/jinja2@2.11.2".into()));
}

#[test]
fn i11_no_sbom_hides_what_could_not_be_seen() {
    for report in subjects() {
        let bom = rendered("cyclonedx", &report);
        let properties = texts(&bom["metadata"]["properties"], "value").join("\n");
        let document = rendered("spdx", &report);
        let annotations = texts(&document["annotations"], "comment").join("\n");
        for problem in &report.problems {
            assert!(properties.contains(problem.kind.slug()), "{properties}");
            assert!(annotations.contains(problem.kind.slug()), "{annotations}");
        }
        let incomplete = matches!(report.subject, Subject::Unreadable | Subject::Artifact { .. })
            || report
                .problems
                .iter()
                .any(|problem| problem.kind.weight() == crate::model::problem::Weight::Blocking);
        assert_eq!(bom["compositions"][0]["aggregate"] == "incomplete", incomplete, "{:?}", report.subject);
    }
}

#[test]
fn spdx_documents_have_what_the_schema_requires() {
    for report in subjects() {
        let document = rendered("spdx", &report);
        for (key, expected) in
            [("spdxVersion", "SPDX-2.3"), ("dataLicense", "CC0-1.0"), ("SPDXID", "SPDXRef-DOCUMENT")]
        {
            assert_eq!(document[key], expected);
        }
        assert_eq!(document["creationInfo"]["created"], "2026-11-21T10:00:00Z");
        let ids = texts(&document["packages"], "SPDXID");
        let known: HashSet<_> = ids.iter().copied().chain(["SPDXRef-DOCUMENT"]).collect();
        assert_eq!(known.len(), ids.len() + 1, "{ids:?}");
        let legal = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        assert!(ids.iter().all(|id| legal(id)), "{ids:?}");
        for relationship in document["relationships"].as_array().unwrap() {
            assert!(known.contains(relationship["spdxElementId"].as_str().unwrap()));
            assert!(known.contains(relationship["relatedSpdxElement"].as_str().unwrap()));
        }
    }
}

#[test]
fn spdx_packages_refer_to_their_advisories() {
    let document = rendered("spdx", &sample::report(&Digest::of(b"image")));
    let jinja = &document["packages"][2];
    assert_eq!(
        texts(&jinja["externalRefs"], "referenceLocator"),
        ["pkg:pypi/jinja2@2.11.2", "https://www.cve.org/CVERecord?id=CVE-2024-22195"]
    );
    assert_eq!(document["packages"][1]["licenseComments"], "as found: LGPL-2.1-or-later");
}
