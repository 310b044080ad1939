//! The configuration of a process: one typed struct, layered in one function.
//!
//! Defaults, then `tidewaiter.toml`, then `TIDEWAITER__SECTION__KEY` variables, then flags. Unknown keys
//! and contradictory settings stop the start with a message that names the key, where it came from and
//! the fix. Nobody else reads the environment.
//!
//! Reading order: [`Config`] and its sections here; `sections` (the file as it is written), `values`
//! (durations, sizes, secrets), `print` (what `config print` shows).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::model::image::{ImageName, RegistryHost};
use crate::queue::RetryRules;
use crate::queue::rabbitmq::RabbitmqConfig;
use crate::registry::{RegistryClient, RegistryConfig, RegistryError};
use crate::store::redis::RedisConfig;

mod print;
mod sections;
mod values;

pub use print::Setting;

/// Everything that a process can be told.
#[derive(Debug)]
pub struct Config {
    /// The HTTP listener.
    pub server: ServerConfig,
    /// Who may ask and who may push.
    pub auth: AuthConfig,
    /// Where jobs wait.
    pub queue: QueueConfig,
    /// Where verdicts are kept.
    pub store: StoreConfig,
    /// How a worker works.
    pub worker: WorkerConfig,
    /// The registries that may be contacted, and no others (I8).
    pub registries: Registries,
    /// The advisory database.
    pub advisories: AdvisoriesConfig,
    /// Where policies are.
    pub policies: PoliciesConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

/// The HTTP listener.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; default 127.0.0.1:8480.
    pub listen: SocketAddr,
    /// How people reach this server, for links in answers; default `http://<listen>`.
    pub public_url: Url,
    /// Whether to listen beyond loopback although nobody has to show a token; default no.
    pub exposure: Exposure,
    /// The largest webhook body in bytes; default 1 MiB.
    pub body_limit: usize,
    /// How long a request may wait for a verdict at most; default 60 s.
    pub longest_wait: Duration,
    /// How long a digest counts as pending before it must be asked for again (I3); default 1 h.
    pub pending_ttl: Duration,
}

/// What happens when an api would listen beyond loopback without any authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It refuses to start.
    OnlyWithAuthentication,
    /// The operator has said that something else guards it.
    AllowUnauthenticated,
}

/// Who may ask and who may push.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// API tokens by name.
    pub tokens: BTreeMap<String, TokenConfig>,
    /// Webhook sources by name; a source that is not listed is refused, unless nothing is listed at all.
    pub webhooks: BTreeMap<String, WebhookConfig>,
}

/// One API token.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The token, or its SHA-256 if the operator keeps only that.
    pub secret: TokenSecret,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

/// A token as it is kept.
#[derive(Debug, Clone)]
pub enum TokenSecret {
    /// In clear, from a file or variable.
    Clear(SecretString),
    /// Only its SHA-256.
    Sha256([u8; 32]),
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for verdicts and reports.
    Read,
    /// Enqueue scans.
    Push,
    /// Look into the queue and change it.
    Admin,
}

/// How one webhook source proves itself, and which registry it speaks for.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// What the sender must show.
    pub proof: WebhookProof,
    /// The registry that its events are about, whatever host they name.
    pub registry: Option<RegistryHost>,
}

/// What a webhook sender must show.
#[derive(Debug, Clone)]
pub enum WebhookProof {
    /// Nothing: only where something else guards the route.
    Nothing,
    /// `Authorization: Bearer <token>`, or the value verbatim as Harbor sends it.
    Token(SecretString),
    /// An HMAC-SHA256 of the body.
    Hmac(SecretString),
}

/// Where jobs wait. Made only from a section that names a URL or nothing.
#[derive(Debug, Clone)]
pub enum QueueConfig {
    /// A RabbitMQ broker; several processes may share it.
    Rabbitmq(RabbitmqConfig),
    /// One file, one process.
    Embedded {
        /// The file.
        file: PathBuf,
        /// When to try again.
        retry: RetryRules,
    },
}

impl QueueConfig {
    /// When and how often a failed job is tried again.
    pub fn retry(&self) -> &RetryRules {
        match self {
            Self::Rabbitmq(config) => &config.retry,
            Self::Embedded { retry, .. } => retry,
        }
    }
}

/// Where verdicts are kept. Made only from a section that names servers in one way, or none.
#[derive(Debug, Clone)]
pub enum StoreConfig {
    /// Redis; several processes may share it.
    Redis(RedisConfig),
    /// One file, one process.
    Embedded {
        /// The file.
        file: PathBuf,
    },
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Jobs at the same time; default 2.
    pub concurrency: NonZeroUsize,
    /// Layers read at the same time, over all jobs; default 4.
    pub layers: NonZeroUsize,
    /// How long a lease lasts between renewals; default 60 s.
    pub lease: Duration,
    /// How long running jobs may go on after SIGTERM before they are handed back; default 25 s.
    pub grace: Duration,
    /// Where a worker that runs alone answers health probes and Prometheus; default nowhere.
    pub probes: Option<SocketAddr>,
    /// Memory for captured files in bytes; default 64 MiB.
    pub capture_bytes: u64,
    /// The largest inflated layer in bytes; default 40 GiB.
    pub layer_bytes: u64,
    /// The longest that one image may take; default 30 min.
    pub image_time: Duration,
}

