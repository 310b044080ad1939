//! Names of images: registry host, repository, tag, platform, and references made of them.
//!
//! Grammar: OCI distribution-spec "Pulling manifests" for names and tags; the familiar short forms
//! (`nginx`, `team/app:1.2`) as the Docker reference grammar expands them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestError};

/// The host, and port if it is not the scheme's own, that serves a registry: `registry.example.com:5000`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "registry.example.com:5000")]
pub struct RegistryHost(Arc<str>);

/// A repository inside a registry: lower-case path components joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "team/app")]
pub struct Repository(Arc<str>);

/// A tag: a name that a registry may move to another digest at any time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "1.4.2")]
pub struct Tag(String);

/// Where an image lives: registry and repository, without saying which version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ImageName {
    /// The registry that serves it.
    pub registry: RegistryHost,
    /// The repository within that registry.
    pub repository: Repository,
}

/// What a person or a manifest types to name one image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Registry and repository.
    pub name: ImageName,
    /// Which of its manifests.
    pub target: Target,
}

/// The part of a [`Reference`] after the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `:tag`, or nothing, which means `latest`.
    Tag(Tag),
    /// `@digest`, or `:tag@digest`, where the digest alone decides and the tag is a remark.
    Digest(Digest),
}

/// Which machine an image is built for, as in an OCI index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    /// `linux`, `windows` …
    pub os: String,
    /// `amd64`, `arm64` …
    pub architecture: String,
    /// `v7`, `v8` …, where the architecture has variants.
    pub variant: Option<String>,
}

/// Why a text does not name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("image reference is empty")]
    Empty,
    /// The host part has characters that no host has.
    #[error("{0:?} is not a registry host; expected host or host:port; a lone word needs its port")]
    Registry(String),
    /// The repository breaks the grammar.
    #[error(
        "{0:?} is not a repository name; expected lower-case letters, digits and single . _ - within components joined by /"
    )]
    Repository(String),
    /// The tag breaks the grammar.
    #[error("{0:?} is not a tag; expected at most 128 letters, digits, dots, dashes and underscores")]
    Tag(String),
    /// The part after `@` is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The platform is not `os/architecture[/variant]`.
    #[error("{0:?} is not a platform; expected os/architecture or os/architecture/variant")]
    Platform(String),
}

const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// At most 160 characters of a rejected text, for an error message.
fn shown(text: &str) -> String {
    text.chars().take(160).collect()
}

impl RegistryHost {
    /// The host (and port) as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryHost {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ReferenceError::Registry(shown(text));
        let (host, port) = split_port(text).ok_or_else(refused)?;
        let host_ok = if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            address.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty()
                && host.len() <= 253
                && host.split('.').all(|label| {
                    !label.is_empty()
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
        };
        let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number != 0));
        // A lone word would be read back as the first part of a repository of Docker Hub.
        let is_word = port.is_none() && !host.contains(['.', '[']) && !host.eq_ignore_ascii_case("localhost");
        if host_ok && port_ok && !is_word {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(refused())
        }
    }
}

/// Splits `host[:port]`, leaving the brackets of an IPv6 literal alone. `None` for a lone bracket.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        return match text[end..].strip_prefix(':') {
            Some(port) => Some((&text[..end], Some(port))),
            None if end == text.len() => Some((text, None)),
            None => None,
        };
    }
    Some(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

impl Repository {
    /// The repository as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= LONGEST_REPOSITORY && text.split('/').all(is_path_component) {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Repository(shown(text)))
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, the distribution-spec's component.
fn is_path_component(component: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(is_word) {
        return true;
    }
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    is_word(first)
        && is_word(last)
        && bytes.split(is_word).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
        })
}

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag that is meant when none is given.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// Whether tools keep signatures, attestations, SBOMs or referrers lists of a digest under it:
    /// `sha256-<64 hex>`, alone or with `.sig`, `.att` or `.sbom` (cosign; OCI referrers tag schema).
    pub fn names_artifact(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("sha256-") else { return false };
        let suffixed = [".sig", ".att", ".sbom"].into_iter().find_map(|suffix| rest.strip_suffix(suffix));
        let hex = suffixed.unwrap_or(rest);
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let ok = text.len() <= LONGEST_TAG
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if ok { Ok(Self(text.to_owned())) } else { Err(ReferenceError::Tag(shown(text))) }
    }
}

impl ImageName {
    /// Parses `registry/repository`, expanding the short forms that mean Docker Hub.
    fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (registry, repository) = match text.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':', '[']) || host == "localhost" => {
                (host, rest.to_owned())
            }
            Some(_) => ("docker.io", text.to_owned()),
            None => ("docker.io", format!("library/{text}")),
        };
        // Compared as it will be printed, so that no spelling of a host means another registry when it is read again.
        let registry: RegistryHost = registry.parse()?;
        let registry = match registry.as_str() {
            "index.docker.io" | "registry-1.docker.io" => RegistryHost("docker.io".into()),
            _ => registry,
        };
        Ok(Self { registry, repository: repository.parse()? })
    }

    /// `registry/repository@digest`, the name that nothing can move.
    pub fn at(&self, digest: &Digest) -> String {
        format!("{self}@{digest}")
    }
}

impl FromStr for ImageName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon after the last slash separates a tag; before it, a port.
        let tag_at = named.rfind(':').filter(|colon| !named[*colon..].contains('/'));
        let (name, tag) = match tag_at {
            Some(colon) => (&named[..colon], Some(named[colon + 1..].parse::<Tag>()?)),
            None => (named, None),
        };
        let target = match (digest, tag) {
            (Some(digest), _) => Target::Digest(digest),
            (None, Some(tag)) => Target::Tag(tag),
            (None, None) => Target::Tag(Tag::latest()),
        };
        Ok(Self { name: ImageName::parse(name)?, target })
    }
}

impl Platform {
    /// `linux/amd64`, what is meant when nobody says.
    pub fn linux_amd64() -> Self {
        Self { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }
    }

    /// Whether an image built for `self` is what somebody means who asks for `wanted`: the variant
    /// counts only if it was asked for.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl FromStr for Platform {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |part: &&str| {
            !part.is_empty()
                && part.len() <= 64
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').filter(word).collect();
        let variant = match (text.split('/').count(), parts.as_slice()) {
            (2, [_, _]) => None,
            (3, [_, _, variant]) => Some((*variant).to_owned()),
            _ => return Err(ReferenceError::Platform(shown(text))),
        };
        Ok(Self { os: parts[0].to_owned(), architecture: parts[1].to_owned(), variant })
    }
}

impl utoipa::PartialSchema for Platform {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new().schema_type(Type::String).examples(["linux/amd64"]).into()
    }
}

impl utoipa::ToSchema for Platform {}

macro_rules! text_value {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = ReferenceError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}
text_value!(RegistryHost, Repository, Tag, Platform);

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Tag(tag) => write!(f, "{}:{tag}", self.name),
            Target::Digest(digest) => write!(f, "{}@{digest}", self.name),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests;
