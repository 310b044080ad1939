//! `auth`: who may ask (tokens, here) and who may push (`webhooks`, and `mapping` for what their events leave out).

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConfigError;
use super::values::secret;
use crate::outgoing::Egress;

mod mapping;
mod webhooks;

pub use mapping::{EventMapping, PathPrefix, RepositoryMapping};
pub use webhooks::{OidcConfig, OidcKeys, SourceSettings, WebhookConfig, WebhookProof};

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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    #[serde(default)]
    tokens: BTreeMap<String, RawToken>,
    #[serde(default)]
    webhooks: BTreeMap<String, webhooks::RawWebhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToken {
    token: Option<SecretString>,
    token_file: Option<PathBuf>,
    sha256: Option<String>,
    scopes: Vec<Scope>,
}

impl RawAuth {
    pub(super) fn check(self, egress: &Egress) -> Result<AuthConfig, ConfigError> {
        let tokens = self.tokens.into_iter().map(|(name, raw)| Ok((name.clone(), raw.check(&name)?)));
        let webhooks = self.webhooks.into_iter();
        let webhooks = webhooks.map(|(name, raw)| Ok((name.clone(), raw.check(&name, egress)?)));
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
