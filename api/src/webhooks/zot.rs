//! Zot: CloudEvents in binary mode, with the manifest itself inside.
//!
//! Format: `project-zot/zot`, `pkg/extensions/events`. The manifest is hashed and compared with the digest, and
//! what it says of itself saves the fetch of what is no image. No event names the registry, so `registry`
//! has to be set. Zot sends once and forgets.

use jiff::Timestamp;
use serde::Deserialize;
use shared::config::SourceSettings;
use shared::model::digest::Digest;
use shared::model::document::{Document, IMAGE_CONFIG_TYPES};
use shared::model::image::{ImageName, Tag};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, Misfit, WebhookSource, filled, whole_names};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Zot;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    name: Option<String>,
    reference: Option<String>,
    digest: Option<String>,
    media_type: Option<String>,
    manifest: Option<String>,
}

impl WebhookSource for Zot {
    fn name(&self) -> &'static str {
        "zot"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::Authorization, Credential::ChosenHeader]
    }

    fn fits(&self, settings: &SourceSettings) -> Result<(), Misfit> {
        whole_names(settings)?;
        match settings.registry {
            Some(_) => Ok(()),
            None => Err(Misfit { field: "registry", reason: "is needed: Zot's events do not name it" }),
        }
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let kind = delivery.header("ce-type").ok_or_else(|| {
            DecodeError::Envelope("Ce-Type is missing: this is no event of Zot's".to_owned())
        })?;
        Ok(vec![match kind {
            "zotregistry.image.updated" => {
                let image: Image = delivery.json(self.name())?;
                image.into_event(delivery).unwrap_or_else(Event::Rejected)
            }
            "zotregistry.image.deleted" => Event::Ignored("delete"),
            _ => Event::Ignored("other-type"),
        }])
    }
}

impl Image {
    fn into_event(self, delivery: &Delivery<'_>) -> Result<Event, String> {
        let name = filled(self.name.as_deref()).ok_or("name is missing")?;
        let reference = filled(self.reference.as_deref());
        let digest = filled(self.digest.as_deref()).ok_or("digest is missing")?;
        let digest: Digest = digest.parse().map_err(|error| format!("digest: {error}"))?;
        let image = ImageName {
            registry: delivery.registry(None, "the registry")?,
            repository: name.parse().map_err(|error| format!("name: {error}"))?,
        };
        // By digest pushed, by digest referred to.
        let tag = reference
            .filter(|reference| !reference.contains(':'))
            .map(|tag| tag.parse::<Tag>().map_err(|error| format!("reference: {error}")))
            .transpose()?;
        if let Some(manifest) = filled(self.manifest.as_deref()) {
            if !digest.matches(manifest.as_bytes()) {
                return Err("the manifest does not hash to the digest".to_owned());
            }
            if !may_be_image(manifest, self.media_type.as_deref()) {
                return Ok(Event::Ignored("not-an-image"));
            }
        }
        let time = delivery.header("ce-time").and_then(|text| text.parse::<Timestamp>().ok());
        Ok(Event::Push(PushEvent { image, pushed: Pushed::Digest { digest, tag }, occurred_at: time }))
    }
}

/// Whether a manifest may be that of an image. What cannot be read goes to the worker, which says what is
/// wrong with it (I4).
fn may_be_image(manifest: &str, media_type: Option<&str>) -> bool {
    match Document::parse(manifest.as_bytes(), media_type) {
        // Signatures, attestations and our own verdicts have a subject, and no config that a runtime starts.
        Ok(Document::Manifest(manifest)) => IMAGE_CONFIG_TYPES.contains(&manifest.config.media_type.as_str()),
        Ok(Document::Index(index)) => index.subject.is_none() && index.artifact_type.is_none(),
        Err(_) => true,
    }
}
