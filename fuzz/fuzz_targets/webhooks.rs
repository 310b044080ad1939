//! Every webhook source against every body: no panic, and no name in an event that does not parse back.
//!
//! The first byte of the input chooses the source and its media type, so that one corpus serves all.

#![no_main]

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use api::webhooks::{ALL, Delivery, Event, WebhookSource};
use libfuzzer_sys::fuzz_target;
use shared::config::SourceSettings;
use shared::model::image::ImageName;

/// Headers under which every source looks into its body.
const SENT: &[(&str, &str)] = &[
    ("aeg-event-type", "SubscriptionValidation"),
    ("ce-specversion", "1.0"),
    ("ce-type", "zotregistry.image.updated"),
    ("x-gitea-event", "package"),
    ("x-github-event", "package"),
];
const MEDIA_TYPES: &[&str] = &[
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/x-www-form-urlencoded",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let choice = usize::from(*choice);
    let headers: HeaderMap = SENT
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let media_type = MEDIA_TYPES[choice / ALL.len() % MEDIA_TYPES.len()];
    let silent = SourceSettings::default();
    let registry = "registry.example.com".parse().ok();
    let said = SourceSettings { registry, ..SourceSettings::default() };
    for settings in [&silent, &said] {
        let delivery = Delivery { headers: &headers, media_type, body, settings };
        ask(ALL[choice % ALL.len()], &delivery);
    }
});

fn ask(source: &dyn WebhookSource, delivery: &Delivery<'_>) {
    let _ = source.signed(delivery.media_type, delivery.body);
    let _ = source.handshake(delivery);
    for event in source.decode(delivery).unwrap_or_default() {
        if let Event::Push(push) = event {
            let name = push.image.to_string();
            assert_eq!(name.parse::<ImageName>().as_ref(), Ok(&push.image), "{}: {name:?}", source.name());
        }
    }
}
