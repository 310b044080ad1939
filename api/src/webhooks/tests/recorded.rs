//! Recorded bodies, with the headers and signatures that came with them, from a folder that the environment names.

use actix_web::http::header::CONTENT_TYPE;
use serde_json::Value;
use shared::config::{PathPrefix, RepositoryMapping};
use shared::model::digest::Digest;
use shared::model::image::Tag;
use shared::model::push::PushEvent;

use super::*;
use crate::auth::senders::{Listing, Proof, Sender, Shown, identify, is_signed_by};
use crate::auth::{Tokens, oidc};

/// The outcome that a recorded case expects, in the words of [`told`].
fn expected(row: &Value) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let registry = if text("registry").starts_with('<') { CONFIGURED.to_owned() } else { text("registry") };
    match row["do"].as_str() {
        Some("scan") => {
            let digest: Digest = text("digest").parse().unwrap();
            let tag = row["tag"].as_str().map(|tag| format!(" {tag}")).unwrap_or_default();
            format!("{registry}/{}@{}{tag}", text("repository"), digest.short())
        }
        Some("resolve") => format!("{registry}/{}:{}", text("repository"), text("tag")),
        _ => "nothing".to_owned(),
    }
}

fn outcome(event: &Event) -> String {
    let artifact = |tag: &Tag| tag.as_str().starts_with("sha256-");
    match event {
        Event::Push(PushEvent { pushed: Pushed::Digest { tag: Some(tag), .. }, .. }) if artifact(tag) => {
            "nothing".to_owned()
        }
        Event::Push(_) => told(event),
        Event::Ignored(_) | Event::Rejected(_) => "nothing".to_owned(),
    }
}

const CONFIGURED: &str = "configured.example.com";

/// The source's name here.
fn source_of(case: &Value) -> &'static dyn WebhookSource {
    let name = match case["source"].as_str().unwrap() {
        "cdevents" => "cloudevents",
        "ghcr" => "github",
        "eventgrid" => "acr",
        "jfrog" => "artifactory",
        "forgejo" => "gitea",
        other => other,
    };
    named(name).unwrap_or_else(|| panic!("no source reads {name}"))
}

/// What an operator would have configured for the sender of a case, and the query of the URL.
fn configured(case: &Value) -> (WebhookProof, &'static str) {
    let auth = &case["auth"];
    let text = |key: &str| auth[key].as_str().unwrap_or_default().to_owned();
    let in_own_place = ["authorization", "x-jfrog-event-auth"];
    match auth["kind"].as_str().unwrap() {
        "secret-in-url" => (WebhookProof::Token("secret in the URL".into()), "token=secret%20in+the+URL"),
        "hmac-sha256" | "hmac-sha1" => (WebhookProof::Hmac(text("secret").into()), ""),
        "oidc-jwt" => (WebhookProof::Oidc(oidc::tests::config()), ""),
        "static-header" if in_own_place.contains(&text("header").to_lowercase().as_str()) => {
            (WebhookProof::Token(text("value").into()), "")
        }
        "static-header" => {
            (WebhookProof::Header { name: text("header").to_lowercase(), secret: text("value").into() }, "")
        }
        other => panic!("unknown kind of authentication {other}"),
    }
}

async fn proves(
    source: &dyn WebhookSource,
    proof: &WebhookProof,
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
) -> bool {
    let (proof, tokens) = (Proof::new(proof), Tokens::new(&AuthConfig::default()));
    let credentials = source.credentials();
    match identify(Shown { headers, query }, credentials, Listing::Listed(&proof), &tokens).await {
        Ok(Sender::Admitted) => true,
        Ok(Sender::MustSign(secret)) => {
            is_signed_by(secret, credentials, headers, &source.signed(JSON, body))
        }
        Err(_) => false,
    }
}

fn headers_of(case: &Value) -> HeaderMap {
    let sent = case["headers"].as_object().unwrap();
    let token = format!("Bearer {}", oidc::tests::good());
    let pairs: Vec<(&str, &str)> = sent
        .iter()
        .map(|(name, value)| match value.as_str().unwrap() {
            "Bearer <OIDC JWT signed by Google>" => (name.as_str(), token.as_str()),
            value => (name.as_str(), value),
        })
        .collect();
    headers(&pairs)
}

fn settings_of(case: &Value) -> SourceSettings {
    let mut settings = SourceSettings::default();
    match case["source"].as_str().unwrap() {
        "zot" => settings.registry = Some(CONFIGURED.parse().unwrap()),
        "nexus" => settings.repositories.push(RepositoryMapping {
            key: "app1".to_owned(),
            registry: CONFIGURED.parse().unwrap(),
            prefix: PathPrefix::Nothing,
        }),
        _ => {}
    }
    settings
}

#[tokio::test]
async fn recorded_bodies_become_the_jobs_that_they_should() {
    let Some(fixtures) = std::env::var_os("TIDEWAITER_FIXTURES") else { return };
    let folder = std::path::Path::new(&fixtures).join("wire/inbound");
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("_index.json")).unwrap()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for case in index["cases"].as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let source = source_of(case);
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let headers = headers_of(case);
        check_proof(source, case, &headers, &bytes).await;
        let bodies: Vec<Vec<u8>> = if case["sequence"] == true {
            let bodies: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
            bodies.iter().map(|body| serde_json::to_vec(body).unwrap()).collect()
        } else {
            vec![bytes]
        };
        let media_type =
            shared::model::document::essence(headers.get(CONTENT_TYPE).unwrap().to_str().unwrap());
        assert!(source.reads(&media_type), "{file}");
        let settings = settings_of(case);
        let wanted = case["expect"].as_array().unwrap();
        let mut found = Vec::new();
        for body in &bodies {
            let delivery = Delivery { headers: &headers, media_type: &media_type, body, settings: &settings };
            if let Some(answer) = source.handshake(&delivery).unwrap() {
                assert_eq!(answer, wanted[0]["respond_body"], "{file}");
                found.push("nothing".to_owned());
                continue;
            }
            let events = source.decode(&delivery).unwrap_or_else(|error| panic!("{file}: {error}"));
            found.extend(events.iter().map(outcome));
        }
        assert_eq!(found, wanted.iter().map(expected).collect::<Vec<_>>(), "{file}");
        seen.insert(source.name());
    }
    let all: std::collections::BTreeSet<_> =
        ALL.iter().map(|source| source.name()).filter(|name| *name != "generic").collect();
    assert_eq!(seen, all, "a source without recorded bodies");
}

/// The recorded proof is good, and one flipped byte, of the body or of what was shown, makes it bad.
async fn check_proof(source: &dyn WebhookSource, case: &Value, headers: &HeaderMap, body: &[u8]) {
    let file = case["file"].as_str().unwrap();
    let (proof, query) = configured(case);
    let config = WebhookConfig { proof: proof.clone(), settings: settings_of(case) };
    let webhooks = [(source.name().to_owned(), config)].into();
    check(&AuthConfig { webhooks, ..AuthConfig::default() })
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(proves(source, &proof, headers, query, body).await, "{file}");
    assert!(!proves(source, &proof, &HeaderMap::new(), "", body).await, "{file}: shown nothing");
    if let WebhookProof::Hmac(_) = proof {
        for at in [0, body.len() / 2, body.len() - 1] {
            let mut flipped = body.to_vec();
            flipped[at] ^= 1;
            assert!(!proves(source, &proof, headers, query, &flipped).await, "{file}: byte {at} flipped");
        }
    }
}
