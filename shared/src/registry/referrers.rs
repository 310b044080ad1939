//! What is attached to an image: listing it, adding to it, and taking away what a newer one replaces.
//!
//! Protocol: distribution-spec 1.1 "Listing Referrers", "Pushing Manifests with Subject", "Referrers Tag Schema". A registry without
//! the API gets the list as an index under the tag `sha256-<hex>`, which clients maintain: read, change, write, read
//! again. There is no compare-and-swap, so that writing is repeated until it has stayed.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use super::auth::Scope;
use super::body::Answer;
use super::error::RegistryError;
use super::http::Question;
use super::{LARGEST_DOCUMENT, RegistryClient};
use crate::attest::tag;
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, Document, INDEX_TYPES, Index, MOST_CHILDREN};
use crate::model::image::{ImageName, Tag};

/// How many pages of referrers are read.
const MOST_PAGES: usize = 16;
/// The most referrers that are handed out.
const MOST_REFERRERS: usize = 2000;
/// How often the list under the tag is written before we give up.
const MOST_WRITES: u32 = 6;

/// How an artifact was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The registry lists it by itself.
    Indexed,
    /// We listed it under the referrers tag.
    UnderTag,
}

/// One page of referrers, and where the next one is.
enum Page {
    Listed {
        referrers: Vec<Descriptor>,
        next: Option<Url>,
    },
    /// The registry does not know the question.
    Unsupported,
}

impl RegistryClient {
    /// Everything that is attached to `subject` with this artifact type; nothing in it is verified.
    pub async fn referrers(
        &self,
        name: &ImageName,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let what = format!("referrers of {subject} in {repository}");
        let path = format!("/v2/{repository}/referrers/{subject}");
        let mut question = connection.question(Method::GET, &path, &what);
        question.url.query_pairs_mut().append_pair("artifactType", artifact_type);
        self.referrers_where(name, subject, question, |kind| kind == artifact_type).await
    }

    /// Everything that is attached to `subject` with an artifact type of which `is_wanted` says so; nothing in it is
    /// verified.
    pub(super) async fn referrers_of_any(
        &self,
        name: &ImageName,
        subject: &Digest,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let repository = &name.repository;
        let what = format!("referrers of {subject} in {repository}");
        let path = format!("/v2/{repository}/referrers/{subject}");
        let question = connection.question(Method::GET, &path, &what);
        self.referrers_where(name, subject, question, is_wanted).await
    }

