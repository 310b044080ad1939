//! Sonatype Nexus Repository: webhooks *Repository: component*, which name a tag and neither host nor digest.
//!
//! Format: `sonatype/nexus-public`, `RepositoryComponentWebhook`. How a repository is pulled (a port of its
//! own, a subdomain, a path) is a setting of Nexus's, so it is configured here: `registry` for all, or
//! `repositories` for each. Signed with HMAC-SHA1. Nexus sends once and forgets.

use serde::Deserialize;
use shared::config::SourceSettings;
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, Misfit, WebhookSource, filled, known_events};
use crate::auth::senders::Credential;
use crate::auth::signature::Signature;

/// The source.
pub(super) struct Nexus;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    repository_name: Option<String>,
    action: Option<String>,
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    format: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

impl WebhookSource for Nexus {
    fn name(&self) -> &'static str {
        "nexus"
    }

    fn credentials(&self) -> &'static [Credential] {
        const { &[Credential::Signature(Signature::sha1("x-nexus-webhook-signature"))] }
    }

    fn fits(&self, settings: &SourceSettings) -> Result<(), Misfit> {
        known_events(settings)?;
        if settings.registry.is_none() && settings.repositories.is_empty() {
            let reason =
                "is needed: Nexus does not say where its images are pulled from; or set repositories";
            return Err(Misfit { field: "registry", reason });
        }
        Ok(())
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        if delivery.header("x-nexus-webhook-id").is_some_and(|id| id != "rm:repository:component") {
            return Ok(vec![Event::Ignored("other-event")]);
        }
        let hook: Hook = delivery.json(self.name())?;
        match hook.action.as_deref() {
            Some("CREATED" | "UPDATED") => {}
            Some("DELETED" | "PURGED") => return Ok(vec![Event::Ignored("delete")]),
            Some(_) | None => return Ok(vec![Event::Ignored("other-action")]),
        }
        let component =
            hook.component.ok_or_else(|| DecodeError::Envelope("component is missing".to_owned()))?;
        if component.format.as_deref() != Some("docker") {
            return Ok(vec![Event::Ignored("other-format")]);
        }
        let key = hook.repository_name.unwrap_or_default();
        Ok(vec![component.into_push(&key, delivery).map_or_else(Event::Rejected, Event::Push)])
    }
}

impl Component {
    fn into_push(self, key: &str, delivery: &Delivery<'_>) -> Result<PushEvent, String> {
        let name = filled(self.name.as_deref()).ok_or("component.name is missing")?;
        let version = filled(self.version.as_deref()).ok_or("component.version is missing")?;
        let refused = |error| format!("component.name: {error}");
        let image = match delivery.settings.repositories.iter().find(|mapping| mapping.key == key) {
            Some(mapping) => mapping.image(name, None).map_err(refused)?,
            None => ImageName {
                registry: delivery.registry(None, &format!("the registry of repository {key:?}"))?,
                repository: name.parse().map_err(|error| refused(format!("{error}")))?,
            },
        };
        let pushed = if version.contains(':') {
            let digest: Digest = version.parse().map_err(|error| format!("component.version: {error}"))?;
            Pushed::Digest { digest, tag: None }
        } else {
            Pushed::Tag(version.parse().map_err(|error| format!("component.version: {error}"))?)
        };
        Ok(PushEvent { image, pushed, occurred_at: None })
    }
}
