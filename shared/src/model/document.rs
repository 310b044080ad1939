//! Manifests, indexes and configs as registries serve them: parsed strictly, bounded, nothing guessed.
//!
//! OCI image-spec manifest.md, image-index.md, config.md, descriptor.md; Docker image manifest v2.2.
//! A media type that contradicts itself is refused, and one that is missing is never guessed from the body alone: a
//! manifest that passes for an index would be searched as something else than what runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::image::Platform;

/// Media types of manifests.
pub const MANIFEST_TYPES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// Media types of indexes.
pub const INDEX_TYPES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];

/// Media types of the configs that make a manifest a container image.
pub const IMAGE_CONFIG_TYPES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Points at content: its type, digest and exact size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type that the parent document claims.
    pub media_type: String,
    /// What the content hashes to.
    pub digest: Digest,
    /// How many bytes it has, exactly.
    pub size: u64,
    /// Free annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What an artifact says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Which machine an index entry is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescriptorPlatform>,
}

/// The `platform` object of an index entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorPlatform {
    /// `linux`, `windows`, or `unknown` for build attestations.
    #[serde(default)]
    pub os: String,
    /// `amd64` …
    #[serde(default)]
    pub architecture: String,
    /// `v7` …
    #[serde(default)]
    pub variant: Option<String>,
}

impl DescriptorPlatform {
    /// The platform, unless it is empty, `unknown` or not a legal platform at all.
    pub fn known(&self) -> Option<Platform> {
        if self.os == "unknown" || self.architecture == "unknown" {
            return None;
        }
        let text = match &self.variant {
            Some(variant) if !variant.is_empty() => format!("{}/{}/{variant}", self.os, self.architecture),
            _ => format!("{}/{}", self.os, self.architecture),
        };
        text.parse().ok()
    }
}

/// An image manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// May be absent in an OCI manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What an artifact says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config; its media type decides what the manifest is.
    pub config: Descriptor,
    /// Bottom layer first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one speaks about (signatures, SBOMs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An index: one name for many manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// May be absent in an OCI index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What an artifact says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The children.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one speaks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A verified document of a registry: its bytes hashed to the digest that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image, or one artifact.
    Manifest(Box<Manifest>),
    /// Several.
    Index(Box<Index>),
}

/// Why bytes are not a manifest or index that may be acted on.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON of the right shape.
    #[error("document is not a valid manifest or index")]
    Json(#[from] serde_json::Error),
    /// Docker schema 1: its digest covers another payload than its bytes.
    #[error("manifest schema 1 is not supported; push the image again with a current client")]
    Schema1,
    /// Neither type is known.
    #[error("media type {0:?} is neither an image manifest nor an index")]
    MediaType(String),
    /// Header and body name different types: manifest and index could be confused.
    #[error("the registry calls this {header:?}, the document calls itself {body:?}")]
    Contradiction {
        /// The `Content-Type`, without parameters.
        header: String,
        /// The document's own `mediaType`.
        body: String,
    },
    /// The body has the fields of a manifest and of an index.
    #[error("document has both manifests and layers or config")]
    Ambiguous,
    /// More layers or children than any real image has.
    #[error("document lists {count} entries, the limit is {limit}")]
    TooMany {
        /// How many it lists.
        count: usize,
        /// How many may be listed.
        limit: usize,
    },
}

/// The most layers a manifest may list.
pub const MOST_LAYERS: usize = 512;
/// The most children an index may list.
pub const MOST_CHILDREN: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Parses the bytes of a manifest or index that was served as `content_type`.
    ///
    /// The caller has already compared the bytes with their digest. Where the body names no media type
    /// the header decides, never the shape of the body alone.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, DocumentError> {
        let shape: Shape = serde_json::from_slice(bytes)?;
        let header = content_type.map(essence).filter(|header| !header.is_empty());
        let is_schema1 = |kind: &str| kind.contains("distribution.manifest.v1+");
        if header.as_deref().is_some_and(is_schema1)
            || shape.schema_version == Some(1)
            || shape.fs_layers.is_some()
        {
            return Err(DocumentError::Schema1);
        }
        let body = shape.media_type.filter(|body| !body.is_empty());
        let generic = |header: &String| header == "application/json" || header == "application/octet-stream";
        let header = header.filter(|header| !generic(header));
        let media_type = match (header, body) {
            (Some(header), Some(body)) if header != body => {
                return Err(DocumentError::Contradiction { header, body });
            }
            (Some(known), _) | (None, Some(known)) => known,
            (None, None) => return Err(DocumentError::MediaType(String::new())),
        };
        if shape.manifests.is_some() && (shape.layers.is_some() || shape.config.is_some()) {
            return Err(DocumentError::Ambiguous);
        }
        if INDEX_TYPES.contains(&media_type.as_str()) {
            let index: Index = serde_json::from_slice(bytes)?;
            within(index.manifests.len(), MOST_CHILDREN)?;
            Ok(Self::Index(Box::new(index)))
        } else if MANIFEST_TYPES.contains(&media_type.as_str()) {
            let manifest: Manifest = serde_json::from_slice(bytes)?;
            within(manifest.layers.len(), MOST_LAYERS)?;
            Ok(Self::Manifest(Box::new(manifest)))
        } else {
            Err(DocumentError::MediaType(media_type))
        }
    }
}

