//! Who may. All comparisons of secrets take constant time.
//!
//! Reading order: [`Tokens`] with scopes, here; [`senders`] (how a registry proves itself), [`signature`]
//! (HMACs of bodies), [`oidc`] (identity tokens).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine as _;
use secrecy::ExposeSecret;
use sha2::{Digest as _, Sha256};
use shared::config::{AuthConfig, Scope, TokenSecret};
use subtle::ConstantTimeEq;

use crate::error::ApiError;

pub mod oidc;
pub mod senders;
pub mod signature;

/// The configured tokens, kept only as hashes.
#[derive(Clone)]
pub struct Tokens(Vec<Token>);

#[derive(Clone)]
struct Token {
    sha256: [u8; 32],
    scopes: Vec<Scope>,
}

impl Tokens {
    /// The tokens of the configuration.
    pub fn new(config: &AuthConfig) -> Self {
        let tokens = config.tokens.values().map(|token| Token {
            sha256: match &token.secret {
                TokenSecret::Clear(clear) => hash(clear.expose_secret().as_bytes()),
                TokenSecret::Sha256(bytes) => *bytes,
            },
            scopes: token.scopes.clone(),
        });
        Self(tokens.collect())
    }

    /// Whether nobody has to show a token.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request with these headers may do what needs `scope`.
    pub fn allow(&self, headers: &HeaderMap, scope: Scope) -> Result<(), ApiError> {
        self.allow_secret(bearer(headers), scope)
    }

    /// Whether whoever shows this secret, in whatever way, may do what needs `scope`.
    pub fn allow_secret(&self, shown: Option<&[u8]>, scope: Scope) -> Result<(), ApiError> {
        if self.is_open() {
            return Ok(());
        }
        let shown = hash(shown.ok_or(ApiError::Unauthorized)?);
        // Every token is compared, so that the time says nothing about which one was near.
        let mut scopes: Option<&[Scope]> = None;
        for token in &self.0 {
            if bool::from(token.sha256.ct_eq(&shown)) {
                scopes = Some(&token.scopes);
            }
        }
        match scopes {
            None => Err(ApiError::Unauthorized),
            Some(scopes) if scopes.contains(&scope) || scopes.contains(&Scope::Admin) => Ok(()),
            Some(_) => Err(ApiError::Forbidden(scope_name(scope))),
        }
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Push => "push",
        Scope::Admin => "admin",
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The token in `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

macro_rules! access {
    ($($(#[doc = $doc:literal])* $name:ident needs $scope:ident;)*) => {$(
        $(#[doc = $doc])*
        pub struct $name;

        impl FromRequest for $name {
            type Error = ApiError;
            type Future = Ready<Result<Self, ApiError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let tokens = request.app_data::<web::Data<Tokens>>();
                let allowed = tokens.map_or(Err(ApiError::Unauthorized), |tokens| {
                    tokens.allow(request.headers(), Scope::$scope)
                });
                ready(allowed.map(|()| Self))
            }
        }
    )*};
}
access! {
    /// Extracted by handlers that show verdicts and reports.
    ReadAccess needs Read;
    /// Extracted by handlers that enqueue scans.
    PushAccess needs Push;
    /// Extracted by handlers that look into the queue or change it.
    AdminAccess needs Admin;
}

/// The password in `Authorization: Basic …`; whoever can send nothing else shows a token as that.
pub(crate) fn basic_password(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, pair) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(pair.trim_ascii()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use secrecy::SecretString;
    use shared::config::TokenConfig;

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    fn tokens(scopes: &[Scope]) -> Tokens {
        let secret = TokenSecret::Clear(SecretString::from("0123456789abcdef"));
        let token = TokenConfig { secret, scopes: scopes.to_vec() };
        let config = AuthConfig { tokens: [("ci".to_owned(), token)].into(), ..AuthConfig::default() };
        Tokens::new(&config)
    }

    #[test]
    fn a_token_opens_only_what_its_scopes_say() {
        let read = tokens(&[Scope::Read]);
        let shown = headers("Bearer 0123456789abcdef");
        assert!(read.allow(&shown, Scope::Read).is_ok());
        assert!(matches!(read.allow(&shown, Scope::Push), Err(ApiError::Forbidden("push"))));
        assert!(matches!(read.allow(&headers("Bearer wrong"), Scope::Read), Err(ApiError::Unauthorized)));
        assert!(matches!(read.allow(&HeaderMap::new(), Scope::Read), Err(ApiError::Unauthorized)));
        assert!(tokens(&[Scope::Admin]).allow(&shown, Scope::Read).is_ok());
    }
}
