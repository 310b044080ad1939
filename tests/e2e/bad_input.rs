//! What is wrong with an image is said, and the next job is served.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image};
use tests::site::Site;

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
