//! Authorizations: obtained when a registry asks for one, kept until they end, obtained anew when refused.
//!
//! The flow is the distribution project's token specification (and its OAuth2 variant for identity tokens).
//! Credentials go to the registry and to its allowed token services, and nowhere else (I8). We ask for
//! what we are about to do in one repository, or for the catalogue, whatever the challenge suggests.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use crate::model::image::{RegistryHost, Repository};

use super::body::Answer;
use super::challenge::Challenge;
use super::config::{RegistryConfig, Transport};
use super::credentials::{Credentials, Login, basic};
use super::error::{Refusal, RegistryError, TransportError};
use super::http::{Http, shown_host};
use super::refusal;

/// What an authorization is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// The whole registry, as Basic credentials are.
    Everything,
    /// Being known at all: `/v2/`.
    Presence,
    /// Pulling from one repository.
    Pull(Repository),
    /// Listing the repositories.
    Catalogue,
    /// Pulling from and pushing to one repository.
    Push(Repository),
    /// The same, and deleting from it.
    Delete(Repository),
}

/// The value of an `Authorization` header.
#[derive(Debug)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    until: Option<Instant>,
}

impl Authorization {
    fn is_current(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

const LARGEST_TOKEN_ANSWER: u64 = 64 << 10;
const LONGEST_TOKEN: usize = 16 << 10;
const LONGEST_REALM: usize = 2048;
/// Tokens live at least this long, the specification says, and clients must assume it if nothing is said.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);
/// A token that ends within this time is as good as gone.
const MARGIN: Duration = Duration::from_secs(5);
const MOST_REPOSITORIES: u64 = 10_000;

/// Who we are at one registry.
pub(super) struct Authorizer {
    host: RegistryHost,
    credentials: Credentials,
    transport: Transport,
    realms: Vec<String>,
    kept: Cache<Scope, Arc<Authorization>>,
}

impl Authorizer {
    pub(super) fn new(config: &RegistryConfig) -> Self {
        Self {
            host: config.host.clone(),
            credentials: config.credentials.clone(),
            transport: config.transport,
            realms: config.allowed_realms().into_iter().map(str::to_owned).collect(),
            kept: Cache::new(MOST_REPOSITORIES),
        }
    }

    /// An authorization that worked before and should still.
    pub(super) async fn known(&self, scope: &Scope) -> Option<Arc<Authorization>> {
        let kept = match self.kept.get(scope).await {
            Some(kept) => Some(kept),
            None => self.kept.get(&Scope::Everything).await,
        };
        kept.filter(|authorization| authorization.is_current())
    }

    /// Answers a challenge. `rejected` is what the registry has just refused; it is forgotten, and the
    /// credentials are read again. Callers that want the same at the same time share one token request.
    pub(super) async fn obtain(
        &self,
        http: &Http,
        challenge: &Challenge,
        scope: &Scope,
        rejected: Option<&Arc<Authorization>>,
    ) -> Result<Arc<Authorization>, RegistryError> {
        let key = match (challenge, &self.credentials) {
            (Challenge::Basic, _) | (Challenge::Bearer { .. }, Credentials::Token(_)) => &Scope::Everything,
            (Challenge::Bearer { .. }, _) => scope,
        };
        if let Some(kept) = self.kept.get(key).await {
            let is_rejected = rejected.is_some_and(|rejected| Arc::ptr_eq(rejected, &kept));
            if is_rejected || !kept.is_current() {
                self.kept.invalidate(key).await;
            }
        }
        self.kept
            .try_get_with(key.clone(), self.authorize(http, challenge, scope))
            .await
            .map_err(Arc::unwrap_or_clone)
    }

    async fn authorize(
        &self,
        http: &Http,
        challenge: &Challenge,
        scope: &Scope,
    ) -> Result<Arc<Authorization>, RegistryError> {
        let login = self.credentials.login(&self.host).await;
        let login = login.map_err(|source| RegistryError::Credentials { host: self.host.clone(), source })?;
        let (text, life) = match (challenge, &login) {
            (Challenge::Basic, Login::Basic { username, password }) => (basic(username, password), None),
            (Challenge::Basic, Login::Anonymous | Login::Token(_) | Login::IdentityToken(_)) => {
                return Err(self.unauthorized(scope));
            }
            (Challenge::Bearer { .. }, Login::Token(token)) => (bearer(token), None),
            (
                Challenge::Bearer { realm, service },
                Login::Anonymous | Login::Basic { .. } | Login::IdentityToken(_),
            ) => {
                let realm = self.check_realm(http, realm)?;
                let request = TokenRequest { realm, service: service.as_deref(), scope };
                let (token, life) = self.token(http, &request, &login).await?;
                (bearer(&token), Some(life))
            }
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| self.illegal_token())?;
        header.set_sensitive(true);
        let until = life.map(|life| Instant::now() + life.clamp(SHORTEST_LIFE, LONGEST_LIFE) - MARGIN);
        Ok(Arc::new(Authorization { header, until }))
    }

    /// The realm as a URL, if credentials may go there.
    fn check_realm(&self, http: &Http, realm: &str) -> Result<Url, RegistryError> {
        let shown = || realm.chars().take(160).collect::<String>();
        let url = Some(realm)
            .filter(|realm| realm.len() <= LONGEST_REALM)
            .and_then(|realm| Url::parse(realm).ok())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| http.refused(Refusal::RealmHost(shown())))?;
        match (url.scheme(), self.transport) {
            ("https", Transport::Https | Transport::PlainHttp) | ("http", Transport::PlainHttp) => {}
            _ => return Err(http.refused(Refusal::RealmScheme(shown_host(&url)))),
        }
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        if self.realms.iter().any(|realm| realm == host || *realm == with_port) {
            http.keep_from_proxy(&url)?;
            Ok(url)
        } else {
            Err(http.refused(Refusal::RealmHost(shown_host(&url))))
        }
    }

    async fn token(
        &self,
        http: &Http,
        request: &TokenRequest<'_>,
        login: &Login,
    ) -> Result<(SecretString, Duration), RegistryError> {
        let answer = http.ask_realm(|client| request.build(client, login), &request.realm).await?;
        let shown = http.shown_to_proxy(login.shown());
        let answer = answer.to(shown);
        match answer.status().as_u16() {
            200 => self.read_token(answer).await,
            401 | 403 => Err(self.unauthorized(request.scope)),
            _ => {
                Err(refusal::of(answer, &self.host, &format!("a token from {}", shown_host(&request.realm)))
                    .await)
            }
        }
    }

    async fn read_token(&self, answer: Answer) -> Result<(SecretString, Duration), RegistryError> {
        let body = answer.whole(LARGEST_TOKEN_ANSWER).await?;
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| self.illegal_token())?;
        let given = [answer.token, answer.access_token].into_iter().flatten();
        let token = given
            .into_iter()
            .find(|token| !token.expose_secret().is_empty())
            .filter(|token| is_legal_token(token.expose_secret()))
            .ok_or_else(|| self.illegal_token())?;
        let seconds = answer.expires_in.and_then(|value| value.as_u64());
        Ok((token, seconds.map_or(SHORTEST_LIFE, Duration::from_secs)))
    }

