//! Every format, on every kind of subject: what readers of that format rely on.

mod shipped;

use std::collections::HashSet;

use serde_json::Value;

use super::*;
use crate::model::digest::Digest;
use crate::model::image::Platform;
use crate::model::layer::LayerIndex;
use crate::model::observation::{Observation, ObservationKind, ObservationPlace, Visibility};
use crate::model::problem::{Problem, ProblemKind};
use crate::model::report::{Finding, FindingStatus, IndexChild, Severity, Subject, Suppression};
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
    let observed =
        Report { observations: observations(), findings: of_every_status(&image), ..image.clone() };
    vec![of(Subject::Index { children: vec![child] }), artifact, unreadable, observed]
}

/// A finding of every status.
fn of_every_status(image: &Report) -> Vec<Finding> {
    let affected = image.findings[0].clone();
    let suppressed = |reason| FindingStatus::Suppressed { reason };
    let purl = image.inventory().expect("the sample is an image").packages[0].purl.clone();
    let statuses = [
        FindingStatus::Affected,
        FindingStatus::DistroUnassessed,
        FindingStatus::DisputedRange,
        suppressed(Suppression::OwnedBy { purl }),
        suppressed(Suppression::KernelHeadersOnly),
        suppressed(Suppression::NotLinked),
        suppressed(Suppression::PlatformNotAffected),
        suppressed(Suppression::Negligible),
    ];
    statuses.into_iter().map(|status| Finding { status, ..affected.clone() }).collect()
}

