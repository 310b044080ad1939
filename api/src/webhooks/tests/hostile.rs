//! Bodies that no sender sends: a clear answer or a refusal, never a panic, never a name that climbs.

use proptest::prelude::*;
use serde_json::Value;
use shared::model::image::ImageName;

use super::*;

/// Headers under which every source looks into its body.
const SENT: &[(&str, &str)] = &[
    ("ce-specversion", "1.0"),
    ("ce-type", "zotregistry.image.updated"),
    ("x-github-event", "package"),
    ("x-gitea-event", "package"),
];

fn ask(source: &'static dyn WebhookSource) -> Ask<'static> {
    let media_type =
        if source.reads("application/cloudevents+json") { "application/cloudevents+json" } else { JSON };
    Ask::of(source.name()).typed(media_type).with(SENT)
}

/// What a source makes of a body; names in it are legal or it is rejected.
fn survives(source: &'static dyn WebhookSource, body: &[u8]) {
    for ask in [ask(source), ask(source).registry("configured.example.com")] {
        for event in ask.decode(body).unwrap_or_default() {
            if let Event::Push(push) = event {
                let name = push.image.to_string();
                assert!(!name.contains("..") && !name.contains(char::is_control), "{name:?}");
                // Each for itself: together, a host without dot or port reads like a part of Docker Hub.
                let ImageName { registry, repository } = &push.image;
                assert_eq!(registry.as_str().parse().as_ref(), Ok(registry), "{name:?}");
                assert_eq!(repository.as_str().parse().as_ref(), Ok(repository), "{name:?}");
            }
        }
        let headers = headers(&[("aeg-event-type", "SubscriptionValidation")]);
        let settings = SourceSettings::default();
        let _ =
            source.handshake(&Delivery { headers: &headers, media_type: JSON, body, settings: &settings });
        let _ = source.signed("application/x-www-form-urlencoded", body);
    }
}

#[test]
fn names_that_climb_and_digests_of_wrong_length_are_rejected_by_every_source() {
    let long = "a".repeat(300);
    for (source, media_type, headers, body) in pushes() {
        let upper = HEX.to_uppercase();
        for (from, to) in [
            ("team/app", "team/../app"),
            ("team/app", "../../etc/passwd"),
            ("team/app", "team/a\\u0000pp"),
            ("team/app", "team/a pp"),
            ("team/app", long.as_str()),
            ("App", "../App"),
            ("\"app\"", "\"..\""),
            (HEX, &HEX[..63]),
            (HEX, &HEX[..40]),
            (HEX, ""),
            (HEX, upper.as_str()),
            ("\"1\"", "\"a b\""),
            ("\"1\"", "\"..\""),
            ("\"1\"", "\"-\""),
        ] {
            let changed = body.replace(from, to);
            if changed == body || (from == "\"1\"" && !body.contains("\"1\"")) {
                continue;
            }
            let ask = Ask::of(source).typed(media_type).with(headers).registry("configured.example.com");
            let events = ask.decode(&changed).unwrap_or_default();
            // ECR falls back to the tag where the digest is malformed; Distribution repeats nothing else.
            let by_tag = source == "ecr" && from == HEX;
            for event in &events {
                assert!(
                    by_tag || matches!(event, Event::Rejected(_)),
                    "{source}: {changed}: {}",
                    told(event)
                );
            }
        }
    }
}

#[test]
fn wrong_types_in_any_field_are_an_answer() {
    fn replaced(value: &Value, by: &Value) -> Vec<Value> {
        match value {
            Value::Object(map) => map
                .iter()
                .flat_map(|(key, inner)| {
                    let with = |new: Value| {
                        let mut map = map.clone();
                        map.insert(key.clone(), new);
                        Value::Object(map)
                    };
                    let mut all: Vec<Value> = replaced(inner, by).into_iter().map(with).collect();
                    all.push(with(by.clone()));
                    all
                })
                .collect(),
            Value::Array(items) => {
                items.iter().flat_map(|item| replaced(item, by)).map(|item| json!([item])).collect()
            }
            _ => Vec::new(),
        }
    }
    for (source, media_type, headers, body) in pushes() {
        let whole: Value = serde_json::from_str(&body).unwrap();
        for by in [json!(null), json!(7), json!({}), json!([]), json!("\u{0}"), json!([[[]]]), json!(1e300)] {
            for changed in replaced(&whole, &by) {
                let _ = Ask::of(source).typed(media_type).with(headers).decode(changed.to_string());
            }
        }
    }
}

#[test]
fn deep_nesting_and_repeated_keys_are_an_answer() {
    let deep = 50_000;
    let nested = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let objects = format!("{}1{}", r#"{"data":"#.repeat(deep), "}".repeat(deep));
    let inside = format!(r#"{{"events":[{nested}],"specversion":"1.0","type":"x","data":{objects}}}"#);
    let twice =
        r#"{"action":"push","action":"pull","image":"a","image":"r.io/b","detail":{},"data":{}}"#.to_owned();
    for source in ALL {
        for body in [&nested, &objects, &inside, &twice] {
            survives(*source, body.as_bytes());
        }
    }
}

#[test]
fn thousands_of_events_are_read() {
    let event = json!({"action": "pull"}).to_string();
    let body = format!(r#"{{"events":[{}]}}"#, vec![event; 4000].join(","));
    assert_eq!(Ask::of("distribution").decode(body).unwrap().len(), 4000);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..ALL.len()) {
        survives(ALL[at], &bytes);
    }

    #[test]
    fn no_change_of_a_good_body_panics(
        at in 0..ALL.len(),
        cut in any::<prop::sample::Index>(),
        length in 0..8_usize,
        put in r#"[\[\]{}":,a-z0-9@/%.\\ ]{0,12}"#,
    ) {
        let (source, media_type, headers, body) = pushes().swap_remove(at);
        let mut bytes = body.into_bytes();
        let start = cut.index(bytes.len());
        let end = (start + length).min(bytes.len());
        bytes.splice(start..end, put.bytes());
        let _ = Ask::of(source).typed(media_type).with(headers).decode(&bytes);
        survives(named(source).unwrap(), &bytes);
    }

    #[test]
    fn no_text_in_a_name_climbs(text in "\\PC{0,40}", at in 0..ALL.len()) {
        let (source, media_type, headers, body) = pushes().swap_remove(at);
        let quoted = json!(text).to_string();
        let body = body.replace("team/app", &quoted[1..quoted.len() - 1]);
        let ask = Ask::of(source).typed(media_type).with(headers).registry("configured.example.com");
        for event in ask.decode(&body).unwrap_or_default() {
            if let Event::Push(push) = event {
                let name = push.image.to_string();
                prop_assert_eq!(name.parse(), Ok(push.image));
            }
        }
    }
}
