//! Registries that ask who we are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::{Access, Credentials, Refusal, RegistryConfig, RegistryError};
use super::server::{Act, Heard, Server, say};
use super::{client, config, image, told};
use crate::model::digest::Digest;

/// The answer of a token service.
fn token(text: &str) -> Vec<Act> {
    say(200, &[], serde_json::json!({ "token": text, "expires_in": 300 }).to_string().as_bytes())
}

/// A registry whose documents are `{}` for whoever shows `accepted`, with a token service under `/token`.
async fn registry(
    tokens: impl Fn(&Heard) -> Vec<Act> + Send + Sync + 'static,
    accepted: &'static str,
) -> Server {
    Server::start(move |heard, _| {
        if heard.path().starts_with("/token") {
            return tokens(heard);
        }
        match heard.header("authorization") {
            Some(shown) if shown == accepted => say(200, &[], b"{}"),
            _ => challenge(&format!("http://{}/token?kept=1", heard.header("host").unwrap())),
        }
    })
    .await
}

fn challenge(realm: &str) -> Vec<Act> {
    let text = format!("Bearer realm=\"{realm}\",service=\"the registry\",scope=\"repository:other:push\"");
    say(401, &[("www-authenticate", &text)], b"")
}

fn bob() -> Credentials {
    Credentials::Basic { username: "bob".to_owned(), password: "s3cret".into() }
}

const BOB: &str = "Basic Ym9iOnMzY3JldA==";

async fn pull(config: &RegistryConfig) -> Result<Vec<u8>, RegistryError> {
    let name = image(&config.host);
    let document = client(config.clone()).raw_document(&name, &Digest::of(b"{}")).await?;
    Ok(document.bytes)
}

#[tokio::test]
async fn a_token_is_asked_for_this_repository_alone_and_kept() {
    let server = registry(|_| token("abc"), "Bearer abc").await;
    let mut config = config(server.host().as_str());
    config.credentials = bob();
    let (client, name) = (client(config), image(&server.host()));
    let digest = Digest::of(b"{}");
    for _ in 0..3 {
        client.raw_document(&name, &digest).await.unwrap();
    }
    let heard = server.heard();
    let asked: Vec<&Heard> = heard.iter().filter(|heard| heard.path().starts_with("/token")).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path(), "/token?kept=1&service=the+registry&scope=repository%3Ateam%2Fapp%3Apull");
    assert_eq!(asked[0].header("authorization"), Some(BOB));
    assert_eq!(heard.len(), 5);
}

