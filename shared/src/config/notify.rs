//! `notify.<name>`: who is told of changed verdicts, over HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::ConfigError;
use super::values::{Span, parsed, seconds, secret};
use crate::announce::{Interest, Transition};
use crate::model::event::EndpointName;
use crate::model::verdict::PolicyName;
use crate::outgoing::Egress;
use crate::policy::ImagePattern;

/// Everybody who is told of changed verdicts.
#[derive(Debug, Clone, Default)]
pub struct NotifyConfig {
    /// By name.
    pub endpoints: BTreeMap<EndpointName, EndpointConfig>,
}

/// One endpoint that takes events by POST.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Where to post; secret, because many receivers know their senders by a part of it.
    pub url: SecretString,
    /// The key of `X-Signature`; unsigned without.
    pub secret: Option<SecretString>,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<SecretString>,
    /// What it is told; default everything.
    pub interest: Interest,
    /// How an event is written.
    pub mode: ContentMode,
    /// How long one attempt may take from the connection to the end of the answer; default 10 s.
    pub timeout: Duration,
    /// For how long an event is tried before it becomes a dead letter; default 24 h.
    pub give_up_after: Duration,
    /// PEM files of certificate authorities to trust besides the system's.
    pub ca_certificates: Vec<PathBuf>,
    /// How requests to it leave.
    pub egress: Egress,
}

/// How a CloudEvent is written into a request (CloudEvents HTTP binding §3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentMode {
    /// The whole event is the body: `application/cloudevents+json`.
    #[default]
    Structured,
    /// The data is the body, the rest is in `ce-…` headers.
    Binary,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    url: Option<SecretString>,
    url_file: Option<PathBuf>,
    #[serde(default)]
    plain_http: bool,
    secret: Option<SecretString>,
    secret_file: Option<PathBuf>,
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    #[serde(default)]
    policies: Vec<PolicyName>,
    #[serde(default)]
    outcomes: Vec<String>,
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    mode: ContentMode,
    timeout: Option<Span>,
    give_up_after: Option<Span>,
    #[serde(default)]
    ca_certificates: Vec<PathBuf>,
}

pub(super) fn notify(
    raw: BTreeMap<String, RawEndpoint>,
    egress: &Egress,
) -> Result<NotifyConfig, ConfigError> {
    let mut endpoints = BTreeMap::new();
    for (name, raw) in raw {
        let key = format!("notify.{name}");
        let name = name.parse().map_err(|error| invalid(&key, &error))?;
        endpoints.insert(name, raw.check(&key, egress)?);
    }
    Ok(NotifyConfig { endpoints })
}

/// An attempt occupies a worker's place for this long at most.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

impl RawEndpoint {
    fn check(self, key: &str, egress: &Egress) -> Result<EndpointConfig, ConfigError> {
        let url = secret(&format!("{key}.url"), self.url, self.url_file)?;
        let url =
            url.ok_or_else(|| ConfigError::invalid(format!("{key}.url"), "say where to post events"))?;
        check_url(&format!("{key}.url"), &url, self.plain_http)?;
        let signing = secret(&format!("{key}.secret"), self.secret, self.secret_file)?;
        let token = secret(&format!("{key}.token"), self.token, self.token_file)?;
        if signing.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            let reason = "is empty; make one with `openssl rand -hex 32`, or leave it out";
            return Err(ConfigError::invalid(format!("{key}.secret"), reason));
        }
        let visible =
            |token: &SecretString| token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
        if token.as_ref().is_some_and(|token| !visible(token)) {
            return Err(ConfigError::invalid(
                format!("{key}.token"),
                "has characters that no header may have",
            ));
        }
        let address = Url::parse(url.expose_secret()).ok();
        if token.is_some() && address.is_some_and(|url| egress.tells_proxy(&url)) {
            let reason = "would be shown to the proxy of egress.proxy in clear text: add the endpoint's host to egress.no_proxy, or use https://";
            return Err(ConfigError::invalid(format!("{key}.token"), reason));
        }
        let timeout = seconds(self.timeout, 10);
        if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
            let reason = "must be more than nothing and at most 60s: a worker waits for it";
            return Err(ConfigError::invalid(format!("{key}.timeout"), reason));
        }
        let interest = Interest {
            policies: self.policies,
            outcomes: parsed::<Transition, _>(&format!("{key}.outcomes"), &self.outcomes, str::parse)?,
            repositories: parsed(&format!("{key}.repositories"), &self.repositories, ImagePattern::new)?,
        };
        Ok(EndpointConfig {
            url,
            secret: signing,
            token,
            interest,
            mode: self.mode,
            timeout,
            give_up_after: seconds(self.give_up_after, 24 * 3600),
            ca_certificates: self.ca_certificates,
            egress: egress.clone(),
        })
    }
}

/// The URL is the operator's own, so any address may be meant; what it must not do is leak something on the way.
fn check_url(key: &str, url: &SecretString, plain_http: bool) -> Result<(), ConfigError> {
    let refused = |reason: &str| Err(ConfigError::invalid(key, reason));
    let Ok(url) = Url::parse(url.expose_secret()) else {
        return refused("is no URL; expected https://host/path");
    };
    match url.scheme() {
        "https" => {}
        "http" if plain_http => {}
        "http" => return refused("events would travel unencrypted; use https://, or set plain_http = true"),
        _ => return refused("expected a URL that begins with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("has a user name or password in it; use token instead");
    }
    Ok(())
}

fn invalid(key: &str, error: &dyn std::error::Error) -> ConfigError {
    ConfigError::invalid(key, error.to_string())
}
