//! What a manifest is: an image that must be searched, or an artifact that nothing can start.
//!
//! Decided by the config's media type first. An image config makes an image unless every layer is of a
//! well-known artifact type: a mislabelled layer must not turn an image into something unsearched.
//! OCI image-spec manifest.md, "Guidelines for Artifact Usage".

use shared::model::document::{IMAGE_CONFIG_TYPES, Manifest, essence};

use super::layer_type::LayerType;

/// The kinds of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ManifestKind {
    /// Search it.
    Image,
    /// Not an image.
    Artifact {
        /// Its artifact type, or what comes nearest.
        artifact_type: String,
    },
}

impl ManifestKind {
    /// Classifies a manifest by its media types alone.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let stated = manifest.artifact_type.clone().filter(|stated| !stated.is_empty());
        let config_type = essence(&manifest.config.media_type);
        if !IMAGE_CONFIG_TYPES.contains(&config_type.as_str()) {
            return Self::Artifact { artifact_type: stated.unwrap_or(config_type) };
        }
        let is_artifact = |layer_type: &str| LayerType::of(layer_type) == LayerType::Artifact;
        match manifest.layers.first() {
            Some(first) if manifest.layers.iter().all(|layer| is_artifact(&layer.media_type)) => {
                Self::Artifact { artifact_type: stated.unwrap_or_else(|| essence(&first.media_type)) }
            }
            Some(_) | None => Self::Image,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::digest::Digest;
    use shared::model::document::Descriptor;

    const OCI: &str = "application/vnd.oci.image.config.v1+json";
    const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn check(artifact_type: Option<&str>, config: &str, layers: &[&str], expected: Option<&str>) {
        let descriptor = |media_type: &str| Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(b"{}"),
            size: 2,
            annotations: Default::default(),
            artifact_type: None,
            platform: None,
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: None,
            artifact_type: artifact_type.map(str::to_owned),
            config: descriptor(config),
            layers: layers.iter().map(|layer| descriptor(layer)).collect(),
            subject: None,
            annotations: Default::default(),
        };
        let expected = match expected {
            None => ManifestKind::Image,
            Some(artifact_type) => ManifestKind::Artifact { artifact_type: artifact_type.to_owned() },
        };
        assert_eq!(ManifestKind::of(&manifest), expected, "{config} {layers:?}");
    }

    #[test]
    fn images_are_searched_whatever_their_layers_are_called() {
        check(None, OCI, &[TAR], None);
        check(None, "application/vnd.docker.container.image.v1+json", &[TAR], None);
        check(None, OCI, &[], None);
        check(Some("application/x"), OCI, &[TAR], None);
        check(None, OCI, &["application/vnd.in-toto+json", TAR], None);
        check(None, OCI, &["application/vnd.invented"], None);
        check(None, OCI, &["application/vnd.in-toto+json", "application/vnd.invented"], None);
    }

    #[test]
    fn artifacts_are_known_by_config_or_by_all_their_layers() {
        let in_toto = "application/vnd.in-toto+json";
        check(None, OCI, &[in_toto], Some(in_toto));
        check(
            Some("application/vnd.docker.attestation.manifest.v1+json"),
            OCI,
            &[in_toto, in_toto],
            Some("application/vnd.docker.attestation.manifest.v1+json"),
        );
        let signature = "application/vnd.dev.cosign.simplesigning.v1+json";
        check(None, OCI, &[signature], Some(signature));
        let helm = "application/vnd.cncf.helm.config.v1+json";
        check(None, helm, &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"], Some(helm));
        check(
            None,
            "application/vnd.wasm.config.v0+json",
            &["application/wasm"],
            Some("application/vnd.wasm.config.v0+json"),
        );
        check(
            Some("application/spdx+json"),
            "application/vnd.oci.empty.v1+json",
            &[TAR],
            Some("application/spdx+json"),
        );
    }
}
