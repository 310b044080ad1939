//! An issuer's public keys: a JSON Web Key Set (RFC 7517), read when needed, kept, read again with a bound.
//!
//! Issuers announce a key hours before they sign with it, so a set is read again every hour, and at once
//! when a token names a key that it lacks; but whoever invents key ids cannot make us ask more than once a
//! minute. While the issuer cannot be asked, the keys that are known go on for a day.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use serde::Deserialize;
use shared::config::OidcKeys;
use shared::outgoing::{AuthoritiesError, Egress};
use tokio::sync::Mutex;

/// The public keys of one issuer.
pub struct KeySet {
    source: OidcKeys,
    egress: Egress,
    // One reads, the others wait for what it finds; the wait is bounded by [`READ_TIME`].
    known: Mutex<Known>,
}

/// One RSA key.
#[derive(Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The modulus, big-endian.
    pub n: Vec<u8>,
    /// The exponent, big-endian.
    pub e: Vec<u8>,
}

/// Why nobody knows the issuer's keys: not the sender's fault, and over when the issuer can be asked again.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read the key set {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The URL cannot be fetched.
    #[error("cannot fetch the key set: {0}")]
    Fetch(String),
    /// The certificate authorities of the proxy cannot be used.
    #[error("cannot fetch the key set")]
    Authorities(#[source] AuthoritiesError),
    /// It is larger than any key set.
    #[error("the key set is larger than {LARGEST_SET} bytes")]
    TooLarge,
    /// It is something else.
    #[error("the key set is not a JSON Web Key Set")]
    Json(#[source] serde_json::Error),
    /// Reading it took too long.
    #[error("the key set could not be read within {} s", READ_TIME.as_secs())]
    Timeout,
    /// It failed a moment ago.
    #[error("the key set could not be read a moment ago")]
    Recently,
}

/// After this long a set is read again, to forget keys that the issuer has withdrawn.
const FRESH: Duration = Duration::from_secs(3600);
/// So long are known keys good while the set cannot be read.
const TRUSTED: Duration = Duration::from_secs(24 * 3600);
/// The shortest time between two readings.
const BETWEEN_READINGS: Duration = Duration::from_secs(60);
/// The same after one that failed.
const BETWEEN_FAILURES: Duration = Duration::from_secs(5);
const READ_TIME: Duration = Duration::from_secs(5);
const LARGEST_SET: usize = 256 << 10;

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<PublicKey>>,
    read_at: Option<Instant>,
    failed_at: Option<Instant>,
}

impl KeySet {
    /// A set that is read when somebody asks for a key.
    pub fn new(source: OidcKeys, egress: Egress) -> Self {
        Self { source, egress, known: Mutex::default() }
    }

    /// The key of this id; `None` if the issuer has none.
    pub async fn key(&self, id: &str) -> Result<Option<Arc<PublicKey>>, KeysError> {
        let mut known = self.known.lock().await;
        let age = |at: Option<Instant>| at.map_or(Duration::MAX, |at| at.elapsed());
        let wanted = match known.keys.contains_key(id) {
            true => age(known.read_at) >= FRESH,
            false => age(known.read_at) >= BETWEEN_READINGS,
        };
        if wanted {
            let failure = if age(known.failed_at) < BETWEEN_FAILURES {
                Some(KeysError::Recently)
            } else {
                self.read().await.map(|keys| known.learn(keys)).err()
            };
            if let Some(error) = failure {
                if !matches!(error, KeysError::Recently) {
                    known.failed_at = Some(Instant::now());
                }
                if !known.keys.contains_key(id) || age(known.read_at) >= TRUSTED {
                    return Err(error);
                }
                tracing::warn!(error = %shared::telemetry::chain(&error), "key set not read again");
            }
        }
        Ok(known.keys.get(id).cloned())
    }

    async fn read(&self) -> Result<HashMap<String, Arc<PublicKey>>, KeysError> {
        let bytes = async {
            match &self.source {
                OidcKeys::File(path) => tokio::fs::read(path)
                    .await
                    .map_err(|source| KeysError::File { path: path.clone(), source }),
                OidcKeys::Url(url) => fetch(url, &self.egress).await,
            }
        };
        let bytes = tokio::time::timeout(READ_TIME, bytes).await.map_err(|_| KeysError::Timeout)??;
        parse(&bytes)
    }
}

impl Known {
    fn learn(&mut self, keys: HashMap<String, Arc<PublicKey>>) {
        tracing::info!(keys = keys.len(), "key set read");
        *self = Self { keys, read_at: Some(Instant::now()), failed_at: None };
    }
}

/// No redirects: the operator named the place, and nobody else does.
async fn fetch(url: &url::Url, egress: &Egress) -> Result<Vec<u8>, KeysError> {
    let failed = |error: reqwest::Error| KeysError::Fetch(egress.told(url, error));
    let client = egress.client(&[]).map_err(KeysError::Authorities)?.build().map_err(failed)?;
    let answer = client.get(url.clone()).send().await.map_err(failed)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(KeysError::Fetch(format!("the answer was {}", answer.status())));
    }
    let mut chunks = answer.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(failed)?);
        if body.len() > LARGEST_SET {
            return Err(KeysError::TooLarge);
        }
    }
    Ok(body)
}

#[derive(Deserialize)]
struct JsonKeySet {
    keys: Vec<JsonKey>,
}

#[derive(Deserialize)]
struct JsonKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// The RSA keys of a set; others are left out, as RFC 7517 §5 wants.
fn parse(bytes: &[u8]) -> Result<HashMap<String, Arc<PublicKey>>, KeysError> {
    if bytes.len() > LARGEST_SET {
        return Err(KeysError::TooLarge);
    }
    let set: JsonKeySet = serde_json::from_slice(bytes).map_err(KeysError::Json)?;
    let keys = set.keys.into_iter().filter_map(|key| {
        let fits = key.kty == "RSA" && key.alg.as_deref().is_none_or(|alg| alg == "RS256");
        let decoded = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let (n, e) = (decoded(key.n)?, decoded(key.e)?);
        fits.then(|| (key.kid.unwrap_or_default(), Arc::new(PublicKey { n, e })))
    });
    Ok(keys.collect())
}
