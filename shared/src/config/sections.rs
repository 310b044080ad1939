//! The sections as they are written, and how each becomes its checked type.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::values::{Bytes, Span, secret};
use super::{
    AdvisoriesConfig, AuthConfig, Config, ConfigError, Exposure, LogFormat, PoliciesConfig, QueueConfig,
    Registries, RegistrySettings, Scope, ServerConfig, StoreConfig, TelemetryConfig, TokenConfig,
    TokenSecret, WebhookConfig, WebhookProof, WorkerConfig,
};
use crate::model::image::RegistryHost;
use crate::queue::RetryRules;
use crate::queue::rabbitmq::RabbitmqConfig;
use crate::registry::{Credentials, RedirectTargets, RegistryConfig, Timeouts, Transport};
use crate::store::redis::{RedisConfig, Topology};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    #[serde(default = "data_dir")]
    data_dir: PathBuf,
    #[serde(default)]
    server: RawServer,
    #[serde(default)]
    auth: RawAuth,
    #[serde(default)]
    queue: RawQueue,
    #[serde(default)]
    store: RawStore,
    #[serde(default)]
    worker: RawWorker,
    #[serde(default)]
    registries: BTreeMap<String, RawRegistry>,
    #[serde(default)]
    advisories: RawAdvisories,
    #[serde(default)]
    policies: RawPolicies,
    #[serde(default)]
    telemetry: RawTelemetry,
}

