//! `queue`: where jobs wait.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::ConfigError;
use super::values::{Span, scheme, secret};
use crate::queue::RetryRules;
use crate::queue::rabbitmq::RabbitmqConfig;

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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQueue {
    url: Option<SecretString>,
    url_file: Option<PathBuf>,
    #[serde(default)]
    cluster: Vec<SecretString>,
    prefix: Option<String>,
    publish_timeout: Option<Span>,
    #[serde(default)]
    ca_certificates: Vec<PathBuf>,
    retry_after: Option<Vec<Span>>,
    attempts: Option<u32>,
}

impl RawQueue {
    pub(super) fn check(self, data_dir: &Path) -> Result<QueueConfig, ConfigError> {
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
            if !self.cluster.is_empty() {
                let reason = "names further nodes; set queue.url to the first";
                return Err(ConfigError::invalid("queue.cluster", reason));
            }
            return Ok(QueueConfig::Embedded { file: data_dir.join("queue.redb"), retry });
        };
        for url in self.cluster.iter().chain([&url]) {
            scheme("queue.url", url, &["amqp", "amqps"])?;
        }
        let mut config = RabbitmqConfig::new(url);
        config.cluster = self.cluster;
        config.prefix = self.prefix.unwrap_or(config.prefix);
        config.publish_timeout = self.publish_timeout.map_or(config.publish_timeout, |span| span.0);
        config.ca_certificates = self.ca_certificates;
        // The broker's own limit is a backstop behind ours, so it must not be the smaller one.
        config.delivery_limit = config.delivery_limit.max(retry.attempts);
        config.retry = retry;
        Ok(QueueConfig::Rabbitmq(config))
    }
}
