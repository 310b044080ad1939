//! Pushing over HTTP, for tests that push hundreds of images: skopeo takes longer to start than that does.
//!
//! OCI Distribution Specification, "Pushing blobs" (POST then PUT) and "Pushing manifests".

use anyhow::{Context, Result, ensure};
use reqwest::{StatusCode, Url};
use serde_json::Value;
use shared::model::digest::Digest;

use crate::image::{Image, Layout};

/// Somebody who pushes to one repository.
#[derive(Clone)]
pub struct Uploader {
    http: reqwest::Client,
    repository: Url,
}

impl Uploader {
    /// Pushes to `repository` of the registry at `host`, in clear text.
    pub fn new(host: &str, repository: &str) -> Result<Self> {
        let repository = Url::parse(&format!("http://{host}/v2/{repository}/"))?;
        Ok(Self { http: reqwest::Client::new(), repository })
    }

    /// Builds an image in `layout` and pushes it under `tag`; returns its digest.
    pub async fn push(&self, layout: &Layout, image: &Image, tag: &str) -> Result<Digest> {
        let descriptor = layout.image(image)?;
        let manifest = layout.read(&descriptor)?;
        let document: Value = serde_json::from_slice(&manifest)?;
        let layers = document["layers"].as_array().context("a manifest has layers")?;
        for blob in layers.iter().chain([&document["config"]]) {
            self.blob(layout, blob).await?;
        }
        let media_type = descriptor["mediaType"].as_str().context("a descriptor has a media type")?;
        let put = self.http.put(self.repository.join(&format!("manifests/{tag}"))?);
        let put = put.header("content-type", media_type).body(manifest).send().await?;
        ensure!(put.status() == StatusCode::CREATED, "manifest: {}", put.status());
        Ok(serde_json::from_value(descriptor["digest"].clone())?)
    }

    async fn blob(&self, layout: &Layout, descriptor: &Value) -> Result<()> {
        let digest = descriptor["digest"].as_str().context("a descriptor has a digest")?;
        let there = self.http.head(self.repository.join(&format!("blobs/{digest}"))?).send().await?;
        if there.status() == StatusCode::OK {
            return Ok(());
        }
        let begun = self.http.post(self.repository.join("blobs/uploads/")?);
        let begun = begun.header("content-length", "0").send().await?;
        let place = begun.headers().get("location").context("an upload has a place")?.to_str()?;
        let place = self.repository.join(place)?;
        let put = self.http.put(place).query(&[("digest", digest)]).body(layout.read(descriptor)?);
        let put = put.send().await?;
        ensure!(put.status() == StatusCode::CREATED, "blob {digest}: {}", put.status());
        Ok(())
    }
}
