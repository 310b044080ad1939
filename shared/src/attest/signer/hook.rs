//! A signing service: it is POSTed a digest and answers a signature; the key never comes here.
//!
//! Request: `{"version":1,"algorithm":"ecdsa-p256-sha256","keyid":"<hex>","digest":"<base64 of 32 bytes>"}`, with `Authorization:
//! Bearer <token>` where a token file is configured. Answer: 200 with `{"signature":"<base64 of ASN.1 DER>"}`. What is
//! signed is SHA-256 of the DSSE encoding, so that services which limit messages (cloud KMS) can be asked as they are.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{SignError, Signer};
use crate::attest::keys::{PublicKey, Signature};
use crate::outgoing::Egress;

const LARGEST_ANSWER: usize = 16 << 10;
const LARGEST_TOKEN: usize = 16 << 10;

/// Where the service is.
#[derive(Clone, Debug)]
pub struct HookSettings {
    /// What is POSTed to.
    pub url: Url,
    /// File with the bearer token; read for every signature, so that it may be rotated.
    pub token_file: Option<PathBuf>,
    /// The public half of its key: every answer is verified.
    pub public_key: PublicKey,
    /// How long is waited for an answer, connecting included.
    pub timeout: Duration,
    /// PEM files of certificate authorities to trust besides the system's.
    pub ca_certificates: Vec<PathBuf>,
    /// How questions leave.
    pub egress: Egress,
}

/// A signing service.
#[derive(Debug)]
pub struct Hook {
    settings: HookSettings,
    client: Client,
}

impl Hook {
    /// Prepares to ask; nothing is contacted yet. Fails where the certificates cannot be used.
    pub fn new(settings: HookSettings) -> Result<Self, SignError> {
        let builder = settings.egress.client(&settings.ca_certificates).map_err(SignError::CaCertificates)?;
        let client = builder.timeout(settings.timeout).build();
        let client = client.map_err(|error| SignError::Unavailable(error.without_url().to_string()))?;
        Ok(Self { client, settings })
    }

    async fn token(&self) -> Result<Option<HeaderValue>, SignError> {
        let Some(path) = &self.settings.token_file else { return Ok(None) };
        let failed = |source| SignError::Token { path: path.display().to_string(), source };
        let text = tokio::fs::read_to_string(path).await.map_err(failed)?;
        let illegal = || failed(std::io::Error::other("it holds nothing that can be used as a token"));
        let token = text.trim();
        if token.is_empty() || token.len() > LARGEST_TOKEN {
            return Err(illegal());
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| illegal())?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    async fn ask(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let HookSettings { url, egress, .. } = &self.settings;
        let unavailable = |error: reqwest::Error| SignError::Unavailable(egress.told(url, error));
        let question = Question {
            version: 1,
            algorithm: "ecdsa-p256-sha256",
            keyid: self.settings.public_key.id(),
            digest: STANDARD.encode(Sha256::digest(message)),
        };
        let body = serde_json::to_vec(&question).map_err(SignError::Statement)?;
        let mut request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(token) = self.token().await? {
            request = request.header(AUTHORIZATION, token);
        }
        let mut response = request.body(body).send().await.map_err(unavailable)?;
        let status = response.status();
        if !status.is_success() {
            let text = format!("it answered {status}");
            return Err(if status.is_server_error() {
                SignError::Unavailable(text)
            } else {
                SignError::Refused(text)
            });
        }
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unavailable)? {
            if answer.len() + piece.len() > LARGEST_ANSWER {
                return Err(SignError::Refused(format!("its answer has more than {LARGEST_ANSWER} bytes")));
            }
            answer.extend_from_slice(&piece);
        }
        let refused = |text: &str| SignError::Refused(text.to_owned());
        let answer: Answer =
            serde_json::from_slice(&answer).map_err(|_| refused("its answer is not {\"signature\": …}"))?;
        STANDARD.decode(answer.signature.trim()).map_err(|_| refused("its signature is not base64"))
    }
}

#[async_trait]
impl Signer for Hook {
    fn public_key(&self) -> &PublicKey {
        &self.settings.public_key
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let key = &self.settings.public_key;
        let signature = Signature { bytes: self.ask(message).await?, key: Some(key.id().to_owned()) };
        if key.has_signed(message, &signature) {
            Ok(signature)
        } else {
            Err(SignError::WrongKey(key.id().to_owned()))
        }
    }
}

#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    algorithm: &'a str,
    keyid: &'a str,
    digest: String,
}

#[derive(Deserialize)]
struct Answer {
    signature: String,
}