fn data_dir() -> PathBuf {
    PathBuf::from("tidewaiter-data")
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawServer {
    listen: Option<SocketAddr>,
    public_url: Option<Url>,
    #[serde(default)]
    allow_unauthenticated: bool,
    body_limit: Option<Bytes>,
    longest_wait: Option<Span>,
    pending_ttl: Option<Span>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAuth {
    #[serde(default)]
    tokens: BTreeMap<String, RawToken>,
    #[serde(default)]
    webhooks: BTreeMap<String, RawWebhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    sha256: Option<String>,
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    hmac_secret: Option<SecretString>,
    hmac_secret_file: Option<PathBuf>,
    #[serde(default)]
    open: bool,
    registry: Option<RegistryHost>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawQueue {
    url: Option<SecretString>,
    url_file: Option<PathBuf>,
    prefix: Option<String>,
    publish_timeout: Option<Span>,
    #[serde(default)]
    ca_certificates: Vec<PathBuf>,
    retry_after: Option<Vec<Span>>,
    attempts: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawStore {
    url: Option<SecretString>,
    url_file: Option<PathBuf>,
    #[serde(default)]
    cluster: Vec<SecretString>,
    #[serde(default)]
    sentinels: Vec<SecretString>,
    master: Option<String>,
    prefix: Option<String>,
    timeout: Option<Span>,
    report_ttl: Option<Span>,
    ca_certificates: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawWorker {
    concurrency: Option<NonZeroUsize>,
    layers: Option<NonZeroUsize>,
    lease: Option<Span>,
    grace: Option<Span>,
    probes: Option<SocketAddr>,
    capture_bytes: Option<Bytes>,
    layer_bytes: Option<Bytes>,
    image_time: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegistry {
    host: RegistryHost,
    #[serde(default)]
    aliases: Vec<RegistryHost>,
    endpoint: Option<RegistryHost>,
    #[serde(default)]
    plain_http: bool,
    username: Option<String>,
    password: Option<SecretString>,
    password_file: Option<PathBuf>,
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    docker_config: Option<PathBuf>,
    credential_helper: Option<String>,
    #[serde(default)]
    ca_certificates: Vec<PathBuf>,
    #[serde(default)]
    token_realms: Vec<RegistryHost>,
    #[serde(default)]
    allow_private_redirects: bool,
    connect_timeout: Option<Span>,
    response_timeout: Option<Span>,
    concurrency: Option<NonZeroUsize>,
    retries: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAdvisories {
    database: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawPolicies {
    dir: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawTelemetry {
    log: Option<String>,
    format: Option<LogFormat>,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, Self::Error> {
        let database = raw.advisories.database.unwrap_or_else(|| raw.data_dir.join("advisories.db"));
        Ok(Self {
            server: raw.server.check()?,
            auth: raw.auth.check()?,
            queue: raw.queue.check(&raw.data_dir)?,
            store: raw.store.check(&raw.data_dir)?,
            worker: raw.worker.check()?,
            registries: registries(raw.registries)?,
            advisories: AdvisoriesConfig { database },
            policies: PoliciesConfig { dir: raw.policies.dir },
            telemetry: TelemetryConfig {
                log: raw.telemetry.log.unwrap_or_else(|| "info".to_owned()),
                format: raw.telemetry.format.unwrap_or(LogFormat::Text),
            },
        })
    }
}

fn seconds(span: Option<Span>, default: u64) -> Duration {
    span.map_or(Duration::from_secs(default), |span| span.0)
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("defaults are not zero")
}

impl RawServer {
    fn check(self) -> Result<ServerConfig, ConfigError> {
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8480)));
        let public_url = match self.public_url {
            Some(url) => url,
            None => Url::parse(&format!("http://{listen}"))
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
            exposure,
            body_limit: usize::try_from(body_limit).unwrap_or(usize::MAX),
            longest_wait: seconds(self.longest_wait, 60),
            pending_ttl: seconds(self.pending_ttl, 3600),
        })
    }
}

impl RawAuth {
    fn check(self) -> Result<AuthConfig, ConfigError> {
        let tokens = self.tokens.into_iter().map(|(name, raw)| Ok((name.clone(), raw.check(&name)?)));
        let webhooks = self.webhooks.into_iter().map(|(name, raw)| Ok((name.clone(), raw.check(&name)?)));
        Ok(AuthConfig {
            tokens: tokens.collect::<Result<_, ConfigError>>()?,
            webhooks: webhooks.collect::<Result<_, ConfigError>>()?,
        })
    }
}

/// Shorter secrets can be guessed.
const SHORTEST_TOKEN: usize = 16;

impl RawToken {
    fn check(self, name: &str) -> Result<TokenConfig, ConfigError> {
        let key = format!("auth.tokens.{name}");
        let clear = secret(&format!("{key}.token"), self.token, self.token_file)?;
        let secret = match (clear, self.sha256) {
            (Some(clear), None) => {
                if clear.expose_secret().len() < SHORTEST_TOKEN {
                    let reason = format!(
                        "is shorter than {SHORTEST_TOKEN} characters; make one with `openssl rand -hex 32`"
                    );
                    return Err(ConfigError::invalid(format!("{key}.token"), reason));
                }
                TokenSecret::Clear(clear)
            }
            (None, Some(text)) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(&text, &mut bytes)
                    .map_err(|_| ConfigError::invalid(format!("{key}.sha256"), "expected 64 hex digits"))?;
                TokenSecret::Sha256(bytes)
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(ConfigError::invalid(key, "set exactly one of token, token_file and sha256"));
            }
        };
        if self.scopes.is_empty() {
            return Err(ConfigError::invalid(format!("{key}.scopes"), "is empty; name read, push or admin"));
        }
        Ok(TokenConfig { secret, scopes: self.scopes })
    }
}

impl RawWebhook {
    fn check(self, name: &str) -> Result<WebhookConfig, ConfigError> {
        let key = format!("auth.webhooks.{name}");
        let token = secret(&format!("{key}.token"), self.token, self.token_file)?;
        let hmac = secret(&format!("{key}.hmac_secret"), self.hmac_secret, self.hmac_secret_file)?;
        let proof = match (token, hmac, self.open) {
            (Some(token), None, false) => WebhookProof::Token(token),
            (None, Some(secret), false) => WebhookProof::Hmac(secret),
            (None, None, true) => WebhookProof::Nothing,
            (None, None, false) => {
                let reason = "set token, token_file, hmac_secret or hmac_secret_file; or open = true if something else guards the route";
                return Err(ConfigError::invalid(key, reason));
            }
            (Some(_), Some(_), _) | (Some(_), None, true) | (None, Some(_), true) => {
                return Err(ConfigError::invalid(
                    key,
                    "token, hmac_secret and open exclude one another; keep one",
                ));
            }
        };
        Ok(WebhookConfig { proof, registry: self.registry })
    }
}

impl RawQueue {
    fn check(self, data_dir: &std::path::Path) -> Result<QueueConfig, ConfigError> {
        let defaults = RetryRules::default();
        let tiers = match self.retry_after {
            Some(spans) if spans.is_empty() => {
                return Err(ConfigError::invalid(
                    "queue.retry_after",
                    "is empty; name at least one wait, like [\"2s\"]",
                ));
            }
            Some(spans) => spans.into_iter().map(|span| span.0).collect(),
            None => defaults.tiers,
        };
        let retry = RetryRules { tiers, attempts: self.attempts.unwrap_or(defaults.attempts).max(1) };
        let Some(url) = secret("queue.url", self.url, self.url_file)? else {
            return Ok(QueueConfig::Embedded { file: data_dir.join("queue.redb"), retry });
        };
        scheme("queue.url", &url, &["amqp", "amqps"])?;
        let mut config = RabbitmqConfig::new(url);
        config.prefix = self.prefix.unwrap_or(config.prefix);
        config.publish_timeout = self.publish_timeout.map_or(config.publish_timeout, |span| span.0);
        config.ca_certificates = self.ca_certificates;
        // The broker's own limit is a backstop behind ours, so it must not be the smaller one.
        config.delivery_limit = config.delivery_limit.max(retry.attempts);
        config.retry = retry;
        Ok(QueueConfig::Rabbitmq(config))
    }
}

fn scheme(key: &str, url: &SecretString, allowed: &[&str]) -> Result<(), ConfigError> {
    let found = Url::parse(url.expose_secret()).ok().map(|url| url.scheme().to_owned());
    match found {
        Some(scheme) if allowed.contains(&scheme.as_str()) => Ok(()),
        Some(_) | None => Err(ConfigError::invalid(
            key,
            format!("expected a URL that begins with {}://", allowed.join(":// or ")),
        )),
    }
}

impl RawStore {
    fn check(self, data_dir: &std::path::Path) -> Result<StoreConfig, ConfigError> {
        let several = !self.cluster.is_empty() || !self.sentinels.is_empty() || self.master.is_some();
        let Some(url) = secret("store.url", self.url, self.url_file)? else {
            if several {
                let reason = "cluster, sentinels and master say more about store.url; set that too";
                return Err(ConfigError::invalid("store", reason));
            }
            return Ok(StoreConfig::Embedded { file: data_dir.join("store.redb") });
        };
        for url in self.cluster.iter().chain(&self.sentinels).chain([&url]) {
            scheme("store.url", url, &["redis", "rediss"])?;
        }
        let mut config = RedisConfig::new(url);
        config.topology = match (self.cluster.is_empty(), self.sentinels.is_empty(), self.master) {
            (true, true, None) => Topology::Single,
            (false, true, None) => Topology::Cluster { urls: self.cluster },
            (true, false, Some(master)) => Topology::Sentinel { urls: self.sentinels, master },
            (_, _, _) => {
                let reason = "set cluster, or sentinels together with master, or neither";
                return Err(ConfigError::invalid("store", reason));
            }
        };
        config.prefix = self.prefix.unwrap_or(config.prefix);
        config.timeout = self.timeout.map_or(config.timeout, |span| span.0);
        config.report_ttl = self.report_ttl.map_or(config.report_ttl, |span| span.0);
        config.verdict_ttl = config.report_ttl;
        config.sighting_ttl = config.report_ttl;
        config.ca_certificates = self.ca_certificates.map(read_certificates).transpose()?;
        Ok(StoreConfig::Redis(config))
    }
}

fn read_certificates(path: PathBuf) -> Result<Vec<u8>, ConfigError> {
    let key = "store.ca_certificates".to_owned();
    std::fs::read(&path).map_err(|source| ConfigError::SecretFile { key, path, source })
}

impl RawWorker {
    fn check(self) -> Result<WorkerConfig, ConfigError> {
        let lease = seconds(self.lease, 60);
        if lease < Duration::from_secs(3) {
            return Err(ConfigError::invalid(
                "worker.lease",
                "is under 3s; a busy network would lose every lease",
            ));
        }
        Ok(WorkerConfig {
            concurrency: self.concurrency.unwrap_or_else(|| count(2)),
            layers: self.layers.unwrap_or_else(|| count(4)),
            lease,
            grace: seconds(self.grace, 25),
            probes: self.probes,
            capture_bytes: self.capture_bytes.map_or(64 << 20, |bytes| bytes.0),
            layer_bytes: self.layer_bytes.map_or(40 << 30, |bytes| bytes.0),
            image_time: seconds(self.image_time, 1800),
        })
    }
}

fn registries(raw: BTreeMap<String, RawRegistry>) -> Result<Registries, ConfigError> {
    let mut registries: Vec<RegistrySettings> = Vec::new();
    for (name, raw) in raw {
        let registry = raw.check(&name)?;
        for host in registry.aliases.iter().chain([&registry.client.host]) {
            let taken =
                registries.iter().find(|other| other.client.host == *host || other.aliases.contains(host));
            if let Some(other) = taken {
                let reason = format!("{host} is already claimed by registries.{}", other.name);
                return Err(ConfigError::invalid(format!("registries.{name}"), reason));
            }
        }
        registries.push(registry);
    }
    Ok(Registries::new(registries))
}

impl RawRegistry {
    fn check(self, name: &str) -> Result<RegistrySettings, ConfigError> {
        let key = format!("registries.{name}");
        let password = secret(&format!("{key}.password"), self.password, self.password_file)?;
        let token = secret(&format!("{key}.token"), self.token, self.token_file)?;
        let credentials = match (self.username, password, token, self.docker_config, self.credential_helper) {
            (None, None, None, None, None) => Credentials::Anonymous,
            (Some(username), Some(password), None, None, None) => Credentials::Basic { username, password },
            (None, None, Some(token), None, None) => Credentials::Token(token),
            (None, None, None, Some(path), None) => Credentials::DockerConfig { path },
            (None, None, None, None, Some(name)) => Credentials::Helper { name },
            (_, _, _, _, _) => {
                let reason =
                    "set one way to log in: username and password, token, docker_config or credential_helper";
                return Err(ConfigError::invalid(key, reason));
            }
        };
        let defaults = RegistryConfig::new(self.host);
        let timeouts = Timeouts {
            connect: self.connect_timeout.map_or(defaults.timeouts.connect, |span| span.0),
            first_byte: self.response_timeout.map_or(defaults.timeouts.first_byte, |span| span.0),
            ..defaults.timeouts
        };
        let client = RegistryConfig {
            transport: if self.plain_http { Transport::PlainHttp } else { Transport::Https },
            endpoint: self.endpoint,
            credentials,
            ca_certificates: self.ca_certificates,
            token_realms: self.token_realms,
            redirect_targets: match self.allow_private_redirects {
                true => RedirectTargets::PublicAndPrivate,
                false => RedirectTargets::Public,
            },
            timeouts,
            concurrency: self.concurrency.unwrap_or(defaults.concurrency),
            retries: self.retries.unwrap_or(defaults.retries),
            host: defaults.host,
        };
        Ok(RegistrySettings { name: name.to_owned(), aliases: self.aliases, client })
    }
}
