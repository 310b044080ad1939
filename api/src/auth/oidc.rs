//! Identity tokens of push subscriptions (Google Pub/Sub): RS256 JSON Web Tokens, RFC 7519 and RFC 7515.
//!
//! One algorithm and one issuer: what the header of a token asks for is compared, never obeyed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::config::OidcConfig;

use crate::error::ApiError;

pub mod keys;

use keys::{KeySet, KeysError};

/// Judges the identity tokens of one sender.
pub struct Verifier {
    config: OidcConfig,
    keys: KeySet,
}

/// Why an identity token proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64 with JSON in two of them.
    #[error("the identity token is malformed")]
    Malformed,
    /// Signed in another way than RS256.
    #[error("the identity token is signed with another algorithm than RS256")]
    Algorithm,
    /// The issuer has no such key.
    #[error("the identity token is signed with a key that the issuer does not have")]
    UnknownKey,
    /// Somebody else made it, or changed it.
    #[error("the signature of the identity token is wrong")]
    Signature,
    /// It is about something else.
    #[error("the identity token's claim {0:?} is not what is configured")]
    Claim(&'static str),
    /// It was good once.
    #[error("the identity token has expired or is not valid yet")]
    Time,
    /// Nobody can tell.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// The clocks of both sides may differ by this many seconds.
const SKEW: i64 = 60;
/// No issuer's token is longer.
const LONGEST_TOKEN: usize = 8 << 10;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: f64,
    nbf: Option<f64>,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Keys(error) => Self::Keys(error),
            TokenError::Malformed
            | TokenError::Algorithm
            | TokenError::UnknownKey
            | TokenError::Signature
            | TokenError::Claim(_)
            | TokenError::Time => {
                // The sender learns nothing; the operator has to know which setting is wrong.
                tracing::warn!(error = %error, "identity token refused");
                Self::WebhookUnauthorized
            }
        }
    }
}

impl Verifier {
    /// A verifier that reads the issuer's keys when it meets the first token.
    pub fn new(config: OidcConfig) -> Self {
        Self { keys: KeySet::new(config.keys.clone(), config.egress.clone()), config }
    }

    /// Whether `token` was made by the issuer, for us, about the configured account, and holds at `now`.
    pub async fn verify(&self, token: &[u8], now: Timestamp) -> Result<(), TokenError> {
        let token = std::str::from_utf8(token).map_err(|_| TokenError::Malformed)?;
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = part(header)?;
        if header.alg != "RS256" {
            return Err(TokenError::Algorithm);
        }
        let key = self.keys.key(header.kid.as_deref().unwrap_or_default()).await?;
        let key = key.ok_or(TokenError::UnknownKey)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        RsaPublicKeyComponents { n: &key.n, e: &key.e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| TokenError::Signature)?;
        self.check(&part(claims)?, now)
    }

    fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        let Claims { iss, aud, exp, nbf, email, email_verified } = claims;
        let for_us = match aud {
            Audience::One(one) => *one == self.config.audience,
            Audience::Many(many) => many.contains(&self.config.audience),
        };
        if *iss != self.config.issuer {
            return Err(TokenError::Claim("iss"));
        }
        if !for_us {
            return Err(TokenError::Claim("aud"));
        }
        if email.as_ref() != Some(&self.config.email) {
            return Err(TokenError::Claim("email"));
        }
        if !email_verified {
            return Err(TokenError::Claim("email_verified"));
        }
        let (now, skew) = (now.as_second() as f64, SKEW as f64);
        let holds = now < exp + skew && nbf.is_none_or(|nbf| nbf - skew <= now);
        if holds { Ok(()) } else { Err(TokenError::Time) }
    }
}

fn part<T: DeserializeOwned>(encoded: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
pub(crate) mod tests;
