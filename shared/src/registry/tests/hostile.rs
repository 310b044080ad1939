//! Registries that point elsewhere, lie about bytes, or never end.

use std::time::{Duration, Instant};

use super::super::{Credentials, RedirectTargets, Refusal, RegistryError};
use super::server::{Act, Server, head, say};
use super::{blob_of, client, config, image, read, told};
use crate::model::digest::Digest;
use crate::model::document::DocumentError;
use crate::outgoing::{Bypass, Egress, ForwardProxy};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn basic() -> Credentials {
    Credentials::Basic { username: "bob".to_owned(), password: "s3cret".into() }
}

#[tokio::test]
async fn i8_only_configured_registries_are_contacted() {
    let server = Server::start(|_, _| say(200, &[], b"")).await;
    let client = client(config("registry.invalid"));
    let error = client.resolve(&image(&server.host()), &"latest".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotConfigured(host) if host == server.host()));
    assert!(server.heard().is_empty());
}

/// Where a redirect of the only blob may lead: `None` if it was followed.
async fn refusal_of(location: &str) -> Option<Refusal> {
    let location = location.to_owned();
    let server = Server::start(move |_, _| say(307, &[("location", &location)], b"")).await;
    let outcome = read(&client(config(server.host().as_str())), &image(&server.host()), &blob_of(b"x")).await;
    match outcome {
        Err(RegistryError::Refused { source, .. }) => Some(source),
        Ok(_) | Err(_) => None,
    }
}

#[tokio::test]
async fn i8_redirects_into_closed_networks_are_refused() {
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://10.0.0.1/x",
        "http://127.0.0.2:80/",
        "http://2130706434/",
        "http://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
    ] {
        let refusal = refusal_of(target).await;
        assert!(matches!(refusal, Some(Refusal::Address { .. })), "{target}: {refusal:?}");
    }
    assert_eq!(
        refusal_of("http://user:pass@127.0.0.1/").await.map(|refusal| refusal.to_string().contains("pass")),
        Some(false)
    );
}

/// A way out through a proxy, for everybody but this machine.
fn through(proxy: &str) -> Egress {
    Egress::through(ForwardProxy {
        url: format!("http://{proxy}").parse().unwrap(),
        login: None,
        direct: Bypass::default(),
        ca_certificates: Vec::new(),
    })
}

#[tokio::test]
async fn i8_a_proxy_is_not_asked_for_addresses_in_closed_networks() {
    let proxy = Server::start(|_, _| say(200, &[], b"x")).await;
    for (target, is_asked) in [
        ("http://169.254.169.254/latest/meta-data/", false),
        ("http://10.0.0.1/x", false),
        ("http://[fd00::1]/x", false),
        ("http://127.0.0.2:80/", false),
        // Nobody here knows it; the proxy may.
        ("http://storage.invalid/x", true),
    ] {
        let server = Server::start(move |_, _| say(307, &[("location", target)], b"")).await;
        let mut config = config(server.host().as_str());
        config.egress = through(proxy.host().as_str());
        let outcome = read(&client(config), &image(&server.host()), &blob_of(b"x")).await;
        let is_refused =
            matches!(outcome, Err(RegistryError::Refused { source: Refusal::Address { .. }, .. }));
        assert_eq!((is_refused, outcome.is_ok()), (!is_asked, is_asked), "{target}: {outcome:?}");
    }
    assert_eq!(proxy.heard().len(), 1);
}

#[tokio::test]
async fn i8_a_proxy_reads_no_credentials_for_a_registry_in_clear_text() {
    let proxy = Server::start(|heard, _| match heard.header("authorization") {
        Some(_) => say(200, &[], b"x"),
        None => say(401, &[("www-authenticate", "Basic realm=\"x\"")], b""),
    })
    .await;
    let mut config = config("registry.invalid");
    config.credentials = basic();
    config.egress = through(proxy.host().as_str());
    let name = image(&config.host);
    let refused = read(&client(config), &name, &blob_of(b"x")).await.unwrap_err();
    assert!(told(&refused).contains("add it to egress.no_proxy"), "{}", told(&refused));
    assert!(proxy.heard().iter().all(|heard| heard.header("authorization").is_none()));
}

