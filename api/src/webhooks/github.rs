//! GitHub's container registry: the events `package` and `registry_package`, which tell of the same push.
//!
//! Format: GitHub's documentation "Webhook events and payloads". A hook signs with `X-Hub-Signature-256`; no
//! delivery comes twice by itself. Names are lower-cased, as `ghcr.io` wants them.

use serde::Deserialize;
use shared::model::image::ImageName;
use shared::model::push::{PushEvent, Pushed};

use super::form::{FORM, document};
use super::{DecodeError, Delivery, Event, WebhookSource, filled, is_json};
use crate::auth::senders::Credential;
use crate::auth::signature::Signature;

/// The source.
pub(super) struct GitHub;

#[derive(Deserialize)]
struct Hook {
    action: Option<String>,
    #[serde(alias = "registry_package")]
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: Option<String>,
    ecosystem: Option<String>,
    package_type: Option<String>,
    owner: Option<Owner>,
    package_version: Option<PackageVersion>,
}

#[derive(Deserialize)]
struct Owner {
    login: Option<String>,
}

#[derive(Deserialize)]
struct PackageVersion {
    version: Option<String>,
    container_metadata: Option<ContainerMetadata>,
}

#[derive(Deserialize)]
struct ContainerMetadata {
    tag: Option<PackageTag>,
    manifest: Option<PackageManifest>,
}

#[derive(Deserialize)]
struct PackageTag {
    name: Option<String>,
}

#[derive(Deserialize)]
struct PackageManifest {
    digest: Option<String>,
}

impl WebhookSource for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn credentials(&self) -> &'static [Credential] {
        const { &[Credential::Signature(Signature::sha256("x-hub-signature-256"))] }
    }

    fn reads(&self, media_type: &str) -> bool {
        is_json(media_type) || media_type == FORM
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        match delivery.header("x-github-event") {
            Some("package" | "registry_package") => {}
            Some("ping") => return Ok(vec![Event::Ignored("ping")]),
            Some(_) => return Ok(vec![Event::Ignored("other-event")]),
            None => return Err(DecodeError::Envelope("X-GitHub-Event is missing".to_owned())),
        }
        let document = document(delivery.media_type, delivery.body);
        let hook: Hook = serde_json::from_slice(&document)
            .map_err(|source| DecodeError::Json { source_name: self.name(), source })?;
        match hook.action.as_deref() {
            Some("published" | "updated") => {}
            Some("deleted") => return Ok(vec![Event::Ignored("delete")]),
            Some(_) | None => return Ok(vec![Event::Ignored("other-action")]),
        }
        let package = hook.package.ok_or_else(|| DecodeError::Envelope("package is missing".to_owned()))?;
        if !package.is_container() {
            return Ok(vec![Event::Ignored("other-format")]);
        }
        Ok(vec![package.into_push(delivery).map_or_else(Event::Rejected, Event::Push)])
    }
}

impl Package {
    fn is_container(&self) -> bool {
        let container =
            |kind: &String| kind.eq_ignore_ascii_case("container") || kind.eq_ignore_ascii_case("docker");
        self.package_type.as_ref().is_some_and(container) || self.ecosystem.as_ref().is_some_and(container)
    }

    fn into_push(self, delivery: &Delivery<'_>) -> Result<PushEvent, String> {
        let owner = self.owner.and_then(|owner| owner.login);
        let owner = filled(owner.as_deref()).ok_or("package.owner.login is missing")?;
        let name = filled(self.name.as_deref()).ok_or("package.name is missing")?;
        let version = self.package_version.ok_or("package.package_version is missing")?;
        let (tag, manifest) =
            version.container_metadata.map_or((None, None), |metadata| (metadata.tag, metadata.manifest));
        let digest = manifest.and_then(|manifest| manifest.digest).or(version.version);
        let digest = filled(digest.as_deref()).ok_or("package_version has no digest")?;
        let tag = tag.and_then(|tag| tag.name);
        let repository = format!("{owner}/{name}").to_lowercase();
        Ok(PushEvent {
            image: ImageName {
                registry: delivery.registry(Some("ghcr.io"), "ghcr.io")?,
                repository: repository.parse().map_err(|error| format!("package.name: {error}"))?,
            },
            pushed: Pushed::Digest {
                digest: digest.parse().map_err(|error| format!("manifest.digest: {error}"))?,
                tag: filled(tag.as_deref())
                    .map(|tag| tag.parse().map_err(|error| format!("tag.name: {error}")))
                    .transpose()?,
            },
            occurred_at: None,
        })
    }
}
