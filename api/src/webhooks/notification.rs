//! One event of a CNCF Distribution registry, as Distribution, GitLab's registry and ACR send it.
//!
//! Format: Distribution's notification documentation. Only pushes of manifests and indexes count: blobs,
//! mounts, pulls and deletes do not. Version 3 writes empty strings where version 2 leaves keys out.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::model::document::{INDEX_TYPES, MANIFEST_TYPES, essence};
use shared::model::image::{ImageName, RegistryHost, Repository};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, filled, host_of};

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

/// The events of an envelope, `{"events":[…]}`.
pub(super) fn envelope(
    delivery: &Delivery<'_>,
    source_name: &'static str,
) -> Result<Vec<Event>, DecodeError> {
    let envelope: Envelope<'_> = delivery.json(source_name)?;
    Ok(envelope.events.into_iter().map(|raw| event(raw, delivery)).collect())
}

/// One event by itself.
pub(super) fn event(raw: &RawValue, delivery: &Delivery<'_>) -> Event {
    match serde_json::from_str::<Notification>(raw.get()) {
        Ok(notification) => notification.into_event(delivery).unwrap_or_else(Event::Rejected),
        Err(error) => Event::Rejected(format!("event: {error}")),
    }
}

impl Notification {
    fn into_event(self, delivery: &Delivery<'_>) -> Result<Event, String> {
        match self.action.as_str() {
            "push" => {}
            "pull" => return Ok(Event::Ignored("pull")),
            "mount" => return Ok(Event::Ignored("mount")),
            "delete" => return Ok(Event::Ignored("delete")),
            "ping" => return Ok(Event::Ignored("ping")),
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
                registry: self.host(delivery)?,
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
    fn host(&self, delivery: &Delivery<'_>) -> Result<RegistryHost, String> {
        let named = filled(self.request.host.as_deref());
        match (named, filled(self.target.url.as_deref())) {
            (None, Some(url)) if delivery.settings.registry.is_none() => {
                delivery.registry(Some(&host_of(url, "target.url")?), "target.url")
            }
            (named, _) => delivery.registry(named, "request.host"),
        }
    }
}