    async fn referrers_where(
        &self,
        name: &ImageName,
        subject: &Digest,
        mut question: Question,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        question.accept = Some(INDEX_TYPES[0]);
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let (referrers, next) = match self.page_of_referrers(name, &question).await? {
                Page::Listed { referrers, next } => (referrers, next),
                Page::Unsupported => return self.referrers_by_tag(name, subject, is_wanted).await,
            };
            // Whether the registry has filtered (`OCI-Filters-Applied`) changes nothing: it is done here in any case.
            found.extend(of_type(referrers, &is_wanted));
            match next {
                Some(next) if found.len() < MOST_REFERRERS => question.url = next,
                Some(_) | None => break,
            }
        }
        found.truncate(MOST_REFERRERS);
        Ok(found)
    }

    async fn page_of_referrers(&self, name: &ImageName, question: &Question) -> Result<Page, RegistryError> {
        let connection = self.connection(&name.registry)?;
        let good = [
            StatusCode::OK,
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::BAD_REQUEST,
            StatusCode::NOT_IMPLEMENTED,
        ];
        let read = async |answer: Answer| {
            if answer.status() != StatusCode::OK {
                return Ok(Page::Unsupported);
            }
            let next = answer.header("link").and_then(next_of);
            // A next page elsewhere would be asked without our authorization, so it is not asked at all (I8).
            let next = next.map(|link| connection.location(&question.url, &link)).transpose()?;
            let next = next.filter(|url| connection.is_home(url));
            let body = answer.whole(LARGEST_DOCUMENT).await?;
            let index: Index = serde_json::from_slice(&body)
                .map_err(|error| self.malformed(name, &question.what, error.to_string()))?;
            Ok(Page::Listed { referrers: index.manifests, next })
        };
        connection.fetch_if(question, &Scope::Pull(name.repository.clone()), &good, read).await
    }

    async fn referrers_by_tag(
        &self,
        name: &ImageName,
        subject: &Digest,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let list = referrers_tag(subject);
        let Some(document) = self.tagged(name, &list).await? else { return Ok(Vec::new()) };
        // Somebody's image may have that tag by accident or malice: then nothing is attached.
        match Document::parse(&document.bytes, document.content_type.as_deref()) {
            Ok(Document::Index(index)) => Ok(of_type(index.manifests, &is_wanted).collect()),
            Ok(Document::Manifest(_)) | Err(_) => Ok(Vec::new()),
        }
    }

    /// Attaches an artifact whose blobs are there already, and lists it where the registry does not do so itself.
    /// `superseded` are no longer listed then; taking them away is [`delete_manifest`](Self::delete_manifest)'s.
    pub async fn attach(
        &self,
        name: &ImageName,
        subject: &Digest,
        manifest: &[u8],
        descriptor: &Descriptor,
        superseded: &[Digest],
    ) -> Result<Attached, RegistryError> {
        let indexed = self.push_manifest(name, None, &descriptor.media_type, manifest).await?;
        if indexed.as_ref() == Some(subject) {
            return Ok(Attached::Indexed);
        }
        for attempt in 0..MOST_WRITES {
            if self.list_under_tag(name, subject, descriptor, superseded).await? {
                return Ok(Attached::UnderTag);
            }
            // Somebody else wrote at the same time; the pause keeps two from doing so for ever.
            let jitter = u64::from(getrandom::u32().unwrap_or(0) % 100);
            tokio::time::sleep(Duration::from_millis(50 * u64::from(attempt + 1) + jitter)).await;
        }
        Err(RegistryError::Unavailable {
            host: name.registry.clone(),
            what: format!("tag {} of {}", referrers_tag(subject), name.repository),
            source: super::TransportError::new("others wrote it again and again at the same time"),
        })
    }

    /// Reads the list, changes it, writes it; `true` if it holds what we wrote when it is read again.
    async fn list_under_tag(
        &self,
        name: &ImageName,
        subject: &Digest,
        descriptor: &Descriptor,
        superseded: &[Digest],
    ) -> Result<bool, RegistryError> {
        let list = referrers_tag(subject);
        let mut entries = self.entries(name, &list).await?;
        let named = |entry: &Value, digest: &Digest| entry["digest"] == digest.as_str();
        entries.retain(|entry| {
            !named(entry, &descriptor.digest) && !superseded.iter().any(|old| named(entry, old))
        });
        if entries.len() >= MOST_CHILDREN {
            let why = format!("it lists {} artifacts, and clients read no more; remove some", entries.len());
            return Err(self.malformed(name, &format!("tag {list}"), why));
        }
        entries.push(serde_json::to_value(descriptor).expect("a descriptor has only strings and numbers"));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": entries});
        self.push_manifest(name, Some(&list), INDEX_TYPES[0], index.to_string().as_bytes()).await?;
        let entries = self.entries(name, &list).await?;
        Ok(entries.iter().any(|entry| named(entry, &descriptor.digest)))
    }

    /// The entries of a referrers tag as they are: fields that we do not know stay as they are.
    async fn entries(&self, name: &ImageName, list: &Tag) -> Result<Vec<Value>, RegistryError> {
        let Some(document) = self.tagged(name, list).await? else { return Ok(Vec::new()) };
        let what = format!("tag {list} of {}", name.repository);
        match Document::parse(&document.bytes, document.content_type.as_deref()) {
            Ok(Document::Index(_)) => {}
            Ok(Document::Manifest(_)) => {
                let why = "it is an image and not a list of referrers; it is left as it is".to_owned();
                return Err(self.malformed(name, &what, why));
            }
            Err(error) => return Err(self.malformed(name, &what, crate::telemetry::chain(&error))),
        }
        let mut index: Value = serde_json::from_slice(&document.bytes)
            .map_err(|error| self.malformed(name, &what, error.to_string()))?;
        Ok(match index["manifests"].take() {
            Value::Array(entries) => entries,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Vec::new()
            }
        })
    }
}

/// The tag of the list: algorithm, dash, hex.
fn referrers_tag(subject: &Digest) -> Tag {
    tag::of(subject, tag::Suffix::Referrers)
}

fn of_type(
    referrers: Vec<Descriptor>,
    is_wanted: &impl Fn(&str) -> bool,
) -> impl Iterator<Item = Descriptor> {
    referrers.into_iter().filter(move |referrer| referrer.artifact_type.as_deref().is_some_and(is_wanted))
}

/// The target of `<…>; rel="next"` (RFC 8288), if there is one.
fn next_of(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let mut parameters = parameters.split(';').map(str::trim);
        parameters
            .any(|parameter| matches!(parameter, "rel=\"next\"" | "rel=next"))
            .then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_link_header() {
        for (header, expected) in [
            ("</v2/a/referrers/x?n=1&last=2>; rel=\"next\"", Some("/v2/a/referrers/x?n=1&last=2")),
            ("<a>; rel=prev, <b>; title=t; rel=next", Some("b")),
            ("<a>; rel=\"last\"", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(next_of(header).as_deref(), expected, "{header:?}");
        }
    }

    #[test]
    fn the_tag_of_a_list_is_legal_for_every_algorithm() {
        let digest = Digest::of(b"x");
        assert_eq!(referrers_tag(&digest).as_str(), format!("sha256-{}", digest.encoded()));
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(referrers_tag(&long).as_str(), format!("sha512-{}", "a".repeat(64)));
    }
}
