//! One image: the tag resolved once, the server asked until there is a verdict or the time is up.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::config::{Config, Overrides};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference, Target};
use shared::registry::Transport;
use shared::telemetry::chain;

use super::{Answer, Asked, Named};
use crate::args::CheckArguments;
use crate::client::{Client, refused};
use crate::{Failure, site};

/// One request waits at most so long; longer waits are several requests.
const ONE_WAIT: Duration = Duration::from_secs(30);

/// Finds out what tags point at.
pub(super) struct Resolver {
    config: Config,
    transport: Transport,
}

impl Resolver {
    pub(super) fn new(overrides: &Overrides, arguments: &CheckArguments) -> Result<Self, Failure> {
        let transport = if arguments.plain_http { Transport::PlainHttp } else { Transport::Https };
        Ok(Self { config: site::configuration(overrides)?, transport })
    }

    /// A digest as it is written; a tag is resolved here and now, once, and the digest is said (I12).
    async fn resolve(&self, image: &str, reference: Reference) -> Result<(ImageName, Digest), Failure> {
        let tag = match reference.target {
            Target::Digest(digest) => return Ok((reference.name, digest)),
            Target::Tag(tag) => tag,
        };
        let (client, name) = site::registry_for(&self.config, &reference.name, self.transport)?;
        let digest = client
            .resolve(&name, &tag)
            .await
            .map_err(|error| Failure::no_verdict(anyhow!("the tag cannot be resolved: {}", chain(&error))))?;
        eprintln!("{image} is {}", name.at(&digest));
        Ok((name, digest))
    }
}

/// Only what is wrong with the command line or the configuration is an error; everything else is an answer.
pub(super) async fn ask(
    client: &Client,
    resolver: &Resolver,
    arguments: &CheckArguments,
    image: String,
    named: Named,
) -> Result<Asked, Failure> {
    let began = Instant::now();
    let found = match named {
        Named::Digest(digest) => Ok((None, digest)),
        Named::Image(reference) => {
            resolver.resolve(&image, reference).await.map(|(name, digest)| (Some(name), digest))
        }
    };
    let (name, digest, answer) = match found {
        Ok((name, digest)) => {
            let answer = Question { client, arguments, name: name.as_ref(), digest: &digest }.ask().await;
            (name, Some(digest), answer)
        }
        Err(failure) => (None, None, Err(failure)),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) if failure.is_usage() => return Err(failure),
        Err(failure) => Answer::Failed(failure.to_string()),
    };
    Ok(Asked { image, name, digest, answer, took: began.elapsed() })
}

struct Question<'a> {
    client: &'a Client,
    arguments: &'a CheckArguments,
    name: Option<&'a ImageName>,
    digest: &'a Digest,
}

impl Question<'_> {
    async fn ask(&self) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.arguments.wait;
        let mut unknown =
            "nothing is known about it; was it pushed to a registry that this server watches?".to_owned();
        let (mut wait, mut asked_for) = (Duration::ZERO, false);
        loop {
            let answer = match self.once(wait).await? {
                Said::Verdict(verdict) => return Ok(Answer::Judged(verdict)),
                Said::Pending => {
                    Answer::Pending("it is not judged yet; ask again, or wait with --wait 60s".to_owned())
                }
                Said::Unknown => {
                    // Once: the job is durable, and its verdict will wake the next question.
                    if !asked_for && !self.arguments.wait.is_zero() {
                        asked_for = true;
                        unknown = self.request_scan().await;
                    }
                    Answer::Unknown(unknown.clone())
                }
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(answer);
            }
            wait = left.min(ONE_WAIT);
        }
    }

    async fn once(&self, wait: Duration) -> Result<Said, Failure> {
        let mut query =
            vec![("policy", self.arguments.policy.to_string()), ("wait", format!("{}ms", wait.as_millis()))];
        if let Some(platform) = &self.arguments.platform {
            query.push(("platform", platform.to_string()));
        }
        let path = format!("/v1/verdicts/{}", self.digest);
        let (status, body) =
            self.client.ask(Method::GET, &path, &query, None, wait).await.map_err(Failure::no_verdict)?;
        match status {
            StatusCode::OK => {
                let verdict = serde_json::from_slice(&body).context("the server's verdict cannot be read");
                Ok(Said::Verdict(verdict.map_err(Failure::no_verdict)?))
            }
            StatusCode::ACCEPTED => Ok(Said::Pending),
            StatusCode::NOT_FOUND if is_unknown(&body) => Ok(Said::Unknown),
            // A wrong token, policy or platform: nobody should take it for "not judged yet".
            other if other.is_client_error() => Err(Failure::usage(refused(other, &body))),
            other => Err(Failure::no_verdict(refused(other, &body))),
        }
    }

    /// Asks the server to scan what it has never seen; why that does not help, or that it was done.
    async fn request_scan(&self) -> String {
        let Some(name) = self.name else {
            return "nothing is known about it; name it as registry/repository@digest to have it scanned"
                .to_owned();
        };
        let body = json!({"image": name.at(self.digest), "lane": "urgent"});
        let asked = self.client.ask(Method::POST, "/v1/scans", &[], Some(body), Duration::ZERO).await;
        match asked {
            Ok((StatusCode::ACCEPTED, _)) => "its scan was asked for and has not come to an end".to_owned(),
            Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => {
                "nothing is known about it, and the token may not ask for a scan: that needs the scope push"
                    .to_owned()
            }
            Ok((status, body)) => {
                format!("nothing is known about it, and no scan: {:#}", refused(status, &body))
            }
            Err(error) => format!("nothing is known about it, and no scan: {error:#}"),
        }
    }
}

enum Said {
    Verdict(Box<shared::model::verdict::Verdict>),
    Pending,
    Unknown,
}

/// Whether a 404 is about the digest, and not about the policy or platform.
fn is_unknown(body: &[u8]) -> bool {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["type"] == "urn:tidewaiter:problem:unknown-digest"
}
