//! One attempt: the request as CloudEvents and its signature want it, and what the answer means.
//!
//! CloudEvents HTTP binding 1.0.2 §3 (structured and binary mode) and HTTP 1.1 Web Hooks for event delivery
//! (any 2xx takes it, 410 ends it, 429 with `Retry-After`). The signature is Flux's generic-hmac:
//! `X-Signature: sha256=<hex>`, the HMAC-SHA256 of the exact body. Redirects are not followed: the event, its
//! signature and its token are for the host that the operator named. Of an answer only the beginning is read.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use shared::config::{ContentMode, EndpointConfig};
use shared::model::event::{EndpointName, STRUCTURED, VerdictEvent};
use shared::outgoing::{AuthoritiesError, Egress, Shown};
use url::Url;

/// How much of an answer is read, for whoever reads the dead letter.
const ANSWER_BYTES: usize = 512;

/// How much of it is repeated.
const ANSWER_CHARS: usize = 160;

/// Shorter parts of a URL are words like `services`, not what an endpoint knows its senders by.
const LEAST_PART: usize = 12;

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// One endpoint, ready to be told.
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    egress: Egress,
    secret: Option<SecretString>,
    token: Option<HeaderValue>,
    mode: ContentMode,
    pub(super) give_up_after: Duration,
    /// What it hears from us and may repeat.
    shown: Shown,
}

/// Why an endpoint cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// A file of certificate authorities cannot be used.
    #[error("notify.{endpoint}.ca_certificates cannot be used")]
    CaCertificates {
        /// Whose.
        endpoint: EndpointName,
        /// What is wrong.
        #[source]
        source: AuthoritiesError,
    },
    /// The URL or the token cannot be used in a request.
    #[error("notify.{0}: its url or token cannot be used in a request")]
    Address(EndpointName),
    /// The HTTP client cannot be built.
    #[error("notify.{endpoint}: no HTTP client can be made")]
    Client {
        /// For whom.
        endpoint: EndpointName,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// What came of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Any 2xx.
    Taken,
    /// 410: the endpoint wants no more events.
    Gone,
    /// It will never take this.
    Refused(String),
    /// Perhaps later.
    NotNow {
        /// What `Retry-After` asks for.
        after: Option<Duration>,
        /// What happened.
        error: String,
    },
}

impl Answer {
    /// The metric label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Gone => "gone",
            Self::Refused(_) => "refused",
            Self::NotNow { .. } => "not_now",
        }
    }
}

impl Endpoint {
    pub(super) fn new(name: &EndpointName, config: &EndpointConfig) -> Result<Self, EndpointError> {
        let unusable = || EndpointError::Address(name.clone());
        let url = Url::parse(config.url.expose_secret()).map_err(|_| unusable())?;
        let token = config.token.as_ref().map(|token| {
            let shown = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
            shown.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        let builder = config
            .egress
            .client(&config.ca_certificates)
            .map_err(|source| EndpointError::CaCertificates { endpoint: name.clone(), source })?
            .connect_timeout(config.timeout)
            .timeout(config.timeout);
        let mut shown = Shown::default();
        for secret in [&config.secret, &config.token].into_iter().flatten() {
            shown = shown.secret(secret.expose_secret());
        }
        let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
        let raw = url.query().into_iter().flat_map(|query| query.split(['&', '=']));
        let path = url.path_segments().into_iter().flatten();
        for part in decoded.chain(path.chain(raw).map(str::to_owned)).filter(|part| part.len() >= LEAST_PART)
        {
            shown = shown.secret(&part);
        }
        Ok(Self {
            shown: config.egress.shown(shown),
            egress: config.egress.clone(),
            client: builder
                .build()
                .map_err(|source| EndpointError::Client { endpoint: name.clone(), source })?,
            url,
            secret: config.secret.clone(),
            token: token.transpose().map_err(|_| unusable())?,
            mode: config.mode,
            give_up_after: config.give_up_after,
        })
    }

    /// Posts the event once.
    pub(super) async fn post(&self, event: &VerdictEvent, now: Timestamp) -> Answer {
        let (body, mut headers) = match written(event, self.mode) {
            Ok(written) => written,
            Err(error) => return Answer::Refused(error),
        };
        if let Some(secret) = &self.secret {
            headers.insert(SIGNATURE, signature(secret, &body));
        }
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        match request.send().await {
            Ok(response) => match self.egress.blamed_for(&self.url, response.status()) {
                Some(blamed) => Answer::NotNow { after: None, error: blamed.to_string() },
                None => answer(response, now, &self.shown).await,
            },
            // The URL may hold a secret, and is not repeated.
            Err(error) => Answer::NotNow { after: None, error: self.egress.told(&self.url, error) },
        }
    }
}

/// The body and the headers that say what it is.
fn written(event: &VerdictEvent, mode: ContentMode) -> Result<(Vec<u8>, HeaderMap), String> {
    let mut headers = HeaderMap::new();
    match mode {
        ContentMode::Structured => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
            Ok((event.to_json(), headers))
        }
        ContentMode::Binary => {
            let time = event.time.to_string();
            for (name, value) in [
                ("ce-specversion", "1.0"),
                ("ce-id", &event.id),
                ("ce-source", &event.source),
                ("ce-type", &event.kind),
                ("ce-subject", &event.subject),
                ("ce-time", &time),
            ] {
                let value =
                    HeaderValue::from_str(value).map_err(|_| format!("{name} fits into no header"))?;
                headers.insert(HeaderName::from_static(name), value);
            }
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok((event.data_to_json(), headers))
        }
    }
}

/// `sha256=<hex>`, the HMAC-SHA256 of the body.
fn signature(secret: &SecretString, body: &[u8]) -> HeaderValue {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of every length");
    mac.update(body);
    let text = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    HeaderValue::from_str(&text).expect("hex digits fit into a header")
}

/// What a status means for the event.
async fn answer(response: Response, now: Timestamp, shown: &Shown) -> Answer {
    let status = response.status();
    if status.is_success() {
        return Answer::Taken;
    }
    if status.is_redirection() {
        return Answer::Refused(format!("answered {status}; redirects are not followed, correct its url"));
    }
    let after = retry_after(response.headers(), now);
    match status {
        StatusCode::GONE => Answer::Gone,
        // About the message itself: it will be the same the next time.
        StatusCode::BAD_REQUEST
        | StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Answer::Refused(told(status, response, shown).await),
        _ => Answer::NotNow { after, error: told(status, response, shown).await },
    }
}

/// The status and the beginning of what was said with it, in printable characters, without what it had heard from us.
async fn told(status: StatusCode, mut response: Response, shown: &Shown) -> String {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - body.len())]);
    }
    let text = String::from_utf8_lossy(&body);
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    let shown: String = shown.without(&text).chars().take(ANSWER_CHARS).collect();
    match shown.trim() {
        "" => format!("answered {status}"),
        shown => format!("answered {status}: {shown}"),
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_flux_verifies() {
        // From the wire samples: the body of a Flux Receiver of type generic-hmac, and its signature.
        let body = br#"{"registry":"registry.example.com:5000","repository":"team/app","digest":"sha256:5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51","verdict":"fail"}"#;
        let expected = "sha256=d7ecb869c56fdcbb854778044feacd04d483557aed9acfa1fa5045203609bb8c";
        assert_eq!(signature(&SecretString::from("flux-token"), body), expected);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