fn within(count: usize, limit: usize) -> Result<(), DocumentError> {
    if count > limit { Err(DocumentError::TooMany { count, limit }) } else { Ok(()) }
}

/// A media type without its parameters, lower case.
pub fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// An image config: what a runtime would start, and the diff IDs of the layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Machine architecture.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// Operating system.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// Variant of the architecture.
    #[serde(default)]
    pub variant: Option<String>,
    /// When the image was built, RFC 3339, as the builder says.
    #[serde(default)]
    pub created: Option<String>,
    /// Digests of the uncompressed layers.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rootfs: RootFs,
    /// The commands that made the layers; written by the image's author, may not line up.
    #[serde(default, deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// What runs, and how.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RuntimeConfig,
}

/// The `rootfs` of an image config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Must be `layers`.
    #[serde(rename = "type", default, deserialize_with = "null_is_default")]
    pub kind: String,
    /// One digest of uncompressed bytes a layer, bottom first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

/// One line of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The command.
    #[serde(default)]
    pub created_by: Option<String>,
    /// A remark.
    #[serde(default)]
    pub comment: Option<String>,
    /// Whether the command made no layer.
    #[serde(default, deserialize_with = "null_is_default")]
    pub empty_layer: bool,
}

/// The part of a config that a runtime obeys; only what is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeConfig {
    /// `user|uid[:group|gid]`; empty means root.
    #[serde(default, deserialize_with = "null_is_default")]
    pub user: String,
    /// Free labels.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// `port[/protocol]`; the values are empty objects.
    #[serde(default, deserialize_with = "null_is_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// `NAME=value`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// Docker's health check; OCI has none.
    #[serde(default, deserialize_with = "null_is_default")]
    pub healthcheck: Healthcheck,
    /// What is started.
    #[serde(default, deserialize_with = "words")]
    pub entrypoint: Vec<String>,
    /// Its arguments, or what is started where there is no entrypoint.
    #[serde(default, deserialize_with = "words")]
    pub cmd: Vec<String>,
    /// Where volumes are mounted; the values are empty objects.
    #[serde(default, deserialize_with = "null_is_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
}

/// How a runtime finds out that a container is healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]` switches an inherited check off; empty means none.
    #[serde(default, deserialize_with = "null_is_default")]
    pub test: Vec<String>,
}

/// A command as Docker reads it: a list, or a single text.
fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
    }
    Ok(match Option::<Words>::deserialize(deserializer)? {
        Some(Words::List(words)) => words,
        Some(Words::One(word)) => vec![word],
        None => Vec::new(),
    })
}

/// OCI says that `null` means absent.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn config() -> String {
        format!(r#"{{"mediaType":"{}","digest":"{}","size":2}}"#, IMAGE_CONFIG_TYPES[0], Digest::of(b"{}"))
    }

    fn kind(body: &str, content_type: Option<&str>) -> &'static str {
        match Document::parse(body.as_bytes(), content_type) {
            Ok(Document::Manifest(_)) => "manifest",
            Ok(Document::Index(_)) => "index",
            Err(DocumentError::Json(_)) => "json",
            Err(DocumentError::Schema1) => "schema1",
            Err(DocumentError::MediaType(_)) => "media type",
            Err(DocumentError::Contradiction { .. }) => "contradiction",
            Err(DocumentError::Ambiguous) => "ambiguous",
            Err(DocumentError::TooMany { .. }) => "too many",
        }
    }

    #[test]
    fn the_header_decides_where_the_body_is_silent() {
        let manifest = format!(r#"{{"schemaVersion":2,"config":{},"layers":null}}"#, config());
        assert_eq!(kind(&manifest, Some(MANIFEST)), "manifest");
        assert_eq!(
            kind(&manifest, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")),
            "manifest"
        );
        assert_eq!(kind(&manifest, None), "media type");
        assert_eq!(kind(&manifest, Some("text/plain")), "media type");
    }

    #[test]
    fn manifest_and_index_cannot_be_confused() {
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
        assert_eq!(kind(&index, Some(INDEX)), "index");
        assert_eq!(kind(&index, Some(MANIFEST)), "contradiction");
        let both = format!(r#"{{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}}"#, config());
        assert_eq!(kind(&both, Some(MANIFEST)), "ambiguous");
        assert_eq!(kind(r#"{"schemaVersion":1,"fsLayers":[]}"#, None), "schema1");
    }

    #[test]
    fn a_descriptor_with_a_negative_size_is_refused() {
        let body = format!(r#"{{"schemaVersion":2,"config":{}}}"#, config().replace(":2}", ":-2}"));
        assert_eq!(kind(&body, Some(MANIFEST)), "json");
    }

    #[test]
    fn too_many_layers_are_refused() {
        let layers = vec![config(); MOST_LAYERS + 1].join(",");
        let body = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{layers}]}}"#, config());
        assert_eq!(kind(&body, Some(MANIFEST)), "too many");
    }

    #[test]
    fn nulls_in_a_config_mean_absent() {
        let config: ImageConfig = serde_json::from_str(
            r#"{"os":"linux","architecture":"amd64","history":null,"config":{"User":null,"Labels":null},"rootfs":{"type":"layers","diff_ids":null}}"#,
        )
        .unwrap();
        assert!(config.history.is_empty() && config.rootfs.diff_ids.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes, Some(MANIFEST));
        }
    }
}