    fn illegal_token(&self) -> RegistryError {
        RegistryError::Malformed {
            what: "a token".to_owned(),
            host: self.host.clone(),
            source: Arc::new(TransportError::new(
                "the token service gave nothing that can be used as a token",
            )),
        }
    }

    /// The error for a registry that does not want us.
    pub(super) fn unauthorized(&self, scope: &Scope) -> RegistryError {
        let what = match scope {
            Scope::Everything | Scope::Presence => "a login".to_owned(),
            Scope::Pull(repository) => format!("pulling from {repository}"),
            Scope::Catalogue => "listing its repositories".to_owned(),
            Scope::Push(repository) => format!("pushing to {repository}"),
            Scope::Delete(repository) => format!("deleting from {repository}"),
        };
        let advice = match &self.credentials {
            Credentials::Anonymous => {
                "configure credentials for this registry, and check that the repository exists"
            }
            Credentials::Basic { .. } => "check user name, password and the right to do this",
            Credentials::Token(_) | Credentials::IdentityToken(_) => {
                "check that the token has not ended, is of the kind that this registry takes, and may do this"
            }
            Credentials::DockerConfig { .. } | Credentials::Helper { .. } => {
                "check that they have an entry for this registry, which is current and may do this"
            }
        };
        RegistryError::Unauthorized {
            host: self.host.clone(),
            what,
            used: self.credentials.to_string(),
            advice,
        }
    }

    /// Who we claim to be, for messages.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

struct TokenRequest<'a> {
    realm: Url,
    service: Option<&'a str>,
    scope: &'a Scope,
}

impl TokenRequest<'_> {
    /// `GET` with the parameters in the query; an identity token is posted as a form instead.
    fn build(&self, client: &reqwest::Client, login: &Login) -> reqwest::RequestBuilder {
        let mut parameters: Vec<(&str, String)> = Vec::new();
        parameters.extend(self.service.map(|service| ("service", service.to_owned())));
        let scope = match self.scope {
            Scope::Everything | Scope::Presence => None,
            Scope::Catalogue => Some("registry:catalog:*".to_owned()),
            Scope::Pull(repository) => Some(format!("repository:{repository}:pull")),
            Scope::Push(repository) => Some(format!("repository:{repository}:pull,push")),
            Scope::Delete(repository) => Some(format!("repository:{repository}:pull,push,delete")),
        };
        parameters.extend(scope.map(|scope| ("scope", scope)));
        let mut url = self.realm.clone();
        match login {
            Login::IdentityToken(token) => {
                parameters.push(("grant_type", "refresh_token".to_owned()));
                parameters.push(("client_id", "tidewaiter".to_owned()));
                parameters.push(("refresh_token", token.expose_secret().to_owned()));
                let form =
                    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
                client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            Login::Basic { username, password } => {
                url.query_pairs_mut().extend_pairs(parameters);
                client.get(url).header(AUTHORIZATION, basic(username, password))
            }
            Login::Anonymous | Login::Token(_) => {
                url.query_pairs_mut().extend_pairs(parameters);
                client.get(url)
            }
        }
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<serde_json::Number>,
}

fn bearer(token: &SecretString) -> String {
    format!("Bearer {}", token.expose_secret())
}

/// Visible ASCII without spaces: anything else could end the header, or the process of a careless library.
fn is_legal_token(token: &str) -> bool {
    token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
}