/// The advisory database.
#[derive(Debug, Clone)]
pub struct AdvisoriesConfig {
    /// The compiled file; default `advisories.db` in the data directory.
    pub database: PathBuf,
}

/// Where policies are.
#[derive(Debug, Clone, Default)]
pub struct PoliciesConfig {
    /// A folder of `*.yaml`; none means only the built-in default policy.
    pub dir: Option<PathBuf>,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `tracing` filter directives; default `info`.
    pub log: String,
    /// How a line looks; default `text`.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The registries that may be contacted, and the names under which events know them.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    configured: Vec<RegistrySettings>,
}

/// One registry, and what else it is called.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// The name of its section.
    pub name: String,
    /// Other hosts by which events and people call it: internal names, web addresses.
    pub aliases: Vec<RegistryHost>,
    /// How to reach it; its `host` is the one under which images of it are known here.
    pub client: RegistryConfig,
}

impl Registries {
    /// Made from the sections of the configuration.
    pub fn new(configured: Vec<RegistrySettings>) -> Self {
        Self { configured }
    }

    /// A client that may contact these registries, and no others (I8).
    pub fn client(&self) -> Result<RegistryClient, RegistryError> {
        RegistryClient::new(self.configured.iter().map(|registry| registry.client.clone()).collect())
    }

    /// Every registry.
    pub fn iter(&self) -> impl Iterator<Item = &RegistrySettings> {
        self.configured.iter()
    }

    /// The registry that `host` means, by its own name or an alias.
    pub fn find(&self, host: &RegistryHost) -> Option<&RegistrySettings> {
        self.configured
            .iter()
            .find(|registry| registry.client.host == *host || registry.aliases.contains(host))
    }

    /// The same image under its registry's canonical host; `None` if that registry is not configured (I8).
    pub fn canonical(&self, image: &ImageName) -> Option<ImageName> {
        let registry = self.find(&image.registry)?;
        Some(ImageName { registry: registry.client.host.clone(), repository: image.repository.clone() })
    }
}

impl WebhookConfig {
    /// Whether anybody may post.
    pub fn is_open(&self) -> bool {
        match self.proof {
            WebhookProof::Nothing => true,
            WebhookProof::Token(_) | WebhookProof::Hmac(_) => false,
        }
    }
}

/// What the command line adds: the last word on a few settings.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: the file to read instead of `tidewaiter.toml` in the working directory.
    pub file: Option<PathBuf>,
    /// `--data-dir`: where embedded files live.
    pub data_dir: Option<PathBuf>,
    /// Further settings by dotted key, for example `server.listen`.
    pub settings: BTreeMap<String, String>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by `--config` does not exist.
    #[error("configuration file {} does not exist", .0.display())]
    Missing(PathBuf),
    /// A value has the wrong type, a key is unknown, the file is not TOML. Names key and origin.
    #[error(transparent)]
    Layer(#[from] ::config::ConfigError),
    /// A value makes no sense.
    #[error("{key}: {reason}")]
    Invalid {
        /// The dotted key.
        key: String,
        /// What is wrong and how to repair it.
        reason: String,
    },
    /// A file that holds a secret cannot be read.
    #[error("{key}: cannot read {}", path.display())]
    SecretFile {
        /// The dotted key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ConfigError {
    pub(crate) fn invalid(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { key: key.into(), reason: reason.into() }
    }
}

impl Config {
    /// Reads and checks every layer.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let layers = layers(overrides)?;
        let raw: sections::RawConfig = layers.try_deserialize()?;
        raw.try_into()
    }

    /// Every setting that somebody made, with its origin and without secrets, by key.
    pub fn settings(overrides: &Overrides) -> Result<Vec<Setting>, ConfigError> {
        Ok(print::settings(&layers(overrides)?))
    }
}

/// The file that is read when nobody names another.
const DEFAULT_FILE: &str = "tidewaiter.toml";

fn layers(overrides: &Overrides) -> Result<::config::Config, ConfigError> {
    let mut builder = ::config::Config::builder();
    let (file, required) = match &overrides.file {
        Some(file) if !file.exists() => return Err(ConfigError::Missing(file.clone())),
        Some(file) => (file.as_path(), true),
        None => (Path::new(DEFAULT_FILE), false),
    };
    builder =
        builder.add_source(::config::File::from(file).format(::config::FileFormat::Toml).required(required));
    builder = builder
        .add_source(::config::Environment::with_prefix("TIDEWAITER").prefix_separator("__").separator("__"));
    if let Some(data_dir) = &overrides.data_dir {
        builder = builder.set_override("data_dir", data_dir.display().to_string())?;
    }
    for (key, value) in &overrides.settings {
        builder = builder.set_override(key, value.as_str())?;
    }
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests;
