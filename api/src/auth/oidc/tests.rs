use std::path::PathBuf;

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use shared::config::OidcKeys;
use shared::outgoing::Egress;

use super::*;

const AUDIENCE: &str = "https://tidewaiter.example.com/webhooks/gar";
const EMAIL: &str = "push@my-project.iam.gserviceaccount.com";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/identity").join(name)
}

/// The configuration that [`good`] tokens satisfy.
pub(crate) fn config() -> OidcConfig {
    OidcConfig {
        issuer: "https://accounts.google.com".to_owned(),
        audience: AUDIENCE.to_owned(),
        email: EMAIL.to_owned(),
        keys: OidcKeys::File(fixture("keys.json")),
        egress: Egress::default(),
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": EMAIL, "email_verified": true,
        "iat": now().as_second(), "exp": now().as_second() + 3600, "sub": "1",
    })
}

fn signed(header: &Value, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let key = RsaKeyPair::from_pkcs8(&std::fs::read(fixture("key.p8")).unwrap()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A token that proves the sender.
pub(crate) fn good() -> String {
    signed(&json!({"alg": "RS256", "kid": "tests"}), &claims())
}

async fn refused(token: &str) -> String {
    Verifier::new(config()).verify(token.as_bytes(), now()).await.expect_err(token).to_string()
}

#[tokio::test]
async fn a_token_of_the_configured_account_proves_the_sender() {
    let verifier = Verifier::new(config());
    verifier.verify(good().as_bytes(), now()).await.unwrap();
    let mut many = claims();
    many["aud"] = json!(["https://elsewhere.example.com", AUDIENCE]);
    verifier.verify(signed(&json!({"alg": "RS256", "kid": "tests"}), &many).as_bytes(), now()).await.unwrap();
}

#[tokio::test]
async fn every_claim_has_to_be_the_configured_one() {
    for (claim, value, told) in [
        ("iss", json!("https://accounts.example.com"), "iss"),
        ("aud", json!("https://other.example.com"), "aud"),
        ("aud", json!([]), "aud"),
        ("email", json!("somebody@else.iam.gserviceaccount.com"), "email"),
        ("email", Value::Null, "email"),
        ("email_verified", json!(false), "email_verified"),
        ("exp", json!(now().as_second() - 120), "expired"),
        ("nbf", json!(now().as_second() + 120), "not valid yet"),
        ("exp", json!("tomorrow"), "malformed"),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        let error = refused(&signed(&json!({"alg": "RS256", "kid": "tests"}), &claims)).await;
        assert!(error.contains(told), "{claim}: {error}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let mut claims = claims();
    claims["exp"] = json!(now().as_second() - 30);
    claims["nbf"] = json!(now().as_second() + 30);
    let token = signed(&json!({"alg": "RS256", "kid": "tests"}), &claims);
    Verifier::new(config()).verify(token.as_bytes(), now()).await.unwrap();
}

#[tokio::test]
async fn what_a_token_says_of_its_own_signature_is_compared_not_obeyed() {
    for (header, told) in [
        (json!({"alg": "none", "kid": "tests"}), "another algorithm"),
        (json!({"alg": "HS256", "kid": "tests"}), "another algorithm"),
        (json!({"alg": "RS256", "kid": "other"}), "does not have"),
        (json!({"alg": "RS256"}), "does not have"),
    ] {
        let error = refused(&signed(&header, &claims())).await;
        assert!(error.contains(told), "{header}: {error}");
    }
    for (token, told) in
        [("", "malformed"), ("a.b", "malformed"), ("..", "malformed"), ("ä.ö.ü", "malformed")]
    {
        assert!(refused(token).await.contains(told), "{token}");
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_breaks_a_token() {
    let good = good();
    for at in [2, good.find('.').unwrap() + 5, good.rfind('.').unwrap() + 5] {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(Verifier::new(config()).verify(&bytes, now()).await.is_err(), "byte {at}");
    }
}

#[tokio::test]
async fn unknown_keys_are_the_issuers_affair_and_cost_one_reading_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let verifier = Verifier::new(OidcConfig { keys: OidcKeys::File(file.clone()), ..config() });
    let missing = verifier.verify(good().as_bytes(), now()).await.unwrap_err();
    assert!(matches!(missing, TokenError::Keys(_)), "not the sender's fault: {missing}");

    let keys = keys::KeySet::new(OidcKeys::File(file.clone()), Egress::default());
    std::fs::write(&file, r#"{"keys":[]}"#).unwrap();
    assert_eq!(keys.key("tests").await.unwrap(), None);
    std::fs::copy(fixture("keys.json"), &file).unwrap();
    assert_eq!(keys.key("tests").await.unwrap(), None, "read again too soon");
    let fresh = keys::KeySet::new(OidcKeys::File(file.clone()), Egress::default());
    assert!(fresh.key("tests").await.unwrap().is_some());
    std::fs::remove_file(&file).unwrap();
    assert!(fresh.key("tests").await.unwrap().is_some(), "known keys go on");
}

#[tokio::test]
async fn a_key_set_that_is_none_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    for (content, told) in [("[]".to_owned(), "not a JSON Web Key Set"), (" ".repeat(300_000), "larger than")]
    {
        std::fs::write(&file, content).unwrap();
        let error =
            keys::KeySet::new(OidcKeys::File(file.clone()), Egress::default()).key("x").await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_key_set_can_come_from_a_url_and_is_not_looked_for_elsewhere() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}/certs", listener.local_addr().unwrap()).parse().unwrap();
    let set = std::fs::read_to_string(fixture("keys.json")).unwrap();
    let answers = [
        format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{set}", set.len()),
    ];
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let redirected = keys::KeySet::new(OidcKeys::Url(url.clone()), Egress::default()).key("tests").await;
    assert!(redirected.is_err(), "a redirect is not followed: {redirected:?}");
    assert!(keys::KeySet::new(OidcKeys::Url(url), Egress::default()).key("tests").await.unwrap().is_some());
}
