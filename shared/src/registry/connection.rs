//! One registry as the client uses it: ask, prove who we are if asked to, try again, and take turns.

use std::sync::Arc;
use std::time::Instant;

use reqwest::{Method, StatusCode, Url};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::image::RegistryHost;

use super::auth::{Authorization, Authorizer, Scope};
use super::body::Answer;
use super::breaker::{Breaker, Outcome};
use super::challenge;
use super::config::RegistryConfig;
use super::credentials::Credentials;
use super::error::{ConfigurationError, RegistryError, TransportError};
use super::http::{Http, Question};
use super::refusal;
use super::retry::retrying;

/// The way to one registry, and everything that is remembered about it.
pub(super) struct Connection {
    config: RegistryConfig,
    http: Arc<Http>,
    authorizer: Authorizer,
    /// Documents have their own lane: a gate that resolves a tag must not wait behind layers.
    documents: Arc<Semaphore>,
    blobs: Arc<Semaphore>,
    breaker: Arc<Breaker>,
}

/// How a registry received us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It asks nobody who they are.
    Open,
    /// It wanted a token, and gave one to an anonymous client.
    Anonymous,
    /// It accepted the configured credentials; the text says which, without their secret.
    LoggedIn(String),
}

impl Connection {
    pub(super) fn new(config: RegistryConfig) -> Result<Self, ConfigurationError> {
        let lane = || Arc::new(Semaphore::new(config.concurrency.get().min(Semaphore::MAX_PERMITS)));
        Ok(Self {
            http: Arc::new(Http::new(&config)?),
            authorizer: Authorizer::new(&config),
            documents: lane(),
            blobs: lane(),
            breaker: Arc::default(),
            config,
        })
    }

    /// The same way to the same registry as somebody else: connections, turns and patience are shared, what
    /// was obtained by proving who we are is not.
    pub(super) fn with(&self, credentials: Credentials) -> Self {
        let config = RegistryConfig { credentials, ..self.config.clone() };
        Self {
            http: Arc::clone(&self.http),
            authorizer: Authorizer::new(&config),
            documents: Arc::clone(&self.documents),
            blobs: Arc::clone(&self.blobs),
            breaker: Arc::clone(&self.breaker),
            config,
        }
    }

    pub(super) fn config(&self) -> &RegistryConfig {
        &self.config
    }

    pub(super) fn host(&self) -> &RegistryHost {
        &self.config.host
    }

    /// A question to the registry itself. `path` begins with `/v2/`.
    pub(super) fn question(&self, method: Method, path: &str, what: &str) -> Question {
        Question {
            method,
            url: self.http.url(path),
            what: what.to_owned(),
            accept: None,
            offset: 0,
            body: None,
        }
    }

    /// Asks for a small answer, hands it to `read`, and does both again while that may help.
    pub(super) async fn fetch<T, F, Read>(
        &self,
        question: &Question,
        scope: &Scope,
        read: F,
    ) -> Result<T, RegistryError>
    where
        F: Fn(Answer) -> Read,
        Read: Future<Output = Result<T, RegistryError>>,
    {
        self.fetch_if(question, scope, &[StatusCode::OK], read).await
    }

    /// The same where other answers than 200 are good ones.
    pub(super) async fn fetch_if<T, F, Read>(
        &self,
        question: &Question,
        scope: &Scope,
        good: &[StatusCode],
        read: F,
    ) -> Result<T, RegistryError>
    where
        F: Fn(Answer) -> Read,
        Read: Future<Output = Result<T, RegistryError>>,
    {
        let _turn = turn(&self.documents).await;
        self.repeated(&question.what, || async {
            let answer = self.ask(question, scope).await?;
            if good.contains(&answer.status()) {
                read(answer).await
            } else {
                Err(refusal::of(answer, self.host(), &question.what).await)
            }
        })
        .await
    }

    /// Calls, again and again while that may help, unless the registry is being left alone.
    pub(super) async fn repeated<T, F, Attempt>(&self, what: &str, call: F) -> Result<T, RegistryError>
    where
        F: FnMut() -> Attempt,
        Attempt: Future<Output = Result<T, RegistryError>>,
    {
        self.breaker.admit(Instant::now()).map_err(|rest| RegistryError::Unavailable {
            host: self.host().clone(),
            what: what.to_owned(),
            source: TransportError::new(format!(
                "it failed several times and is left alone for {} s more",
                rest.as_secs() + 1
            )),
        })?;
        let outcome = retrying(&self.config, call).await;
        let ended = match &outcome {
            Err(RegistryError::Unavailable { .. } | RegistryError::Proxy { .. }) => Outcome::Failed,
            Ok(_) | Err(_) => Outcome::Answered,
        };
        self.breaker.record(ended, Instant::now());
        outcome
    }

    /// Waits until fewer than the configured number of blobs are being pulled.
    pub(super) async fn blob_turn(&self) -> OwnedSemaphorePermit {
        turn(&self.blobs).await
    }

    /// Asks once, answering a challenge if there is one. The answer has any status but 401, unless the question
    /// goes to another host, where nobody is told who we are (I8).
    pub(super) async fn ask(&self, question: &Question, scope: &Scope) -> Result<Answer, RegistryError> {
        if !self.http.is_home(&question.url) {
            return self.http.ask(question, None).await;
        }
        let known = self.authorizer.known(scope).await;
        let shown = known.as_ref().map(|known| &known.header);
        let answer = self.http.ask(question, shown).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let fresh = self.authorize(&answer, scope, known.as_ref()).await?;
        if known.is_some_and(|known| known.header == fresh.header) {
            return Err(self.authorizer.unauthorized(scope));
        }
        let answer = self.http.ask(question, Some(&fresh.header)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(self.authorizer.unauthorized(scope));
        }
        Ok(answer)
    }

    async fn authorize(
        &self,
        refused: &Answer,
        scope: &Scope,
        rejected: Option<&Arc<Authorization>>,
    ) -> Result<Arc<Authorization>, RegistryError> {
        let challenge =
            challenge::parse(refused.headers()).ok_or_else(|| self.authorizer.unauthorized(scope))?;
        self.authorizer.obtain(&self.http, &challenge, scope, rejected).await
    }

    /// Where the registry says that something is to be uploaded, or that a list goes on.
    pub(super) fn location(&self, from: &Url, location: &str) -> Result<Url, RegistryError> {
        self.http.location(from, location)
    }

    /// Whether a URL is the registry's own.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        self.http.is_home(url)
    }

    /// How the registry receives us: distribution-spec "Determining Support".
    pub(super) async fn check(&self) -> Result<Access, RegistryError> {
        let question = self.question(Method::GET, "/v2/", "its API");
        let answer = self.http.ask(&question, None).await?;
        match answer.status() {
            StatusCode::OK => Ok(Access::Open),
            StatusCode::UNAUTHORIZED => {
                self.fetch(&question, &Scope::Presence, |_| async { Ok(()) }).await?;
                Ok(match self.authorizer.credentials() {
                    Credentials::Anonymous => Access::Anonymous,
                    credentials => Access::LoggedIn(credentials.to_string()),
                })
            }
            _ => Err(refusal::of(answer, self.host(), &question.what).await),
        }
    }
}

async fn turn(lane: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(lane).acquire_owned().await.expect("the semaphores are never closed")
}
