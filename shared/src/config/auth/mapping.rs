//! What a registry's events leave out: where a repository is pulled from, and which foreign events are pushes.

use serde::Deserialize;

use crate::config::ConfigError;
use crate::model::image::{ImageName, RegistryHost, Repository};

/// Where a repository of the sender is pulled from, for registries that serve each repository in its own
/// way (Artifactory, Nexus).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryMapping {
    /// The sender's name for it: Artifactory's repository key, Nexus's repository name.
    pub key: String,
    /// The host, and port, that serves it.
    pub registry: RegistryHost,
    /// What stands before the image's name when it is pulled.
    pub prefix: PathPrefix,
}

/// What stands before an image's name in the path under which it is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPrefix {
    /// What is usual for the source.
    Usual,
    /// Nothing: the repository has a host or port of its own.
    Nothing,
    /// This path.
    Path(Repository),
}

/// A type of foreign event that is a push, and where its data has the image: JSON Pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMapping {
    /// The event's `type`; with `*` at its end, whatever begins so.
    pub kind: String,
    /// A whole reference, `registry/repository:tag` or `…@digest`, or only `registry/repository`.
    pub reference: Option<String>,
    /// The repository, where there is no whole reference.
    pub repository: Option<String>,
    /// The registry's host, where the source's own `registry` does not say it.
    pub registry: Option<String>,
    /// The digest.
    pub digest: Option<String>,
    /// The tag.
    pub tag: Option<String>,
}

impl RepositoryMapping {
    /// The name under which an image of this repository is pulled.
    pub fn image(&self, image: &str, usual: Option<&str>) -> Result<ImageName, String> {
        let prefix = match &self.prefix {
            PathPrefix::Usual => usual,
            PathPrefix::Nothing => None,
            PathPrefix::Path(path) => Some(path.as_str()),
        };
        let path = prefix.map_or_else(|| image.to_owned(), |prefix| format!("{prefix}/{image}"));
        let repository: Repository = path.parse().map_err(|error| format!("{error}"))?;
        Ok(ImageName { registry: self.registry.clone(), repository })
    }
}

impl EventMapping {
    /// Whether an event of this type is meant.
    pub fn is_about(&self, kind: &str) -> bool {
        match self.kind.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => kind == self.kind,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRepository {
    key: String,
    registry: RegistryHost,
    prefix: Option<String>,
}

pub(super) fn repositories(
    source: &str,
    raw: Vec<RawRepository>,
) -> Result<Vec<RepositoryMapping>, ConfigError> {
    let mut mappings: Vec<RepositoryMapping> = Vec::new();
    for (at, raw) in raw.into_iter().enumerate() {
        let key = format!("{source}.repositories[{at}]");
        if mappings.iter().any(|other| other.key == raw.key) {
            let reason = format!("{:?} is mapped already; keep one of the two", raw.key);
            return Err(ConfigError::invalid(format!("{key}.key"), reason));
        }
        let prefix = match raw.prefix.as_deref() {
            None => PathPrefix::Usual,
            Some("") => PathPrefix::Nothing,
            Some(path) => PathPrefix::Path(
                path.parse()
                    .map_err(|error| ConfigError::invalid(format!("{key}.prefix"), format!("{error}")))?,
            ),
        };
        mappings.push(RepositoryMapping { key: raw.key, registry: raw.registry, prefix });
    }
    Ok(mappings)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvent {
    #[serde(rename = "type")]
    kind: String,
    reference: Option<String>,
    repository: Option<String>,
    registry: Option<String>,
    digest: Option<String>,
    tag: Option<String>,
}

impl RawEvent {
    pub(super) fn check(self, key: &str) -> Result<EventMapping, ConfigError> {
        let pointers = [
            ("reference", &self.reference),
            ("repository", &self.repository),
            ("registry", &self.registry),
            ("digest", &self.digest),
            ("tag", &self.tag),
        ];
        for (field, pointer) in pointers {
            if pointer.as_deref().is_some_and(|pointer| !pointer.starts_with('/')) {
                let reason = "expected a JSON Pointer into the event's data, like /image/digest";
                return Err(ConfigError::invalid(format!("{key}.{field}"), reason));
            }
        }
        if self.kind.is_empty() {
            return Err(ConfigError::invalid(format!("{key}.type"), "is empty; name the event's type"));
        }
        match (&self.reference, &self.repository) {
            (Some(_), None) if self.registry.is_none() => {}
            (None, Some(_)) if self.digest.is_some() || self.tag.is_some() => {}
            _ => {
                let reason =
                    "set reference; or repository, with digest or tag, and registry where events name it";
                return Err(ConfigError::invalid(key, reason));
            }
        }
        let Self { kind, reference, repository, registry, digest, tag } = self;
        Ok(EventMapping { kind, reference, repository, registry, digest, tag })
    }
}
