//! `registries.<name>`: the registries that may be contacted, and what else they are called.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use super::ConfigError;
use super::sweep::{self, Every, SweepSettings};
use super::values::{Span, secret};
use crate::model::image::{ImageName, RegistryHost, Repository};
use crate::outgoing::Egress;
use crate::registry::{
    Credentials, RedirectTargets, RegistryClient, RegistryConfig, RegistryError, Timeouts, Transport,
};

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
    /// How it is compared with what is known.
    pub sweep: SweepSettings,
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

    /// The registry that a person means: by the name of its section, its host or an alias.
    pub fn named(&self, text: &str) -> Option<&RegistrySettings> {
        let by_host = || text.parse().ok().and_then(|host| self.find(&host));
        self.configured.iter().find(|registry| registry.name == text).or_else(by_host)
    }

    /// The same image under its registry's canonical host; `None` if that registry is not configured (I8).
    pub fn canonical(&self, image: &ImageName) -> Option<ImageName> {
        let registry = self.find(&image.registry)?;
        Some(ImageName { registry: registry.client.host.clone(), repository: image.repository.clone() })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRegistry {
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
    #[serde(default)]
    repositories: Vec<Repository>,
    sweep_every: Option<Every>,
    sweep_rate: Option<f64>,
}

pub(super) fn registries(
    raw: BTreeMap<String, RawRegistry>,
    egress: &Egress,
) -> Result<Registries, ConfigError> {
    let mut registries: Vec<RegistrySettings> = Vec::new();
    for (name, raw) in raw {
        let registry = raw.check(&name, egress)?;
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
    pub(super) fn check(self, name: &str, egress: &Egress) -> Result<RegistrySettings, ConfigError> {
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
        let sweep = sweep::settings(&key, &self.host, self.sweep_every, self.sweep_rate, self.repositories)?;
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
            egress: egress.clone(),
        };
        if client.tells_proxy() {
            let reason = "its credentials would be shown to the proxy of egress.proxy in clear text: add its host to egress.no_proxy, or give it TLS and remove plain_http";
            return Err(ConfigError::invalid(key, reason));
        }
        Ok(RegistrySettings { name: name.to_owned(), aliases: self.aliases, client, sweep })
    }
}
