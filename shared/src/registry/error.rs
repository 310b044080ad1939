//! Why a registry did not give what was asked for, in words that say what to do about it.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::image::RegistryHost;
use crate::outgoing::{AuthoritiesError, ProxyError};

use super::credentials::CredentialsError;

/// Why a call to a registry failed. Never contains a secret or a signed URL.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody configured this registry, so it is never contacted (I8).
    #[error("registry {0} is not configured; add it to the registries of the configuration")]
    NotConfigured(RegistryHost),
    /// The configuration of a registry cannot be used.
    #[error("the configuration of registry {host} cannot be used")]
    Configuration {
        /// The registry.
        host: RegistryHost,
        /// What is wrong with it.
        #[source]
        source: ConfigurationError,
    },
    /// The credentials could not be read, so nobody was asked.
    #[error("the credentials for {host} cannot be read")]
    Credentials {
        /// The registry.
        host: RegistryHost,
        /// What happened.
        #[source]
        source: CredentialsError,
    },
    /// The registry does not have it.
    #[error("{what} does not exist in {host}")]
    NotFound {
        /// Which document or blob.
        what: String,
        /// The registry.
        host: RegistryHost,
    },
    /// The registry, or its token service, does not accept who we are.
    #[error("{host} does not accept {used} for {what}: {advice}")]
    Unauthorized {
        /// The registry.
        host: RegistryHost,
        /// Which document or blob.
        what: String,
        /// Which credentials were shown, without their secret.
        used: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The registry knows who we are and forbids it.
    #[error("{host} forbids access to {what}{}", shown_detail(.detail))]
    Denied {
        /// The registry.
        host: RegistryHost,
        /// Which document or blob.
        what: String,
        /// What the registry said, cut and without control characters; may be empty.
        detail: String,
    },
    /// Too many requests, or a 503 that names a time; later it will work.
    #[error("{host} is busy and wants to be asked again later")]
    RateLimited {
        /// The registry.
        host: RegistryHost,
        /// How long the registry wants to be left alone, if it said so. At most a day.
        retry_after: Option<Duration>,
    },
    /// It may work later: the network, a 5xx, a time-out.
    #[error("{host} did not deliver {what}")]
    Unavailable {
        /// The registry.
        host: RegistryHost,
        /// Which document or blob.
        what: String,
        /// What happened.
        #[source]
        source: TransportError,
    },
    /// The forward proxy did not pass the question on.
    #[error("{host} could not be asked for {what}")]
    Proxy {
        /// The registry.
        host: RegistryHost,
        /// Which document or blob.
        what: String,
        /// What the proxy did.
        #[source]
        source: ProxyError,
    },
    /// It is larger than allowed, or than its descriptor says.
    #[error("{what} in {host} is larger than {limit} bytes")]
    TooLarge {
        /// Which document or blob.
        what: String,
        /// The registry.
        host: RegistryHost,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not what the digest or the descriptor says, twice in a row (I5).
    #[error("{what} from {host} does not match its digest and size")]
    DigestMismatch {
        /// Which document or blob.
        what: String,
        /// The registry.
        host: RegistryHost,
    },
    /// The answer breaks the protocol, or the document is none that may be acted on.
    #[error("{host} gave an unusable answer for {what}")]
    Malformed {
        /// Which document or blob.
        what: String,
        /// The registry.
        host: RegistryHost,
        /// Why it is unusable.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The registry tried to send us, or our credentials, where they must not go (I8).
    #[error("{host} points to a place that is not allowed")]
    Refused {
        /// The registry.
        host: RegistryHost,
        /// Where to, and why not.
        #[source]
        source: Refusal,
    },
}

fn shown_detail(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

/// What is wrong with a registry's configuration.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A file of CA certificates cannot be used.
    #[error(transparent)]
    CaCertificates(Arc<AuthoritiesError>),
    /// The HTTP client cannot be made, mostly because the system has no CA certificates.
    #[error("the HTTP client cannot be made: {0}")]
    Client(TransportError),
    /// Host or endpoint do not make a URL.
    #[error("{0:?} does not make a URL")]
    Url(String),
    /// The same registry is configured twice.
    #[error("it is configured twice")]
    Twice,
}

/// Where a registry pointed to, and why nothing was sent there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token realm is on a host that is neither the registry's nor allowed.
    #[error("the token service is on {0}; if that is right, add it to the registry's token realms")]
    RealmHost(String),
    /// The token realm is not https although the registry is.
    #[error("the token service on {0} is not https")]
    RealmScheme(String),
    /// The token realm answered with a redirect.
    #[error("the token service on {0} redirects, and credentials are never redirected")]
    RealmRedirects(String),
    /// A redirect that does not parse, or carries a user name.
    #[error("the redirect from {0} is not a usable URL")]
    RedirectUrl(String),
    /// A redirect from https to something weaker.
    #[error("the redirect to {0} leaves https")]
    RedirectScheme(String),
    /// A chain of redirects without end.
    #[error("more than {0} redirects in a row")]
    RedirectHops(usize),
    /// A plain http server behind the proxy, which would read what we show it.
    #[error(
        "credentials for {0} would be shown to the proxy of egress.proxy in clear text; add it to egress.no_proxy, or give it TLS"
    )]
    ToldProxy(String),
    /// A redirect into a network that foreigners must not make us look at.
    #[error("{host} is at {address}, which is not a public address; see the registry's redirect targets")]
    Address {
        /// The host of the redirect.
        host: String,
        /// The address that it has.
        address: IpAddr,
    },
}

/// A failure between us and a server: one line that tells the whole chain of causes.
///
/// HTTP and TLS libraries hide the useful part (`certificate has expired`) three causes deep; here it is
/// flattened once. URLs are left out, since redirects to object storage carry signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError(String);

impl TransportError {
    /// A failure that we noticed ourselves.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// A failure of the HTTP client.
    pub(super) fn http(error: reqwest::Error) -> Self {
        Self(chain(&error.without_url()))
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TransportError {}

/// The texts of an error and of all its causes, joined by colons; a cause that its parent already quotes
/// is not said twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

impl RegistryError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Credentials { .. } => true,
            Self::Proxy { source, .. } => source.is_retryable(),
            Self::NotConfigured(_)
            | Self::Configuration { .. }
            | Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Denied { .. }
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. }
            | Self::Malformed { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// How long the registry asked to be left alone, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            Self::NotConfigured(_)
            | Self::Configuration { .. }
            | Self::Credentials { .. }
            | Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::Denied { .. }
            | Self::Unavailable { .. }
            | Self::Proxy { .. }
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. }
            | Self::Malformed { .. }
            | Self::Refused { .. } => None,
        }
    }
}
