//! What Harbor asks for: one artifact by digest, and how to pull it.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use secrecy::SecretString;
use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, RegistryHost, Tag};
use url::Url;

use crate::error::ApiError;

use super::refusal::Refusal;

/// A request to scan, checked.
#[derive(Debug)]
pub(super) struct ScanRequest {
    /// Under the host that Harbor names; it may be an alias of the configured one.
    pub(super) image: ImageName,
    pub(super) digest: Digest,
    /// Often there is none.
    pub(super) tag: Option<Tag>,
    /// Repeated in the report.
    pub(super) mime_type: String,
}

#[derive(Deserialize)]
struct Asked {
    registry: Option<Registry>,
    artifact: Option<Artifact>,
}

#[derive(Deserialize)]
struct Registry {
    url: Option<String>,
    authorization: Option<SecretString>,
}

#[derive(Deserialize)]
struct Artifact {
    repository: Option<String>,
    digest: Option<String>,
    tag: Option<String>,
    mime_type: Option<String>,
}

/// A scan request has a few hundred bytes, and a token.
const LARGEST: usize = 256 << 10;
/// Harbor itself gives up after so long.
const BODY_TIME: Duration = Duration::from_secs(5);
const LONGEST_MIME_TYPE: usize = 200;

impl ScanRequest {
    /// Reads a body; what proves us to the registry is apart, so that nothing prints it.
    pub(super) fn parse(body: &[u8]) -> Result<(Self, Option<SecretString>), Refusal> {
        // The text of an error may repeat a value, and one of the values is a secret: only its place is told.
        let asked: Asked = serde_json::from_slice(body).map_err(|error| {
            Refusal::invalid(format!(
                "not a scan request: wrong at line {} column {}",
                error.line(),
                error.column()
            ))
        })?;
        let missing = |field: &str| Refusal::invalid(format!("missing {field}"));
        let registry = asked.registry.ok_or_else(|| missing("registry"))?;
        let artifact = asked.artifact.ok_or_else(|| missing("artifact"))?;
        let host = host(&registry.url.ok_or_else(|| missing("registry.url"))?)?;
        let repository = artifact.repository.ok_or_else(|| missing("artifact.repository"))?;
        let digest = artifact.digest.ok_or_else(|| missing("artifact.digest"))?;
        let request = Self {
            image: ImageName {
                registry: host,
                repository: repository
                    .parse()
                    .map_err(|error| Refusal::invalid(format!("artifact.repository: {error}")))?,
            },
            digest: digest.parse().map_err(|error| Refusal::invalid(format!("artifact.digest: {error}")))?,
            // Only a remark: a tag that is none costs the remark.
            tag: artifact.tag.and_then(|tag| tag.parse().ok()),
            mime_type: artifact.mime_type.unwrap_or_default().chars().take(LONGEST_MIME_TYPE).collect(),
        };
        let authorization = registry.authorization.filter(|value| {
            use secrecy::ExposeSecret as _;
            !value.expose_secret().trim().is_empty()
        });
        Ok((request, authorization))
    }
}

/// The host of a registry's address, with its port if it is not the scheme's own.
fn host(url: &str) -> Result<RegistryHost, Refusal> {
    let refused = || Refusal::invalid("registry.url: expected https://host or http://host");
    let url = Url::parse(url).map_err(|_| refused())?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(refused)?;
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    text.parse().map_err(|_| refused())
}

/// The body of a scan request, bounded.
pub(super) async fn read_body(request: &HttpRequest, payload: web::Payload) -> Result<Vec<u8>, Refusal> {
    let media_type = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence =
        media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        None | Some("application/json" | "application/vnd.scanner.adapter.scan.request+json") => {}
        Some(_) => {
            let expected = "expected application/vnd.scanner.adapter.scan.request+json; version=1.0 or 1.1";
            return Err(ApiError::UnsupportedMediaType(expected.to_owned()).into());
        }
    }
    let reading = tokio::time::timeout(BODY_TIME, read_payload(payload));
    Ok(reading.await.map_err(|_| ApiError::Timeout)??)
}

async fn read_payload(mut payload: web::Payload) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::Invalid(error.to_string()))?;
        if body.len() + chunk.len() > LARGEST {
            return Err(ApiError::TooLarge(LARGEST));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
