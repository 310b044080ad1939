//! Who we are at an image's registry: as configured, or, where nobody has said, as whoever asked for this scan
//! has lent (I8).

use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::registry::RegistryClient;
use shared::telemetry::chain;

use crate::job::Carrier;

impl Carrier {
    /// The client for one image. Lent credentials are for its registry alone, and yield to configured ones.
    pub(crate) async fn client_for(&self, image: &ImageName, digest: &Digest) -> RegistryClient {
        let client = &self.parts.registries;
        let Some(lent) = &self.parts.lent else { return client.clone() };
        if !client.is_anonymous_at(&image.registry) {
            return client.clone();
        }
        let credentials = match lent.borrow(image, digest).await {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return client.clone(),
            Err(error) => {
                // Anonymous pulls may do; if not, the verdict says that the registry refused.
                tracing::warn!(image.digest = %digest, error = %chain(&error), "lent credentials not to be had");
                return client.clone();
            }
        };
        client.with_credentials(&image.registry, credentials).unwrap_or_else(|_| client.clone())
    }

    /// Forgets what was lent for an image whose verdict is stored.
    pub(crate) async fn give_back(&self, image: &ImageName, digest: &Digest) {
        let Some(lent) = &self.parts.lent else { return };
        if !self.parts.registries.is_anonymous_at(&image.registry) {
            return;
        }
        if let Err(error) = lent.give_back(image, digest).await {
            tracing::warn!(image.digest = %digest, error = %chain(&error), "lent credentials stay until they end");
        }
    }
}
