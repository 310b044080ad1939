//! What a registry has: its repositories, and the tags of each, page by page.
//!
//! Formats: distribution-spec "Listing Tags"; `GET /v2/_catalog` as CNCF Distribution defines it, which cloud
//! registries do not offer. Of a `Link` header only the query counts: the path stays ours, so that no list can
//! lead elsewhere (I8). Pages, names and cursors are bounded; lists that go in circles are noticed
//! ([`Bookmark`]).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue, LINK};
use serde::Deserialize;

use crate::model::bookmark::{Bookmark, Cursor, Endless, Turn};
use crate::model::image::{ImageName, RegistryHost, Repository, Tag};

use super::auth::Scope;
use super::body::Answer;
use super::error::{RegistryError, TransportError};
use super::{LARGEST_DOCUMENT, RegistryClient};

/// How many names are asked for at once.
const PAGE: usize = 100;
const LONGEST_LINK: usize = 8 << 10;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The names, in the registry's order.
    pub names: Vec<T>,
    /// How many texts were no names.
    pub illegal: u32,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Bookmark>,
}

/// Why a registry's list cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogueError {
    /// It does not say which repositories it has, or not to us.
    #[error(
        "{host} does not offer its catalogue to us; name its repositories in the configuration: registries.<name>.repositories = [\"team/app\"]"
    )]
    NotOffered {
        /// The registry.
        host: RegistryHost,
        /// What it said instead.
        #[source]
        source: RegistryError,
    },
    /// The list has no end.
    #[error("{host} gives {what} without end")]
    Endless {
        /// The registry.
        host: RegistryHost,
        /// Which list.
        what: String,
        /// How it was noticed.
        #[source]
        source: Endless,
    },
    /// Anything else.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl CatalogueError {
    /// The failure of the call behind it, if it was one that may pass by itself.
    pub fn passing(&self) -> Option<&RegistryError> {
        match self {
            Self::NotOffered { source, .. } | Self::Registry(source) => {
                Some(source).filter(|source| source.is_retryable())
            }
            Self::Endless { .. } => None,
        }
    }
}

impl RegistryClient {
    /// At most `most` of the repositories after `at`.
    pub async fn repositories(
        &self,
        host: &RegistryHost,
        at: &Bookmark,
        most: usize,
    ) -> Result<Listed<Repository>, CatalogueError> {
        let list = List { host, path: "/v2/_catalog", what: "the catalogue", scope: Scope::Catalogue };
        let answered = self.page_of_names(&list, at, |body: Repositories| body.repositories).await;
        let page = answered.map_err(|source| match source {
            RegistryError::NotFound { .. }
            | RegistryError::Unauthorized { .. }
            | RegistryError::Denied { .. }
            | RegistryError::Malformed { .. } => CatalogueError::NotOffered { host: host.clone(), source },
            RegistryError::NotConfigured(_)
            | RegistryError::Configuration { .. }
            | RegistryError::Credentials { .. }
            | RegistryError::RateLimited { .. }
            | RegistryError::Unavailable { .. }
            | RegistryError::Proxy { .. }
            | RegistryError::TooLarge { .. }
            | RegistryError::DigestMismatch { .. }
            | RegistryError::Refused { .. } => CatalogueError::Registry(source),
        })?;
        list.read(&page, at, most)
    }

    /// At most `most` of the tags of one repository after `at`.
    pub async fn tags(
        &self,
        name: &ImageName,
        at: &Bookmark,
        most: usize,
    ) -> Result<Listed<Tag>, CatalogueError> {
        let repository = &name.repository;
        let list = List {
            host: &name.registry,
            path: &format!("/v2/{repository}/tags/list"),
            what: &format!("the tags of {repository}"),
            scope: Scope::Pull(repository.clone()),
        };
        let page = self.page_of_names(&list, at, |body: Tags| body.tags).await?;
        list.read(&page, at, most)
    }

