//! `check`: the CI gate. Asks a server, and ends with the exit code of the worst answer.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::config::Overrides;
use shared::model::digest::Digest;
use shared::model::image::{Reference, Target};
use shared::model::verdict::{Effect, Mode, Outcome, Verdict};
use shared::registry::Transport;
use shared::telemetry::chain;

use crate::args::{CheckArguments, CheckFormat};
use crate::client::{Client, refused};
use crate::{Exit, Failure, site};

/// What the server said about one image.
enum Answer {
    Judged(Box<Verdict>),
    Pending,
    Unknown,
}

pub(crate) async fn check(overrides: &Overrides, arguments: CheckArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.server)?;
    let mut worst = Exit::Pass;
    for image in &arguments.images {
        let digest = digest_of(overrides, image, &arguments).await?;
        let answer = ask(&client, &digest, &arguments).await.map_err(Failure::no_verdict)?;
        print(image, &digest, &answer, arguments.format);
        worst = worse(worst, exit_of(&answer));
    }
    Ok(worst)
}

/// A failure is worse than no verdict: the first is certain.
fn worse(left: Exit, right: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Pass => 0,
        Exit::NoVerdict => 1,
        Exit::Fail => 2,
        Exit::Usage => 3,
    };
    if rank(right) > rank(left) { right } else { left }
}

fn exit_of(answer: &Answer) -> Exit {
    match answer {
        Answer::Judged(verdict) => match (verdict.outcome, verdict.mode) {
            (Outcome::Pass | Outcome::Warn, _) | (Outcome::Fail, Mode::Audit) => Exit::Pass,
            (Outcome::Fail, Mode::Enforce) => Exit::Fail,
            (Outcome::Error | Outcome::NotAnImage, _) => Exit::NoVerdict,
        },
        Answer::Pending | Answer::Unknown => Exit::NoVerdict,
    }
}

/// A digest as it is written; a tag is resolved here and now, once, and the digest is said (I12).
async fn digest_of(
    overrides: &Overrides,
    image: &str,
    arguments: &CheckArguments,
) -> Result<Digest, Failure> {
    if let Ok(digest) = image.parse() {
        return Ok(digest);
    }
    let reference: Reference = image.parse().map_err(|error| Failure::usage(anyhow!("{image}: {error}")))?;
    let tag = match reference.target {
        Target::Digest(digest) => return Ok(digest),
        Target::Tag(tag) => tag,
    };
    let config = site::configuration(overrides)?;
    let transport = if arguments.plain_http { Transport::PlainHttp } else { Transport::Https };
    let (client, name) = site::registry_for(&config, &reference.name, transport)?;
    let digest = client.resolve(&name, &tag).await.map_err(|error| {
        Failure::no_verdict(anyhow!("{image}: the tag cannot be resolved: {}", chain(&error)))
    })?;
    eprintln!("{image} is {}", name.at(&digest));
    Ok(digest)
}

/// One request waits at most so long; longer waits are several requests.
const ONE_WAIT: Duration = Duration::from_secs(30);

async fn ask(client: &Client, digest: &Digest, arguments: &CheckArguments) -> anyhow::Result<Answer> {
    let deadline = Instant::now() + arguments.wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(ONE_WAIT);
        let mut query =
            vec![("policy", arguments.policy.to_string()), ("wait", format!("{}ms", left.as_millis()))];
        if let Some(platform) = &arguments.platform {
            query.push(("platform", platform.to_string()));
        }
        let (status, body) =
            client.ask(Method::GET, &format!("/v1/verdicts/{digest}"), &query, None, left).await?;
        let answer = match status {
            StatusCode::OK => {
                let verdict = serde_json::from_slice(&body).context("the server's verdict cannot be read")?;
                return Ok(Answer::Judged(verdict));
            }
            StatusCode::ACCEPTED => Answer::Pending,
            StatusCode::NOT_FOUND if is_unknown(&body) => Answer::Unknown,
            other => return Err(refused(other, &body)),
        };
        if Instant::now() >= deadline {
            return Ok(answer);
        }
    }
}

/// Whether a 404 is about the digest, and not about the policy or platform.
fn is_unknown(body: &[u8]) -> bool {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    problem["type"] == "urn:tidewaiter:problem:unknown-digest"
}

fn print(image: &str, digest: &Digest, answer: &Answer, format: CheckFormat) {
    match format {
        CheckFormat::Json => {
            let line = match answer {
                Answer::Judged(verdict) => json!({"image": image, "state": "known", "verdict": verdict}),
                Answer::Pending => json!({"image": image, "digest": digest, "state": "pending"}),
                Answer::Unknown => json!({"image": image, "digest": digest, "state": "unknown"}),
            };
            println!("{line}");
        }
        CheckFormat::Text => print_text(image, answer),
    }
}

fn print_text(image: &str, answer: &Answer) {
    let verdict = match answer {
        Answer::Judged(verdict) => verdict,
        Answer::Pending => {
            println!("{image}: pending; ask again, or wait with --wait 60s");
            return;
        }
        Answer::Unknown => {
            println!("{image}: unknown; was it pushed to a registry that this server watches?");
            return;
        }
    };
    let audit = match verdict.mode {
        Mode::Audit => " (audit: not enforced)",
        Mode::Enforce => "",
    };
    println!("{image}: {}{audit} by policy {}, as of {}", verdict.outcome, verdict.policy, verdict.as_of);
    for reason in &verdict.reasons {
        let effect = match reason.effect {
            Effect::Deny => "deny",
            Effect::Warn => "warn",
        };
        println!("  {effect}: {}", reason.message);
    }
    if verdict.further_reasons > 0 {
        println!("  and {} more", verdict.further_reasons);
    }
}
