//! Docker Hub: one event, a push, which names a tag and no digest.
//!
//! Format: Docker's documentation "Webhooks". Nothing proves the sender but a secret in the URL.
//! `callback_url` is not called: whoever knows the URL of this route could choose it (I8).

use serde::Deserialize;
use shared::model::image::ImageName;
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, WebhookSource, filled};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct DockerHub;

#[derive(Deserialize)]
struct Hook {
    push_data: Option<PushData>,
    repository: Option<HubRepository>,
}

// Times are whole numbers, or floats in old captures; they are of no use here.
#[derive(Deserialize)]
struct PushData {
    tag: Option<String>,
}

#[derive(Deserialize)]
struct HubRepository {
    repo_name: Option<String>,
}

impl WebhookSource for DockerHub {
    fn name(&self) -> &'static str {
        "dockerhub"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::UrlParameter("token")]
    }

    fn reads(&self, _: &str) -> bool {
        true
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let Hook { push_data, repository } = delivery.json(self.name())?;
        let Some(PushData { tag }) = push_data else { return Ok(vec![Event::Ignored("other-event")]) };
        let push = || {
            let tag = filled(tag.as_deref()).ok_or("push_data.tag is missing")?;
            let name = repository.and_then(|repository| repository.repo_name);
            let name = filled(name.as_deref()).ok_or("repository.repo_name is missing")?;
            // Official images are pulled from the namespace `library`.
            let path = if name.contains('/') { name.to_owned() } else { format!("library/{name}") };
            Ok(PushEvent {
                image: ImageName {
                    registry: delivery.registry(Some("docker.io"), "docker.io")?,
                    repository: path.parse().map_err(|error| format!("repository.repo_name: {error}"))?,
                },
                pushed: Pushed::Tag(tag.parse().map_err(|error| format!("push_data.tag: {error}"))?),
                occurred_at: None,
            })
        };
        Ok(vec![push().map_or_else(Event::Rejected, Event::Push)])
    }
}
