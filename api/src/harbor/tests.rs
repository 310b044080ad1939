//! Harbor's requests and our answers; with `TIDEWAITER_FIXTURES`, the recorded ones too.

use actix_web::http::header::{ACCEPT, HeaderMap, HeaderValue};
use jiff::SignedDuration;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use shared::model::digest::Digest;
use shared::model::job::Job;
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::Inventory;

use super::media::SbomFormat;
use super::*;

const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

fn body(registry: &str, artifact: &str) -> String {
    format!(r#"{{"registry":{registry},"artifact":{artifact},"enabled_capabilities":[]}}"#)
}

fn artifact() -> String {
    format!(r#"{{"repository":"library/mongo","tag":"","digest":"sha256:{HEX}","mime_type":"m"}}"#)
}

#[test]
fn scan_requests_are_read_as_harbor_writes_them() {
    for (url, host) in [
        ("https://core.harbor.domain", "core.harbor.domain"),
        ("https://core.harbor.domain:443", "core.harbor.domain"),
        ("http://core:8080/", "core:8080"),
    ] {
        let registry = format!(r#"{{"url":"{url}","authorization":"Basic cm9ib3QkeDp5","insecure":true}}"#);
        let (request, authorization) = ScanRequest::parse(body(&registry, &artifact()).as_bytes()).unwrap();
        assert_eq!(request.image.to_string(), format!("{host}/library/mongo"));
        assert_eq!((request.tag, request.mime_type.as_str()), (None, "m"));
        assert_eq!(authorization.unwrap().expose_secret(), "Basic cm9ib3QkeDp5");
    }
}

#[test]
fn refused_scan_requests_name_the_field_and_never_a_secret() {
    let registry = r#"{"url":"https://r.io","authorization":"Basic c2VjcmV0"}"#;
    for (body, expected) in [
        ("{}".to_owned(), "missing registry"),
        (body("{}", &artifact()), "missing registry.url"),
        (body(r#"{"url":"ftp://x"}"#, &artifact()), "registry.url"),
        (body(registry, "{}"), "missing artifact.repository"),
        (body(registry, r#"{"repository":"a"}"#), "missing artifact.digest"),
        (body(registry, r#"{"repository":"a","digest":"sha256:short"}"#), "artifact.digest"),
        (
            body(registry, &format!(r#"{{"repository":"../a","digest":"sha256:{HEX}"}}"#)),
            "artifact.repository",
        ),
        (
            body(r#"{"url":"https://r.io","authorization":["Basic c2VjcmV0"]}"#, &artifact()),
            "not a scan request",
        ),
        ("\u{0}".to_owned(), "not a scan request"),
    ] {
        let told = ScanRequest::parse(body.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(expected), "{body}: {told}");
        assert!(!told.contains("c2VjcmV0"), "{told}");
    }
}

#[test]
fn accept_decides_which_report_is_made() {
    for (accept, expected) in [
        (None, "application/vnd.security.vulnerability.report; version=1.1"),
        (Some("*/*"), "application/vnd.security.vulnerability.report; version=1.1"),
        (
            Some("application/vnd.security.vulnerability.report; version=1.1"),
            "application/vnd.security.vulnerability.report; version=1.1",
        ),
        (
            Some("application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"),
            "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
        ),
        (
            Some(
                "application/vnd.security.vulnerability.report; version=9.9, application/vnd.scanner.adapter.vuln.report.raw",
            ),
            "application/vnd.scanner.adapter.vuln.report.raw",
        ),
        (
            Some("application/vnd.security.sbom.report+json; version=1.0"),
            "application/vnd.security.sbom.report+json; version=1.0",
        ),
        (Some("text/html"), "406"),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        }
        let made = Kind::accepted(&headers, None).map_or("406", Kind::media_type);
        assert_eq!(made, expected, "{accept:?}");
    }
}

fn ticket() -> Ticket {
    let registry = r#"{"url":"https://r.io"}"#;
    let (request, _) = ScanRequest::parse(body(registry, &artifact()).as_bytes()).unwrap();
    let image = request.image.clone();
    let asked_at = "2026-11-21T10:00:00Z".parse().unwrap();
    let job = Job::scan(image.clone(), request.digest.clone(), None, Lane::Push, asked_at);
    Ticket::new(&job, image, request, None)
}

/// Made of JSON, so that a field that is new to reports does not concern these tests.
fn report(subject: &Subject, problems: &[Problem]) -> Report {
    let report = serde_json::json!({
        "digest": format!("sha256:{HEX}"),
        "subject": subject,
        "revisions": {"analyzer": "a", "database": "d", "database_as_of": "2026-11-21T10:00:00Z"},
        "scanned_at": "2026-11-21T10:00:00Z",
        "findings": [],
        "problems": problems,
        "coverage": [],
    });
    serde_json::from_value(report).unwrap()
}

#[test]
fn i13_an_id_remembers_its_scan_by_itself() {
    let ticket = ticket();
    let id = ticket.to_id();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{id}");
    assert_eq!(Ticket::from_id(&id), Some(ticket));
    for other in ["", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "e30", &"A".repeat(5000)] {
        assert_eq!(Ticket::from_id(other), None, "{other}");
    }
}

#[test]
fn harbor_is_told_to_come_back_soon_then_later_and_at_last_not_at_all() {
    let ticket = ticket();
    for (minutes, seconds, hopeless) in [(0, 2, false), (1, 6, false), (30, 15, false), (36, 15, true)] {
        let now = ticket.asked_at + SignedDuration::from_mins(minutes);
        assert_eq!((ticket.refresh_after(now), ticket.is_hopeless(now)), (seconds, hopeless), "{minutes}");
    }
}

#[test]
fn a_failure_from_before_the_scan_is_no_answer_to_it() {
    let failed = report(&Subject::Unreadable, &[]);
    let mut ticket = ticket();
    assert!(ticket.is_news(&failed));
    ticket.failed_before = Some(failed.scanned_at);
    assert!(!ticket.is_news(&failed));
    assert!(ticket.is_news(&report(&Subject::Image(Box::default()), &[])));
}

#[test]
fn i4_what_was_not_searched_is_an_error_and_never_an_empty_report() {
    let artifact = Subject::Artifact { artifact_type: "application/vnd.cncf.helm.config.v1+json".to_owned() };
    assert!(unfit(&report(&artifact, &[])).unwrap().contains("nothing was searched"));
    let gone = Problem::new(ProblemKind::ImageMissing, "the registry has no such manifest");
    assert!(unfit(&report(&Subject::Unreadable, &[gone])).unwrap().contains("no such manifest"));
    assert_eq!(unfit(&report(&Subject::Image(Box::default()), &[])), None);
}

fn rows(report: Report) -> Value {
    let now = report.scanned_at;
    let body = findings::vulnerabilities(&ticket(), &[report], &PolicySet::built_in(), now);
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn a_file_that_is_malware_stops_the_image_in_harbor_too() {
    let observation = |kind: &str| {
        serde_json::json!({
            "rule": "TW-MALWARE-Eicar", "kind": kind, "severity": "critical", "title": "A test file",
            "remediation": "Do not run the image.", "visibility": {"state": "deleted", "by": 2},
            "place": {"path": "opt/eicar.com", "layer": 1},
        })
    };
    let with = |kind| {
        let mut report = report(&Subject::Image(Box::default()), &[]);
        report.observations = vec![serde_json::from_value(observation(kind)).unwrap()];
        rows(report)
    };
    let seen = with("malware");
    assert_eq!(seen["severity"], "Critical");
    let row = &seen["vulnerabilities"][0];
    assert_eq!(
        (row["id"].as_str(), row["package"].as_str()),
        (Some("TW-MALWARE-Eicar"), Some("opt/eicar.com"))
    );
    assert_eq!(row["description"], "A test file. Do not run the image.");
    assert_eq!(with("misconfiguration")["vulnerabilities"].as_array().map(Vec::len), Some(0));
}

#[test]
fn i4_a_problem_that_the_policy_denies_stops_the_image_in_harbor_too() {
    let seen = rows(report(&Subject::Image(Box::<Inventory>::default()), &[]));
    let clean = seen["vulnerabilities"].as_array().unwrap().is_empty();
    assert_eq!((seen["severity"].as_str(), clean), (Some("Unknown"), true));
    let broken = Problem::new(ProblemKind::AnalyzerFailed, "a layer could not be read");
    let seen = rows(report(&Subject::Image(Box::default()), &[broken]));
    assert_eq!(seen["severity"], "Critical");
    assert_eq!(seen["vulnerabilities"][0]["id"], "TIDEWAITER-ANALYZER-FAILED");
    assert!(seen["vulnerabilities"][0]["description"].as_str().unwrap().contains("could not be read"));
}

#[test]
fn sboms_are_wrapped_with_their_media_type() {
    for (format, key) in [(SbomFormat::Spdx, "spdxVersion"), (SbomFormat::CycloneDx, "bomFormat")] {
        let body = findings::sbom(&ticket(), &[report(&Subject::Image(Box::default()), &[])], format);
        let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
        assert_eq!(body["media_type"], format.media_type());
        assert!(body["sbom"][key].is_string(), "{body}");
    }
}

#[test]
fn the_metadata_lists_what_harbor_insists_on() {
    let metadata = media::metadata(None);
    let consumed = metadata["capabilities"][0]["consumes_mime_types"].to_string();
    assert!(consumed.contains("application/vnd.docker.distribution.manifest.v2+json"));
    let produced = metadata["capabilities"][0]["produces_mime_types"].to_string();
    assert!(produced.contains("application/vnd.security.vulnerability.report; version=1.1"));
    let updated = "harbor.scanner-adapter/vulnerability-database-updated-at";
    assert_eq!(metadata["properties"].get(updated), None, "what is not known is not said");
    let known = media::metadata(Some("2026-03-02T06:00:00Z".parse().unwrap()));
    assert_eq!(known["properties"][updated], "2026-03-02T06:00:00Z");
}

#[test]
fn the_recorded_requests_are_read() {
    let Some(folder) = std::env::var_os("TIDEWAITER_FIXTURES") else { return };
    for name in ["harbor-scanner-scan-request", "harbor-scanner-scan-request-sbom"] {
        let path = std::path::Path::new(&folder).join(format!("wire/gates/{name}.json"));
        let (request, authorization) = ScanRequest::parse(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(request.image.to_string(), "core.harbor.domain/library/mongo");
        assert_eq!(request.digest, format!("sha256:{HEX}").parse::<Digest>().unwrap());
        assert!(authorization.is_some());
    }
}

proptest! {
    #[test]
    fn no_body_and_no_id_panics(body in proptest::collection::vec(any::<u8>(), 0..200), id in "\\PC{0,60}") {
        let _ = ScanRequest::parse(&body);
        let _ = Ticket::from_id(&id);
    }
}
