//! Where Redis is and how long things live in it.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

/// How to reach Redis, and how long to keep what is stored there. Redis 6.2 or newer, or Valkey.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    ///
    /// With [`Topology::Sentinel`] its user, password, database and TLS are those of the data servers,
    /// and its host is not contacted: the sentinels name the master.
    pub url: SecretString,
    /// One server, a cluster, or servers guarded by sentinels. Default: one server.
    pub topology: Topology,
    /// What every key begins with, so that installations can share a server. Default `tw`.
    pub prefix: String,
    /// How long any operation may take, reconnecting and repeating included. Default 2 s.
    pub timeout: Duration,
    /// How long a report is kept after it was last read. Default 90 days.
    pub report_ttl: Duration,
    /// How long verdicts are kept after they were last asked for. Default 90 days.
    pub verdict_ttl: Duration,
    /// How long sightings are kept after the last one. Default 90 days.
    pub sighting_ttl: Duration,
    /// PEM certificates of the authorities to trust with `rediss://`, instead of the system's own. Refused
    /// with `redis://`.
    pub ca_certificates: Option<Vec<u8>>,
}

/// How the servers are arranged.
#[derive(Clone, Debug, Default)]
pub enum Topology {
    /// One server, or a name that always leads to the right one.
    #[default]
    Single,
    /// A Redis Cluster. All nodes share the user, password and TLS of [`RedisConfig::url`].
    Cluster {
        /// Further nodes to ask for the layout, should the first be down.
        urls: Vec<SecretString>,
    },
    /// Servers guarded by sentinels.
    Sentinel {
        /// The sentinels: `redis://[user:password@]host[:port]`, all with the same user and password.
        urls: Vec<SecretString>,
        /// The name under which the sentinels know the master.
        master: String,
    },
}

impl RedisConfig {
    const MONTHS: Duration = Duration::from_secs(90 * 24 * 60 * 60);

    /// One server at `url`, everything else as the defaults say.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            topology: Topology::Single,
            prefix: "tw".to_owned(),
            timeout: Duration::from_secs(2),
            report_ttl: Self::MONTHS,
            verdict_ttl: Self::MONTHS,
            sighting_ttl: Self::MONTHS,
            ca_certificates: None,
        }
    }

    /// The servers by host and port, without credentials: fit for messages.
    pub(super) fn place(&self) -> String {
        let joined =
            |urls: &[SecretString]| urls.iter().map(Shown).map(|url| url.to_string()).collect::<Vec<_>>();
        match &self.topology {
            Topology::Single => Shown(&self.url).to_string(),
            Topology::Cluster { urls } => {
                let mut places = vec![Shown(&self.url).to_string()];
                places.extend(joined(urls));
                places.join(",")
            }
            Topology::Sentinel { urls, master } => format!("{master} via {}", joined(urls).join(",")),
        }
    }
}

/// A URL without user, password and parameters.
struct Shown<'a>(&'a SecretString);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match url::Url::parse(self.0.expose_secret()) {
            Ok(url) => {
                let host = url.host_str().unwrap_or("localhost");
                write!(f, "{host}:{}", url.port().unwrap_or(6379))
            }
            Err(_) => f.write_str("(malformed URL)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_never_show_credentials() {
        let secret = |url: &str| SecretString::from(url);
        let mut config = RedisConfig::new(secret("rediss://me:geheim@cache.example:7000/3"));
        assert_eq!(config.place(), "cache.example:7000");
        config.topology = Topology::Cluster { urls: vec![secret("redis://:geheim@[::1]")] };
        assert_eq!(config.place(), "cache.example:7000,[::1]:6379");
        config.topology = Topology::Sentinel {
            urls: vec![secret("redis://u:geheim@s1:26379"), secret("geheim")],
            master: "main".to_owned(),
        };
        assert_eq!(config.place(), "main via s1:26379,(malformed URL)");
        assert!(!format!("{config:?}").contains("geheim"));
    }
}
