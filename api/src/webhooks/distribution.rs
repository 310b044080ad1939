//! CNCF Distribution, and what embeds it (GitLab): `{"events":[…]}`.
//!
//! Format: Distribution's notification documentation, envelopes `…events.v1+json` (2.x) and
//! `…events.v2+json` (3.x). Only pushes of manifests and indexes count: blobs, mounts, pulls and deletes
//! do not. Version 3 writes empty strings where version 2 leaves keys out.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::model::document::{INDEX_TYPES, MANIFEST_TYPES, essence};
use shared::model::image::{ImageName, RegistryHost, Repository};
use shared::model::push::{PushEvent, Pushed};
use url::Url;

use super::{DecodeError, Delivery, Event, Redelivery, WebhookSource};

/// The source.
pub(super) struct Distribution;

#[derive(Deserialize)]
struct Envelope<'a> {
    // Each event is parsed by itself, so that one bad event does not cost its neighbours.
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Notification {
    action: String,
    timestamp: Option<String>,
    #[serde(default)]
    target: NotificationTarget,
    #[serde(default)]
    request: NotificationRequest,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct NotificationTarget {
    media_type: Option<String>,
    digest: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize, Default)]
struct NotificationRequest {
    host: Option<String>,
}

impl WebhookSource for Distribution {
    fn name(&self) -> &'static str {
        "distribution"
    }

    fn reads(&self, media_type: &str) -> bool {
        media_type.starts_with("application/") && media_type.ends_with("json")
    }

    fn redelivery(&self) -> Redelivery {
        Redelivery::ForEver
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let envelope: Envelope<'_> = serde_json::from_slice(delivery.body)
            .map_err(|source| DecodeError::Json { source_name: self.name(), source })?;
        Ok(envelope.events.into_iter().map(event).collect())
    }
}

fn event(raw: &RawValue) -> Event {
    match serde_json::from_str::<Notification>(raw.get()) {
        Ok(notification) => notification.into_event().unwrap_or_else(Event::Rejected),
        Err(error) => Event::Rejected(format!("event: {error}")),
    }
}

impl Notification {
    fn into_event(self) -> Result<Event, String> {
        match self.action.as_str() {
            "push" => {}
            "pull" => return Ok(Event::Ignored("pull")),
            "mount" => return Ok(Event::Ignored("mount")),
            "delete" => return Ok(Event::Ignored("delete")),
            _ => return Ok(Event::Ignored("other-action")),
        }
        let media_type = essence(self.target.media_type.as_deref().unwrap_or_default());
        if !MANIFEST_TYPES.iter().chain(&INDEX_TYPES).any(|known| *known == media_type) {
            return Ok(Event::Ignored("not-a-manifest"));
        }
        let digest = filled(self.target.digest.as_deref()).ok_or("target.digest is missing")?;
        let repository = filled(self.target.repository.as_deref()).ok_or("target.repository is missing")?;
        let tag = filled(self.target.tag.as_deref()).map(str::parse).transpose();
        Ok(Event::Push(PushEvent {
            image: ImageName {
                registry: self.host()?,
                repository: repository
                    .parse::<Repository>()
                    .map_err(|error| format!("target.repository: {error}"))?,
            },
            pushed: Pushed::Digest {
                digest: digest.parse().map_err(|error| format!("target.digest: {error}"))?,
                tag: tag.map_err(|error| format!("target.tag: {error}"))?,
            },
            occurred_at: self.timestamp.and_then(|text| text.parse::<Timestamp>().ok()),
        }))
    }

    /// The name that the pushing client used, else the host of the target's URL.
    fn host(&self) -> Result<RegistryHost, String> {
        if let Some(host) = filled(self.request.host.as_deref()) {
            return host.parse().map_err(|error| format!("request.host: {error}"));
        }
        let url = filled(self.target.url.as_deref()).ok_or("request.host and target.url are missing")?;
        let url = Url::parse(url).map_err(|error| format!("target.url: {error}"))?;
        let host = url.host_str().ok_or("target.url has no host")?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        host.parse().map_err(|error| format!("target.url: {error}"))
    }
}

/// An empty string means absent.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