#[tokio::test]
async fn many_callers_share_one_token_request() {
    let server = registry(|_| token("abc"), "Bearer abc").await;
    let (client, name) = (client(config(server.host().as_str())), image(&server.host()));
    let digest = Digest::of(b"{}");
    let calls = (0..16).map(|_| client.raw_document(&name, &digest));
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap();
    }
    let asked = server.heard().iter().filter(|heard| heard.path().starts_with("/token")).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let tokens = move |_: &Heard| token(&format!("t{}", count.fetch_add(1, Ordering::SeqCst)));
    let server = registry(tokens, "Bearer t1").await;
    let (client, name) = (client(config(server.host().as_str())), image(&server.host()));
    let digest = Digest::of(b"{}");
    // The first token is refused at its first use; the next call replaces it.
    let error = client.raw_document(&name, &digest).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    assert!(client.raw_document(&name, &digest).await.is_ok());
    assert_eq!(issued.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn i8_credentials_are_not_sent_to_a_foreign_token_service() {
    let thief = Server::start_at("127.0.0.2", |_, _| token("abc")).await;
    let realm = format!("http://{}/token", thief.host());
    let server = Server::start(move |heard, _| match heard.header("authorization") {
        Some("Bearer abc") => say(200, &[], b"{}"),
        _ => challenge(&realm),
    })
    .await;
    let mut config = config(server.host().as_str());
    config.credentials = bob();
    let error = pull(&config).await.unwrap_err();
    assert!(
        matches!(&error, RegistryError::Refused { source: Refusal::RealmHost(host), .. } if *host == thief.host().to_string()),
        "{error:?}"
    );
    assert!(thief.heard().is_empty());
    // Unless the operator says that it is theirs: with this port, or with any.
    for allowed in [thief.host(), "127.0.0.2".parse().unwrap()] {
        config.token_realms = vec![allowed];
        assert_eq!(pull(&config).await.unwrap(), b"{}");
    }
    assert_eq!(thief.heard()[0].header("authorization"), Some(BOB));
}

#[tokio::test]
async fn i8_unsafe_realms_are_refused() {
    for (realm, expected) in [
        ("ftp://127.0.0.1/token", "is not https"),
        ("http://bob@127.0.0.1/token", "token service is on"),
        ("not a url", "token service is on"),
    ] {
        let server = Server::start(move |_, _| challenge(realm)).await;
        let error = pull(&config(server.host().as_str())).await.unwrap_err();
        assert!(told(&error).contains(expected), "{realm}: {}", told(&error));
        assert_eq!(server.heard().len(), 1);
    }
    let server = registry(|_| say(302, &[("location", "http://127.0.0.1/")], b""), "").await;
    let error = pull(&config(server.host().as_str())).await.unwrap_err();
    assert!(told(&error).contains("never redirected"), "{}", told(&error));
}

#[tokio::test]
async fn i7_a_token_that_is_no_header_value_is_an_error() {
    for text in ["line\nbreak", "", "with space", "nul\0", "ü"] {
        let server = registry(move |_| token(text), "").await;
        let error = pull(&config(server.host().as_str())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{text:?}: {error:?}");
    }
    let server = registry(|_| say(200, &[], &vec![b' '; 1 << 20]), "").await;
    let error = pull(&config(server.host().as_str())).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let server = registry(
        |heard| match heard.head.starts_with("POST /token?kept=1 ") {
            true => say(200, &[], br#"{"access_token":"abc"}"#),
            false => say(404, &[], b""),
        },
        "Bearer abc",
    )
    .await;
    let mut config = config(server.host().as_str());
    config.credentials = Credentials::IdentityToken("id&1".into());
    assert_eq!(pull(&config).await.unwrap(), b"{}");
    let heard = server.heard();
    assert_eq!(
        heard[1].body,
        "service=the+registry&scope=repository%3Ateam%2Fapp%3Apull&grant_type=refresh_token&client_id=tidewaiter&refresh_token=id%261"
    );
}

#[tokio::test]
async fn a_registry_token_is_shown_as_it_is() {
    let server = registry(|_| say(500, &[], b""), "Bearer mine").await;
    let mut config = config(server.host().as_str());
    config.credentials = Credentials::Token("mine".into());
    assert_eq!(pull(&config).await.unwrap(), b"{}");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_user_and_without_the_secret() {
    for (answer, requests) in [("token service", 2), ("registry", 2)] {
        let server = match answer {
            "registry" => Server::start(|_, _| say(401, &[("www-authenticate", "Basic realm=x")], b"")).await,
            _ => registry(|_| say(401, &[], b""), "").await,
        };
        let mut config = config(server.host().as_str());
        config.credentials = bob();
        let error = pull(&config).await.unwrap_err();
        let text = format!("{} {error:?}", told(&error));
        assert!(matches!(error, RegistryError::Unauthorized { .. }), "{text}");
        assert!(text.contains("user \"bob\"") && !text.contains("s3cret"), "{text}");
        assert_eq!(server.heard().len(), requests, "{answer}");
    }
}

#[tokio::test]
async fn credentials_that_rotate_are_read_again() {
    let server = Server::start(|heard, before| match (heard.header("authorization"), before) {
        // `a:1` is accepted at first, then only `a:2`.
        (Some("Basic YTox"), 0..=2) | (Some("Basic YToy"), 3..) => say(200, &[], b"{}"),
        _ => say(401, &[("www-authenticate", "Basic realm=x")], b""),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let write = |auth: &str| {
        let text = serde_json::json!({ "auths": { server.host().as_str(): { "auth": auth } } });
        std::fs::write(&path, text.to_string()).unwrap();
    };
    let mut config = config(server.host().as_str());
    config.credentials = Credentials::DockerConfig { path: path.clone() };
    let (client, name) = (client(config), image(&server.host()));
    let digest = Digest::of(b"{}");
    write("YTox");
    for _ in 0..2 {
        client.raw_document(&name, &digest).await.unwrap();
    }
    write("YToy");
    client.raw_document(&name, &digest).await.unwrap();
    assert_eq!(server.heard().len(), 5);
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let server = registry(|_| token("abc"), "").await;
    let mut config = config(server.host().as_str());
    config.retries = 0;
    config.credentials = Credentials::DockerConfig { path: "/nonexistent/config.json".into() };
    let error = pull(&config).await.unwrap_err();
    assert!(told(&error).contains("/nonexistent/config.json cannot be read"), "{}", told(&error));
}

#[tokio::test]
async fn a_check_says_how_we_were_received() {
    let open = Server::start(|_, _| say(200, &[], b"{}")).await;
    let check = async |config: RegistryConfig| client(config.clone()).check(&config.host).await.unwrap();
    assert_eq!(check(config(open.host().as_str())).await, Access::Open);
    let closed = registry(|_| token("abc"), "Bearer abc").await;
    let mut config = config(closed.host().as_str());
    assert_eq!(check(config.clone()).await, Access::Anonymous);
    config.credentials = bob();
    assert_eq!(check(config).await, Access::LoggedIn("user \"bob\"".to_owned()));
}
