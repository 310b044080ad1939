//! The configuration of a process: one typed struct, layered in one function.
//!
//! Defaults, then `tidewaiter.toml`, then `TIDEWAITER__SECTION__KEY` variables, then flags. Unknown keys
//! and contradictory settings stop the start with a message that names the key, where it came from and
//! the fix. Nobody else reads the environment.
//!
//! Reading order: [`Config`] here; then one file a section, which has the section as it is checked, the
//! section as it is written, and the way from one to the other. `values` (durations, sizes, secrets),
//! `print` (what `config print` shows). Adding a section: a file, and a line in [`Config`] and `RawConfig`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::outgoing::Egress;

mod advisories;
mod attest;
mod auth;
mod egress;
mod gates;
mod malware;
mod notify;
mod policies;
mod print;
mod queue;
mod registries;
mod server;
mod store;
mod sweep;
mod telemetry;
mod values;
mod worker;

pub use advisories::AdvisoriesConfig;
pub use attest::{AttestConfig, Attesting, CosignLayout, Restore, SignerConfig, Trust};
pub use auth::{
    AuthConfig, EventMapping, OidcConfig, OidcKeys, PathPrefix, RepositoryMapping, Scope, SourceSettings,
    TokenConfig, TokenSecret, WebhookConfig, WebhookProof,
};
pub use egress::unused_proxy_variables;
pub use gates::{GateAccess, GateConfig, GatesConfig, HarborConfig, Namespaces, PullConfig};
pub use malware::{ClamdAddress, MalwareConfig};
pub use notify::{ContentMode, EndpointConfig, NotifyConfig};
pub use policies::PoliciesConfig;
pub use print::Setting;
pub use queue::QueueConfig;
pub use registries::{Registries, RegistrySettings};
pub use server::{Exposure, ServerConfig, TlsConfig};
pub use store::StoreConfig;
pub use sweep::SweepSettings;
pub use telemetry::{Callers, LogFormat, SecretHeader, TelemetryConfig, TracesConfig};
pub use worker::{Confinement, WorkerConfig};

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
    /// How requests leave: directly, or through a forward proxy.
    pub egress: Egress,
    /// Where policies are.
    pub policies: PoliciesConfig,
    /// Who may ask whether an image may run, and how long the answer may take.
    pub gates: GatesConfig,
    /// Who is told of changed verdicts.
    pub notify: NotifyConfig,
    /// Signed verdicts attached to images.
    pub attest: AttestConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
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
    /// A value has the wrong type, a key is unknown, the file is not TOML. Names key and origin, and repeats no value:
    /// any of them may be a secret in the wrong place.
    #[error("{0}")]
    Layer(String),
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

impl From<::config::ConfigError> for ConfigError {
    fn from(error: ::config::ConfigError) -> Self {
        Self::Layer(print::without_values(&error.to_string()))
    }
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
        let raw: RawConfig = layers.try_deserialize()?;
        raw.try_into()
    }

    /// Every setting that somebody made, with its origin and without secrets, by key.
    ///
    /// A secret is known by its place, so that of a configuration which cannot be used no text is shown: it may be in
    /// the wrong one.
    pub fn settings(overrides: &Overrides) -> Result<Vec<Setting>, ConfigError> {
        let layers = layers(overrides)?;
        let texts = match Self::load(overrides) {
            Ok(_) => print::Texts::Shown,
            Err(_) => print::Texts::Hidden,
        };
        Ok(print::settings(&layers, texts))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default = "data_dir")]
    data_dir: PathBuf,
    #[serde(default)]
    server: server::RawServer,
    #[serde(default)]
    auth: auth::RawAuth,
    #[serde(default)]
    queue: queue::RawQueue,
    #[serde(default)]
    store: store::RawStore,
    #[serde(default)]
    worker: worker::RawWorker,
    #[serde(default)]
    registries: BTreeMap<String, registries::RawRegistry>,
    #[serde(default)]
    advisories: advisories::RawAdvisories,
    #[serde(default)]
    egress: egress::RawEgress,
    #[serde(default)]
    policies: policies::RawPolicies,
    #[serde(default)]
    gates: gates::RawGates,
    #[serde(default)]
    notify: BTreeMap<String, notify::RawEndpoint>,
    #[serde(default)]
    attest: attest::RawAttest,
    #[serde(default)]
    telemetry: telemetry::RawTelemetry,
}

fn data_dir() -> PathBuf {
    PathBuf::from("tidewaiter-data")
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, Self::Error> {
        let egress = raw.egress.check()?;
        let registries = registries::registries(raw.registries, &egress)?;
        Ok(Self {
            attest: raw.attest.check(&registries, &egress)?,
            server: raw.server.check()?,
            auth: raw.auth.check(&egress)?,
            queue: raw.queue.check(&raw.data_dir)?,
            store: raw.store.check(&raw.data_dir)?,
            worker: raw.worker.check()?,
            registries,
            advisories: raw.advisories.check(&raw.data_dir),
            policies: raw.policies.check(),
            gates: raw.gates.check()?,
            notify: notify::notify(raw.notify, &egress)?,
            telemetry: raw.telemetry.check(&egress)?,
            egress,
        })
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
