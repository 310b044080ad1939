//! Pushes an image blob by blob, as the distribution specification says, without a client that checks what it pushes.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::json;
use shared::model::digest::Digest;
use tests::site::Site;

/// Any manifest or index, and every blob that it needs.
pub(super) struct Upload {
    pub(super) media_type: &'static str,
    pub(super) manifest: Vec<u8>,
    pub(super) blobs: Vec<Vec<u8>>,
    /// Manifests that must be there before.
    pub(super) children: Vec<(&'static str, Vec<u8>)>,
}

/// Pushes an image and returns its digest.
pub(super) async fn push(site: &Site, repository: &str, image: &Upload) -> Result<Digest> {
    let registry = format!("http://{}/v2/{repository}", site.registry.host());
    let http = reqwest::Client::new();
    for blob in &image.blobs {
        let begun = http.post(format!("{registry}/blobs/uploads/")).send().await?;
        let location = begun.headers()["location"].to_str()?.to_owned();
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={}", Digest::of(blob));
        http.put(url).body(blob.clone()).send().await?.error_for_status()?;
    }
    let root = (image.media_type, image.manifest.clone());
    for (media_type, manifest) in image.children.iter().chain([&root]) {
        let url = format!("{registry}/manifests/{}", Digest::of(manifest));
        let put = http.put(url).header("content-type", *media_type).body(manifest.clone()).send().await?;
        let status = put.status();
        ensure!(status.is_success(), "the registry says {status}: {}", put.text().await?);
    }
    Ok(Digest::of(&image.manifest))
}

/// Tells of a push as the registry would.
pub(super) async fn announce(site: &Site, repository: &str, digest: &Digest, image: &Upload) -> Result<()> {
    notify(site, repository, digest, image.media_type).await
}

/// Tells of the push of an ordinary image.
pub(super) async fn announce_digest(site: &Site, repository: &str, digest: &Digest) -> Result<()> {
    notify(site, repository, digest, "application/vnd.oci.image.manifest.v1+json").await
}

async fn notify(site: &Site, repository: &str, digest: &Digest, media_type: &str) -> Result<()> {
    let event = json!({"events": [{
        "action": "push", "request": {"host": site.registry.host()},
        "target": {"mediaType": media_type, "digest": digest, "repository": repository},
    }]});
    let events = "application/vnd.docker.distribution.events.v2+json";
    let (status, answer) = site.post("/webhooks/distribution", events, event.to_string()).await?;
    ensure!(status == StatusCode::ACCEPTED, "{answer:#}");
    Ok(())
}
