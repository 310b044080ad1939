//! `worker`: how a worker works.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConfigError;
use super::malware::{MalwareConfig, RawMalware};
use super::values::{Bytes, Span, parsed, seconds, secret};
use crate::policy::ImagePattern;

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
    /// Memory for captured files in bytes; default 40 MiB.
    pub capture_bytes: u64,
    /// The largest inflated layer in bytes; default 40 GiB.
    pub layer_bytes: u64,
    /// The longest that one image may take; default 30 min.
    pub image_time: Duration,
    /// How far a process that reads images confines itself; default best effort.
    pub confinement: Confinement,
    /// A YAML file with rules for secrets of the site's own; default none.
    pub secret_rules: Option<PathBuf>,
    /// Repositories whose images others are built on; default none.
    pub base_images: Vec<ImagePattern>,
    /// What fingerprints of secrets are made with; default a key that everybody knows.
    pub secret_key: Option<SecretString>,
    /// Who searches files for malware; default nobody.
    pub malware: MalwareConfig,
}

/// How far a process that reads images gives up rights that it does not need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confinement {
    /// As far as the kernel allows; what it does not allow is said.
    #[default]
    BestEffort,
    /// In full, or the process does not start.
    Required,
    /// Not at all.
    Off,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorker {
    concurrency: Option<NonZeroUsize>,
    layers: Option<NonZeroUsize>,
    lease: Option<Span>,
    grace: Option<Span>,
    probes: Option<SocketAddr>,
    capture_bytes: Option<Bytes>,
    layer_bytes: Option<Bytes>,
    image_time: Option<Span>,
    confinement: Option<Confinement>,
    secret_rules: Option<PathBuf>,
    #[serde(default)]
    base_images: Vec<String>,
    secret_key: Option<SecretString>,
    secret_key_file: Option<PathBuf>,
    malware: Option<RawMalware>,
}

/// With shorter keys a short secret can be found out from its fingerprint by trying.
const SHORTEST_KEY: usize = 16;

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("defaults are not zero")
}

impl RawWorker {
    pub(super) fn check(self) -> Result<WorkerConfig, ConfigError> {
        let lease = seconds(self.lease, 60);
        if lease < Duration::from_secs(3) {
            return Err(ConfigError::invalid(
                "worker.lease",
                "is under 3s; a busy network would lose every lease",
            ));
        }
        let key = "worker.secret_key";
        let secret_key = secret(key, self.secret_key, self.secret_key_file)?;
        if secret_key.as_ref().is_some_and(|key| key.expose_secret().len() < SHORTEST_KEY) {
            let reason =
                format!("is shorter than {SHORTEST_KEY} characters; make one with `openssl rand -hex 32`");
            return Err(ConfigError::invalid(key, reason));
        }
        Ok(WorkerConfig {
            concurrency: self.concurrency.unwrap_or_else(|| count(2)),
            layers: self.layers.unwrap_or_else(|| count(4)),
            lease,
            grace: seconds(self.grace, 25),
            probes: self.probes,
            capture_bytes: self.capture_bytes.map_or(40 << 20, |bytes| bytes.0),
            layer_bytes: self.layer_bytes.map_or(40 << 30, |bytes| bytes.0),
            image_time: seconds(self.image_time, 1800),
            confinement: self.confinement.unwrap_or_default(),
            secret_rules: self.secret_rules,
            base_images: parsed("worker.base_images", &self.base_images, ImagePattern::new)?,
            secret_key,
            malware: self.malware.unwrap_or_default().check()?,
        })
    }
}
