//! Registries that prove themselves in their own ways, through the real binary: what they get, and what becomes
//! of what they say.

mod hostile;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::Site;

const SECRET: &str = "secret-of-the-senders";

/// One request as `curl` would make it; status, headers and JSON.
async fn curl(
    site: &Site,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Result<(StatusCode, reqwest::header::HeaderMap, Value)> {
    let client = reqwest::Client::new();
    let mut request = client.request(method, format!("{}{path}", site.url)).body(body.into());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok((status, headers, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
}

/// `openssl dgst`, an implementation of signatures that is not ours.
fn openssl(arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("openssl is missing; run `make test`")?;
    child.stdin.take().context("a pipe")?.write_all(input)?;
    Ok(child.wait_with_output()?.stdout)
}

fn hmac(hash: &str, body: impl AsRef<[u8]>) -> Result<String> {
    let out = openssl(&["dgst", hash, "-hmac", SECRET, "-r"], body.as_ref())?;
    Ok(String::from_utf8(out)?.split(' ').next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_name_only_a_tag_lead_to_a_verdict_about_what_it_points_at() -> Result<()> {
    let sources = ["quay", "dockerhub"].map(|name| format!("[auth.webhooks.{name}]\ntoken = \"{SECRET}\"\n"));
    // Docker Hub is named by a constant, so this site's registry also answers to its name.
    let site = Site::embedded_with(&format!("aliases = [\"docker.io\"]\n{}", sources.concat())).await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    let host = site.registry.host();
    let quay =
        json!({"repository": "team/app", "docker_url": format!("{host}/team/app"), "updated_tags": ["1.0"]});
    let hub = json!({"push_data": {"tag": "1.0"}, "repository": {"repo_name": "team/app"}});
    for (source, body) in [("quay", quay), ("dockerhub", hub)] {
        let path = format!("/webhooks/{source}?token={SECRET}");
        let (status, _, answer) = curl(&site, Method::POST, &path, &[], body.to_string()).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{source}: {answer:#}");
        assert_eq!(answer["jobs"][0]["tag"], "1.0", "{source}: {answer:#}");
        let wrong = format!("/webhooks/{source}?token=wrong");
        let (status, _, _) = curl(&site, Method::POST, &wrong, &[], body.to_string()).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{source}");
    }
    assert_eq!(site.verdict(&digest).await?["digest"], json!(digest));
    assert!(!site.front.log().contains(SECRET), "a secret in a URL is never logged");
    // Quay switches a hook off after three refusals, so what is bad is listed and counted.
    let path = format!("/webhooks/quay?token={SECRET}");
    for body in ["{".to_owned(), json!({"updated_tags": 7}).to_string(), "[]".repeat(1 << 20)] {
        let (status, _, answer) = curl(&site, Method::POST, &path, &[], body).await?;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
        assert_eq!(answer["rejected"].as_array().map(Vec::len), Some(1), "{answer:#}");
    }
    assert_eq!(site.metric("tidewaiter_events_total", "source=\"quay\",event=\"malformed\"").await?, 3.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_between_two_hooks_leads_to_verdicts_about_both() -> Result<()> {
    let site = Site::embedded_with(&format!("[auth.webhooks.quay]\ntoken = \"{SECRET}\"\n")).await?;
    let body = json!({"repository": "team/app", "docker_url": format!("{}/team/app", site.registry.host()),
        "updated_tags": ["moving"]})
    .to_string();
    let path = format!("/webhooks/quay?token={SECRET}");
    for image in [Image::debian_with_python(HARMLESS), Image::debian_with_python(VULNERABLE)] {
        let digest = site.push(&image, "team/app", "moving")?;
        let (status, _, answer) = curl(&site, Method::POST, &path, &[], body.clone()).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
        assert_eq!(answer["jobs"].as_array().map(Vec::len), Some(1), "never merged into an older one");
        site.verdict(&digest).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_those_that_openssl_makes_and_one_flipped_byte_is_refused() -> Result<()> {
    let site = Site::embedded_with(&format!(
        "[auth.webhooks.github]\nhmac_secret = \"{SECRET}\"\n[auth.webhooks.nexus]\nhmac_secret = \"{SECRET}\"\nregistry = \"nexus.invalid\"\n"
    ))
    .await?;
    let digest = format!("sha256:{}", "1".repeat(64));
    let github = json!({"action": "published", "package": {"name": "app", "package_type": "CONTAINER",
        "owner": {"login": "acme"}, "package_version": {"version": digest}}})
    .to_string();
    let nexus = json!({"repositoryName": "a", "action": "CREATED",
        "component": {"format": "docker", "name": "team/app", "version": "1"}})
    .to_string();
    for (source, header, value, body, event) in [
        (
            "github",
            "x-hub-signature-256",
            format!("sha256={}", hmac("-sha256", &github)?),
            &github,
            "package",
        ),
        ("nexus", "x-nexus-webhook-signature", hmac("-sha1", &nexus)?, &nexus, ""),
    ] {
        let path = format!("/webhooks/{source}");
        let sent =
            [("content-type", "application/json"), ("x-github-event", event), (header, value.as_str())];
        let (status, _, answer) = curl(&site, Method::POST, &path, &sent, body.clone()).await?;
        // Neither registry is configured here: taken note of, never fetched (I8), and never an error for the sender.
        assert_eq!(status, StatusCode::OK, "{source}: {answer:#}");
        assert!(
            answer["rejected"][0]["reason"].as_str().unwrap_or_default().contains("not configured"),
            "{answer:#}"
        );
        let flipped = body.replacen("app", "apq", 1);
        let (status, _, _) = curl(&site, Method::POST, &path, &sent, flipped).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{source}");
        let (status, _, _) = curl(&site, Method::POST, &path, &sent[..2], body.clone()).await?;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{source}: unsigned");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn event_grid_is_greeted_in_both_of_its_ways() -> Result<()> {
    let site = Site::embedded_with(&format!("[auth.webhooks.acr]\ntoken = \"{SECRET}\"\n")).await?;
    let validation = json!([{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6", "validationUrl": "http://169.254.169.254/"}}])
    .to_string();
    let sent = [("content-type", "application/json"), ("aeg-event-type", "SubscriptionValidation")];
    let path = format!("/webhooks/acr?token={SECRET}");
    let (status, _, answer) = curl(&site, Method::POST, &path, &sent, validation.clone()).await?;
    assert_eq!((status, answer), (StatusCode::OK, json!({"validationResponse": "512d38b6"})));
    let (status, _, _) = curl(&site, Method::POST, "/webhooks/acr", &sent, validation).await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a greeting is no proof");

    let origin = [("webhook-request-origin", "eventgrid.azure.net"), ("webhook-request-rate", "120")];
    let (status, headers, _) = curl(&site, Method::OPTIONS, &path, &origin, "").await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(headers["webhook-allowed-rate"], "*");
    for (path, expected) in [
        ("/webhooks/cloudevents", StatusCode::UNPROCESSABLE_ENTITY),
        ("/webhooks/harbor", StatusCode::NOT_FOUND),
        ("/webhooks/nobody", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(curl(&site, Method::OPTIONS, path, &[], "").await?.0, expected, "{path}");
    }
    Ok(())
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/fixtures/identity").join(name)
}

/// An identity token, signed by openssl with the key of the tests.
fn identity_token(claims: &Value) -> Result<String> {
    let encoded = |bytes: &[u8]| -> Result<String> {
        let text = String::from_utf8(openssl(&["base64", "-A"], bytes)?)?;
        Ok(text.trim_end().trim_end_matches('=').replace('+', "-").replace('/', "_"))
    };
    let header = json!({"alg": "RS256", "kid": "tests"}).to_string();
    let text = format!("{}.{}", encoded(header.as_bytes())?, encoded(claims.to_string().as_bytes())?);
    let key = fixture("key.p8").display().to_string();
    let signature = openssl(&["dgst", "-sha256", "-keyform", "DER", "-sign", &key], text.as_bytes())?;
    Ok(format!("{text}.{}", encoded(&signature)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn pubsub_proves_itself_with_an_identity_token() -> Result<()> {
    let (audience, email) = ("https://tidewaiter.example.com/webhooks/gar", "push@p.iam.gserviceaccount.com");
    let site = Site::embedded_with(&format!(
        "[auth.webhooks.gar.oidc]\naudience = \"{audience}\"\nemail = \"{email}\"\nkeys_file = \"{}\"\n",
        fixture("keys.json").display()
    ))
    .await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    let notice = json!({"action": "INSERT", "digest": site.name("team/app", &digest)}).to_string();
    let data = String::from_utf8(openssl(&["base64", "-A"], notice.as_bytes())?)?;
    let body = json!({"message": {"data": data, "messageId": "1"}, "subscription": "s"}).to_string();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let claims = json!({"iss": "https://accounts.google.com", "aud": audience, "email": email, "email_verified": true, "exp": now + 600});
    let mut stranger = claims.clone();
    stranger["email"] = json!("stranger@p.iam.gserviceaccount.com");
    for (claims, expected) in [(&claims, StatusCode::ACCEPTED), (&stranger, StatusCode::UNAUTHORIZED)] {
        let authorization = format!("Bearer {}", identity_token(claims)?);
        let (status, answer) =
            site.post_as(&authorization, "/webhooks/gar", "application/json", body.clone()).await?;
        assert_eq!(status, expected, "{answer:#}");
    }
    // Pub/Sub sends again for days what is refused, so what is bad is listed instead.
    let authorization = format!("Bearer {}", identity_token(&claims)?);
    let (status, answer) = site.post_as(&authorization, "/webhooks/gar", "application/json", "{").await?;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    site.verdict(&digest).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_read_are_not_the_senders_fault() -> Result<()> {
    let site = Site::embedded_with(
        "[auth.webhooks.gar.oidc]\naudience = \"a\"\nemail = \"e\"\nkeys_file = \"/nonexistent.json\"\n",
    )
    .await?;
    let authorization = format!("Bearer {}", identity_token(&json!({}))?);
    let (status, problem) = site.post_as(&authorization, "/webhooks/gar", "application/json", "{}").await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem:#}");
    assert_eq!(problem["type"], "urn:tidewaiter:problem:keys-unavailable");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_live_up_to_its_configuration_stops_the_start() -> Result<()> {
    let site = Site::embedded().await?;
    for (section, fragments) in [
        (
            "[auth.webhooks.quay]\nhmac_secret = \"hmac-secret\"\n",
            ["auth.webhooks.quay.hmac_secret", "?token="],
        ),
        ("[auth.webhooks.quai]\ntoken = \"some-token\"\n", ["auth.webhooks.quai", "name one of"]),
        ("[auth.webhooks.zot]\ntoken = \"some-token\"\n", ["auth.webhooks.zot.registry", "is needed"]),
    ] {
        let file = site.folder.path().join("wrong.toml");
        let folder = site.folder.path().display();
        let rest = format!(
            "data_dir = \"{folder}/wrong\"\n[server]\nlisten = \"127.0.0.1:0\"\n[advisories]\ndatabase = \"{folder}/data/advisories.db\"\n"
        );
        std::fs::write(&file, rest + section)?;
        for role in [&["config", "check"][..], &["serve"]] {
            let mut command = Command::new(tests::site::binary());
            let output = command.arg("--config").arg(&file).args(role).output()?;
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{section} {role:?}");
            for fragment in fragments {
                assert!(told.contains(fragment), "{role:?}: {told} lacks {fragment}");
            }
        }
    }
    Ok(())
}
