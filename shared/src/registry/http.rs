//! One exchange with a registry over HTTP: redirects followed by our own rules, everything with a deadline.
//!
//! Two clients: `home` asks the registry and its token services, which the operator configured, directly or through
//! the proxy; `away` dials whatever a redirect names, through a resolver that judges addresses (I8). A redirect that
//! goes through the proxy is judged before: by its address, or by what its name means here.
//! HTTP/1.1 only: over HTTP/2 all transfers share one window, and a layer that nobody reads for a while
//! would hold up the others.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RANGE};
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, Url};

use crate::model::image::RegistryHost;
use crate::outgoing::{Egress, Shown};
use crate::telemetry::traces;

use super::address::{AddressGuard, GuardedResolver};
use super::body::Answer;
use super::config::{RegistryConfig, Timeouts};
use super::error::{ConfigurationError, Refusal, RegistryError, TransportError};

/// How many redirects are followed, one after the other.
const MOST_REDIRECTS: usize = 5;

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) url: Url,
    /// What it is about, for error messages.
    pub(super) what: String,
    /// The `Accept` header.
    pub(super) accept: Option<&'static str>,
    /// Ask only for what follows this many bytes.
    pub(super) offset: u64,
    /// What is sent along, if anything is written.
    pub(super) body: Option<Sent>,
}

/// The body of a question that writes.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// The `Content-Type` header.
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

/// The way to one registry.
pub(super) struct Http {
    host: RegistryHost,
    origin: Url,
    home: Client,
    away: Client,
    egress: Egress,
    guard: Arc<AddressGuard>,
    timeouts: Timeouts,
}

impl Http {
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, ConfigurationError> {
        let origin = config.origin().ok_or_else(|| ConfigurationError::Url(config.dialled().to_owned()))?;
        let guard = AddressGuard::new(origin.host_str().unwrap_or_default(), config.redirect_targets);
        let built = |builder: ClientBuilder| {
            builder.build().map_err(|error| ConfigurationError::Client(TransportError::http(error)))
        };
        Ok(Self {
            host: config.host.clone(),
            home: built(client(config, &config.egress)?)?,
            away: built(
                client(config, &Egress::default())?.dns_resolver(GuardedResolver(Arc::clone(&guard))),
            )?,
            egress: config.egress.clone(),
            origin,
            guard,
            timeouts: config.timeouts.clone(),
        })
    }

