//! Every source against bodies as senders send them; with `TIDEWAITER_FIXTURES`, against recorded ones too.

use actix_web::http::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;
use shared::model::image::Tag;

use super::*;
use shared::model::push::Pushed;

const HEX: &str = "5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn decode(
    source: &str,
    media_type: &str,
    extra: &[(&str, &str)],
    body: &str,
) -> Result<Vec<Event>, DecodeError> {
    let headers = headers(extra);
    let source = source_named(source).unwrap();
    assert!(source.reads(media_type), "{} does not read {media_type}", source.name());
    source.decode(&Delivery { headers: &headers, media_type, body: body.as_bytes() })
}

/// An event in one line: what the tables below compare.
fn told(event: &Event) -> String {
    match event {
        Event::Push(push) => match &push.pushed {
            Pushed::Digest { digest, tag } => {
                format!(
                    "{}@{}{}",
                    push.image,
                    digest.short(),
                    tag.as_ref().map(|tag| format!(" {tag}")).unwrap_or_default()
                )
            }
            Pushed::Tag(tag) => format!("{}:{tag}", push.image),
        },
        Event::Ignored(reason) => format!("ignored {reason}"),
        Event::Rejected(reason) => format!("rejected {reason}"),
    }
}

fn check(source: &str, media_type: &str, body: &str, expected: &[&str]) {
    let events = decode(source, media_type, &[], body).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected, "{body}");
}

