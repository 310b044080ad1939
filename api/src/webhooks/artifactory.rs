//! JFrog Artifactory: webhooks of the domain `docker`, event *Tag was pushed*.
//!
//! Format: JFrog's "Event types: domain docker". Events name a repository key, and how images of it are pulled
//! is a setting of Artifactory's (repository path, subdomain or port) that they do not tell: it is configured
//! here under `repositories`. `X-JFrog-Event-Auth` holds the plain secret, or the HMAC-SHA256 of the body if
//! the hook signs; which of the two has to be configured, never guessed.

use serde::Deserialize;
use shared::config::SourceSettings;
use shared::model::image::ImageName;
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, Misfit, WebhookSource, filled, host_of, known_events};
use crate::auth::senders::Credential;
use crate::auth::signature::Signature;

/// The source.
pub(super) struct Artifactory;

#[derive(Deserialize)]
struct Hook {
    domain: Option<String>,
    event_type: Option<String>,
    data: Option<HookData>,
    jpd_origin: Option<String>,
}

#[derive(Deserialize)]
struct HookData {
    repo_key: Option<String>,
    image_name: Option<String>,
    tag: Option<String>,
    sha256: Option<String>,
}

impl WebhookSource for Artifactory {
    fn name(&self) -> &'static str {
        "artifactory"
    }

    fn credentials(&self) -> &'static [Credential] {
        const {
            &[
                Credential::Header("x-jfrog-event-auth"),
                Credential::ChosenHeader,
                Credential::Signature(Signature::sha256("x-jfrog-event-auth")),
            ]
        }
    }

    fn fits(&self, settings: &SourceSettings) -> Result<(), Misfit> {
        known_events(settings)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let hook: Hook = delivery.json(self.name())?;
        if hook.domain.as_deref() != Some("docker") {
            return Ok(vec![Event::Ignored("other-format")]);
        }
        Ok(vec![match hook.event_type.as_deref() {
            Some("pushed") => hook.into_push(delivery).map_or_else(Event::Rejected, Event::Push),
            Some("deleted") => Event::Ignored("delete"),
            Some(_) | None => Event::Ignored("other-action"),
        }])
    }
}

impl Hook {
    fn into_push(self, delivery: &Delivery<'_>) -> Result<PushEvent, String> {
        let data = self.data.ok_or("data is missing")?;
        let key = filled(data.repo_key.as_deref()).ok_or("data.repo_key is missing")?;
        let name = filled(data.image_name.as_deref()).ok_or("data.image_name is missing")?;
        let sha256 = filled(data.sha256.as_deref()).ok_or("data.sha256 is missing")?;
        let mapped = delivery.settings.repositories.iter().find(|mapping| mapping.key == key);
        let image = match mapped {
            Some(mapping) => {
                mapping.image(name, Some(key)).map_err(|error| format!("data.image_name: {error}"))?
            }
            None => {
                let origin = match (filled(self.jpd_origin.as_deref()), &delivery.settings.registry) {
                    (Some(url), None) => Some(host_of(url, "jpd_origin")?),
                    (_, _) => None,
                };
                ImageName {
                    registry: delivery.registry(origin.as_deref(), "jpd_origin")?,
                    repository: format!("{key}/{name}")
                        .parse()
                        .map_err(|error| format!("data.image_name: {error}"))?,
                }
            }
        };
        // The children of an index are kept in folders that are named by their digests.
        let tag = filled(data.tag.as_deref()).filter(|tag| !tag.starts_with("sha256:"));
        Ok(PushEvent {
            image,
            pushed: Pushed::Digest {
                digest: format!("sha256:{sha256}")
                    .parse()
                    .map_err(|error| format!("data.sha256: {error}"))?,
                tag: tag.map(|tag| tag.parse().map_err(|error| format!("data.tag: {error}"))).transpose()?,
            },
            occurred_at: None,
        })
    }
}
