//! What a person types to name an image: a registry reference, or files on disk with a prefix.
//!
//! The prefixes, and that the first colon ends the path, are those of containers-transports(5).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use shared::model::digest::Digest;
use shared::model::image::{Reference, ReferenceError};
use shared::registry::RegistryClient;

use super::docker_archive::DockerArchive;
use super::layout::OciLayout;
use super::registry::RegistryImage;
use super::{ImageSource, SourceError};
use crate::limits::Limits;

/// Where an image is, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageArgument {
    /// `registry/repository:tag`, `…@sha256:…`.
    Registry(Reference),
    /// `oci:DIR[:tag]`: an OCI image layout in a directory.
    OciLayout {
        /// The directory.
        dir: PathBuf,
        /// Which of its images; not needed if it has one.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:tag]`: an OCI image layout in a tar file.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// Which of its images; not needed if it has one.
        tag: Option<String>,
    },
    /// `docker-archive:FILE[:repository:tag]`: what `docker save` writes.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// Which of its images; not needed if it has one.
        image: Option<Reference>,
    },
}

/// Why a text does not say where an image is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// There is nothing between the prefix and the next colon.
    #[error("{0:?} names no file or directory")]
    NoPath(String),
    /// The image's name breaks the grammar.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl ImageArgument {
    /// Opens the source, and says which digest of it is meant. Tags are resolved here, once (I12).
    pub async fn open(
        &self,
        registries: &RegistryClient,
        limits: &Limits,
    ) -> Result<(Arc<dyn ImageSource>, Digest), SourceError> {
        match self {
            Self::Registry(reference) => {
                let digest = RegistryImage::resolve(registries, reference).await?;
                let image = RegistryImage::new(registries.clone(), reference.name.clone());
                Ok((Arc::new(image), digest))
            }
            Self::OciLayout { dir, tag } => {
                let layout = OciLayout::directory(dir.clone(), limits).await?;
                let digest = layout.image(tag.as_deref())?;
                Ok((Arc::new(layout), digest))
            }
            Self::OciArchive { file, tag } => {
                let layout = OciLayout::archive(file.clone(), limits).await?;
                let digest = layout.image(tag.as_deref())?;
                Ok((Arc::new(layout), digest))
            }
            Self::DockerArchive { file, image } => {
                let archive = DockerArchive::open(file.clone(), image.clone(), limits).await?;
                let digest = archive.digest().clone();
                Ok((Arc::new(archive), digest))
            }
        }
    }
}

impl FromStr for ImageArgument {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let located = |rest: &str| match rest.split_once(':').unwrap_or((rest, "")) {
            ("", _) => Err(ArgumentError::NoPath(text.chars().take(160).collect())),
            (path, name) => Ok((PathBuf::from(path), Some(name.to_owned()).filter(|name| !name.is_empty()))),
        };
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, tag) = located(rest)?;
            Ok(Self::OciLayout { dir, tag })
        } else if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, tag) = located(rest)?;
            Ok(Self::OciArchive { file, tag })
        } else if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (file, image) = located(rest)?;
            let image = image.map(|image| image.parse()).transpose()?;
            Ok(Self::DockerArchive { file, image })
        } else {
            Ok(Self::Registry(text.parse()?))
        }
    }
}

impl fmt::Display for ImageArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, path, name) = match self {
            Self::Registry(reference) => return reference.fmt(f),
            Self::OciLayout { dir, tag } => ("oci", dir, tag.clone()),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag.clone()),
            Self::DockerArchive { file, image } => {
                ("docker-archive", file, image.as_ref().map(ToString::to_string))
            }
        };
        write!(f, "{prefix}:{}", path.display())?;
        name.map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let argument = text.parse::<ImageArgument>();
        let shown = argument.as_ref().ok().map(ToString::to_string);
        assert_eq!(shown.as_deref(), expected, "{text:?}");
        if let Ok(argument) = argument {
            assert_eq!(argument.to_string().parse(), Ok(argument), "{text:?}");
        }
    }

    #[test]
    fn arguments_say_where_an_image_is() {
        check("nginx:1.27", Some("docker.io/library/nginx:1.27"));
        check("oci:dir", Some("oci:dir"));
        check("oci:/a/b:v1", Some("oci:/a/b:v1"));
        check("oci:dir:", Some("oci:dir"));
        check("oci:dir:docker.io/library/nginx:1", Some("oci:dir:docker.io/library/nginx:1"));
        check("oci-archive:./x.tar:v1", Some("oci-archive:./x.tar:v1"));
        check("docker-archive:x.tar", Some("docker-archive:x.tar"));
        check("docker-archive:x.tar:nginx", Some("docker-archive:x.tar:docker.io/library/nginx:latest"));
        check("docker-archive:x.tar:r.io:5000/a:1", Some("docker-archive:x.tar:r.io:5000/a:1"));
        for text in ["", "oci:", "oci-archive::v1", "docker-archive:x.tar:NGINX", "Nginx"] {
            check(text, None);
        }
    }
}
