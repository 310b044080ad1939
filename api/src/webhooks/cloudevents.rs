//! CloudEvents 1.0 over HTTP, in binary, structured and batched mode, and CDEvents inside them.
//!
//! Specification: CloudEvents HTTP protocol binding; mode by `Content-Type`. Two event types are pushes:
//! `dev.tidewaiter.image.pushed.v1`, whose data is `{"reference": "registry/repo@sha256:…", "tag": "…"}`,
//! and CDEvents' `dev.cdevents.artifact.published.*`, whose `subject.id` is an OCI package URL. The operator
//! may name others, and where in their data the image is.

use actix_web::http::header::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use shared::config::{EventMapping, SourceSettings};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference, Tag, Target};
use shared::model::push::{PushEvent, Pushed};
use url::Url;

use super::{DecodeError, Delivery, Event, Misfit, Refusal, WebhookSource};
use crate::auth::senders::Credential;

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

    fn credentials(&self) -> &'static [Credential] {
        // Both places are the specification's (CloudEvents HTTP 1.1 Web Hooks, §3).
        &[Credential::Authorization, Credential::ChosenHeader, Credential::UrlParameter("access_token")]
    }

    fn refusal(&self) -> Refusal {
        Refusal::Helps
    }

    fn fits(&self, settings: &SourceSettings) -> Result<(), Misfit> {
        let events = SourceSettings { events: Vec::new(), ..settings.clone() };
        super::whole_names(&events)
    }

    fn asks_for_leave(&self) -> bool {
        true
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        match delivery.media_type {
            "application/cloudevents-batch+json" => {
                let events: Vec<Structured> = delivery.json(self.name())?;
                Ok(events.into_iter().map(|event| event.read(delivery)).collect())
            }
            "application/cloudevents+json" => {
                let event: Structured = delivery.json(self.name())?;
                Ok(vec![event.read(delivery)])
            }
            _ if delivery.headers.contains_key("ce-specversion") => {
                let text = |name: &str| attribute(delivery.headers, name);
                let data: Value = delivery.json(self.name())?;
                let (version, kind) = (text("ce-specversion"), text("ce-type"));
                let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
                Ok(vec![event(&version, &kind, text("ce-time").as_deref(), data, delivery)])
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

impl Structured {
    fn read(self, delivery: &Delivery<'_>) -> Event {
        let data = match (self.data, self.data_base64) {
            (Some(data), _) => data,
            (None, Some(encoded)) => {
                let bytes = STANDARD.decode(encoded).ok();
                match bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                    Some(data) => data,
                    None => return Event::Rejected("data_base64 is not base64 of JSON".to_owned()),
                }
            }
            (None, None) => Value::Null,
        };
        event(&self.specversion, &self.kind, self.time.as_deref(), data, delivery)
    }
}

fn event(version: &str, kind: &str, time: Option<&str>, data: Value, delivery: &Delivery<'_>) -> Event {
    if !version.starts_with("1.") {
        return Event::Rejected(format!("specversion {version:?} is not 1.0"));
    }
    let mapping = delivery.settings.events.iter().find(|mapping| mapping.is_about(kind));
    let push = if let Some(mapping) = mapping {
        mapped(mapping, &data, delivery)
    } else if kind == PUSHED {
        pushed(data)
    } else if kind.starts_with(PUBLISHED) {
        published(data)
    } else {
        return Event::Ignored("other-type");
    };
    let occurred_at = time.and_then(|text| text.parse::<Timestamp>().ok());
    let named = |(image, pushed): (ImageName, Pushed)| {
        let registry = delivery.registry(Some(image.registry.as_str()), "registry")?;
        Ok(PushEvent { image: ImageName { registry, ..image }, pushed, occurred_at })
    };
    push.and_then(named).map_or_else(Event::Rejected, Event::Push)
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

/// An event of the operator's own: its pointers say where the image is.
fn mapped(
    mapping: &EventMapping,
    data: &Value,
    delivery: &Delivery<'_>,
) -> Result<(ImageName, Pushed), String> {
    let text = |pointer: &Option<String>| {
        let found = data.pointer(pointer.as_deref()?)?.as_str()?;
        (!found.is_empty()).then_some(found)
    };
    let at = |pointer: &Option<String>| pointer.clone().unwrap_or_default();
    let digest: Option<Digest> = text(&mapping.digest)
        .map(|text| text.parse().map_err(|error| format!("data{}: {error}", at(&mapping.digest))))
        .transpose()?;
    let tag: Option<Tag> = text(&mapping.tag)
        .map(|text| text.parse().map_err(|error| format!("data{}: {error}", at(&mapping.tag))))
        .transpose()?;
    let (name, named) = if mapping.reference.is_some() {
        let found =
            text(&mapping.reference).ok_or_else(|| format!("data{} is missing", at(&mapping.reference)))?;
        let reference: Reference =
            found.parse().map_err(|error| format!("data{}: {error}", at(&mapping.reference)))?;
        (reference.name, Some(reference.target))
    } else {
        let repository =
            text(&mapping.repository).ok_or_else(|| format!("data{} is missing", at(&mapping.repository)))?;
        let registry = delivery.registry(text(&mapping.registry), "registry")?;
        let repository =
            repository.parse().map_err(|error| format!("data{}: {error}", at(&mapping.repository)))?;
        (ImageName { registry, repository }, None)
    };
    let pushed = match (digest, tag, named) {
        (Some(digest), tag, _) | (None, tag, Some(Target::Digest(digest))) => Pushed::Digest { digest, tag },
        (None, Some(tag), _) | (None, None, Some(Target::Tag(tag))) => Pushed::Tag(tag),
        (None, None, None) => return Err("data names neither digest nor tag".to_owned()),
    };
    Ok((name, pushed))
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
