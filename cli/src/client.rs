//! Talks to a running server's HTTP API, for the commands that look at one.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::outgoing::Bypass;
use url::Url;

use crate::Failure;
use crate::args::ServerArguments;

/// A server and the token to show it.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

/// The variable that holds the token where no file is named.
const TOKEN_VARIABLE: &str = "TIDEWAITER_TOKEN";
/// Answers are small; a verdict with its reasons has a few KiB.
const LARGEST_ANSWER: usize = 64 << 20;

#[derive(Deserialize)]
struct ProblemDocument {
    detail: String,
}

impl Client {
    /// A client of the server that the command line names.
    pub(crate) fn new(arguments: &ServerArguments) -> Result<Self, Failure> {
        let token = match &arguments.token_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the token file {}", path.display()))
                    .map_err(Failure::usage)?;
                Some(SecretString::from(text.trim()))
            }
            None => std::env::var(TOKEN_VARIABLE).ok().map(SecretString::from),
        };
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none());
        // Who asks from a desk or a CI job goes by HTTPS_PROXY as other programs do there; a probe stays on its machine.
        if Bypass::default().covers(&arguments.server) {
            builder = builder.no_proxy();
        }
        let http = builder.build().context("cannot set up the HTTP client")?;
        Ok(Self { http, base: arguments.server.clone(), token })
    }

    /// Asks and returns status and body; `patience` is how long the server may take beyond the usual.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<serde_json::Value>,
        patience: Duration,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let mut request = self.request(method, path, query, patience)?;
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.answer(request).await
    }

    /// The same with a text of some media type.
    pub(crate) async fn send_text(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        (media_type, text): (&str, &str),
        patience: Duration,
    ) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let request = self.request(method, path, query, patience)?;
        self.answer(request.header(CONTENT_TYPE, media_type).body(text.to_owned())).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        patience: Duration,
    ) -> anyhow::Result<RequestBuilder> {
        let mut url = self.base.join(path).with_context(|| format!("{} is no base for {path}", self.base))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.iter().map(|(key, value)| (*key, value.as_str())));
        }
        let request = self.http.request(method, url).timeout(patience + Duration::from_secs(15));
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        })
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let response = request.send().await.with_context(|| format!("cannot reach {}", self.base))?;
        let status = response.status();
        Ok((status, bounded(response).await?))
    }

    /// Asks for something that has to be there.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let (status, body) = self.ask(method, path, query, None, Duration::ZERO).await?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).context("the server's answer is not what this version expects")
    }
}

/// The server's own words about a refusal.
pub(crate) fn refused(status: StatusCode, body: &[u8]) -> anyhow::Error {
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("; name a token with --token-file or {TOKEN_VARIABLE}")
        }
        _ => String::new(),
    };
    match serde_json::from_slice::<ProblemDocument>(body) {
        Ok(problem) => anyhow!("{} ({status}){hint}", problem.detail),
        Err(_) => anyhow!("the server answered {status}{hint}"),
    }
}

async fn bounded(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context("the server's answer broke off")? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            bail!("the server's answer is larger than {LARGEST_ANSWER} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
