//! What is wrong with an image is said, and the next job is served.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image};
use tests::site::{Site, WEBHOOK_TOKEN};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn announce(site: &Site, repository: &str, digest: &Digest) -> Result<()> {
    let event = json!({"events": [{
        "action": "push", "request": {"host": site.registry.host()},
        "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "repository": repository},
    }]});
    let media_type = "application/vnd.docker.distribution.events.v2+json";
    let (status, answer) = site.post("/webhooks/distribution", media_type, event.to_string()).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
    Ok(())
}

fn problems(verdict: &Value) -> Vec<String> {
    let problems = verdict["problems"].as_array().expect("a verdict lists problems");
    problems
        .iter()
        .map(|problem| problem["kind"].as_str().expect("a problem has a kind").to_owned())
        .collect()
}

async fn next_is_served(site: &Site) -> Result<()> {
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/next", "1.0")?;
    assert_eq!(site.verdict(&digest).await?["digest"], json!(digest));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_an_image_that_does_not_exist_gets_an_error_verdict() -> Result<()> {
    let site = Site::embedded().await?;
    let digest = Digest::of(b"no such manifest");
    announce(&site, "team/ghost", &digest).await?;
    let verdict = site.verdict(&digest).await?;
    assert_eq!(verdict["outcome"], "error", "{verdict:#}");
    assert_eq!(problems(&verdict), ["image-missing"]);
    next_is_served(&site).await
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_truncated_layer_is_never_a_pass() -> Result<()> {
    let site = Site::unannounced("").await?;
    let image = Image::new().debian().python(HARMLESS).layer([("x", "y")]);
    let digest = site.push(&image, "team/short", "1.0")?;
    // A registry whose disk lies: a blob that nobody has read yet is shorter by now.
    let storage = site.folder.path().join("registry/docker/registry/v2/blobs/sha256");
    let data = |digest: &Digest| storage.join(&digest.encoded()[..2]).join(digest.encoded()).join("data");
    let manifest: Value = serde_json::from_slice(&std::fs::read(data(&digest))?)?;
    let blob = data(&serde_json::from_value(manifest["layers"][1]["digest"].clone())?);
    let content = std::fs::read(&blob)?;
    std::fs::write(&blob, &content[..content.len() / 2])?;
    announce(&site, "team/short", &digest).await?;
    let verdict = site.verdict(&digest).await?;
    assert_eq!(verdict["outcome"], "fail", "{verdict:#}");
    assert!(
        problems(&verdict).iter().any(|kind| kind == "digest-mismatch" || kind == "layer-malformed"),
        "{verdict:#}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_an_unreadable_database_and_an_unknown_distribution_are_said() -> Result<()> {
    let site = Site::embedded().await?;
    let garbage = "\u{1}\u{2}this is no dpkg status file\nat all";
    let broken = Image::new()
        .layer([("etc/os-release", "ID=debian\nVERSION_ID=12\n"), ("var/lib/dpkg/status", garbage)]);
    let digest = site.push(&broken, "team/broken", "1.0")?;
    let verdict = site.verdict(&digest).await?;
    assert!(problems(&verdict).contains(&"database-unreadable".to_owned()), "{verdict:#}");
    assert_eq!(verdict["outcome"], "fail");

    let status = "Package: a\nStatus: install ok installed\nVersion: 1\n\n";
    let nameless = Image::new().layer([("var/lib/dpkg/status", status)]);
    let digest = site.push(&nameless, "team/nameless", "1.0")?;
    let verdict = site.verdict(&digest).await?;
    assert!(problems(&verdict).contains(&"unknown-distribution".to_owned()), "{verdict:#}");
    assert_ne!(verdict["outcome"], "pass");
    next_is_served(&site).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_is_answered_as_such() -> Result<()> {
    let site = Site::embedded().await?;
    let config = b"{}";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.cncf.helm.config.v1+json",
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": Digest::of(config), "size": config.len()},
        "layers": [],
    });
    let manifest = serde_json::to_vec(&manifest)?;
    let registry = format!("http://{}/v2/team/chart", site.registry.host());
    let http = reqwest::Client::new();
    let begun = http.post(format!("{registry}/blobs/uploads/")).send().await?;
    let location = begun.headers()["location"].to_str()?.to_owned();
    let separator = if location.contains('?') { '&' } else { '?' };
    let url = format!("{location}{separator}digest={}", Digest::of(config));
    http.put(url).body(config.to_vec()).send().await?.error_for_status()?;
    http.put(format!("{registry}/manifests/1.0"))
        .header("content-type", "application/vnd.oci.image.manifest.v1+json")
        .body(manifest.clone())
        .send()
        .await?
        .error_for_status()?;
    let verdict = site.verdict(&Digest::of(&manifest)).await?;
    assert_eq!(verdict["outcome"], "not_an_image", "{verdict:#}");
    next_is_served(&site).await
}

/// What a server says to a request that breaks off after `sent`, while the line stays open; and after how long.
async fn said_to_silence(site: &Site, sent: &str) -> Result<(String, Duration)> {
    let mut line = TcpStream::connect(("127.0.0.1", site.port()?)).await?;
    line.write_all(sent.as_bytes()).await?;
    let began = Instant::now();
    let mut said = Vec::new();
    timeout(Duration::from_secs(40), line.read_to_end(&mut said)).await.context("it waits for ever")??;
    Ok((String::from_utf8_lossy(&said).into_owned(), began.elapsed()))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_a_request_and_falls_silent_is_not_waited_for() -> Result<()> {
    let site = Site::embedded_with("[gates.kubernetes]\nopen = true\n").await?;
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: tidewaiter\r\nconnection: close\r\nauthorization: Bearer {WEBHOOK_TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
        )
    };
    let mut asked = vec![("half a head", "GET /healthz HTTP/1.1\r\nhost: tide".to_owned())];
    for path in ["/webhooks/distribution", "/gates/kubernetes/validate", "/v1/scans", "/v1/sweeps"] {
        asked.push((path, head(path)));
    }
    let told = asked.iter().map(|(what, sent)| async { (*what, said_to_silence(&site, sent).await) });
    for (what, told) in futures_util::future::join_all(told).await {
        let (said, took) = told.with_context(|| what.to_owned())?;
        assert!(took < Duration::from_secs(30), "{what}: {took:?}");
        // A gate answers in its own words; whoever sent half a head may hear nothing.
        let is_told = ["HTTP/1.1 408 ", "AdmissionReview"].iter().any(|words| said.contains(words));
        assert!(is_told || what == "half a head", "{what}: {said}");
    }
    assert_eq!(site.get("/healthz").await?.0, StatusCode::OK);
    Ok(())
}
