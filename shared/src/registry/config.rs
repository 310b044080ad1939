//! What is known about one registry before it is contacted: how to reach it, who we are, how patient we are.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::model::image::RegistryHost;
use crate::outgoing::Egress;

use super::credentials::Credentials;

/// One registry that may be contacted. Make one with [`RegistryConfig::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// The host as image names spell it.
    pub host: RegistryHost,
    /// How it is spoken to. Default: https.
    pub transport: Transport,
    /// What is dialled instead of `host`, where a registry is known by one name and reached by another.
    /// Default: `host` itself, and for `docker.io` the server behind that name.
    pub endpoint: Option<RegistryHost>,
    /// Who we are. Default: nobody.
    pub credentials: Credentials,
    /// PEM files with certificate authorities to trust beside the system's own. Default: none.
    pub ca_certificates: Vec<PathBuf>,
    /// Token services that may see the credentials, beside those on `host` and `endpoint` themselves; an
    /// entry without a port means any port of that host. Default: none, and for `docker.io` its own.
    pub token_realms: Vec<RegistryHost>,
    /// Where the registry may redirect us. Default: to public addresses, and to its own.
    pub redirect_targets: RedirectTargets,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// How many blobs are pulled at once, and again as many documents. Default: 8.
    pub concurrency: NonZeroUsize,
    /// How often a failed call is repeated, and a blob that brings nothing new resumed. Default: 3.
    pub retries: u32,
    /// How requests leave. Default: directly.
    pub egress: Egress,
}

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS, always verified.
    Https,
    /// No TLS: everybody on the way can read the credentials. For registries on the same machine or in
    /// the same pod network.
    PlainHttp,
}

/// Where a registry may redirect us, as it does to object storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectTargets {
    /// Public addresses, and the addresses that the registry itself has.
    Public,
    /// Private and loopback addresses too, for object storage in one's own network. Link-local addresses
    /// (where clouds hand out machine credentials) and multicast stay forbidden.
    PublicAndPrivate,
}

/// How long is waited for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS. Default: 10 s.
    pub connect: Duration,
    /// From the request to the header of the answer, connecting included. Default: 30 s.
    pub first_byte: Duration,
    /// While a body arrives: after so much waiting, the rate is judged. Default: 60 s.
    pub window: Duration,
    /// The least that a body must bring, in bytes per second of waiting. Default: 64 KiB.
    pub bytes_per_second: u64,
    /// The pause before the first repetition, on average half of it; doubles each time. Default: 500 ms.
    pub backoff: Duration,
    /// The longest pause before a repetition. If a registry asks for more than this, the call fails with
    /// [`RateLimited`](super::RegistryError::RateLimited) and the caller comes back later. Default: 15 s.
    pub longest_backoff: Duration,
}

impl RegistryConfig {
    /// A registry with every setting at its default.
    pub fn new(host: RegistryHost) -> Self {
        Self {
            host,
            transport: Transport::Https,
            endpoint: None,
            credentials: Credentials::Anonymous,
            ca_certificates: Vec::new(),
            token_realms: Vec::new(),
            redirect_targets: RedirectTargets::Public,
            timeouts: Timeouts::default(),
            concurrency: const { NonZeroUsize::new(8).expect("8 is not zero") },
            retries: 3,
            egress: Egress::default(),
        }
    }

    fn is_docker_hub(&self) -> bool {
        self.host.as_str() == "docker.io"
    }

    /// Whether credentials are configured that a proxy would read.
    pub(crate) fn tells_proxy(&self) -> bool {
        let has_credentials = !matches!(self.credentials, Credentials::Anonymous);
        let is_told = |url: Url| self.egress.tells_proxy(&url);
        has_credentials && self.origin().is_some_and(is_told)
    }

    /// The URL below which its API is; `None` where host and endpoint make none.
    pub(super) fn origin(&self) -> Option<Url> {
        let scheme = match self.transport {
            Transport::Https => "https",
            Transport::PlainHttp => "http",
        };
        Url::parse(&format!("{scheme}://{}/", self.dialled())).ok().filter(Url::has_host)
    }

    /// The host and port that are dialled.
    pub(super) fn dialled(&self) -> &str {
        match &self.endpoint {
            Some(endpoint) => endpoint.as_str(),
            None if self.is_docker_hub() => "registry-1.docker.io",
            None => self.host.as_str(),
        }
    }

    /// Hosts whose token service may see the credentials: exactly `host:port`, or `host` for any port.
    pub(super) fn allowed_realms(&self) -> Vec<&str> {
        let without_port = |host: &RegistryHost| host_part(host.as_str()).len();
        let own = |host| &RegistryHost::as_str(host)[..without_port(host)];
        let mut allowed = vec![own(&self.host)];
        allowed.extend(self.endpoint.as_ref().map(own));
        allowed.extend(self.token_realms.iter().map(RegistryHost::as_str));
        if self.is_docker_hub() {
            allowed.push("auth.docker.io");
        }
        allowed
    }
}

/// The host of `host[:port]`, brackets of an IPv6 literal included.
pub(super) fn host_part(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => text,
    }
}

impl Timeouts {
    /// The least that a body must bring in one window of waiting.
    pub(super) fn bytes_per_window(&self) -> u64 {
        let milliseconds = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        self.bytes_per_second.saturating_mul(milliseconds) / 1000
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            window: Duration::from_secs(60),
            bytes_per_second: 64 << 10,
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, dialled: &str, realms: &[&str]) {
        let config = RegistryConfig::new(host.parse().unwrap());
        assert_eq!(config.dialled(), dialled, "{host}");
        assert_eq!(config.allowed_realms(), realms, "{host}");
    }

    #[test]
    fn docker_hub_is_reached_where_it_lives() {
        check("docker.io", "registry-1.docker.io", &["docker.io", "auth.docker.io"]);
        check("r.example:5000", "r.example:5000", &["r.example"]);
        check("[::1]:5000", "[::1]:5000", &["[::1]"]);
        check("[::1]", "[::1]", &["[::1]"]);
    }
}
