//! CloudEvents 1.0 over HTTP, in binary, structured and batched mode, and CDEvents inside them.
//!
//! Specification: CloudEvents HTTP protocol binding; mode by `Content-Type`. Two event types are pushes:
//! `dev.tidewaiter.image.pushed.v1`, whose data is `{"reference": "registry/repo@sha256:…", "tag": "…"}`,
//! and CDEvents' `dev.cdevents.artifact.published.*`, whose `subject.id` is an OCI package URL.

use actix_web::http::header::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use shared::model::image::{ImageName, Reference, Tag, Target};
use shared::model::push::{PushEvent, Pushed};
use url::Url;

use super::{DecodeError, Delivery, Event, Redelivery, WebhookSource};

/// The source.
pub(super) struct CloudEvents;

const PUSHED: &str = "dev.tidewaiter.image.pushed.v1";
const PUBLISHED: &str = "dev.cdevents.artifact.published.";

#[derive(Deserialize)]
struct Structured {
    specversion: String,
    #[serde(rename = "type")]
    kind: String,
    time: Option<String>,
    data: Option<Value>,
    data_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PushData {
    reference: String,
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Published {
    subject: PublishedSubject,
}

#[derive(Deserialize)]
struct PublishedSubject {
    id: String,
}

impl WebhookSource for CloudEvents {
    fn name(&self) -> &'static str {
        "cloudevents"
    }

    fn reads(&self, media_type: &str) -> bool {
        matches!(
            media_type,
            "application/json" | "application/cloudevents+json" | "application/cloudevents-batch+json"
        )
    }

    fn redelivery(&self) -> Redelivery {
        Redelivery::Bounded
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let json = |source| DecodeError::Json { source_name: self.name(), source };
        match delivery.media_type {
            "application/cloudevents-batch+json" => {
                let events: Vec<Structured> = serde_json::from_slice(delivery.body).map_err(json)?;
                Ok(events.into_iter().map(structured).collect())
            }
            "application/cloudevents+json" => {
                Ok(vec![structured(serde_json::from_slice(delivery.body).map_err(json)?)])
            }
            _ if delivery.headers.contains_key("ce-specversion") => {
                let data: Value = serde_json::from_slice(delivery.body).map_err(json)?;
                let version = attribute(delivery.headers, "ce-specversion").unwrap_or_default();
                let kind = attribute(delivery.headers, "ce-type").unwrap_or_default();
                Ok(vec![event(&version, &kind, attribute(delivery.headers, "ce-time").as_deref(), data)])
            }
            _ => Err(DecodeError::Envelope(
                "no ce-specversion header and not application/cloudevents+json: this is no CloudEvent"
                    .to_owned(),
            )),
        }
    }
}

/// A `ce-` header; values are percent-encoded where they are not printable ASCII.
fn attribute(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(percent_decoded)
}

fn structured(envelope: Structured) -> Event {
    let data = match (envelope.data, envelope.data_base64) {
        (Some(data), _) => data,
        (None, Some(encoded)) => {
            let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            match decoded {
                Some(data) => data,
                None => return Event::Rejected("data_base64 is not base64 of JSON".to_owned()),
            }
        }
        (None, None) => Value::Null,
    };
    event(&envelope.specversion, &envelope.kind, envelope.time.as_deref(), data)
}

fn event(version: &str, kind: &str, time: Option<&str>, data: Value) -> Event {
    if !version.starts_with("1.") {
        return Event::Rejected(format!("specversion {version:?} is not 1.0"));
    }
    let push = if kind == PUSHED {
        pushed(data)
    } else if kind.starts_with(PUBLISHED) {
        published(data)
    } else {
        return Event::Ignored("other-type");
    };
    let occurred_at = time.and_then(|text| text.parse::<Timestamp>().ok());
    push.map_or_else(Event::Rejected, |(image, pushed)| Event::Push(PushEvent { image, pushed, occurred_at }))
}

fn pushed(data: Value) -> Result<(ImageName, Pushed), String> {
    let data: PushData = serde_json::from_value(data).map_err(|error| format!("data: {error}"))?;
    let reference: Reference = data.reference.parse().map_err(|error| format!("data.reference: {error}"))?;
    let tag: Option<Tag> =
        data.tag.map(|text| text.parse().map_err(|error| format!("data.tag: {error}"))).transpose()?;
    let pushed = match reference.target {
        Target::Digest(digest) => Pushed::Digest { digest, tag },
        Target::Tag(named) => Pushed::Tag(tag.unwrap_or(named)),
    };
    Ok((reference.name, pushed))
}

/// `pkg:oci/<name>@sha256%3A<hex>?repository_url=<host/repository>&tag=<tag>`.
fn published(data: Value) -> Result<(ImageName, Pushed), String> {
    let Published { subject } = serde_json::from_value(data).map_err(|error| format!("data: {error}"))?;
    let (path, query) = subject
        .id
        .strip_prefix("pkg:oci/")
        .and_then(|rest| rest.split_once('?'))
        .ok_or("subject.id is not an OCI package URL with a repository_url")?;
    let (_, digest) = path.split_once('@').ok_or("subject.id names no digest")?;
    let digest = percent_decoded(digest).parse().map_err(|error| format!("subject.id: {error}"))?;
    // A query of a package URL has the form of any URL's query.
    let url = Url::parse(&format!("pkg://oci/?{query}")).map_err(|error| format!("subject.id: {error}"))?;
    let value =
        |key: &str| url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
    let repository = value("repository_url").ok_or("subject.id has no repository_url")?;
    let image = repository.parse().map_err(|error| format!("repository_url: {error}"))?;
    let tag = value("tag").map(|text| text.parse().map_err(|error| format!("tag: {error}"))).transpose()?;
    Ok((image, Pushed::Digest { digest, tag }))
}

/// Percent-decodes; what does not decode stays as it is.
fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
