//! Google Artifact Registry (and Container Registry) through a Pub/Sub push subscription, wrapped or not.
//!
//! Format: Google's "Configure Pub/Sub notifications" and "Push subscriptions". Pub/Sub proves itself with an
//! identity token, and sends again for days whatever is answered otherwise than 200, 201, 202 or 204.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use shared::model::image::{ImageName, Reference, Tag, Target};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, WebhookSource, filled};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Gar;

#[derive(Deserialize)]
struct Body {
    message: Option<Message>,
    action: Option<String>,
    digest: Option<String>,
    tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    data: Option<String>,
    publish_time: Option<String>,
}

#[derive(Deserialize)]
struct Notice {
    action: Option<String>,
    digest: Option<String>,
    tag: Option<String>,
}

impl WebhookSource for Gar {
    fn name(&self) -> &'static str {
        "gar"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::IdentityToken, Credential::UrlParameter("token")]
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let Body { message, action, digest, tag } = delivery.json(self.name())?;
        let (notice, time) = match message {
            Some(Message { data, publish_time }) => {
                let data = data.unwrap_or_default();
                let decoded = STANDARD
                    .decode(data)
                    .map_err(|error| DecodeError::Envelope(format!("message.data: {error}")))?;
                let notice = serde_json::from_slice(&decoded)
                    .map_err(|source| DecodeError::Json { source_name: self.name(), source })?;
                (notice, publish_time)
            }
            None => (
                Notice { action, digest, tag },
                delivery.header("x-goog-pubsub-publish-time").map(str::to_owned),
            ),
        };
        let time = time.and_then(|text| text.parse::<Timestamp>().ok());
        Ok(vec![notice.into_event(delivery, time).unwrap_or_else(Event::Rejected)])
    }
}

impl Notice {
    fn into_event(self, delivery: &Delivery<'_>, occurred_at: Option<Timestamp>) -> Result<Event, String> {
        match self.action.as_deref() {
            Some("INSERT") => {}
            Some("DELETE") => return Ok(Event::Ignored("delete")),
            Some(_) => return Ok(Event::Ignored("other-action")),
            None => return Err("action is missing".to_owned()),
        }
        let tagged = filled(self.tag.as_deref()).map(|text| tagged(text, delivery)).transpose()?;
        let digested = filled(self.digest.as_deref())
            .map(|text| reference(text, delivery).map_err(|error| format!("digest: {error}")))
            .transpose()?;
        let (image, pushed) = match (digested, tagged) {
            (Some(Reference { name, target: Target::Digest(digest) }), tagged) => {
                // A tag elsewhere says nothing about this digest.
                let tag = tagged.filter(|(image, _)| *image == name).map(|(_, tag)| tag);
                (name, Pushed::Digest { digest, tag })
            }
            (Some(Reference { target: Target::Tag(_), .. }), _) => {
                return Err("digest names no digest".to_owned());
            }
            (None, Some((image, tag))) => (image, Pushed::Tag(tag)),
            (None, None) => return Err("digest and tag are missing".to_owned()),
        };
        Ok(Event::Push(PushEvent { image, pushed, occurred_at }))
    }
}

fn tagged(text: &str, delivery: &Delivery<'_>) -> Result<(ImageName, Tag), String> {
    match reference(text, delivery).map_err(|error| format!("tag: {error}"))? {
        Reference { name, target: Target::Tag(tag) } => Ok((name, tag)),
        Reference { target: Target::Digest(_), .. } => Err("tag names a digest".to_owned()),
    }
}

fn reference(text: &str, delivery: &Delivery<'_>) -> Result<Reference, String> {
    let mut reference: Reference = text.parse().map_err(|error| format!("{error}"))?;
    reference.name.registry = delivery.registry(Some(reference.name.registry.as_str()), "host")?;
    Ok(reference)
}
