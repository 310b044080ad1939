//! `policy check`, `policy explain`, `policy schema`; `policy simulate` has a file of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::report::{Report, Subject};
use shared::model::verdict::{Outcome, PolicyName};
use shared::policy::{Circumstances, Place, Policy, PolicySet, PurlPattern};
use shared::telemetry::chain;

use super::simulate;
use crate::args::{AnswerFormat, ExplainArguments, PolicyCommand, ServerArguments};
use crate::client::Client;
use crate::{Exit, Failure};

pub(crate) async fn run(command: PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check { paths } => check(&paths),
        PolicyCommand::Explain(arguments) => explain(*arguments).await,
        PolicyCommand::Schema => {
            println!("{:#}", shared::policy::schema());
            Ok(Exit::Pass)
        }
        PolicyCommand::Simulate(arguments) => simulate::run(arguments).await,
    }
}

/// Checks every file, and says everything that is wrong before it fails.
fn check(paths: &[PathBuf]) -> Result<Exit, Failure> {
    let mut wrong = 0_usize;
    let now = Timestamp::now();
    for path in paths {
        for file in files(path).map_err(Failure::usage)? {
            match Policy::load(&file) {
                Err(error) => {
                    eprintln!("{}", chain(&error));
                    wrong += 1;
                }
                Ok(policy) => {
                    let expired = expired(&file, &policy, now);
                    if expired.is_empty() {
                        println!("{}", summary(&policy));
                    }
                    wrong += expired.len();
                    expired.iter().for_each(|line| eprintln!("{line}"));
                }
            }
        }
        if path.is_dir()
            && wrong == 0
            && let Err(error) = PolicySet::load(path)
        {
            // What only shows in company: two files with one name.
            eprintln!("{}", chain(&error));
            wrong += 1;
        }
    }
    match wrong {
        0 => Ok(Exit::Pass),
        1 => Err(Failure::usage(anyhow!("1 mistake in policies"))),
        wrong => Err(Failure::usage(anyhow!("{wrong} mistakes in policies"))),
    }
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = PolicySet::files(path)?;
    if files.is_empty() {
        return Err(anyhow!("{} holds no *.yaml or *.yml", path.display()));
    }
    Ok(files)
}

fn expired(file: &Path, policy: &Policy, now: Timestamp) -> Vec<String> {
    let expired = policy.expired_exceptions(now).map(|exception| {
        let what = exception.advisory.as_deref().or(exception.package.as_ref().map(PurlPattern::as_str));
        format!(
            "{}: {}: the exception of {} for {} ended with {}; remove it, or renew it with a reason",
            file.display(),
            exception.position,
            exception.owner,
            what.unwrap_or_default(),
            // The first moment after it.
            exception
                .expires
                .saturating_sub(SignedDuration::from_secs(1))
                .unwrap_or(exception.expires)
                .strftime("%F")
        )
    });
    expired.collect()
}

fn summary(policy: &Policy) -> String {
    format!(
        "{}: {} rules, {} exceptions, revision {}",
        policy.name,
        policy.rules.len() + policy.image_rules.len() + policy.signatures.len(),
        policy.exceptions.len(),
        policy.revision
    )
}

async fn explain(arguments: ExplainArguments) -> Result<Exit, Failure> {
    let report = report(&arguments).await?;
    let children = children(&report, &arguments).await?;
    let policy = policy(&arguments).await?;
    let place = place(&arguments);
    let circumstances = Circumstances { now: Timestamp::now(), place: place.as_ref() };
    let explanation = policy.explain(&report, &children, &circumstances);
    match arguments.format {
        AnswerFormat::Text => print!("{explanation}"),
        AnswerFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&explanation).context("cannot write JSON")?);
        }
    }
    Ok(match explanation.verdict.outcome {
        Outcome::Pass | Outcome::Warn | Outcome::NotAnImage => Exit::Pass,
        Outcome::Fail => Exit::Fail,
        Outcome::Error => Exit::NoVerdict,
    })
}

/// Where the image is asked about, as far as the command line says it.
fn place(arguments: &ExplainArguments) -> Option<Place> {
    let place = Place {
        image: arguments.image.clone(),
        namespace: arguments.namespace.clone(),
        labels: Arc::new(arguments.labels.iter().cloned().collect()),
    };
    (place != Place::default()).then_some(place)
}

async fn report(arguments: &ExplainArguments) -> Result<Report, Failure> {
    if let Ok(digest) = arguments.report.parse::<Digest>() {
        return fetch(&arguments.server, &digest).await.map_err(Failure::no_verdict);
    }
    let path = Path::new(&arguments.report);
    let text = std::fs::read(path)
        .with_context(|| format!("{} is neither a digest nor a file that can be read", arguments.report))
        .map_err(Failure::usage)?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is no report in Tidewaiter's JSON", path.display()))
        .map_err(Failure::usage)
}

async fn fetch(server: &ServerArguments, digest: &Digest) -> anyhow::Result<Report> {
    let client = Client::new(server).map_err(|failure| failure.source)?;
    let query = [("format", "json".to_owned())];
    client.get(Method::GET, &format!("/v1/reports/{digest}"), &query).await
}

/// An index is explained with its images: out of the same file (`scan --format json`), or from the server.
async fn children(report: &Report, arguments: &ExplainArguments) -> Result<Vec<Report>, Failure> {
    #[derive(Deserialize)]
    struct WithImages {
        #[serde(default)]
        images: Vec<Report>,
    }
    let Subject::Index { children } = &report.subject else { return Ok(Vec::new()) };
    if arguments.report.parse::<Digest>().is_err() {
        let text = std::fs::read(&arguments.report).context("the report is gone")?;
        let file: WithImages =
            serde_json::from_slice(&text).context("the images of the index").map_err(Failure::usage)?;
        return Ok(file.images);
    }
    let mut reports = Vec::new();
    for child in children {
        reports.push(fetch(&arguments.server, &child.digest).await.map_err(Failure::no_verdict)?);
    }
    Ok(reports)
}

/// The policy: a file, or the server's by name.
async fn policy(arguments: &ExplainArguments) -> Result<Policy, Failure> {
    #[derive(Deserialize)]
    struct Document {
        source: String,
    }
    if let Some(path) = &arguments.policy {
        return Policy::load(path).map_err(Failure::usage);
    }
    let name = arguments.policy_name.clone().unwrap_or_else(PolicyName::default_policy);
    let client = Client::new(&arguments.server)?;
    let found = client.get(Method::GET, &format!("/v1/policies/{name}"), &[]).await;
    let document: Document =
        found.context("cannot get the policy; name a file with --policy").map_err(Failure::no_verdict)?;
    Policy::parse(&document.source).map_err(Failure::usage)
}