    async fn page_of_names<Body: for<'de> Deserialize<'de>>(
        &self,
        list: &List<'_>,
        at: &Bookmark,
        names: impl Fn(Body) -> Option<Vec<String>>,
    ) -> Result<Page, RegistryError> {
        let connection = self.connection(list.host)?;
        let mut question = connection.question(Method::GET, list.path, list.what);
        match at.turn() {
            Turn::Start => question.url.set_query(Some(&format!("n={PAGE}"))),
            Turn::Link(cursor) => question.url.set_query(Some(cursor.as_str())),
            Turn::After(name) => {
                question.url.query_pairs_mut().append_pair("n", &PAGE.to_string()).append_pair("last", name);
            }
        }
        let unusable = |why: &dyn fmt::Display| RegistryError::Malformed {
            what: list.what.to_owned(),
            host: list.host.clone(),
            source: Arc::new(TransportError::new(why.to_string())),
        };
        let read = async |answer: Answer| {
            let link = next_link(answer.headers()).map_err(|why| unusable(&why))?;
            let body = answer.whole(LARGEST_DOCUMENT).await?;
            let body: Body = serde_json::from_slice(&body).map_err(|why| unusable(&why))?;
            Ok(Page { names: names(body).unwrap_or_default(), link })
        };
        connection.fetch(&question, &list.scope, read).await
    }
}

/// One list of a registry.
struct List<'a> {
    host: &'a RegistryHost,
    path: &'a str,
    what: &'a str,
    scope: Scope,
}

/// One page as it was served.
#[derive(Debug)]
struct Page {
    names: Vec<String>,
    link: Option<Cursor>,
}

impl List<'_> {
    fn read<T: FromStr>(&self, page: &Page, at: &Bookmark, most: usize) -> Result<Listed<T>, CatalogueError> {
        read(page, at, most).map_err(|source| CatalogueError::Endless {
            host: self.host.clone(),
            what: self.what.to_owned(),
            source,
        })
    }
}

/// At most `most` names of a page, and where the list goes on.
fn read<T: FromStr>(page: &Page, at: &Bookmark, most: usize) -> Result<Listed<T>, Endless> {
    if let Turn::After(asked) = at.turn()
        && page.names.contains(asked)
    {
        // It does not know `last` and gives the same page for ever: that page was all.
        return Ok(Listed { names: Vec::new(), illegal: 0, next: None });
    }
    let unread = at.unread(&page.names);
    let taken = &unread[..unread.len().min(most)];
    let names: Vec<T> = taken.iter().filter_map(|name| name.parse().ok()).collect();
    let illegal = u32::try_from(taken.len() - names.len()).unwrap_or(u32::MAX);
    let next = match (taken.last(), turn_after(page, at.turn())) {
        (Some(last), _) if taken.len() < unread.len() => Some(at.further(taken.len(), last)?),
        (_, Some(turn)) => Some(at.page_after(taken.len(), page.names.first().map(String::as_str), turn)?),
        (_, None) => None,
    };
    Ok(Listed { names, illegal, next })
}

/// How the page after this one is asked for: as the registry says; else, if the page is full, by its last name,
/// for registries that cut the list and do not say so. One that has said so before means what it does not say.
fn turn_after(page: &Page, turn: &Turn) -> Option<Turn> {
    match (&page.link, turn, page.names.last()) {
        (Some(cursor), _, _) => Some(Turn::Link(cursor.clone())),
        (None, Turn::Link(_), _) => None,
        (None, Turn::Start | Turn::After(_), last) => {
            last.filter(|_| page.names.len() == PAGE).map(|last| Turn::After(last.clone()))
        }
    }
}

/// The query of the URL with `rel="next"` (RFC 8288).
fn next_link(headers: &HeaderMap) -> Result<Option<Cursor>, &'static str> {
    for value in headers.get_all(LINK).iter().map(HeaderValue::to_str) {
        let value = value.map_err(|_| "its Link header is no text")?;
        if value.len() > LONGEST_LINK {
            return Err("its Link header is too long");
        }
        for link in value.split('<').skip(1) {
            let Some((url, parameters)) = link.split_once('>') else {
                return Err("its Link header is cut off");
            };
            if !is_next(parameters) {
                continue;
            }
            let query = url.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
            let query = query.ok_or("its Link to the next page has no query")?;
            return match Cursor::try_from(query.to_owned()) {
                Ok(cursor) => Ok(Some(cursor)),
                Err(_) => Err("its Link to the next page is no URL, or too long"),
            };
        }
    }
    Ok(None)
}

