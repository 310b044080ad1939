//! Quay and quay.io: repository notifications *Push to Repository*, which name tags and no digest.
//!
//! Format: `quay/quay`, `notifications/notificationevent.py`. No event has a name: a push is known by its
//! `updated_tags`. Quay signs nothing and shows no header, and switches a hook off after three refusals.

use serde::Deserialize;
use shared::model::image::{ImageName, Tag};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, WebhookSource, filled};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Quay;

#[derive(Deserialize)]
struct Notification {
    repository: Option<String>,
    docker_url: Option<String>,
    updated_tags: Option<Vec<String>>,
}

impl WebhookSource for Quay {
    fn name(&self) -> &'static str {
        "quay"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::UrlParameter("token")]
    }

    fn reads(&self, _: &str) -> bool {
        true
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let Notification { repository, docker_url, updated_tags } = delivery.json(self.name())?;
        let Some(tags) = updated_tags else { return Ok(vec![Event::Ignored("other-event")]) };
        let host = docker_url.as_deref().and_then(|url| url.split('/').next());
        let image = || {
            let repository = filled(repository.as_deref()).ok_or("repository is missing")?;
            Ok(ImageName {
                registry: delivery.registry(host, "docker_url")?,
                repository: repository.parse().map_err(|error| format!("repository: {error}"))?,
            })
        };
        let image: ImageName = image().map_err(DecodeError::Envelope)?;
        Ok(tags
            .into_iter()
            .map(|tag| match tag.parse::<Tag>() {
                Ok(tag) => Event::Push(PushEvent {
                    image: image.clone(),
                    pushed: Pushed::Tag(tag),
                    occurred_at: None,
                }),
                Err(error) => Event::Rejected(format!("updated_tags: {error}")),
            })
            .collect())
    }
}
