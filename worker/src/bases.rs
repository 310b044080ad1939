//! Known base images: which bottom layers of an image are another image, as a whole.
//!
//! An image of a repository that the site names as one of bases is remembered by its chain ID, which stands for all of
//! its layers in their order (OCI image-spec, config.md, "Layer ChainID"). An image whose lower layers have that chain ID is
//! built on it, whatever labels say. Other repositories do not count: whoever pushes an image could push its lower layers
//! as well, and make his own packages somebody else's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference, Target};
use shared::model::layer::Layer;
use shared::model::report::{Report, Subject};
use shared::model::settings::BaseImage;
use shared::policy::ImagePattern;
use shared::store::{NoteName, Notes, StoreError};

/// How long a base is remembered after it was last judged. After that its descendants say nothing of their origin,
/// which is never lenient.
const MEMORY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What is known of other images.
#[derive(Clone)]
pub struct Bases {
    notes: Arc<dyn Notes>,
    repositories: Arc<[ImagePattern]>,
}

impl Bases {
    /// Remembers images of these repositories.
    pub fn new(notes: Arc<dyn Notes>, repositories: &[ImagePattern]) -> Self {
        Self { notes, repositories: repositories.into() }
    }

    /// Remembers an image that others may be built on.
    pub(crate) async fn remember(&self, image: &ImageName, report: &Report) -> Result<(), StoreError> {
        let Some(inventory) = report.inventory() else { return Ok(()) };
        if !self.is_of_bases(image) {
            return Ok(());
        }
        let Some(chain) = chain_ids(&inventory.layers).and_then(|mut chain| chain.pop()) else {
            return Ok(());
        };
        self.notes.keep(&note(&chain), image.at(&report.digest).as_bytes(), MEMORY).await
    }

    /// Says in the report which image it was built on: of several, the one with the most layers.
    pub(crate) async fn recognise(&self, report: &mut Report) -> Result<(), StoreError> {
        let Subject::Image(inventory) = &mut report.subject else { return Ok(()) };
        if self.repositories.is_empty() {
            return Ok(());
        }
        let Some(mut chain) = chain_ids(&inventory.layers) else { return Ok(()) };
        // An image is not its own base, even if only its config differs from another's.
        chain.pop();
        let notes = try_join_all(chain.iter().map(|chain| self.look(chain))).await?;
        let found = notes.into_iter().enumerate().rev().find_map(|(below, known)| Some((below + 1, known?)));
        let Some((layers, (name, digest))) = found else { return Ok(()) };
        inventory.base = Some(BaseImage {
            name: Some(name.to_string()),
            digest: Some(digest.to_string()),
            layers: u16::try_from(layers).ok(),
            guessed_layers: None,
        });
        Ok(())
    }

    async fn look(&self, chain: &Digest) -> Result<Option<(ImageName, Digest)>, StoreError> {
        let Some(note) = self.notes.read(&note(chain)).await? else { return Ok(None) };
        let known = std::str::from_utf8(&note).ok().and_then(|text| text.parse::<Reference>().ok());
        Ok(known.and_then(|Reference { name, target }| match target {
            // The site may have changed its mind about a repository.
            Target::Digest(digest) if self.is_of_bases(&name) => Some((name, digest)),
            Target::Digest(_) | Target::Tag(_) => None,
        }))
    }

    fn is_of_bases(&self, image: &ImageName) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(image))
    }
}

fn note(chain: &Digest) -> NoteName {
    NoteName::new("base", chain.as_str())
}

/// What stands for the bottom layer, the two at the bottom, and so on; `None` if a layer could not be read.
fn chain_ids(layers: &[Layer]) -> Option<Vec<Digest>> {
    let mut chain: Vec<Digest> = Vec::new();
    for layer in layers {
        let diff_id = layer.diff_id.as_ref()?;
        chain.push(match chain.last() {
            None => diff_id.clone(),
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        });
    }
    Some(chain)
}

#[cfg(test)]
mod tests;
