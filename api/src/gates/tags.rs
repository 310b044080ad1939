//! What images are meant: texts become names and digests, and a tag is resolved once (I12).
//!
//! Only configured registries are asked (I8), each question has its own deadline, and the answer serves all
//! who ask for the same tag within some seconds: fifty pods of one deployment cost one request. Only a pull asks
//! anew each time: its client gets the manifest at once, and a tag that has just moved must not be judged by what
//! it was.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use shared::config::{GatesConfig, Registries};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference, Tag, Target};
use shared::registry::{RegistryClient, RegistryError};
use shared::telemetry::chain;
use tokio::time::{Instant, timeout_at};

/// Turns texts into names and digests.
pub(super) struct Tags {
    registries: Registries,
    client: RegistryClient,
    resolved: Cache<(ImageName, Tag), Digest>,
    patience: Duration,
}

/// What a text means.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// It names no image.
    Unreadable {
        /// Why not.
        reason: String,
    },
    /// It names a tag, and nobody says what that points at.
    Unresolved {
        image: ImageName,
        /// Why not.
        reason: String,
    },
    /// It names a tag of a registry that is not configured, so nobody is asked (I8).
    Foreign { image: ImageName },
    /// It names or means this digest.
    Found { image: ImageName, tag: Option<Tag>, digest: Digest, registry: Known },
}

/// Whether an image's registry may be contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Configured,
    Unconfigured,
}

/// How new the answer to what a tag points at has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Some seconds old will do (`gates.tag_ttl`): what was judged is what will run.
    Recent,
    /// Asked now: somebody is about to fetch the tag itself.
    Now,
}

/// As many tags are remembered; each is a few hundred bytes, for a few seconds.
const MOST_TAGS: u64 = 10_000;

impl Tags {
    pub(super) fn new(registries: Registries, client: RegistryClient, config: &GatesConfig) -> Self {
        let resolved = Cache::builder().max_capacity(MOST_TAGS).time_to_live(config.tag_ttl).build();
        Self { registries, client, resolved, patience: config.resolve_timeout }
    }

    /// The image that `text` names, under its registry's canonical host. Asks nobody.
    pub(super) fn name(&self, text: &str) -> Option<ImageName> {
        let Reference { name, .. } = text.parse().ok()?;
        Some(self.registries.canonical(&name).unwrap_or(name))
    }

    /// What `text` means, by `deadline` at the latest.
    pub(super) async fn identify(&self, text: &str, freshness: Freshness, deadline: Instant) -> Identity {
        let Reference { name, target } = match text.parse() {
            Ok(reference) => reference,
            Err(error) => return Identity::Unreadable { reason: chain(&error) },
        };
        let (image, registry) = match self.registries.canonical(&name) {
            Some(canonical) => (canonical, Known::Configured),
            None => (name, Known::Unconfigured),
        };
        match (target, registry) {
            (Target::Digest(digest), registry) => Identity::Found { image, tag: None, digest, registry },
            (Target::Tag(_), Known::Unconfigured) => Identity::Foreign { image },
            (Target::Tag(tag), Known::Configured) => {
                if freshness == Freshness::Now {
                    self.resolved.invalidate(&(image.clone(), tag.clone())).await;
                }
                match self.resolve(&image, &tag, deadline).await {
                    Ok(digest) => Identity::Found { image, tag: Some(tag), digest, registry },
                    Err(reason) => Identity::Unresolved { image, reason },
                }
            }
        }
    }

    async fn resolve(&self, image: &ImageName, tag: &Tag, deadline: Instant) -> Result<Digest, String> {
        let deadline = deadline.min(Instant::now() + self.patience);
        let key = (image.clone(), tag.clone());
        // On the heap: it holds a whole exchange with a registry, and one is made for every image of a review.
        let asking = Box::pin(self.resolved.try_get_with(key, self.client.resolve(image, tag)));
        match timeout_at(deadline, asking).await {
            Ok(Ok(digest)) => Ok(digest),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(format!("{} did not say in time what tag {tag} points at", image.registry)),
        }
    }
}

fn told(error: &Arc<RegistryError>) -> String {
    chain(error.as_ref())
}
