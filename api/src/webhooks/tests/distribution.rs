//! The four first sources: Distribution, Harbor, CloudEvents and our own.

use super::*;

fn decode(
    source: &str,
    media_type: &str,
    extra: &[(&str, &str)],
    body: &str,
) -> Result<Vec<Event>, DecodeError> {
    Ask::of(source).typed(media_type).with(extra).decode(body)
}

fn check(source: &str, media_type: &str, body: &str, expected: &[&str]) {
    Ask::of(source).typed(media_type).says(body, expected);
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
