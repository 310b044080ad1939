//! Gitea and Forgejo: the event `package`, whose version is the tag that was pushed, or the digest.
//!
//! Format: `go-gitea/gitea`, `modules/structs/hook.go`. Signed with HMAC-SHA256 over the JSON, even when that
//! travels in a form. They send once and forget.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use shared::model::image::ImageName;
use shared::model::push::{PushEvent, Pushed};

use super::form::{FORM, document};
use super::{DecodeError, Delivery, Event, WebhookSource, filled, host_of, is_json};
use crate::auth::senders::Credential;
use crate::auth::signature::Signature;

/// The source.
pub(super) struct Gitea;

#[derive(Deserialize)]
struct Hook {
    action: Option<String>,
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    owner: Option<Owner>,
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    version: Option<String>,
    html_url: Option<String>,
    created_at: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    login: Option<String>,
}

impl WebhookSource for Gitea {
    fn name(&self) -> &'static str {
        "gitea"
    }

    fn credentials(&self) -> &'static [Credential] {
        const {
            &[
                Credential::Signature(Signature::sha256("x-gitea-signature")),
                Credential::Signature(Signature::sha256("x-forgejo-signature")),
                Credential::Authorization,
            ]
        }
    }

    fn reads(&self, media_type: &str) -> bool {
        is_json(media_type) || media_type == FORM
    }

    fn signed<'a>(&self, media_type: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
        document(media_type, body)
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        match delivery.header("x-gitea-event").or(delivery.header("x-forgejo-event")) {
            Some("package") => {}
            Some(_) => return Ok(vec![Event::Ignored("other-event")]),
            None => return Err(DecodeError::Envelope("X-Gitea-Event is missing".to_owned())),
        }
        let document = document(delivery.media_type, delivery.body);
        let hook: Hook = serde_json::from_slice(&document)
            .map_err(|source| DecodeError::Json { source_name: self.name(), source })?;
        match hook.action.as_deref() {
            Some("created") => {}
            Some("deleted") => return Ok(vec![Event::Ignored("delete")]),
            Some(_) | None => return Ok(vec![Event::Ignored("other-action")]),
        }
        let package = hook.package.ok_or_else(|| DecodeError::Envelope("package is missing".to_owned()))?;
        if package.kind.as_deref() != Some("container") {
            return Ok(vec![Event::Ignored("other-format")]);
        }
        Ok(vec![package.into_push(delivery).map_or_else(Event::Rejected, Event::Push)])
    }
}

impl Package {
    fn into_push(self, delivery: &Delivery<'_>) -> Result<PushEvent, String> {
        let owner = self.owner.and_then(|owner| owner.login);
        let owner = filled(owner.as_deref()).ok_or("package.owner.login is missing")?;
        let name = filled(self.name.as_deref()).ok_or("package.name is missing")?;
        let version = filled(self.version.as_deref()).ok_or("package.version is missing")?;
        let host = match (filled(self.html_url.as_deref()), &delivery.settings.registry) {
            (Some(url), None) => Some(host_of(url, "package.html_url")?),
            (_, _) => None,
        };
        let refused = |error: &dyn std::fmt::Display| format!("package.version: {error}");
        Ok(PushEvent {
            image: ImageName {
                registry: delivery.registry(host.as_deref(), "package.html_url")?,
                repository: format!("{owner}/{name}")
                    .to_lowercase()
                    .parse()
                    .map_err(|error| format!("package.name: {error}"))?,
            },
            // No tag has a colon, every digest does.
            pushed: if version.contains(':') {
                Pushed::Digest { digest: version.parse().map_err(|error| refused(&error))?, tag: None }
            } else {
                Pushed::Tag(version.parse().map_err(|error| refused(&error))?)
            },
            occurred_at: self.created_at.and_then(|text| text.parse::<Timestamp>().ok()),
        })
    }
}
