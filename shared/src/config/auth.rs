//! `auth`: who may ask and who may push.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConfigError;
use super::values::secret;
use crate::model::image::RegistryHost;

/// Who may ask and who may push.
#[derive(Debug, Clone, Default)]
pub struct AuthConfig {
    /// API tokens by name.
    pub tokens: BTreeMap<String, TokenConfig>,
    /// Webhook sources by name; a source that is not listed is refused, unless nothing is listed at all.
    pub webhooks: BTreeMap<String, WebhookConfig>,
}

/// One API token.
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// The token, or its SHA-256 if the operator keeps only that.
    pub secret: TokenSecret,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

/// A token as it is kept.
#[derive(Debug, Clone)]
pub enum TokenSecret {
    /// In clear, from a file or variable.
    Clear(SecretString),
    /// Only its SHA-256.
    Sha256([u8; 32]),
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for verdicts and reports.
    Read,
    /// Enqueue scans.
    Push,
    /// Look into the queue and change it.
    Admin,
}

/// How one webhook source proves itself, and which registry it speaks for.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// What the sender must show.
    pub proof: WebhookProof,
    /// The registry that its events are about, whatever host they name.
    pub registry: Option<RegistryHost>,
}

/// What a webhook sender must show.
#[derive(Debug, Clone)]
pub enum WebhookProof {
    /// Nothing: only where something else guards the route.
    Nothing,
    /// `Authorization: Bearer <token>`, or the value verbatim as Harbor sends it.
    Token(SecretString),
    /// An HMAC-SHA256 of the body.
    Hmac(SecretString),
}

impl WebhookConfig {
    /// Whether anybody may post.
    pub fn is_open(&self) -> bool {
        match self.proof {
            WebhookProof::Nothing => true,
            WebhookProof::Token(_) | WebhookProof::Hmac(_) => false,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    #[serde(default)]
    tokens: BTreeMap<String, RawToken>,
    #[serde(default)]
    webhooks: BTreeMap<String, RawWebhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToken {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    sha256: Option<String>,
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    hmac_secret: Option<SecretString>,
    hmac_secret_file: Option<PathBuf>,
    #[serde(default)]
    open: bool,
    registry: Option<RegistryHost>,
}

impl RawAuth {
    pub(super) fn check(self) -> Result<AuthConfig, ConfigError> {
        let tokens = self.tokens.into_iter().map(|(name, raw)| Ok((name.clone(), raw.check(&name)?)));
        let webhooks = self.webhooks.into_iter().map(|(name, raw)| Ok((name.clone(), raw.check(&name)?)));
        Ok(AuthConfig {
            tokens: tokens.collect::<Result<_, ConfigError>>()?,
            webhooks: webhooks.collect::<Result<_, ConfigError>>()?,
        })
    }
}

/// Shorter secrets can be guessed.
const SHORTEST_TOKEN: usize = 16;

impl RawToken {
    pub(super) fn check(self, name: &str) -> Result<TokenConfig, ConfigError> {
        let key = format!("auth.tokens.{name}");
        let clear = secret(&format!("{key}.token"), self.token, self.token_file)?;
        let secret = match (clear, self.sha256) {
            (Some(clear), None) => {
                if clear.expose_secret().len() < SHORTEST_TOKEN {
                    let reason = format!(
                        "is shorter than {SHORTEST_TOKEN} characters; make one with `openssl rand -hex 32`"
                    );
                    return Err(ConfigError::invalid(format!("{key}.token"), reason));
                }
                TokenSecret::Clear(clear)
            }
            (None, Some(text)) => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(&text, &mut bytes)
                    .map_err(|_| ConfigError::invalid(format!("{key}.sha256"), "expected 64 hex digits"))?;
                TokenSecret::Sha256(bytes)
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(ConfigError::invalid(key, "set exactly one of token, token_file and sha256"));
            }
        };
        if self.scopes.is_empty() {
            return Err(ConfigError::invalid(format!("{key}.scopes"), "is empty; name read, push or admin"));
        }
        Ok(TokenConfig { secret, scopes: self.scopes })
    }
}

impl RawWebhook {
    pub(super) fn check(self, name: &str) -> Result<WebhookConfig, ConfigError> {
        let key = format!("auth.webhooks.{name}");
        let token = secret(&format!("{key}.token"), self.token, self.token_file)?;
        let hmac = secret(&format!("{key}.hmac_secret"), self.hmac_secret, self.hmac_secret_file)?;
        let proof = match (token, hmac, self.open) {
            (Some(token), None, false) => WebhookProof::Token(token),
            (None, Some(secret), false) => WebhookProof::Hmac(secret),
            (None, None, true) => WebhookProof::Nothing,
            (None, None, false) => {
                let reason = "set token, token_file, hmac_secret or hmac_secret_file; or open = true if something else guards the route";
                return Err(ConfigError::invalid(key, reason));
            }
            (Some(_), Some(_), _) | (Some(_), None, true) | (None, Some(_), true) => {
                return Err(ConfigError::invalid(
                    key,
                    "token, hmac_secret and open exclude one another; keep one",
                ));
            }
        };
        Ok(WebhookConfig { proof, registry: self.registry })
    }
}
