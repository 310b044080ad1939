//! `store`: where verdicts are kept.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::ConfigError;
use super::values::{Span, scheme, secret};
use crate::store::redis::{RedisConfig, Topology};

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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
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

impl RawStore {
    pub(super) fn check(self, data_dir: &Path) -> Result<StoreConfig, ConfigError> {
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
