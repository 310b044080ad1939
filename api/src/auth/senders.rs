//! How a webhook's sender proves itself: what each can show, what it is configured to show, what it showed.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use shared::config::{Scope, WebhookProof};
use subtle::{Choice, ConstantTimeEq};
use url::form_urlencoded;

use super::oidc::Verifier;
use super::signature::{Signature, is_signed};
use super::{Tokens, bearer, hash};
use crate::error::ApiError;

/// Something by which a sender can prove itself, and where in a request it puts that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization`: a token as bearer or verbatim, or a user's name and password.
    Authorization,
    /// A token in a header of the sender's own, lower case.
    Header(&'static str),
    /// A token in a header that the operator chooses on both sides.
    ChosenHeader,
    /// A token as this parameter of the URL. It ends up in the logs of proxies, so it is for senders who
    /// can do nothing better.
    UrlParameter(&'static str),
    /// A signature over the body.
    Signature(Signature),
    /// An identity token in `Authorization`.
    IdentityToken,
}

/// What a configured source has to show.
pub enum Proof {
    /// Nothing: something else guards the route.
    Nothing,
    /// A secret, wherever this sender can put one.
    Token(SecretString),
    /// A secret in this header.
    Header {
        /// The header, lower case.
        name: String,
        /// Its value.
        secret: SecretString,
    },
    /// This after `Basic ` in `Authorization`.
    Basic(SecretString),
    /// A signature with this key.
    Signature(SecretString),
    /// An identity token.
    IdentityToken(Box<Verifier>),
}

impl Proof {
    /// The proof that the configuration asks for.
    pub fn new(config: &WebhookProof) -> Self {
        match config {
            WebhookProof::Nothing => Self::Nothing,
            WebhookProof::Token(secret) => Self::Token(secret.clone()),
            WebhookProof::Header { name, secret } => {
                Self::Header { name: name.clone(), secret: secret.clone() }
            }
            WebhookProof::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                Self::Basic(SecretString::from(STANDARD.encode(pair)))
            }
            WebhookProof::Hmac(secret) => Self::Signature(secret.clone()),
            WebhookProof::Oidc(config) => Self::IdentityToken(Box::new(Verifier::new(config.clone()))),
        }
    }
}

/// Whether a sender with these credentials can give this proof; else the key to change and what it offers.
pub fn offers(credentials: &[Credential], proof: &WebhookProof) -> Result<(), (&'static str, String)> {
    let has = |wanted: fn(&Credential) -> bool| credentials.iter().any(wanted);
    let (key, possible) = match proof {
        WebhookProof::Nothing => return Ok(()),
        WebhookProof::Token(_) => (
            "token",
            has(|credential| {
                matches!(
                    credential,
                    Credential::Authorization | Credential::Header(_) | Credential::UrlParameter(_)
                )
            }),
        ),
        WebhookProof::Header { .. } => {
            ("header", has(|credential| matches!(credential, Credential::ChosenHeader)))
        }
        WebhookProof::Basic { .. } => {
            ("username", has(|credential| matches!(credential, Credential::Authorization)))
        }
        WebhookProof::Hmac(_) => {
            ("hmac_secret", has(|credential| matches!(credential, Credential::Signature(_))))
        }
        WebhookProof::Oidc(_) => ("oidc", has(|credential| matches!(credential, Credential::IdentityToken))),
    };
    if possible { Ok(()) } else { Err((key, offer(credentials))) }
}

/// The settings that a sender with these credentials can live up to.
fn offer(credentials: &[Credential]) -> String {
    let mut offers: Vec<String> = credentials
        .iter()
        .map(|credential| match credential {
            Credential::Authorization => "token or username and password (shown in Authorization)".to_owned(),
            Credential::Header(name) => format!("token (shown in {name})"),
            Credential::ChosenHeader => "token with header (shown in a header that you choose)".to_owned(),
            Credential::UrlParameter(name) => format!("token (shown in the URL as ?{name}=)"),
            Credential::Signature(signature) => format!("hmac_secret (signature in {})", signature.header),
            Credential::IdentityToken => "oidc".to_owned(),
        })
        .collect();
    offers.push("open".to_owned());
    offers.join(", ")
}

/// What a request shows of its sender before its body is read.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The query of the URL, as it was sent.
    pub query: &'a str,
}

/// What is known about a webhook's sender before its body was read.
#[derive(Clone, Copy, Debug)]
pub enum Sender<'a> {
    /// It has shown what it has to show.
    Admitted,
    /// Its signature, with this key, has to be compared with the body.
    MustSign(&'a SecretString),
}

