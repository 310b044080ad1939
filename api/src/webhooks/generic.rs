//! Tidewaiter's own webhook, for scripts and for registries that have none of the other formats.
//!
//! ```json
//! {"image": "registry.example.com/team/app:1.2", "digest": "sha256:…"}
//! ```
//!
//! `image` is a reference; its own `@sha256:…` or the field `digest` names the manifest, and where both
//! are absent the tag is resolved once by the worker (I12). An array of such objects is a batch.
//! HMAC-SHA256 of the body, where configured, in `X-Tidewaiter-Signature: sha256=<hex>`.

use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::image::{Reference, Tag, Target};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, Refusal, WebhookSource};
use crate::auth::senders::Credential;
use crate::auth::signature::Signature;

/// The source.
pub(super) struct Generic;

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    One(Notice),
    Many(Vec<Notice>),
}

#[derive(Deserialize)]
struct Notice {
    image: String,
    digest: Option<String>,
    tag: Option<String>,
}

impl WebhookSource for Generic {
    fn name(&self) -> &'static str {
        "generic"
    }

    fn credentials(&self) -> &'static [Credential] {
        const {
            &[
                Credential::Authorization,
                Credential::ChosenHeader,
                Credential::Signature(Signature::sha256("x-tidewaiter-signature")),
            ]
        }
    }

    fn reads(&self, media_type: &str) -> bool {
        media_type == "application/json"
    }

    fn refusal(&self) -> Refusal {
        Refusal::Helps
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let body: Body = serde_json::from_slice(delivery.body).map_err(|_| {
            DecodeError::Envelope(
                r#"expected {"image": "registry/repository:tag", "digest": "sha256:…"} or an array of such"#
                    .to_owned(),
            )
        })?;
        let notices = match body {
            Body::One(notice) => vec![notice],
            Body::Many(notices) => notices,
        };
        Ok(notices
            .into_iter()
            .map(|notice| notice.into_push(delivery).map_or_else(Event::Rejected, Event::Push))
            .collect())
    }
}

impl Notice {
    fn into_push(self, delivery: &Delivery<'_>) -> Result<PushEvent, String> {
        let reference: Reference = self.image.parse().map_err(|error| format!("image: {error}"))?;
        let digest: Option<Digest> =
            self.digest.map(|text| text.parse().map_err(|error| format!("digest: {error}"))).transpose()?;
        let tag: Option<Tag> =
            self.tag.map(|text| text.parse().map_err(|error| format!("tag: {error}"))).transpose()?;
        let pushed = match (reference.target, digest) {
            (Target::Digest(named), Some(digest)) if named != digest => {
                return Err("image and digest name different digests".to_owned());
            }
            (Target::Digest(digest), _) => Pushed::Digest { digest, tag },
            // The tag that a bare name implies says nothing about the push; one that was written does.
            (Target::Tag(named), Some(digest)) => {
                let written = self.image.ends_with(&format!(":{named}"));
                Pushed::Digest { digest, tag: tag.or(written.then_some(named)) }
            }
            (Target::Tag(named), None) => Pushed::Tag(tag.unwrap_or(named)),
        };
        let mut image = reference.name;
        image.registry = delivery.registry(Some(image.registry.as_str()), "image")?;
        Ok(PushEvent { image, pushed, occurred_at: None })
    }
}