/// A secret that a later layer removes, and a careless setting.
fn observations() -> Vec<Observation> {
    let secret = Observation {
        rule: "TW-SEC-GITHUB-TOKEN".to_owned(),
        kind: ObservationKind::Secret,
        severity: Severity::Critical,
        title: "A GitHub token".to_owned(),
        remediation: "Revoke it, and build without it.".to_owned(),
        place: ObservationPlace {
            path: Some("app/.env".to_owned()),
            line: Some(3),
            layer: Some(LayerIndex(0)),
            config: None,
            created_by: Some("COPY . /app".to_owned()),
        },
        visibility: Visibility::Deleted { by: LayerIndex(1) },
        masked: Some("ghp_… (40)".to_owned()),
        fingerprint: Some("6c9f…".to_owned()),
        controls: vec!["CIS-DI-4.10".to_owned()],
    };
    let user = Observation {
        rule: "TW-CFG-USER".to_owned(),
        kind: ObservationKind::Misconfiguration,
        severity: Severity::Medium,
        title: "Runs as root".to_owned(),
        remediation: "Set USER to a number other than 0.".to_owned(),
        place: ObservationPlace { config: Some("config.User".to_owned()), ..ObservationPlace::default() },
        visibility: Visibility::Visible,
        masked: None,
        fingerprint: None,
        controls: Vec::new(),
    };
    vec![secret, user]
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

/// The official schemas; `schemas/README.md` says where they are from.
mod schemas {
    use jsonschema::{Draft, Registry, Validator};
    use serde_json::Value;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    pub(super) fn sarif() -> Validator {
        jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(true)
            .build(&parsed(include_str!("tests/schemas/sarif-2.1.0.json")))
            .unwrap()
    }

    pub(super) fn cyclonedx() -> Validator {
        let spdx = parsed(include_str!("tests/schemas/cyclonedx-spdx.json"));
        let jsf = parsed(include_str!("tests/schemas/cyclonedx-jsf-0.82.json"));
        let registry = Registry::new()
            .add("http://cyclonedx.org/schema/spdx.schema.json", spdx)
            .unwrap()
            .add("http://cyclonedx.org/schema/jsf-0.82.schema.json", jsf)
            .unwrap()
            .prepare()
            .unwrap();
        jsonschema::options()
            .with_registry(&registry)
            .should_validate_formats(true)
            .build(&parsed(include_str!("tests/schemas/cyclonedx-bom-1.6.json")))
            .unwrap()
    }

    pub(super) fn spdx() -> Validator {
        jsonschema::options()
            .should_validate_formats(true)
            .build(&parsed(include_str!("tests/schemas/spdx-2.3.json")))
            .unwrap()
    }

    pub(super) fn openvex() -> Validator {
        jsonschema::options()
            .should_validate_formats(true)
            .build(&parsed(include_str!("tests/schemas/openvex-0.2.0.json")))
            .unwrap()
    }
}

#[test]
fn every_document_is_valid_by_its_official_schema() {
    for (format, schema) in [
        ("sarif", schemas::sarif()),
        ("cyclonedx", schemas::cyclonedx()),
        ("spdx", schemas::spdx()),
        ("openvex", schemas::openvex()),
    ] {
        for report in subjects() {
            let document = rendered(format, &report);
            let errors: Vec<String> = schema
                .iter_errors(&document)
                .map(|error| format!("{} at {}", error, error.instance_path()))
                .filter(|error| format != "openvex" || error != "[] has less than 1 item at /statements")
                .collect();
            assert!(errors.is_empty(), "{format}: {errors:#?}");
        }
    }
}

#[test]
fn every_format_tells_of_observations_and_where_they_are() {
    let report = subjects().pop().unwrap();
    for format in ALL.iter().filter(|format| format.name() != "openvex") {
        let text = String::from_utf8(format.render(&report)).unwrap().replace("&#58;", ":").replace("\\", "");
        assert!(text.contains("A GitHub token"), "{}: {text}", format.name());
        assert!(text.contains("app/.env"), "{}: {text}", format.name());
    }
}

#[test]
fn openvex_says_what_to_do_and_never_not_affected_without_a_reason() {
    let document = rendered("openvex", &subjects().pop().unwrap());
    let statements = document["statements"].as_array().unwrap();
    let of = |status: &str| {
        statements.iter().filter(|said| said["status"] == status).cloned().collect::<Vec<Value>>()
    };
    assert_eq!(of("affected")[0]["action_statement"], "Upgrade to 3.1.3 or later.");
    assert_eq!(of("affected")[0]["vulnerability"]["name"], "CVE-2024-22195");
    let product = &of("affected")[0]["products"][0];
    assert!(product["@id"].as_str().unwrap().starts_with("pkg:oci/image@sha256%3A"), "{product}");
    assert_eq!(product["subcomponents"][0]["@id"], "pkg:pypi/jinja2@2.11.2");
    assert!(of("not_affected").iter().all(|said| said["impact_statement"].is_string()));
    assert_eq!(of("not_affected").len(), 5);
    let name: ImageName = "registry.example.com:5000/team/app".parse().unwrap();
    let named = by_name("openvex").unwrap().render_named(&subjects().pop().unwrap(), &name);
    let text = String::from_utf8(named).unwrap();
    assert!(text.contains("repository_url=registry.example.com%3A5000%2Fteam%2Fapp"), "{text}");
}

#[test]
fn markdown_is_a_table_that_a_person_can_act_on() {
    let text = String::from_utf8(by_name("markdown").unwrap().render(&subjects().pop().unwrap())).unwrap();
    assert_eq!(
        text,
        "## Image\n\n`sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d`: \
         Debian GNU/Linux 12 \\(bookworm\\), 2 packages in 2 layers\n\n\
         **2 findings: 2 medium (6 more suppressed)**\n\n\
         | Severity | Package | Installed | Upgrade to | Advisories |\n\
         | --- | --- | --- | --- | --- |\n\
         | medium | jinja2 | 2.11.2 | 3.1.3 | [CVE-2024-22195](https://www.cve.org/CVERecord?id=CVE-2024-22195) |\n\n\
         | Severity | What | Where | Rule |\n\
         | --- | --- | --- | --- |\n\
         | critical | A GitHub token | app/.env&#58;3, deleted by layer 1 | TW-SEC-GITHUB-TOKEN |\n\
         | medium | Runs as root | config.User | TW-CFG-USER |\n\n\
         **What could not be seen**\n\n\
         - record-skipped&#58; one stanza has no version\n"
    );
}

#[test]
fn a_table_has_at_most_eighty_columns_and_worst_comes_first() {
    let text = String::from_utf8(by_name("table").unwrap().render(&subjects().pop().unwrap())).unwrap();
    // The digest is one word and must stay one.
    assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80), "{text}");
    let shown = [
        " SEVERITY  PACKAGE  INSTALLED  UPGRADE TO  ADVISORIES\n medium    jinja2   2.11.2     3.1.3       CVE-2024-22195\n",
        " SEVERITY  WHAT            WHERE\n critical  A GitHub token  app/.env:3, deleted by layer 1\n",
    ];
    assert!(shown.iter().all(|part| text.contains(part)), "{text}");
}