/// Whether the parameters after a link say `rel="next"`, among other relations perhaps.
fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && relations.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[derive(Deserialize)]
struct Repositories {
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tags {
    /// `null` for a repository whose tags were all deleted.
    tags: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(header: &str, expected: Result<Option<&str>, ()>) {
        let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_bytes(header.as_bytes()).unwrap())]);
        let found = next_link(&headers).map(|cursor| cursor.map(String::from)).map_err(drop);
        assert_eq!(found, expected.map(|text| text.map(str::to_owned)), "{header:?}");
    }

    #[test]
    fn links_are_read_as_registries_write_them() {
        check("</v2/_catalog?last=b&n=2>; rel=\"next\"", Ok(Some("last=b&n=2")));
        check(
            "<https://r.io/v2/a/tags/list?next_page=gAAA%3D%3D&n=50>; rel=\"next\"",
            Ok(Some("next_page=gAAA%3D%3D&n=50")),
        );
        check("</v2/_catalog?n=2>;rel=next", Ok(Some("n=2")));
        check("</x?a>; rel=\"prev\", </x?b>; title=\"x\"; rel=\"last next\"", Ok(Some("b")));
        check("</x?a,b>; rel=next", Ok(Some("a,b")));
        check("</x?a>; rel=\"prev\"", Ok(None));
        check("", Ok(None));
        check("</v2/_catalog>; rel=next", Err(()));
        check("</v2/_catalog?n=1", Err(()));
        check(&format!("</x?{}>; rel=next", "a".repeat(3000)), Err(()));
        check("</x?\u{e4}>; rel=next", Err(()));
    }

    /// Follows a registry with these names to its end; which names it gave, and in how many questions.
    fn walk(names: &[String], most: usize, serve: impl Fn(&[String], &Turn) -> Page) -> (Vec<String>, u32) {
        let (mut at, mut seen, mut questions) = (Bookmark::default(), Vec::new(), 0);
        loop {
            questions += 1;
            let listed: Listed<String> = read(&serve(names, at.turn()), &at, most).unwrap();
            seen.extend(listed.names);
            match listed.next {
                Some(next) => at = next,
                None => return (seen, questions),
            }
        }
    }

    /// As CNCF Distribution pages: sorted, `last` and `n` in the Link.
    fn by_link(names: &[String], turn: &Turn) -> Page {
        let last = match turn {
            Turn::Start => "",
            Turn::Link(cursor) => cursor.as_str().strip_prefix("last=").unwrap(),
            Turn::After(name) => name,
        };
        let left: Vec<String> = names.iter().filter(|name| name.as_str() > last).cloned().collect();
        let page: Vec<String> = left.iter().take(PAGE).cloned().collect();
        let link = page.last().filter(|_| page.len() < left.len());
        Page { link: link.map(|last| format!("last={last}").try_into().unwrap()), names: page }
    }

    /// Cuts the list and says nothing.
    fn silently(names: &[String], turn: &Turn) -> Page {
        let last = match turn {
            Turn::Start => "",
            Turn::After(name) => name,
            Turn::Link(_) => panic!("it never wrote one"),
        };
        let left = names.iter().filter(|name| name.as_str() > last).take(PAGE);
        Page { names: left.cloned().collect(), link: None }
    }

    /// Knows neither `n` nor `last`.
    fn at_once(names: &[String], _: &Turn) -> Page {
        Page { names: names.to_vec(), link: None }
    }

    proptest! {
        #[test]
        fn every_name_is_seen_exactly_once_however_the_registry_pages(count in 0_usize..450, most in 1_usize..130) {
            let names: Vec<String> = (0..count).map(|number| format!("n{number:05}")).collect();
            for serve in [by_link, silently, at_once] {
                let (seen, questions) = walk(&names, most, serve);
                prop_assert_eq!(&seen, &names);
                prop_assert!(questions as usize <= count / most + count / PAGE + 2);
            }
        }

        #[test]
        fn no_header_panics(header in "[\\x20-\\x7e\u{80}-\u{ff}]{0,200}") {
            let Ok(value) = HeaderValue::from_bytes(header.as_bytes()) else { return Ok(()) };
            let _ = next_link(&HeaderMap::from_iter([(LINK, value)]));
        }
    }

    #[test]
    fn texts_that_name_nothing_are_counted_not_passed_over() {
        let page =
            Page { names: ["team/app", "../etc", "", "UPPER"].map(str::to_owned).to_vec(), link: None };
        let listed: Listed<Repository> = read(&page, &Bookmark::default(), 10).unwrap();
        assert_eq!((listed.names.len(), listed.illegal, listed.next), (1, 3, None));
    }
}
