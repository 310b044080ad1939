//! Amazon ECR through an EventBridge API destination: `ECR Image Action`, or what an input transformer made
//! of it, a CloudEvent as plain JSON.
//!
//! Format: AWS's "Amazon ECR events and EventBridge". The registry's host is put together from account and
//! region. EventBridge shows what its connection holds: an API key in a header, Basic, or a bearer token.

use jiff::Timestamp;
use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::document::{IMAGE_CONFIG_TYPES, INDEX_TYPES, MANIFEST_TYPES};
use shared::model::image::{ImageName, Tag};
use shared::model::push::{PushEvent, Pushed};

use super::{DecodeError, Delivery, Event, WebhookSource, filled};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Ecr;

#[derive(Deserialize)]
struct BusEvent {
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    specversion: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    source: Option<String>,
    account: Option<String>,
    region: Option<String>,
    time: Option<String>,
    #[serde(alias = "data")]
    detail: Option<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    action_type: Option<String>,
    result: Option<String>,
    #[serde(alias = "repositoryName")]
    repository_name: Option<String>,
    #[serde(alias = "imageDigest")]
    image_digest: Option<String>,
    #[serde(alias = "imageTag")]
    image_tag: Option<String>,
    #[serde(alias = "registryId")]
    registry_id: Option<String>,
    manifest_media_type: Option<String>,
    artifact_media_type: Option<String>,
}

/// The type that Argo CD's image updater has made known.
const PUSHED: &str = "com.amazon.ecr.image.push";

impl WebhookSource for Ecr {
    fn name(&self) -> &'static str {
        "ecr"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::Authorization, Credential::ChosenHeader]
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let event: BusEvent = delivery.json(self.name())?;
        Ok(vec![event.into_event(delivery).unwrap_or_else(Event::Rejected)])
    }
}

impl BusEvent {
    fn into_event(self, delivery: &Delivery<'_>) -> Result<Event, String> {
        let is_cloud_event = self.specversion.is_some();
        let expected = if is_cloud_event { PUSHED } else { "ECR Image Action" };
        let kind = if is_cloud_event { &self.kind } else { &self.detail_type };
        if kind.as_deref() != Some(expected) {
            return Ok(Event::Ignored("other-type"));
        }
        let detail = self.detail.as_ref().ok_or("detail is missing")?;
        if !is_cloud_event && detail.result.as_deref() != Some("SUCCESS") {
            return Ok(Event::Ignored("not-successful"));
        }
        match detail.action_type.as_deref() {
            Some("PUSH") => {}
            None if is_cloud_event => {}
            Some("DELETE") => return Ok(Event::Ignored("delete")),
            Some(_) | None => return Ok(Event::Ignored("other-action")),
        }
        if !detail.may_be_image() {
            return Ok(Event::Ignored("not-an-image"));
        }
        let host = self.host(detail);
        let repository = filled(detail.repository_name.as_deref()).ok_or("repository-name is missing")?;
        Ok(Event::Push(PushEvent {
            image: ImageName {
                registry: delivery.registry(host.as_deref(), "account and region")?,
                repository: repository.parse().map_err(|error| format!("repository-name: {error}"))?,
            },
            pushed: detail.pushed()?,
            occurred_at: self.time.as_ref().and_then(|text| text.parse::<Timestamp>().ok()),
        }))
    }

    /// `<account>.dkr.ecr.<region>.amazonaws.com`; in a CloudEvent, from `urn:aws:ecr:<region>:<account>:…`.
    fn host(&self, detail: &Detail) -> Option<String> {
        let mut urn = self.source.as_deref().unwrap_or_default().split(':').skip(3);
        let (urn_region, urn_account) = (urn.next(), urn.next());
        let region = filled(self.region.as_deref()).or(filled(urn_region))?;
        let account = filled(self.account.as_deref())
            .or(filled(detail.registry_id.as_deref()))
            .or(filled(urn_account))?;
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Some(format!("{account}.dkr.ecr.{region}.{suffix}"))
    }
}

impl Detail {
    /// Charts and signatures are known by their types; where none is said, it may be an image.
    fn may_be_image(&self) -> bool {
        let manifest = filled(self.manifest_media_type.as_deref());
        let artifact = filled(self.artifact_media_type.as_deref());
        manifest.is_none_or(|kind| MANIFEST_TYPES.contains(&kind) || INDEX_TYPES.contains(&kind))
            && artifact.is_none_or(|kind| IMAGE_CONFIG_TYPES.contains(&kind))
    }

    /// AWS's own samples have digests that are too short: then the tag is resolved.
    fn pushed(&self) -> Result<Pushed, String> {
        let tag = filled(self.image_tag.as_deref())
            .map(|tag| tag.parse::<Tag>().map_err(|error| format!("image-tag: {error}")))
            .transpose()?;
        let digest = filled(self.image_digest.as_deref()).map(str::parse::<Digest>).transpose();
        match (digest, tag) {
            (Ok(Some(digest)), tag) => Ok(Pushed::Digest { digest, tag }),
            (Ok(None) | Err(_), Some(tag)) => Ok(Pushed::Tag(tag)),
            (Err(error), None) => Err(format!("image-digest: {error}")),
            (Ok(None), None) => Err("image-digest and image-tag are missing".to_owned()),
        }
    }
}
