//! What a request to a registry is about. Pure, and suspicious: how this reads a path and how a registry reads it
//! may differ, so whatever could be a manifest and is not plainly one is refused.
//!
//! Paths: OCI distribution-spec "Endpoints". A repository's name may itself contain `manifests`: the last one counts.

use std::borrow::Cow;

use actix_web::http::Method;
use percent_encoding::percent_decode_str;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, RegistryHost, Repository, Tag};

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Somebody pulls a manifest.
    Manifest(Pull),
    /// Blobs, lists, tokens, pushes: not judged.
    Other,
    /// It may be about a manifest, and is not written as clients write it.
    Hostile(&'static str),
}

/// A manifest that somebody pulls.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pull {
    pub(super) repository: Repository,
    pub(super) reference: Which,
    /// `ns=`: the registry that a client of a mirror means.
    pub(super) namespace: Option<RegistryHost>,
    /// What stands behind the path, as the client wrote it.
    pub(super) query: String,
}

impl Pull {
    /// Path and query of the same pull, by digest.
    pub(super) fn at(&self, digest: &Digest) -> String {
        let separator = if self.query.is_empty() { "" } else { "?" };
        format!("/v2/{}/{MANIFESTS}/{digest}{separator}{}", self.repository, self.query)
    }
}

/// Which manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    Tag(Tag),
    Digest(Digest),
}

impl Which {
    /// The reference of this manifest in a repository.
    pub(super) fn of(&self, name: &ImageName) -> String {
        match self {
            Self::Tag(tag) => format!("{name}:{tag}"),
            Self::Digest(digest) => name.at(digest),
        }
    }
}

const MANIFESTS: &str = "manifests";
/// No client's path is longer: a name of 255, a reference of 135, each byte encoded.
const LONGEST: usize = 2048;

/// Reads method and URI of a request.
pub(super) fn read(method: &Method, uri: &str) -> Target {
    // Whatever writes passes; any other method is taken for one that reads.
    if matches!(*method, Method::PUT | Method::POST | Method::PATCH | Method::DELETE | Method::OPTIONS) {
        return Target::Other;
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    if !path.starts_with('/') {
        return Target::Hostile("its path does not begin with a slash");
    }
    if path.len() > LONGEST {
        return Target::Hostile("its path is longer than any image's");
    }
    let Ok(decoded) = percent_decode_str(path).decode_utf8() else {
        return Target::Hostile("its path is not UTF-8");
    };
    if !mentions_manifests(&decoded) {
        return Target::Other;
    }
    let Some(rest) = decoded.strip_prefix("/v2/") else {
        return Target::Hostile("it mentions manifests outside of /v2/");
    };
    let segments: Vec<&str> = rest.split('/').collect();
    if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
        return Target::Hostile("its path has empty or relative parts");
    }
    match segments.as_slice() {
        [name @ .., MANIFESTS, reference] if !name.is_empty() => manifest(&name.join("/"), reference, query),
        // A repository may be called `manifests`; what is asked of it is something else.
        [_, .., "blobs", _] | [_, .., "tags", "list"] | [_, .., "referrers", _] => Target::Other,
        [_, .., "blobs", "uploads", _] => Target::Other,
        _ => Target::Hostile("its path has manifests where no registry has them"),
    }
}

/// Whether any reading of a path could find a manifest in it: whatever its case, separators and further encoding.
fn mentions_manifests(decoded: &str) -> bool {
    let again: Cow<'_, str> = percent_decode_str(decoded).decode_utf8_lossy();
    again.to_ascii_lowercase().split(['/', '\\', ';']).any(|segment| segment.trim() == MANIFESTS)
}

fn manifest(name: &str, reference: &str, query: &str) -> Target {
    let Ok(repository) = name.parse() else {
        return Target::Hostile("its repository is no name of one");
    };
    let reference = match reference.contains(':') {
        true => reference.parse().map(Which::Digest).ok(),
        false => reference.parse().map(Which::Tag).ok(),
    };
    let Some(reference) = reference else {
        return Target::Hostile("its reference is neither a tag nor a digest");
    };
    let namespaces = url::form_urlencoded::parse(query.as_bytes());
    let namespace =
        namespaces.into_iter().find(|(key, _)| key == "ns").and_then(|(_, host)| host.parse().ok());
    Target::Manifest(Pull { repository, reference, namespace, query: query.to_owned() })
}