#[tokio::test]
async fn i8_an_allowed_redirect_does_not_carry_credentials() {
    let storage = Server::start_at("127.0.0.2", |_, _| say(200, &[], b"layer")).await;
    let location = format!("http://{}/bucket/object?signature=1", storage.host());
    let server = Server::start(move |heard, _| match heard.header("authorization") {
        Some(_) => say(307, &[("location", &location)], b""),
        None => say(401, &[("www-authenticate", "Basic realm=\"x\"")], b""),
    })
    .await;
    let mut config = config(server.host().as_str());
    config.credentials = basic();
    config.redirect_targets = RedirectTargets::PublicAndPrivate;
    let bytes = read(&client(config), &image(&server.host()), &blob_of(b"layer")).await.unwrap();
    assert_eq!(bytes, b"layer");
    let heard = storage.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].header("authorization"), None);
    assert_eq!(heard[0].path(), "/bucket/object?signature=1");
}

#[tokio::test]
async fn i8_another_port_of_the_registrys_host_gets_no_credentials() {
    let storage = Server::start(|_, _| say(200, &[], b"layer")).await;
    let location = format!("http://{}/o", storage.host());
    let server = Server::start(move |_, _| say(307, &[("location", &location)], b"")).await;
    let mut config = config(server.host().as_str());
    config.credentials = Credentials::Token("t0ken".into());
    assert!(read(&client(config), &image(&server.host()), &blob_of(b"layer")).await.is_ok());
    assert_eq!(storage.heard()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server =
        Server::start(|heard, _| say(302, &[("location", &format!("{}x", heard.path()))], b"")).await;
    let outcome = read(&client(config(server.host().as_str())), &image(&server.host()), &blob_of(b"x")).await;
    assert!(matches!(outcome, Err(RegistryError::Refused { source: Refusal::RedirectHops(5), .. })));
    assert_eq!(server.heard().len(), 6);
}

#[tokio::test]
async fn i5_a_document_with_another_digest_is_asked_for_twice_and_refused() {
    let server = Server::start(|_, _| say(200, &[("content-type", MANIFEST)], b"{}")).await;
    let client = client(config(server.host().as_str()));
    let error = client.document(&image(&server.host()), &Digest::of(b"other")).await.unwrap_err();
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn i5_a_small_blob_with_another_digest_is_asked_for_twice_and_refused() {
    let server = Server::start(|_, _| say(200, &[], b"{ }")).await;
    let client = client(config(server.host().as_str()));
    let error = client.small_blob(&image(&server.host()), &blob_of(b"{+}"), 10).await.unwrap_err();
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
    assert_eq!(server.heard().len(), 2);
    let error = client.small_blob(&image(&server.host()), &blob_of(b"{+}"), 2).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { limit: 2, .. }), "{error:?}");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_mirror_that_cut_a_document_off_gets_a_second_chance() {
    let server = Server::start(|_, before| say(200, &[], if before == 0 { b"{" } else { b"{}" })).await;
    let client = client(config(server.host().as_str()));
    let document = client.raw_document(&image(&server.host()), &Digest::of(b"{}")).await.unwrap();
    assert_eq!(document.bytes, b"{}");
}

#[tokio::test]
async fn i7_a_document_of_300_megabytes_is_refused_at_its_limit() {
    for promise in ["content-length: 314572800", "transfer-encoding: chunked"] {
        let server = Server::start(move |_, _| {
            let (name, value) = promise.split_once(": ").unwrap();
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
            vec![Act::Send(head(200, &[(name, value)])), Act::Repeat(chunk, Duration::ZERO)]
        })
        .await;
        let client = client(config(server.host().as_str()));
        let error = client.document(&image(&server.host()), &Digest::of(b"")).await.unwrap_err();
        assert!(matches!(error, RegistryError::TooLarge { limit: 4_194_304, .. }), "{promise}: {error:?}");
    }
}

#[tokio::test]
async fn a_document_that_may_not_be_acted_on_says_why() {
    let server = Server::start(|_, _| say(200, &[], br#"{"schemaVersion":1}"#)).await;
    let client = client(config(server.host().as_str()));
    let digest = Digest::of(br#"{"schemaVersion":1}"#);
    let Err(RegistryError::Malformed { source, .. }) = client.document(&image(&server.host()), &digest).await
    else {
        panic!("schema 1 was accepted");
    };
    assert!(matches!(source.downcast_ref(), Some(DocumentError::Schema1)));
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_said() {
    let server = Server::start(|_, before| match before {
        0 => say(429, &[("retry-after", "1")], b""),
        1 => say(503, &[], b""),
        _ => say(200, &[("docker-content-digest", Digest::of(b"").as_str())], b""),
    })
    .await;
    let started = Instant::now();
    let client = client(config(server.host().as_str()));
    let digest = client.resolve(&image(&server.host()), &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(digest, Digest::of(b""));
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_registry_that_wants_to_be_left_alone_for_long_is() {
    let server = Server::start(|_, _| say(429, &[("retry-after", "3600")], b"")).await;
    let client = client(config(server.host().as_str()));
    let error = client.resolve(&image(&server.host()), &"v1".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(error.is_retryable());
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn what_will_not_change_is_not_asked_again() {
    for (status, kind) in [(404, "NotFound"), (403, "Denied"), (400, "Malformed"), (401, "Unauthorized")] {
        let body = br#"{"errors":[{"code":"X","message":"because\u001b[31m"}]}"#;
        let server = Server::start(move |_, _| say(status, &[], body)).await;
        let client = client(config(server.host().as_str()));
        let error = client.raw_document(&image(&server.host()), &Digest::of(b"")).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(kind), "{status}: {error:?}");
        assert!(!told(&error).contains('\u{1b}'));
        assert_eq!(server.heard().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_cause() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let host = port.to_string();
    let error = client(config(&host)).check(&host.parse().unwrap()).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(told(&error).contains("Connection refused"), "{}", told(&error));
}

#[tokio::test]
async fn a_dead_registry_does_not_hold_its_callers_for_ever() {
    let server = Server::start(|_, _| say(500, &[], b"")).await;
    let mut config = config(server.host().as_str());
    config.retries = 0;
    let client = client(config);
    for _ in 0..7 {
        let outcome = client.raw_document(&image(&server.host()), &Digest::of(b"")).await;
        assert!(matches!(outcome, Err(RegistryError::Unavailable { .. })));
    }
    assert_eq!(server.heard().len(), 5);
}

#[tokio::test]
async fn tags_resolve_even_where_head_does_not_work() {
    for head_answer in ["400", "405", "200", "sha256:short"] {
        let server = Server::start(move |heard, _| match (heard.head.starts_with("HEAD"), head_answer) {
            (false, _) => say(200, &[], b"{}"),
            (true, "200") => say(200, &[], b""),
            (true, "sha256:short") => say(200, &[("docker-content-digest", head_answer)], b""),
            (true, status) => say(status.parse().unwrap(), &[], b""),
        })
        .await;
        let client = client(config(server.host().as_str()));
        let digest = client.resolve(&image(&server.host()), &"v1".parse().unwrap()).await;
        assert_eq!(digest.unwrap(), Digest::of(b"{}"), "{head_answer}");
        let accept = server.heard()[0].header("accept").unwrap().to_owned();
        assert_eq!(accept.split(", ").count(), 4, "{accept}");
    }
}
