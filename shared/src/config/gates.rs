//! `gates`: who may ask whether an image may run, and how long the answer may take.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConfigError;
use super::values::{Bytes, Span, secret};
use crate::model::image::RegistryHost;

/// The gates.
#[derive(Debug, Clone)]
pub struct GatesConfig {
    /// How long a registry has to say what a tag points at; default 3 s.
    pub resolve_timeout: Duration,
    /// How long that answer is used for further questions; default 5 s.
    pub tag_ttl: Duration,
    /// The admission webhooks of Kubernetes: `validate`, `mutate` and `image-policy`.
    pub kubernetes: GateConfig,
    /// The external data provider of Gatekeeper.
    pub gatekeeper: GateConfig,
    /// The service that Kyverno's policies call.
    pub kyverno: GateConfig,
    /// The forward-auth gate of proxies in front of a registry.
    pub pull: PullConfig,
    /// The scanner adapter of Harbor.
    pub harbor: HarborConfig,
}

/// The gate at a registry's own door.
#[derive(Debug, Clone)]
pub struct PullConfig {
    /// Who may ask, and how long it may take.
    pub gate: GateConfig,
    /// The registry behind the proxy, whatever host its clients name. Default: the host that the proxy reports.
    pub registry: Option<RegistryHost>,
    /// Whether a client's `ns=` names the registry, as clients of a mirror write it. Default: it says nothing,
    /// since a client could name another registry than it pulls from.
    pub namespaces: Namespaces,
}

/// What the `ns=` of a pull through a mirror means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// Nothing.
    Ignored,
    /// The registry of the image: the proxy leads to a mirror that goes by it too.
    NameTheRegistry,
}

/// The scanner adapter of Harbor.
#[derive(Debug, Clone)]
pub struct HarborConfig {
    /// Who may ask. Default: whoever shows a token with the scopes `read` and `push`.
    pub gate: GateConfig,
    /// What seals the credentials that Harbor lends to a scan. Default: none; they are used where api and worker are
    /// one process, and not at all where they are apart.
    pub credentials_key: Option<SecretString>,
}

/// One gate.
#[derive(Debug, Clone, Copy)]
pub struct GateConfig {
    /// Who may ask; default whoever shows a token with the scope `read`.
    pub access: GateAccess,
    /// How long a caller waits who does not say so himself.
    pub deadline: Duration,
    /// How much earlier than its caller's patience ends a gate answers (I9).
    pub margin: Duration,
    /// The largest question in bytes.
    pub body_limit: usize,
}

/// Who may ask a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateAccess {
    /// Whoever shows an API token with the scope `read`; everybody where no tokens are configured.
    Token,
    /// Whoever shows a certificate that `server.tls.client_ca` has signed.
    Certificate,
    /// Everybody: the caller cannot show a token, and something else guards the way to the gate.
    Open,
}

