//! Harbor: its own JSON (`type`, `event_data`) and its CloudEvents form, which wraps the same data.
//!
//! Format: Harbor's documentation of project webhooks. `tag` repeats the digest when none was pushed;
//! `resource_url` has no scheme, and only its host is used. Harbor 1.x wrote `pushImage`.

use jiff::Timestamp;
use serde::Deserialize;
use shared::model::image::{ImageName, Repository};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, WebhookSource};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Harbor;

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "type")]
    kind: String,
    occur_at: Option<i64>,
    time: Option<String>,
    #[serde(alias = "data")]
    event_data: Option<EventData>,
}

#[derive(Deserialize)]
struct EventData {
    #[serde(default)]
    resources: Option<Vec<Resource>>,
    repository: Option<HarborRepository>,
}

#[derive(Deserialize)]
struct Resource {
    digest: Option<String>,
    tag: Option<String>,
    resource_url: Option<String>,
}

#[derive(Deserialize)]
struct HarborRepository {
    repo_full_name: Option<String>,
}

impl WebhookSource for Harbor {
    fn name(&self) -> &'static str {
        "harbor"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::Authorization]
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let notification: Notification = delivery.json(self.name())?;
        match notification.kind.as_str() {
            "PUSH_ARTIFACT" | "pushImage" | "harbor.artifact.pushed" => notification.pushes(delivery),
            "PULL_ARTIFACT" | "pullImage" | "harbor.artifact.pulled" => Ok(vec![Event::Ignored("pull")]),
            "DELETE_ARTIFACT" | "deleteImage" | "harbor.artifact.deleted" => {
                Ok(vec![Event::Ignored("delete")])
            }
            _ => Ok(vec![Event::Ignored("other-action")]),
        }
    }
}

impl Notification {
    fn pushes(self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let missing = |what: &str| DecodeError::Envelope(format!("{what} is missing"));
        let occurred_at = match (self.occur_at, &self.time) {
            (Some(seconds), _) => Timestamp::from_second(seconds).ok(),
            (None, Some(text)) => text.parse().ok(),
            (None, None) => None,
        };
        let data = self.event_data.ok_or_else(|| missing("event_data"))?;
        let repository = data
            .repository
            .and_then(|repository| repository.repo_full_name)
            .ok_or_else(|| missing("event_data.repository.repo_full_name"))?;
        let resources = data.resources.ok_or_else(|| missing("event_data.resources"))?;
        let push = |resource: Resource| resource.into_push(&repository, occurred_at, delivery);
        Ok(resources
            .into_iter()
            .map(|resource| push(resource).map_or_else(Event::Rejected, Event::Push))
            .collect())
    }
}

impl Resource {
    fn into_push(
        self,
        repository: &str,
        occurred_at: Option<Timestamp>,
        delivery: &Delivery<'_>,
    ) -> Result<PushEvent, String> {
        let host = self.resource_url.as_deref().and_then(|url| url.split('/').next());
        let registry = delivery.registry(host, "resources[].resource_url")?;
        let repository: Repository =
            repository.parse().map_err(|error| format!("repo_full_name: {error}"))?;
        let digest = self.digest.ok_or("resources[].digest is missing")?;
        let tag = self.tag.filter(|tag| !tag.is_empty() && *tag != digest);
        Ok(PushEvent {
            image: ImageName { registry, repository },
            pushed: Pushed::Digest {
                digest: digest.parse().map_err(|error| format!("resources[].digest: {error}"))?,
                tag: tag
                    .map(|tag| tag.parse().map_err(|error| format!("resources[].tag: {error}")))
                    .transpose()?,
            },
            occurred_at,
        })
    }
}
