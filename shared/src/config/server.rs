//! `server`: the HTTP listener.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::ConfigError;
use super::values::{Bytes, Span, seconds};

/// The HTTP listener.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; default 127.0.0.1:8480.
    pub listen: SocketAddr,
    /// How people reach this server, for links in answers; default `http://<listen>`, or `https` with `tls`.
    pub public_url: Url,
    /// The certificate, if it answers over TLS; default plain HTTP.
    pub tls: Option<TlsConfig>,
    /// Whether to listen beyond loopback although nobody has to show a token; default no.
    pub exposure: Exposure,
    /// The largest webhook body in bytes; default 1 MiB.
    pub body_limit: usize,
    /// How long a request may wait for a verdict at most; default 60 s.
    pub longest_wait: Duration,
    /// How many clients may listen to `GET /v1/events` at the same time; default 256.
    pub event_subscribers: usize,
    /// How many requests a client, known by its address, may make in a second; default as many as it likes.
    pub requests_per_second: Option<NonZeroU32>,
    /// How often a client, known by its address, may fail to log in in a minute before it hears 429; default 60,
    /// nothing for as often as it likes.
    pub failed_logins_per_minute: Option<NonZeroU32>,
    /// How long a digest counts as pending before it must be asked for again (I3); default 1 h.
    pub pending_ttl: Duration,
}

/// Who the server is over TLS.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// A PEM file: the server's certificate, then those that it is signed with.
    pub certificate: PathBuf,
    /// A PEM file: its private key.
    pub key: PathBuf,
    /// A PEM file: what certificates of clients are signed with; default clients show none.
    pub client_ca: Option<PathBuf>,
}

/// What happens when an api would listen beyond loopback without any authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It refuses to start.
    OnlyWithAuthentication,
    /// The operator has said that something else guards it.
    AllowUnauthenticated,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    listen: Option<SocketAddr>,
    public_url: Option<Url>,
    tls: Option<RawTls>,
    #[serde(default)]
    allow_unauthenticated: bool,
    body_limit: Option<Bytes>,
    longest_wait: Option<Span>,
    event_subscribers: Option<usize>,
    requests_per_second: Option<NonZeroU32>,
    failed_logins_per_minute: Option<u32>,
    pending_ttl: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl RawServer {
    pub(super) fn check(self) -> Result<ServerConfig, ConfigError> {
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8480)));
        let public_url = match self.public_url {
            Some(url) => url,
            None => Url::parse(&format!("{}://{listen}", if self.tls.is_some() { "https" } else { "http" }))
                .map_err(|error| ConfigError::invalid("server.listen", error.to_string()))?,
        };
        let exposure = match self.allow_unauthenticated {
            true => Exposure::AllowUnauthenticated,
            false => Exposure::OnlyWithAuthentication,
        };
        let body_limit = self.body_limit.map_or(1 << 20, |bytes| bytes.0);
        Ok(ServerConfig {
            listen,
            public_url,
            tls: self.tls.map(|RawTls { certificate, key, client_ca }| TlsConfig {
                certificate,
                key,
                client_ca,
            }),
            exposure,
            body_limit: usize::try_from(body_limit).unwrap_or(usize::MAX),
            longest_wait: seconds(self.longest_wait, 60),
            event_subscribers: self.event_subscribers.unwrap_or(256),
            requests_per_second: self.requests_per_second,
            failed_logins_per_minute: NonZeroU32::new(self.failed_logins_per_minute.unwrap_or(60)),
            pending_ttl: seconds(self.pending_ttl, 3600),
        })
    }
}
