//! `egress`: the forward proxy by which requests leave, and which hosts are dialled directly.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use url::Url;

use super::ConfigError;
use super::values::secret;
use crate::outgoing::{Bypass, Egress, ForwardProxy, ProxyLogin};

/// What other programs take a proxy from, and we do not: nothing outside of the configuration decides whom requests
/// are shown to.
const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The variables of the environment that name a proxy and change nothing here.
pub fn unused_proxy_variables() -> Vec<&'static str> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    VARIABLES.into_iter().filter(is_set).collect()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEgress {
    proxy: Option<String>,
    proxy_user: Option<String>,
    proxy_password: Option<SecretString>,
    proxy_password_file: Option<PathBuf>,
    no_proxy: Option<Hosts>,
    ca_certificates: Option<Vec<PathBuf>>,
}

impl RawEgress {
    pub(super) fn check(self) -> Result<Egress, ConfigError> {
        let Some(proxy) = &self.proxy else { return self.needs_proxy() };
        let url = proxy_url(proxy)?;
        let password = secret("egress.proxy_password", self.proxy_password, self.proxy_password_file)?;
        let login = match (self.proxy_user, password) {
            (None, None) => None,
            (Some(user), Some(_)) if user.contains(':') => {
                let reason = "has a colon, which no user name may have that is sent to a proxy";
                return Err(ConfigError::invalid("egress.proxy_user", reason));
            }
            (Some(user), Some(password)) => Some(ProxyLogin { user, password }),
            (Some(_), None) => {
                let reason = "is missing: a proxy_user has a password; set it or proxy_password_file";
                return Err(ConfigError::invalid("egress.proxy_password", reason));
            }
            (None, Some(_)) => {
                let reason = "is missing: whose password is egress.proxy_password?";
                return Err(ConfigError::invalid("egress.proxy_user", reason));
            }
        };
        let direct = Bypass::parse(&self.no_proxy.unwrap_or_default().0)
            .map_err(|error| ConfigError::invalid("egress.no_proxy", error.to_string()))?;
        let ca_certificates = self.ca_certificates.unwrap_or_default();
        let egress = Egress::through(ForwardProxy { url, login, direct, ca_certificates });
        match egress.client(&[]) {
            Ok(_) => Ok(egress),
            Err(error) => {
                Err(ConfigError::invalid("egress.ca_certificates", crate::telemetry::chain(&error)))
            }
        }
    }

    /// Requests leave directly without a proxy; whoever set anything else meant that they should not.
    fn needs_proxy(self) -> Result<Egress, ConfigError> {
        let Self { proxy: _, proxy_user, proxy_password, proxy_password_file, no_proxy, ca_certificates } =
            self;
        let is_set = proxy_user.is_some()
            || proxy_password.is_some()
            || proxy_password_file.is_some()
            || no_proxy.is_some()
            || ca_certificates.is_some();
        if is_set {
            let reason =
                "is missing: name the proxy, like http://proxy.example.com:3128, or leave the section out";
            return Err(ConfigError::invalid("egress.proxy", reason));
        }
        Ok(Egress::default())
    }
}

/// The URL of a proxy; its user name and password, if it has any, are repeated nowhere.
fn proxy_url(text: &str) -> Result<Url, ConfigError> {
    let refused = |reason: &str| Err(ConfigError::invalid("egress.proxy", reason));
    let Some(url) = Url::parse(text).ok().filter(Url::has_host) else {
        return refused("is no URL; expected one like http://proxy.example.com:3128");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refused("expected a URL that begins with http:// or https://; SOCKS is not spoken");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("holds a login; use egress.proxy_user and egress.proxy_password_file");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return refused("has more than a host and a port; expected one like http://proxy.example.com:3128");
    }
    Ok(url)
}

/// A list, or one text with commas as in `NO_PROXY`, which is all that a variable can be.
#[derive(Default)]
struct Hosts(Vec<String>);

impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Hosts;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of hosts, or hosts with commas between them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Hosts, E> {
                Ok(Hosts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Hosts, A::Error> {
                let mut hosts = Vec::new();
                while let Some(host) = list.next_element()? {
                    hosts.push(host);
                }
                Ok(Hosts(hosts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