#[test]
fn distribution_reads_version_2_and_3() {
    let event = |action: &str, media_type: &str, rest: &str| {
        format!(
            r#"{{"events":[{{"action":"{action}","target":{{"mediaType":"{media_type}","digest":"sha256:{HEX}","repository":"team/app"{rest}}},"request":{{"host":"r.io:5000"}}}}]}}"#
        )
    };
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    for envelope in ["v1", "v2"] {
        let media_type = format!("application/vnd.docker.distribution.events.{envelope}+json");
        check(
            "distribution",
            &media_type,
            &event("push", manifest, r#","tag":"1""#),
            &["r.io:5000/team/app@5861314d7fcc 1"],
        );
    }
    let media_type = "application/json";
    check(
        "distribution",
        media_type,
        &event("push", manifest, r#","tag":"""#),
        &["r.io:5000/team/app@5861314d7fcc"],
    );
    check(
        "distribution",
        media_type,
        &event("push", "application/octet-stream", ""),
        &["ignored not-a-manifest"],
    );
    check("distribution", media_type, &event("mount", "application/octet-stream", ""), &["ignored mount"]);
    check("distribution", media_type, &event("pull", manifest, ""), &["ignored pull"]);
    check("distribution", media_type, &event("delete", manifest, ""), &["ignored delete"]);
    check("distribution", media_type, r#"{"events":[]}"#, &[]);
}

#[test]
fn one_bad_event_does_not_cost_its_neighbours() {
    let body = format!(
        r#"{{"events":[{{"action":7}},{{"action":"push","target":{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:{HEX}","repository":"a"}},"request":{{"host":"r.io"}}}}]}}"#
    );
    let events = decode("distribution", "application/json", &[], &body).unwrap();
    assert!(matches!(events[0], Event::Rejected(_)));
    assert_eq!(told(&events[1]), "r.io/a@5861314d7fcc");
}

#[test]
fn rejected_events_name_the_field() {
    for (target, field) in [
        (r#""digest":"sha256:short","repository":"a""#.to_owned(), "target.digest"),
        (format!(r#""digest":"sha256:{HEX}","repository":"../a""#), "target.repository"),
        (format!(r#""digest":"sha256:{HEX}","repository":"a","tag":"b c""#), "target.tag"),
        (format!(r#""digest":"sha256:{HEX}""#), "target.repository"),
    ] {
        let body = format!(
            r#"{{"events":[{{"action":"push","target":{{"mediaType":"application/vnd.oci.image.manifest.v1+json",{target}}},"request":{{"host":"r.io"}}}}]}}"#
        );
        let events = decode("distribution", "application/json", &[], &body).unwrap();
        assert!(told(&events[0]).starts_with(&format!("rejected {field}")), "{}", told(&events[0]));
    }
}

#[test]
fn harbor_says_no_tag_by_repeating_the_digest() {
    let body = |tag: &str| {
        format!(
            r#"{{"type":"PUSH_ARTIFACT","occur_at":1680501893,"event_data":{{"resources":[{{"digest":"sha256:{HEX}","tag":"{tag}","resource_url":"hub.example.com/lib/app:x"}}],"repository":{{"repo_full_name":"lib/app"}}}}}}"#
        )
    };
    check("harbor", "application/json", &body("1.0"), &["hub.example.com/lib/app@5861314d7fcc 1.0"]);
    check(
        "harbor",
        "application/json",
        &body(&format!("sha256:{HEX}")),
        &["hub.example.com/lib/app@5861314d7fcc"],
    );
    check("harbor", "application/json", r#"{"type":"SCANNING_COMPLETED"}"#, &["ignored other-action"]);
    assert!(decode("harbor", "application/json", &[], r#"{"type":"PUSH_ARTIFACT"}"#).is_err());
}

#[test]
fn generic_takes_a_digest_or_a_tag_and_batches() {
    let json = "application/json";
    check(
        "generic",
        json,
        &format!(r#"{{"image":"r.io/a:1","digest":"sha256:{HEX}"}}"#),
        &["r.io/a@5861314d7fcc 1"],
    );
    check(
        "generic",
        json,
        &format!(r#"{{"image":"r.io/a","digest":"sha256:{HEX}"}}"#),
        &["r.io/a@5861314d7fcc"],
    );
    check(
        "generic",
        json,
        &format!(r#"[{{"image":"r.io/a@sha256:{HEX}"}},{{"image":"r.io/a:2"}}]"#),
        &["r.io/a@5861314d7fcc", "r.io/a:2"],
    );
    let other = "0".repeat(64);
    let body = format!(r#"{{"image":"r.io/a@sha256:{HEX}","digest":"sha256:{other}"}}"#);
    check("generic", json, &body, &["rejected image and digest name different digests"]);
}

#[test]
fn cloudevents_in_binary_mode() {
    let body = format!(r#"{{"reference":"r.io/a@sha256:{HEX}","tag":"1"}}"#);
    let extra = [("ce-specversion", "1.0"), ("ce-type", "dev.tidewaiter.image.pushed.v1")];
    let events = decode("cloudevents", "application/json", &extra, &body).unwrap();
    assert_eq!(told(&events[0]), "r.io/a@5861314d7fcc 1");
    assert!(decode("cloudevents", "application/json", &[], &body).is_err(), "no attributes, no CloudEvent");
}

/// The outcome that a recorded case expects, in the words of [`told`].
fn expected(row: &Value) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    match row["do"].as_str() {
        Some("scan") => {
            let digest: shared::model::digest::Digest = text("digest").parse().unwrap();
            let tag = row["tag"].as_str().map(|tag| format!(" {tag}")).unwrap_or_default();
            format!("{}/{}@{}{tag}", text("registry"), text("repository"), digest.short())
        }
        _ => "nothing".to_owned(),
    }
}

fn outcome(event: &Event) -> String {
    let artifact = |tag: &Tag| tag.as_str().starts_with("sha256-");
    match event {
        Event::Push(PushEvent { pushed: Pushed::Digest { tag: Some(tag), .. }, .. }) if artifact(tag) => {
            "nothing".to_owned()
        }
        Event::Push(_) => told(event),
        Event::Ignored(_) | Event::Rejected(_) => "nothing".to_owned(),
    }
}

#[test]
fn recorded_bodies_become_the_jobs_that_they_should() {
    let Some(fixtures) = std::env::var_os("TIDEWAITER_FIXTURES") else { return };
    let folder = std::path::Path::new(&fixtures).join("wire/inbound");
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("_index.json")).unwrap()).unwrap();
    let mut seen = 0;
    for case in index["cases"].as_array().unwrap() {
        let source = match case["source"].as_str().unwrap() {
            "cdevents" => "cloudevents",
            other => other,
        };
        let Ok(source) = source_named(source) else { continue };
        let file = case["file"].as_str().unwrap();
        let body: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        let bodies = if case["sequence"] == true { body.as_array().unwrap().clone() } else { vec![body] };
        let sent: Vec<(String, String)> = case["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let pairs: Vec<(&str, &str)> =
            sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers = headers(&pairs);
        let media_type =
            shared::model::document::essence(headers.get(CONTENT_TYPE).unwrap().to_str().unwrap());
        let mut found = Vec::new();
        for body in bodies {
            let body = serde_json::to_vec(&body).unwrap();
            let delivery = Delivery { headers: &headers, media_type: &media_type, body: &body };
            found.extend(
                source
                    .decode(&delivery)
                    .unwrap_or_else(|error| panic!("{file}: {error}"))
                    .iter()
                    .map(outcome),
            );
        }
        let wanted: Vec<String> = case["expect"].as_array().unwrap().iter().map(expected).collect();
        assert_eq!(found, wanted, "{file}");
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} recorded bodies were found");
}

proptest! {
    #[test]
    fn no_body_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..ALL.len()) {
        let headers = headers(&[("ce-specversion", "1.0"), ("ce-type", "dev.cdevents.artifact.published.0.1.0")]);
        for media_type in ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"] {
            let _ = ALL[at].decode(&Delivery { headers: &headers, media_type, body: &bytes });
        }
    }

    #[test]
    fn no_json_shape_panics(text in r#"[\[\]{}":,a-z0-9@/%.]{0,120}"#, at in 0..ALL.len()) {
        let body = format!(r#"{{"type":"PUSH_ARTIFACT","events":[{text}],"image":"{text}","subject":{{"id":"pkg:oci/{text}"}}}}"#);
        let headers = headers(&[("ce-specversion", "1.0"), ("ce-type", "dev.cdevents.artifact.published.0.1.0")]);
        let _ = ALL[at].decode(&Delivery { headers: &headers, media_type: "application/json", body: body.as_bytes() });
    }
}
