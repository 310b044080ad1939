//! What a layer's media type says. OCI image-spec layer.md; Docker image manifest v2.2; buildkit, ocicrypt.

use shared::model::document::essence;

use super::decompress::Compression;

/// Kinds of layers by their media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerType {
    /// A tar, compressed or not.
    Tar,
    /// A tar that the registry may not hold; its URLs are never followed.
    Foreign,
    /// A tar that only key holders can read.
    Encrypted,
    /// The content of a well-known kind of artifact: nothing that a runtime would mount.
    Artifact,
    /// Nobody knows; the bytes will tell.
    Unknown,
}

const TARS: [&str; 8] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.diff.tar+zstd",
];

const FOREIGN: [&str; 6] = [
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
];

const ARTIFACTS: [&str; 13] = [
    "application/vnd.in-toto+json",
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/spdx+json",
    "text/spdx",
    "text/spdx+json",
    "text/spdx+xml",
    "application/vnd.cyclonedx",
    "application/vnd.cyclonedx+json",
    "application/vnd.cyclonedx+xml",
    "application/vnd.sylabs.sif.layer.v1.squashfs",
    "application/openvex+json",
];

impl LayerType {
    /// The kind that a media type names.
    pub(super) fn of(media_type: &str) -> Self {
        let media_type = essence(media_type);
        let is_tar = |name: &str| TARS.contains(&name) || FOREIGN.contains(&name);
        let name = media_type.as_str();
        if TARS.contains(&name) {
            Self::Tar
        } else if FOREIGN.contains(&name) {
            Self::Foreign
        } else if name.strip_suffix("+encrypted").is_some_and(is_tar) {
            Self::Encrypted
        } else if ARTIFACTS.contains(&name) {
            Self::Artifact
        } else {
            Self::Unknown
        }
    }
}

/// The compression that a media type names; `None` if it names none that can be wrong.
pub(super) fn compression(media_type: &str) -> Option<Compression> {
    match LayerType::of(media_type) {
        LayerType::Tar | LayerType::Foreign => {}
        LayerType::Encrypted | LayerType::Artifact | LayerType::Unknown => return None,
    }
    let media_type = essence(media_type);
    Some(if media_type.ends_with("gzip") {
        Compression::Gzip
    } else if media_type.ends_with("zstd") {
        Compression::Zstd
    } else {
        Compression::Plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_names_its_kind_and_compression() {
        use {Compression::*, LayerType::*};
        for (media_type, kind, compressed) in [
            ("application/vnd.oci.image.layer.v1.tar", Tar, Some(Plain)),
            ("application/vnd.oci.image.layer.v1.tar+gzip", Tar, Some(Gzip)),
            ("Application/vnd.OCI.image.layer.v1.tar+gzip; x=y", Tar, Some(Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Tar, Some(Zstd)),
            ("application/vnd.docker.image.rootfs.diff.tar", Tar, Some(Plain)),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Tar, Some(Gzip)),
            ("application/vnd.docker.image.rootfs.diff.tar.zstd", Tar, Some(Zstd)),
            ("application/vnd.docker.image.rootfs.diff.tar+zstd", Tar, Some(Zstd)),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Foreign, Some(Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", Encrypted, None),
            ("application/vnd.in-toto+json", Artifact, None),
            ("application/vnd.example.tar+gzip", Unknown, None),
            ("", Unknown, None),
        ] {
            assert_eq!(LayerType::of(media_type), kind, "{media_type}");
            assert_eq!(compression(media_type), compressed, "{media_type}");
        }
    }
}