    /// A URL of the registry itself. `path` begins with `/`.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(path);
        url
    }

    /// Asks, follows redirects, and returns the first answer that is none. `authorization` is shown to the
    /// registry only, and no more once a redirect left it.
    pub(super) async fn ask(
        &self,
        question: &Question,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let mut url = question.url.clone();
        // A registry may name another host to upload to; nothing of ours is shown there.
        let mut authorization = authorization.filter(|_| self.is_home(&url));
        for _ in 0..=MOST_REDIRECTS {
            // In a box: everybody who asks a registry would be as large as the HTTP client.
            let response = Box::pin(self.hop(question, &url, authorization)).await?;
            let Some(next) = self.redirect(&question.method, &url, &response)? else {
                let shown = authorization.map(|value| Shown::default().authorization(value));
                let answer = Answer::new(response, &self.host, &question.what, &self.timeouts);
                return Ok(answer.to(self.egress.shown(shown.unwrap_or_default())));
            };
            if next.origin() != url.origin() {
                authorization = None;
            }
            url = next;
        }
        Err(self.refused(Refusal::RedirectHops(MOST_REDIRECTS)))
    }

    /// Whether a URL is the registry's own.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.origin.origin()
    }

    /// Where the registry says that something is to be uploaded.
    pub(super) fn location(&self, from: &Url, location: &str) -> Result<Url, RegistryError> {
        redirected(from, location).map_err(|refusal| self.refused(refusal))
    }

    async fn hop(
        &self,
        question: &Question,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let client = if self.is_home(url) { &self.home } else { self.abroad(url).await? };
        if authorization.is_some() {
            self.keep_from_proxy(url)?;
        }
        // A transport encoding would make a Range, and the size of a descriptor, mean something else.
        let mut request =
            client.request(question.method.clone(), url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some(accept) = question.accept {
            request = request.header(ACCEPT, accept);
        }
        if question.offset > 0 {
            request = request.header(RANGE, format!("bytes={}-", question.offset));
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut patience = self.timeouts.first_byte;
        if let Some(body) = &question.body {
            request = request.header(CONTENT_TYPE, &body.media_type).body(body.bytes.clone());
            patience += self.upload_time(body.bytes.len());
        }
        let span = traces::exchange(question.method.as_str(), url.host_str().unwrap_or_default(), url.port());
        let answered = span.around(self.send(request, url, &question.what, patience)).await;
        span.outcome(&answered, "no_answer");
        if let Ok(response) = &answered {
            let status = response.status();
            span.set("http.response.status_code", i64::from(status.as_u16()));
            // Not there, or a token is wanted first: answers that a client of registries asks for all the time.
            let is_usual = matches!(status, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED);
            if !is_usual && (status.is_client_error() || status.is_server_error()) {
                span.failed(status.as_str().to_owned());
            }
        }
        answered
    }

    /// The client for a host that the registry named, if it may be asked.
    async fn abroad(&self, url: &Url) -> Result<&Client, RegistryError> {
        let host = url.host().ok_or_else(|| self.refused(Refusal::RedirectUrl(shown_host(url))))?;
        if self.egress.is_proxied(url) {
            self.guard.check_proxied(host).await.map_err(|refusal| self.refused(refusal))?;
            return Ok(&self.home);
        }
        self.guard.check_literal(host).await.map_err(|refusal| self.refused(refusal))?;
        Ok(&self.away)
    }

    /// Refuses a place where the proxy would read the credentials that are sent there.
    pub(super) fn keep_from_proxy(&self, url: &Url) -> Result<(), RegistryError> {
        match self.egress.tells_proxy(url) {
            true => Err(self.refused(Refusal::ToldProxy(shown_host(url)))),
            false => Ok(()),
        }
    }

    /// The same with what the proxy is shown, should an answer repeat it.
    pub(super) fn shown_to_proxy(&self, shown: Shown) -> Shown {
        self.egress.shown(shown)
    }

    /// What so many bytes may take at the least rate that is accepted.
    fn upload_time(&self, bytes: usize) -> Duration {
        Duration::from_secs(bytes as u64 / self.timeouts.bytes_per_second.max(1))
    }

    /// Sends a request to the token service at `realm`, which the caller has checked. Redirects are refused:
    /// the credentials are for this host alone.
    pub(super) async fn ask_realm(
        &self,
        request: impl FnOnce(&Client) -> reqwest::RequestBuilder,
        realm: &Url,
    ) -> Result<Answer, RegistryError> {
        let what = format!("a token from {}", shown_host(realm));
        let response = self.send(request(&self.home), realm, &what, self.timeouts.first_byte).await?;
        if response.status().is_redirection() {
            return Err(self.refused(Refusal::RealmRedirects(shown_host(realm))));
        }
        Ok(Answer::new(response, &self.host, &what, &self.timeouts))
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        what: &str,
        patience: Duration,
    ) -> Result<Response, RegistryError> {
        let unavailable =
            |source| RegistryError::Unavailable { host: self.host.clone(), what: what.to_owned(), source };
        let blamed = |source| RegistryError::Proxy { host: self.host.clone(), what: what.to_owned(), source };
        match tokio::time::timeout(patience, request.send()).await {
            Ok(Ok(response)) => match self.egress.blamed_for(url, response.status()) {
                Some(source) => Err(blamed(source)),
                None => Ok(response),
            },
            Ok(Err(error)) => Err(match (refusal_within(&error), self.egress.blamed(url, &error)) {
                (Some(refusal), _) => self.refused(refusal),
                (None, Some(source)) => blamed(source),
                (None, None) => {
                    let seen = TransportError::http(error).to_string();
                    unavailable(TransportError::new(self.egress.by_way(url, &seen)))
                }
            }),
            Err(_) => {
                let seconds = patience.as_secs_f32();
                let message = format!("no answer within {seconds} seconds");
                Err(unavailable(TransportError::new(self.egress.by_way(url, &message))))
            }
        }
    }

    /// Where an answer redirects to, if it does and we may go there.
    fn redirect(
        &self,
        method: &Method,
        from: &Url,
        response: &Response,
    ) -> Result<Option<Url>, RegistryError> {
        let is_reading = *method == Method::GET || *method == Method::HEAD;
        match response.status().as_u16() {
            307 | 308 => {}
            // What is written is sent again only where the registry says that the method stays.
            301..=303 if is_reading => {}
            _ => return Ok(None),
        }
        let location = response.headers().get(LOCATION).map(HeaderValue::to_str);
        let location = location.and_then(Result::ok).unwrap_or_default();
        redirected(from, location).map(Some).map_err(|refusal| self.refused(refusal))
    }

    pub(super) fn refused(&self, source: Refusal) -> RegistryError {
        RegistryError::Refused { host: self.host.clone(), source }
    }
}

/// The URL that a `Location` means, seen from `from`: without user name, and never from https to http.
fn redirected(from: &Url, location: &str) -> Result<Url, Refusal> {
    let target = Some(location)
        .filter(|location| !location.is_empty())
        .and_then(|location| from.join(location).ok())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| Refusal::RedirectUrl(shown_host(from)))?;
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(target),
        _ => Err(Refusal::RedirectScheme(shown_host(&target))),
    }
}

/// Host and port of a URL, the only part of it that may appear in messages.
pub(super) fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("a URL without host");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn client(config: &RegistryConfig, egress: &Egress) -> Result<ClientBuilder, ConfigurationError> {
    let builder = egress.client(&config.ca_certificates);
    let builder = builder.map_err(|error| ConfigurationError::CaCertificates(Arc::new(error)))?;
    Ok(builder.connect_timeout(config.timeouts.connect))
}

/// The verdict of our resolver, which reaches us wrapped in the HTTP client's own errors.
fn refusal_within(error: &reqwest::Error) -> Option<Refusal> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, location: &str, expected: Result<&str, Refusal>) {
        let from = Url::parse(from).unwrap();
        let found = redirected(&from, location).map(String::from);
        assert_eq!(found, expected.map(str::to_owned), "{location:?}");
    }

    #[test]
    fn i8_redirects_never_leave_https_nor_carry_a_login() {
        check("https://r.io/v2/a", "/b?x=1", Ok("https://r.io/b?x=1"));
        check("https://r.io/a", "https://s3.io/b", Ok("https://s3.io/b"));
        check("http://r.io/a", "http://s3.io/b", Ok("http://s3.io/b"));
        check("http://r.io/a", "https://s3.io/b", Ok("https://s3.io/b"));
        let weaker = |host: &str| Err(Refusal::RedirectScheme(host.to_owned()));
        check("https://r.io/a", "http://s3.io:81/b?signature=x", weaker("s3.io:81"));
        check("https://r.io/a", "ftp://s3.io/b", weaker("s3.io"));
        check("https://r.io/a", "file:///etc/passwd", weaker("a URL without host"));
        for location in ["", "https://user@s3.io/b", "https://:pass@s3.io/b", "https://["] {
            check("https://r.io/a", location, Err(Refusal::RedirectUrl("r.io".to_owned())));
        }
    }
}
