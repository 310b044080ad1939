//! `telemetry`: logs, and where traces go.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::ConfigError;
use super::values::{Span, seconds, secret};
use crate::outgoing::Egress;

mod headers;

pub use headers::SecretHeader;

/// Logs and traces.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `tracing` filter directives; default `info`.
    pub log: String,
    /// How a line looks; default `text`.
    pub format: LogFormat,
    /// Where traces go; nowhere by default.
    pub traces: Option<TracesConfig>,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where traces go: an OpenTelemetry collector, or whatever else takes OTLP over HTTP.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// Where to post; the path `/v1/traces` is added where none is given.
    pub endpoint: Url,
    /// What is sent along: many collectors know their senders by it.
    pub headers: Vec<SecretHeader>,
    /// The share of the traces that is kept, 0 to 1; default 1.
    pub sample_ratio: f64,
    /// Whether that holds for traces that a caller of the api began; default yes.
    pub callers: Callers,
    /// `service.name`; by default `tidewaiter`, `tidewaiter-api` or `tidewaiter-worker`.
    pub service_name: Option<String>,
    /// How long one attempt to post may take; default 10 s.
    pub timeout: Duration,
    /// PEM files of certificate authorities to trust besides the system's.
    pub ca_certificates: Vec<PathBuf>,
    /// How spans leave.
    pub egress: Egress,
}

/// What is done about a trace that a caller of the api began, and says that he keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Callers {
    /// It is continued as often as `sample_ratio` says: whoever reaches the api can write any header.
    #[default]
    Sampled,
    /// It is continued: something before the api takes such headers from strangers.
    Followed,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTelemetry {
    log: Option<String>,
    format: Option<LogFormat>,
    #[serde(default)]
    traces: RawTraces,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawTraces {
    endpoint: Option<String>,
    #[serde(default)]
    plain_http: bool,
    headers: Option<SecretString>,
    headers_file: Option<PathBuf>,
    sample_ratio: Option<f64>,
    callers: Option<String>,
    service_name: Option<String>,
    timeout: Option<Span>,
    ca_certificates: Option<Vec<PathBuf>>,
}

impl RawTelemetry {
    pub(super) fn check(self, egress: &Egress) -> Result<TelemetryConfig, ConfigError> {
        Ok(TelemetryConfig {
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            format: self.format.unwrap_or(LogFormat::Text),
            traces: self.traces.check(egress)?,
        })
    }
}

/// Shutting down must not wait for longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

impl RawTraces {
    fn check(self, egress: &Egress) -> Result<Option<TracesConfig>, ConfigError> {
        let Some(endpoint) = &self.endpoint else { return self.needs_endpoint() };
        let endpoint = endpoint_url(endpoint, self.plain_http)?;
        let key = "telemetry.traces.headers";
        let headers = match secret(key, self.headers, self.headers_file)? {
            Some(text) => SecretHeader::all(&text).map_err(|reason| ConfigError::invalid(key, reason))?,
            None => Vec::new(),
        };
        if !headers.is_empty() && egress.tells_proxy(&endpoint) {
            let reason = "would be shown to the proxy of egress.proxy in clear text: add the collector's host to egress.no_proxy, or use https://";
            return Err(ConfigError::invalid(key, reason));
        }
        let sample_ratio = self.sample_ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample_ratio) {
            let reason = "must be from 0 (no trace that begins here) to 1 (every one)";
            return Err(ConfigError::invalid("telemetry.traces.sample_ratio", reason));
        }
        let timeout = seconds(self.timeout, 10);
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            let reason = "must be more than nothing and at most 60s";
            return Err(ConfigError::invalid("telemetry.traces.timeout", reason));
        }
        Ok(Some(TracesConfig {
            endpoint,
            headers,
            sample_ratio,
            callers: callers(self.callers.as_deref())?,
            service_name: self.service_name,
            timeout,
            ca_certificates: self.ca_certificates.unwrap_or_default(),
            egress: egress.clone(),
        }))
    }

    /// Nothing is traced without an endpoint; whoever set anything else meant that it should be.
    fn needs_endpoint(self) -> Result<Option<TracesConfig>, ConfigError> {
        let Self {
            endpoint: _,
            plain_http,
            headers,
            headers_file,
            sample_ratio,
            callers,
            service_name,
            timeout,
            ca_certificates,
        } = self;
        let is_set = plain_http
            || headers.is_some()
            || headers_file.is_some()
            || sample_ratio.is_some()
            || callers.is_some()
            || service_name.is_some()
            || timeout.is_some()
            || ca_certificates.is_some();
        if is_set {
            let reason =
                "is missing: say where traces go, like https://collector:4318, or leave the section out";
            return Err(ConfigError::invalid("telemetry.traces.endpoint", reason));
        }
        Ok(None)
    }
}

fn callers(text: Option<&str>) -> Result<Callers, ConfigError> {
    match text {
        None | Some("sampled") => Ok(Callers::Sampled),
        Some("followed") => Ok(Callers::Followed),
        Some(other) => {
            let reason = format!("{other:?} is neither sampled nor followed");
            Err(ConfigError::invalid("telemetry.traces.callers", reason))
        }
    }
}

/// The endpoint; its user name and password, if it has any, are repeated nowhere.
fn endpoint_url(text: &str, plain_http: bool) -> Result<Url, ConfigError> {
    let refused = |reason: &str| Err(ConfigError::invalid("telemetry.traces.endpoint", reason));
    let Ok(mut url) = Url::parse(text) else {
        return refused("is no URL; expected https://host:port");
    };
    match url.scheme() {
        "https" => {}
        "http" if plain_http => {}
        "http" => return refused("traces would travel unencrypted; use https://, or set plain_http = true"),
        _ => return refused("expected a URL that begins with https://; OTLP over gRPC is not spoken"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("has a user name or password in it; use headers instead");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refused("has a query or fragment; use headers for what the collector is to know");
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url)
}
