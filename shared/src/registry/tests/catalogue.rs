//! Registries that list what they have: slowly, in circles, without end, or not at all.

use std::time::Duration;

use super::super::{CatalogueError, Credentials, RegistryError};
use super::server::{Act, Server, head, say};
use super::{client, config, image, told};
use crate::model::bookmark::{Bookmark, Endless};
use crate::model::image::Repository;

/// Reads the catalogue to its end.
async fn repositories(server: &Server) -> Result<Vec<Repository>, CatalogueError> {
    let client = client(config(server.host().as_str()));
    let (mut at, mut found) = (Bookmark::default(), Vec::new());
    loop {
        let listed = client.repositories(&server.host(), &at, 100).await?;
        found.extend(listed.names);
        match listed.next {
            Some(next) => at = next,
            None => return Ok(found),
        }
    }
}

fn catalogue(names: &[&str], link: Option<&str>) -> Vec<Act> {
    let body = serde_json::json!({ "repositories": names }).to_string();
    let headers: Vec<(&str, &str)> = link.map(|link| ("link", link)).into_iter().collect();
    say(200, &headers, body.as_bytes())
}

#[tokio::test]
async fn i8_a_link_chooses_the_query_and_nothing_else() {
    let server = Server::start(|_, before| match before {
        0 => catalogue(&["a"], Some("<http://169.254.169.254/latest/meta-data/?last=a&n=1>; rel=\"next\"")),
        _ => catalogue(&["b"], None),
    })
    .await;
    assert_eq!(repositories(&server).await.unwrap().len(), 2);
    let asked: Vec<String> = server.heard().iter().map(|heard| heard.path().to_owned()).collect();
    assert_eq!(asked, ["/v2/_catalog?n=100", "/v2/_catalog?last=a&n=1"]);
}

#[tokio::test]
async fn a_catalogue_that_goes_in_circles_is_noticed() {
    let server = Server::start(|_, before| {
        let link = format!("</v2/_catalog?page={}>; rel=\"next\"", before % 7);
        catalogue(&[&format!("name-{}", before % 7)], Some(&link))
    })
    .await;
    let error = repositories(&server).await.unwrap_err();
    let CatalogueError::Endless { source: Endless::Repeats(_), .. } = error else { panic!("{error:?}") };
    assert!(server.heard().len() < 40, "{}", server.heard().len());
}

#[tokio::test]
async fn a_catalogue_that_repeats_one_page_under_fresh_links_is_noticed() {
    let server = Server::start(|_, before| {
        catalogue(&["a", "b"], Some(&format!("</v2/_catalog?token={before}>; rel=\"next\"")))
    })
    .await;
    let error = repositories(&server).await.unwrap_err();
    assert!(matches!(error, CatalogueError::Endless { source: Endless::Repeats(_), .. }), "{error:?}");
    assert!(server.heard().len() < 6);
}

#[tokio::test]
async fn i7_a_page_of_names_without_end_is_refused_at_its_limit() {
    let server = Server::start(|_, _| {
        let chunk = [b"10000\r\n".as_slice(), &vec![b'"'; 0x10000], b"\r\n"].concat();
        vec![Act::Send(head(200, &[("transfer-encoding", "chunked")])), Act::Repeat(chunk, Duration::ZERO)]
    })
    .await;
    let error = repositories(&server).await.unwrap_err();
    assert!(matches!(error, CatalogueError::Registry(RegistryError::TooLarge { .. })), "{error:?}");
}

#[tokio::test]
async fn a_registry_without_catalogue_is_told_apart_and_the_fix_is_named() {
    for (status, body) in [(404, "404 page not found"), (401, ""), (403, "{}"), (405, ""), (200, "<html>")] {
        let server = Server::start(move |_, _| say(status, &[], body.as_bytes())).await;
        let error = repositories(&server).await.unwrap_err();
        assert!(matches!(error, CatalogueError::NotOffered { .. }), "{status}: {error:?}");
        assert!(error.passing().is_none(), "{status}");
        assert!(told(&error).contains("registries.<name>.repositories = ["), "{}", told(&error));
    }
}

#[tokio::test]
async fn a_busy_registry_says_when_to_come_back() {
    let server = Server::start(|_, _| say(429, &[("retry-after", "3600")], b"")).await;
    let error = repositories(&server).await.unwrap_err();
    let passing = error.passing().and_then(RegistryError::retry_after);
    assert_eq!(passing, Some(Duration::from_secs(3600)));
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn the_catalogue_needs_a_token_of_its_own() {
    let server = Server::start(|heard, _| match heard.header("authorization") {
        _ if heard.path().starts_with("/token") => say(200, &[], br#"{"token":"abc"}"#),
        Some("Bearer abc") => catalogue(&["a"], None),
        _ => {
            let realm = format!("Bearer realm=\"http://{}/token\"", heard.header("host").unwrap());
            say(401, &[("www-authenticate", &realm)], b"")
        }
    })
    .await;
    let mut config = config(server.host().as_str());
    config.credentials = Credentials::Basic { username: "bob".to_owned(), password: "s3cret".into() };
    client(config).repositories(&server.host(), &Bookmark::default(), 100).await.unwrap();
    assert_eq!(server.heard()[1].path(), "/token?scope=registry%3Acatalog%3A*");
}

#[tokio::test]
async fn a_repository_without_tags_is_empty_and_one_that_is_gone_is_not_found() {
    let server = Server::start(|_, before| match before {
        0 => say(200, &[], br#"{"name":"team/app","tags":null}"#),
        _ => say(404, &[], br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
    })
    .await;
    let (client, name) = (client(config(server.host().as_str())), image(&server.host()));
    let listed = client.tags(&name, &Bookmark::default(), 50).await.unwrap();
    assert_eq!((listed.names.len(), listed.next), (0, None));
    let error = client.tags(&name, &Bookmark::default(), 50).await.unwrap_err();
    assert!(matches!(error, CatalogueError::Registry(RegistryError::NotFound { .. })), "{error:?}");
    assert_eq!(server.heard()[0].path(), "/v2/team/app/tags/list?n=100");
}
