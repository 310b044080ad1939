//! `auth.webhooks.<source>`: how a registry proves itself, and what its events leave out.
//!
//! What a source can show is the source's own business: the api refuses at its start what a sender cannot do.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::mapping::{EventMapping, RawEvent, RawRepository, RepositoryMapping, repositories};
use crate::config::ConfigError;
use crate::config::values::secret;
use crate::model::image::RegistryHost;
use crate::outgoing::Egress;

/// How one webhook source proves itself, and what its events leave out.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// What the sender must show.
    pub proof: WebhookProof,
    /// What its events leave out or get wrong.
    pub settings: SourceSettings,
}

/// What a webhook sender must show.
#[derive(Debug, Clone)]
pub enum WebhookProof {
    /// Nothing: only where something else guards the route.
    Nothing,
    /// A secret, in one of the places where this sender can put one.
    Token(SecretString),
    /// A secret in a header that the operator has named.
    Header {
        /// The header, lower case.
        name: String,
        /// Its value.
        secret: SecretString,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretString,
    },
    /// An HMAC of the body, as this sender makes one.
    Hmac(SecretString),
    /// A signed identity token (`Authorization: Bearer <JWT>`).
    Oidc(OidcConfig),
}

/// Whose identity tokens are good.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
    /// The claim `email`, which must be verified.
    pub email: String,
    /// Where the issuer's public keys are.
    pub keys: OidcKeys,
    /// How they are asked for.
    pub egress: Egress,
}

/// Where an issuer's public keys (a JSON Web Key Set) are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OidcKeys {
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(Url),
}

/// What a source's events leave out or get wrong.
#[derive(Debug, Clone, Default)]
pub struct SourceSettings {
    /// The registry that its events are about, whatever host they name.
    pub registry: Option<RegistryHost>,
    /// Where the repositories that it names are pulled from.
    pub repositories: Vec<RepositoryMapping>,
    /// Further event types that are pushes.
    pub events: Vec<EventMapping>,
}

impl WebhookConfig {
    /// Whether anybody may post.
    pub fn is_open(&self) -> bool {
        match self.proof {
            WebhookProof::Nothing => true,
            WebhookProof::Token(_)
            | WebhookProof::Header { .. }
            | WebhookProof::Basic { .. }
            | WebhookProof::Hmac(_)
            | WebhookProof::Oidc(_) => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    header: Option<String>,
    username: Option<String>,
    password: Option<SecretString>,
    password_file: Option<PathBuf>,
    hmac_secret: Option<SecretString>,
    hmac_secret_file: Option<PathBuf>,
    oidc: Option<RawOidc>,
    #[serde(default)]
    open: bool,
    registry: Option<RegistryHost>,
    #[serde(default)]
    repositories: Vec<RawRepository>,
    #[serde(default)]
    events: Vec<RawEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOidc {
    issuer: Option<String>,
    audience: String,
    email: String,
    keys_file: Option<PathBuf>,
    keys_url: Option<Url>,
}

const EXCLUSIVE: &str = "set one of: token, username and password, hmac_secret, oidc; or open = true if something else guards the route";

impl RawWebhook {
    pub(super) fn check(self, name: &str, egress: &Egress) -> Result<WebhookConfig, ConfigError> {
        let key = format!("auth.webhooks.{name}");
        let token = webhook_secret(&format!("{key}.token"), self.token, self.token_file)?;
        let password = webhook_secret(&format!("{key}.password"), self.password, self.password_file)?;
        let hmac = webhook_secret(&format!("{key}.hmac_secret"), self.hmac_secret, self.hmac_secret_file)?;
        let basic = match (self.username, password) {
            (Some(username), Some(password)) => Some(WebhookProof::Basic { username, password }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(ConfigError::invalid(key, "username and password belong together; set both"));
            }
        };
        let token = match (token, self.header) {
            (Some(secret), Some(name)) => Some(WebhookProof::Header { name: header(&key, &name)?, secret }),
            (Some(secret), None) => Some(WebhookProof::Token(secret)),
            (None, Some(_)) => {
                let reason = "names where the token is shown, and there is no token; set token or token_file";
                return Err(ConfigError::invalid(format!("{key}.header"), reason));
            }
            (None, None) => None,
        };
        let oidc = self.oidc.map(|oidc| oidc.check(&key, egress)).transpose()?.map(WebhookProof::Oidc);
        let open = self.open.then_some(WebhookProof::Nothing);
        let mut proofs = [token, basic, hmac.map(WebhookProof::Hmac), oidc, open].into_iter().flatten();
        let (Some(proof), None) = (proofs.next(), proofs.next()) else {
            return Err(ConfigError::invalid(key, EXCLUSIVE));
        };
        let settings = SourceSettings {
            registry: self.registry,
            repositories: repositories(&key, self.repositories)?,
            events: self
                .events
                .into_iter()
                .enumerate()
                .map(|(at, raw)| raw.check(&format!("{key}.events[{at}]")))
                .collect::<Result<_, _>>()?,
        };
        Ok(WebhookConfig { proof, settings })
    }
}

/// Google, which signs what Pub/Sub pushes.
const GOOGLE: &str = "https://accounts.google.com";
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

impl RawOidc {
    fn check(self, source: &str, egress: &Egress) -> Result<OidcConfig, ConfigError> {
        let key = |field: &str| format!("{source}.oidc.{field}");
        for (field, value) in [("audience", &self.audience), ("email", &self.email)] {
            if value.is_empty() {
                return Err(ConfigError::invalid(key(field), "is empty; anybody's token would have it"));
            }
        }
        let google = self.issuer.as_deref().is_none_or(|issuer| issuer == GOOGLE);
        let keys = match (self.keys_file, self.keys_url) {
            (Some(path), None) => OidcKeys::File(path),
            (None, Some(url)) if url.scheme() == "https" => OidcKeys::Url(url),
            (None, Some(_)) => {
                return Err(ConfigError::invalid(
                    key("keys_url"),
                    "expected a URL that begins with https://: whoever can change these keys can sign pushes",
                ));
            }
            (None, None) if google => {
                OidcKeys::Url(Url::parse(GOOGLE_KEYS).expect("a constant that is a URL"))
            }
            (None, None) => {
                return Err(ConfigError::invalid(
                    key("keys_url"),
                    "is needed for another issuer than Google; or set keys_file",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::invalid(
                    key("keys_url"),
                    "keys_url and keys_file are both set; keep one",
                ));
            }
        };
        let issuer = self.issuer.unwrap_or_else(|| GOOGLE.to_owned());
        Ok(OidcConfig { issuer, audience: self.audience, email: self.email, keys, egress: egress.clone() })
    }
}

/// Shorter secrets can be guessed.
const SHORTEST_SECRET: usize = 8;

fn webhook_secret(
    key: &str,
    in_place: Option<SecretString>,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    let found = secret(key, in_place, file)?;
    if found.as_ref().is_some_and(|found| found.expose_secret().len() < SHORTEST_SECRET) {
        let reason =
            format!("is shorter than {SHORTEST_SECRET} characters; make one with `openssl rand -hex 32`");
        return Err(ConfigError::invalid(key, reason));
    }
    Ok(found)
}

/// A header's name (RFC 9110 token), lower case.
fn header(source: &str, name: &str) -> Result<String, ConfigError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(legal) {
        Ok(name.to_ascii_lowercase())
    } else {
        let reason = format!("{name:?} is not the name of a header; write it like X-Api-Key");
        Err(ConfigError::invalid(format!("{source}.header"), reason))
    }
}