impl GatesConfig {
    /// Every gate, by the name of its section.
    pub fn each(&self) -> [(&'static str, &GateConfig); 5] {
        [
            ("kubernetes", &self.kubernetes),
            ("gatekeeper", &self.gatekeeper),
            ("kyverno", &self.kyverno),
            ("pull", &self.pull.gate),
            ("harbor", &self.harbor.gate),
        ]
    }
}

impl GateConfig {
    /// How long an answer may take when the caller waits for `patience`, or does not say how long.
    ///
    /// Never less than half of the caller's patience, so that a margin larger than that does not close the gate.
    pub fn allowance(&self, patience: Option<Duration>) -> Duration {
        let patience = patience.unwrap_or(self.deadline);
        patience.saturating_sub(self.margin).max(patience / 2)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGates {
    resolve_timeout: Option<Span>,
    tag_ttl: Option<Span>,
    #[serde(default)]
    kubernetes: RawGate,
    #[serde(default)]
    gatekeeper: RawGate,
    #[serde(default)]
    kyverno: RawGate,
    #[serde(default)]
    pull: RawPull,
    #[serde(default)]
    harbor: RawHarbor,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawPull {
    #[serde(default)]
    open: bool,
    #[serde(default)]
    client_certificate: bool,
    deadline: Option<Span>,
    margin: Option<Span>,
    registry: Option<RegistryHost>,
    #[serde(default)]
    namespaces: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawHarbor {
    #[serde(default)]
    open: bool,
    credentials_key: Option<SecretString>,
    credentials_key_file: Option<PathBuf>,
}

/// One gate as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawGate {
    #[serde(default)]
    open: bool,
    #[serde(default)]
    client_certificate: bool,
    deadline: Option<Span>,
    margin: Option<Span>,
    body_limit: Option<Bytes>,
}

impl RawGates {
    pub(super) fn check(self) -> Result<GatesConfig, ConfigError> {
        let span = |span: Option<Span>, default: Duration| span.map_or(default, |span| span.0);
        let second = Duration::from_secs(1);
        // Ten seconds are what Kubernetes waits by default. An object has at most 3 MiB; the review has two of them.
        let kubernetes = GateConfig {
            access: GateAccess::Token,
            deadline: 10 * second,
            margin: second,
            body_limit: 8 << 20,
        };
        // Gatekeeper's own advice is to wait a second or two; a provider is configured to 2 s in our examples.
        let gatekeeper =
            GateConfig { deadline: 2 * second, margin: second / 4, body_limit: 1 << 20, ..kubernetes };
        let kyverno = GateConfig { body_limit: 1 << 20, ..kubernetes };
        Ok(GatesConfig {
            resolve_timeout: span(self.resolve_timeout, 3 * second),
            tag_ttl: span(self.tag_ttl, 5 * second),
            kubernetes: self.kubernetes.check("gates.kubernetes", kubernetes)?,
            gatekeeper: self.gatekeeper.check("gates.gatekeeper", gatekeeper)?,
            kyverno: self.kyverno.check("gates.kyverno", kyverno)?,
            pull: self.pull.check()?,
            harbor: self.harbor.check()?,
        })
    }
}

impl RawPull {
    fn check(self) -> Result<PullConfig, ConfigError> {
        // A person waits at the other end, and the proxies themselves wait from 200 ms (Envoy) to a minute (nginx).
        let defaults = GateConfig {
            access: GateAccess::Token,
            deadline: Duration::from_secs(10),
            margin: Duration::from_secs(1),
            body_limit: 0,
        };
        // A deadline as short as Envoy's leaves no room for a margin of a second.
        let short = self.deadline.is_some_and(|deadline| deadline.0 <= 2 * defaults.margin);
        let margin = match (self.margin, self.deadline) {
            (None, Some(deadline)) if short => Some(Span(deadline.0 / 5)),
            (margin, _) => margin,
        };
        let raw = RawGate {
            open: self.open,
            client_certificate: self.client_certificate,
            deadline: self.deadline,
            margin,
            body_limit: None,
        };
        Ok(PullConfig {
            gate: raw.check("gates.pull", defaults)?,
            registry: self.registry,
            namespaces: match self.namespaces {
                true => Namespaces::NameTheRegistry,
                false => Namespaces::Ignored,
            },
        })
    }
}

/// Shorter keys can be guessed by whoever can read the store.
const SHORTEST_KEY: usize = 16;

impl RawHarbor {
    fn check(self) -> Result<HarborConfig, ConfigError> {
        // Harbor gives up after five seconds.
        let gate = GateConfig {
            access: if self.open { GateAccess::Open } else { GateAccess::Token },
            deadline: Duration::from_secs(5),
            margin: Duration::from_secs(1),
            body_limit: 256 << 10,
        };
        let key = "gates.harbor.credentials_key";
        let credentials_key = secret(key, self.credentials_key, self.credentials_key_file)?;
        if credentials_key.as_ref().is_some_and(|key| key.expose_secret().len() < SHORTEST_KEY) {
            let reason =
                format!("is shorter than {SHORTEST_KEY} characters; make one with `openssl rand -hex 32`");
            return Err(ConfigError::invalid(key, reason));
        }
        Ok(HarborConfig { gate, credentials_key })
    }
}

impl RawGate {
    fn check(self, key: &str, defaults: GateConfig) -> Result<GateConfig, ConfigError> {
        let body_limit = self.body_limit.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX));
        let access = match (self.open, self.client_certificate) {
            (false, false) => defaults.access,
            (true, false) => GateAccess::Open,
            (false, true) => GateAccess::Certificate,
            (true, true) => {
                let reason = "contradicts client_certificate = true of the same gate; keep one";
                return Err(ConfigError::invalid(format!("{key}.open"), reason));
            }
        };
        let gate = GateConfig {
            access,
            deadline: self.deadline.map_or(defaults.deadline, |span| span.0),
            margin: self.margin.map_or(defaults.margin, |span| span.0),
            body_limit: body_limit.unwrap_or(defaults.body_limit),
        };
        if gate.margin >= gate.deadline {
            let reason = format!(
                "{:?} leave no time to answer within the deadline of {:?}; the margin has to be smaller",
                gate.margin, gate.deadline
            );
            return Err(ConfigError::invalid(format!("{key}.margin"), reason));
        }
        Ok(gate)
    }
}
