//! What registries say: one file a source, each with its sender's words and habits. Adding a registry: a
//! file, and a line in [`ALL`].
//!
//! A source is pure: it reads bytes and headers and tells events. Who sent them, whether they become jobs
//! and what is answered is the business of [`crate::deliveries`].

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use serde::Deserialize;
use shared::config::{AuthConfig, ConfigError, SourceSettings};
use shared::model::image::RegistryHost;
use shared::model::push::PushEvent;

use crate::auth::senders::{Credential, offers};

mod acr;
mod artifactory;
mod cloudevents;
mod distribution;
mod dockerhub;
mod ecr;
mod form;
mod gar;
mod generic;
mod gitea;
mod github;
mod gitlab;
mod harbor;
mod nexus;
mod notification;
mod quay;
mod zot;

/// Every source.
pub const ALL: &[&dyn WebhookSource] = &[
    &distribution::Distribution,
    &harbor::Harbor,
    &quay::Quay,
    &dockerhub::DockerHub,
    &github::GitHub,
    &acr::Acr,
    &ecr::Ecr,
    &gar::Gar,
    &artifactory::Artifactory,
    &nexus::Nexus,
    &gitea::Gitea,
    &gitlab::GitLab,
    &zot::Zot,
    &cloudevents::CloudEvents,
    &generic::Generic,
];

/// Reads one registry's events.
pub trait WebhookSource: Send + Sync {
    /// The last part of the route.
    fn name(&self) -> &'static str;

    /// By what its sender can prove itself.
    fn credentials(&self) -> &'static [Credential];

    /// Whether bodies of this media type (lower case, without parameters) are for it.
    fn reads(&self, media_type: &str) -> bool {
        is_json(media_type)
    }

    /// What a refusal of something bad does at the sender.
    fn refusal(&self) -> Refusal {
        Refusal::Harms
    }

    /// Whether these settings are of use to it.
    fn fits(&self, settings: &SourceSettings) -> Result<(), Misfit> {
        whole_names(settings)
    }

    /// Whether its senders ask for leave with `OPTIONS` before their first event (CloudEvents HTTP 1.1 Web
    /// Hooks, §4).
    fn asks_for_leave(&self) -> bool {
        false
    }

    /// The bytes that a signature covers.
    fn signed<'a>(&self, media_type: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
        let _ = media_type;
        Cow::Borrowed(body)
    }

    /// The answer to a delivery that only asks whether anybody is there; `None` for one with events.
    fn handshake(&self, delivery: &Delivery<'_>) -> Result<Option<serde_json::Value>, DecodeError> {
        let _ = delivery;
        Ok(None)
    }

    /// The events of a body. Pure; the sender has proved itself already.
    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError>;
}

/// A request as a source sees it.
pub struct Delivery<'a> {
    /// Headers, for formats that put attributes there.
    pub headers: &'a HeaderMap,
    /// `Content-Type` without parameters, lower case.
    pub media_type: &'a str,
    /// The body as it was sent.
    pub body: &'a [u8],
    /// What the operator says about the source.
    pub settings: &'a SourceSettings,
}

/// What a refusal (4xx) of something bad does at a sender that has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Harm, or nothing: it sends the same again for ever (Distribution, GitLab) or for days (Pub/Sub, Event
    /// Grid, EventBridge), is switched off (Quay), or forgets it (the others). So it gets 2xx, and what
    /// is wrong is listed, logged and counted.
    Harms,
    /// Good: a person who writes such bodies reads the answer.
    Helps,
}

/// One event of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A manifest was pushed.
    Push(PushEvent),
    /// Something else happened; the reason is a metric label.
    Ignored(&'static str),
    /// It should have been a push, and a field is wrong.
    Rejected(String),
}

/// Why a body has no events at all.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the JSON that this source sends.
    #[error("the body is not what {source_name} sends: {source}")]
    Json {
        /// Which source.
        source_name: &'static str,
        /// What and where.
        source: serde_json::Error,
    },
    /// The envelope lacks something.
    #[error("{0}")]
    Envelope(String),
}

/// A setting that is of no use to a source, or lacks.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key below `auth.webhooks.<source>`.
    pub field: &'static str,
    /// What is wrong and how to repair it.
    pub reason: &'static str,
}

impl<'a> Delivery<'a> {
    /// A header's value, if it is text.
    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as the JSON that a source sends.
    fn json<T: Deserialize<'a>>(&self, source_name: &'static str) -> Result<T, DecodeError> {
        serde_json::from_slice(self.body).map_err(|source| DecodeError::Json { source_name, source })
    }

    /// The registry that an event is about: the configured one, or else the one that the event names in `field`.
    fn registry(&self, named: Option<&str>, field: &str) -> Result<RegistryHost, String> {
        if let Some(registry) = &self.settings.registry {
            return Ok(registry.clone());
        }
        let named = filled(named)
            .ok_or_else(|| format!("{field} is missing; set `registry` for this webhook source"))?;
        named.parse().map_err(|error| format!("{field}: {error}"))
    }
}

/// Whether this is `application/json` or a type made of it.
fn is_json(media_type: &str) -> bool {
    media_type.starts_with("application/") && media_type.ends_with("json")
}

/// An empty string means absent.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Host, and port if it is not the scheme's own, of a URL.
fn host_of(url: &str, field: &str) -> Result<String, String> {
    let url = url::Url::parse(url).map_err(|error| format!("{field}: {error}"))?;
    let host = url.host_str().ok_or_else(|| format!("{field} has no host"))?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// The settings of a source whose events name images as they are pulled.
fn whole_names(settings: &SourceSettings) -> Result<(), Misfit> {
    if settings.repositories.is_empty() {
        known_events(settings)
    } else {
        let reason = "is of no use: this source names repositories as they are pulled; remove it";
        Err(Misfit { field: "repositories", reason })
    }
}

/// The settings of a source whose event types are all known.
fn known_events(settings: &SourceSettings) -> Result<(), Misfit> {
    if settings.events.is_empty() {
        Ok(())
    } else {
        let reason = "is of no use: only the source cloudevents has event types of your own; remove it";
        Err(Misfit { field: "events", reason })
    }
}

/// The source of this name.
pub fn named(name: &str) -> Option<&'static dyn WebhookSource> {
    ALL.iter().find(|source| source.name() == name).copied()
}

/// The names of all sources, for messages.
pub fn names() -> String {
    ALL.iter().map(|source| source.name()).collect::<Vec<_>>().join(", ")
}

/// Refuses what no sender can live up to: an unknown source, a proof that it cannot give, a useless setting.
pub fn check(auth: &AuthConfig) -> Result<(), ConfigError> {
    for (name, config) in &auth.webhooks {
        let key = format!("auth.webhooks.{name}");
        let Some(source) = named(name) else {
            let reason = format!("there is no such source; name one of {}", names());
            return Err(ConfigError::Invalid { key, reason });
        };
        offers(source.credentials(), &config.proof).map_err(|(field, offer)| ConfigError::Invalid {
            key: format!("{key}.{field}"),
            reason: format!("{name} cannot show that; what it can: {offer}"),
        })?;
        source.fits(&config.settings).map_err(|Misfit { field, reason }| ConfigError::Invalid {
            key: format!("{key}.{field}"),
            reason: reason.to_owned(),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
