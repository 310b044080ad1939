//! Who may: API tokens with scopes, and the secrets of webhook senders. All comparisons take constant time.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use shared::config::{AuthConfig, Scope, TokenSecret, WebhookProof};
use subtle::{Choice, ConstantTimeEq};

use crate::error::ApiError;

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

/// Whether a sender who shows this header knows the secret: as a bearer token, or verbatim (Harbor).
pub fn shows_token(headers: &HeaderMap, secret: &SecretString) -> bool {
    let expected = hash(secret.expose_secret().as_bytes());
    let verbatim = headers.get(AUTHORIZATION).map(|value| hash(value.as_bytes()).ct_eq(&expected));
    let as_bearer = bearer(headers).map(|token| hash(token).ct_eq(&expected));
    let no = Choice::from(0);
    bool::from(verbatim.unwrap_or(no) | as_bearer.unwrap_or(no))
}

/// Whether `signature`, hex with or without `sha256=` before it, is the HMAC-SHA256 of `body`.
pub fn is_signed(secret: &SecretString, body: &[u8], signature: &[u8]) -> bool {
    let digits = signature.strip_prefix(b"sha256=").unwrap_or(signature);
    let mut expected = [0_u8; 32];
    if hex::decode_to_slice(digits, &mut expected).is_err() {
        return false;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of every length");
    mac.update(body);
    mac.verify_slice(&expected).is_ok()
}

/// What is known about a webhook's sender before its body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It has shown its secret, or an API token with the push scope.
    Authenticated,
    /// Nobody has to show anything.
    Anybody,
    /// Its signature has to be compared with the body.
    MustSign,
}

/// What the configuration says about one webhook source.
#[derive(Clone, Copy)]
pub enum Listing<'a> {
    /// This is what it must show.
    Listed(&'a WebhookProof),
    /// Other sources are listed, this one is not.
    Unlisted,
    /// No source is listed at all.
    NothingListed,
}

/// What the headers of a webhook prove, given what the source is configured to prove.
///
/// An API token with the scope `push` proves enough for every source that does not sign. Only where neither
/// tokens nor sources are configured may anybody post; beyond loopback such a server does not start.
pub fn identify(headers: &HeaderMap, listing: Listing<'_>, tokens: &Tokens) -> Result<Sender, ApiError> {
    let by_token = || !tokens.is_open() && tokens.allow(headers, Scope::Push).is_ok();
    let proven = match listing {
        Listing::Listed(WebhookProof::Nothing) => return Ok(Sender::Anybody),
        Listing::Listed(WebhookProof::Hmac(_)) => return Ok(Sender::MustSign),
        Listing::NothingListed if tokens.is_open() => return Ok(Sender::Anybody),
        Listing::Listed(WebhookProof::Token(secret)) => shows_token(headers, secret) || by_token(),
        Listing::Unlisted | Listing::NothingListed => by_token(),
    };
    if proven { Ok(Sender::Authenticated) } else { Err(ApiError::WebhookUnauthorized) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
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

    #[test]
    fn a_webhook_secret_may_be_bearer_or_verbatim() {
        let secret = SecretString::from("Bearer harbor-secret");
        assert!(shows_token(&headers("Bearer harbor-secret"), &secret));
        assert!(shows_token(&headers("Bearer plain"), &SecretString::from("plain")));
        assert!(!shows_token(&headers("Bearer plainer"), &SecretString::from("plain")));
        assert!(!shows_token(&HeaderMap::new(), &SecretString::from("plain")));
    }

    #[test]
    fn a_flipped_byte_breaks_a_signature() {
        let secret = SecretString::from("key");
        // RFC 4231 has no text key of this kind; the value is that of `openssl dgst -sha256 -hmac key`.
        let signature = b"sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        let body = b"The quick brown fox jumps over the lazy dog";
        assert!(is_signed(&secret, body, signature));
        assert!(is_signed(&secret, body, &signature[7..]));
        assert!(!is_signed(&secret, b"the quick brown fox jumps over the lazy dog", signature));
        assert!(!is_signed(&secret, body, b"sha256=00"));
    }
}