/// What the configuration says about one webhook source.
#[derive(Clone, Copy)]
pub enum Listing<'a> {
    /// This is what it must show.
    Listed(&'a Proof),
    /// Other sources are listed, this one is not.
    Unlisted,
    /// No source is listed at all.
    NothingListed,
}

/// What a request proves, given what the source is configured to prove.
///
/// An API token with the scope `push` proves enough for every source that shows tokens. Only where neither
/// tokens nor sources are configured may anybody post; beyond loopback such a server does not start.
pub async fn identify<'a>(
    shown: Shown<'_>,
    credentials: &[Credential],
    listing: Listing<'a>,
    tokens: &Tokens,
) -> Result<Sender<'a>, ApiError> {
    let by_token = || !tokens.is_open() && tokens.allow(shown.headers, Scope::Push).is_ok();
    let proven = match listing {
        Listing::Listed(Proof::Nothing) => true,
        Listing::Listed(Proof::Signature(secret)) => return Ok(Sender::MustSign(secret)),
        Listing::Listed(Proof::IdentityToken(verifier)) => {
            let token = bearer(shown.headers).ok_or(ApiError::WebhookUnauthorized)?;
            verifier.verify(token, Timestamp::now()).await?;
            true
        }
        Listing::Listed(Proof::Token(secret)) => shown.has_token(credentials, secret) || by_token(),
        Listing::Listed(Proof::Header { name, secret }) => bool::from(shown.has_header(name, secret)),
        Listing::Listed(Proof::Basic(secret)) => shown.has_basic(secret),
        Listing::NothingListed if tokens.is_open() => true,
        Listing::Unlisted | Listing::NothingListed => by_token(),
    };
    if proven { Ok(Sender::Admitted) } else { Err(ApiError::WebhookUnauthorized) }
}

/// Whether the first signature header that is there holds the HMAC of `signed`.
pub fn is_signed_by(
    secret: &SecretString,
    credentials: &[Credential],
    headers: &HeaderMap,
    signed: &[u8],
) -> bool {
    let signatures = credentials.iter().filter_map(|credential| match credential {
        Credential::Signature(signature) => Some(signature),
        Credential::Authorization
        | Credential::Header(_)
        | Credential::ChosenHeader
        | Credential::UrlParameter(_)
        | Credential::IdentityToken => None,
    });
    let shown =
        signatures.filter_map(|signature| Some((signature.hash, headers.get(signature.header)?))).next();
    shown.is_some_and(|(hash, value)| is_signed(hash, secret, signed, value.as_bytes()))
}

impl Shown<'_> {
    /// Every place is looked at, so that the time says nothing about which one was near.
    fn has_token(self, credentials: &[Credential], secret: &SecretString) -> bool {
        let found = credentials.iter().fold(Choice::from(0), |found, credential| {
            found
                | match credential {
                    Credential::Authorization => self.has_authorization(secret),
                    Credential::Header(name) => self.has_header(name, secret),
                    Credential::UrlParameter(name) => self.has_parameter(name, secret),
                    Credential::ChosenHeader | Credential::Signature(_) | Credential::IdentityToken => {
                        Choice::from(0)
                    }
                }
        });
        bool::from(found)
    }

    /// As a bearer token, or verbatim as Harbor sends it.
    fn has_authorization(self, secret: &SecretString) -> Choice {
        self.has_header(AUTHORIZATION.as_str(), secret)
            | bearer(self.headers).map_or(Choice::from(0), |token| is(token, secret))
    }

    fn has_header(self, name: &str, secret: &SecretString) -> Choice {
        self.headers.get(name).map_or(Choice::from(0), |value| is(value.as_bytes(), secret))
    }

    fn has_parameter(self, name: &str, secret: &SecretString) -> Choice {
        form_urlencoded::parse(self.query.as_bytes())
            .filter(|(key, _)| key == name)
            .fold(Choice::from(0), |found, (_, value)| found | is(value.as_bytes(), secret))
    }

    fn has_basic(self, secret: &SecretString) -> bool {
        let value = self.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = value.and_then(|value| value.split_at_checked(6));
        shown.is_some_and(|(scheme, shown)| {
            scheme.eq_ignore_ascii_case(b"basic ") && bool::from(is(shown.trim_ascii(), secret))
        })
    }
}

/// Both sides are hashed, so that their lengths do not matter.
fn is(shown: &[u8], secret: &SecretString) -> Choice {
    hash(shown).ct_eq(&hash(secret.expose_secret().as_bytes()))
}

#[cfg(test)]
mod tests;
