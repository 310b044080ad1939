//! `check`: the CI gate. Asks a server about images, and ends with the exit code of the worst answer.
//!
//! `ask` gets the answers, all images at once; then one file a format says them, and `github` says them to
//! GitHub Actions.

use std::io::Write;

use anyhow::{Context, anyhow};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use shared::config::Overrides;
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference};
use shared::model::verdict::{Mode, Outcome, Verdict};
use shared::output::junit::{self, Answered, Checked};

use crate::args::{CheckArguments, CheckFormat};
use crate::client::Client;
use crate::{Exit, Failure};

mod ask;
mod github;
mod sarif;
mod text;

/// So many images are asked about at the same time.
const AT_ONCE: usize = 8;

/// What an argument names.
enum Named {
    /// A digest alone: nobody knows where the image lives.
    Digest(Digest),
    /// An image in a registry.
    Image(Reference),
}

/// One image, and what the server said about it.
struct Asked {
    /// As it was typed.
    image: String,
    /// Registry and repository, where they are known.
    name: Option<ImageName>,
    /// What was asked about; a tag was resolved once (I12).
    digest: Option<Digest>,
    answer: Answer,
    took: std::time::Duration,
}

/// What the server said about one image.
enum Answer {
    Judged(Box<Verdict>),
    Pending(String),
    Unknown(String),
    /// It could not be asked, or the tag not resolved.
    Failed(String),
}

impl Answer {
    /// The verdict, or why there is none.
    fn verdict(&self) -> Result<&Verdict, &str> {
        match self {
            Self::Judged(verdict) => Ok(verdict),
            Self::Pending(why) | Self::Unknown(why) | Self::Failed(why) => Err(why),
        }
    }

    fn state(&self) -> &'static str {
        match self {
            Self::Judged(_) => "known",
            Self::Pending(_) => "pending",
            Self::Unknown(_) => "unknown",
            Self::Failed(_) => "error",
        }
    }

    fn exit(&self) -> Exit {
        match self.verdict() {
            Ok(verdict) => match (verdict.outcome, verdict.mode) {
                (Outcome::Pass | Outcome::Warn, _) | (Outcome::Fail, Mode::Audit) => Exit::Pass,
                (Outcome::Fail, Mode::Enforce) => Exit::Fail,
                (Outcome::Error | Outcome::NotAnImage, _) => Exit::NoVerdict,
            },
            Err(_) => Exit::NoVerdict,
        }
    }
}

pub(crate) async fn check(overrides: &Overrides, arguments: CheckArguments) -> Result<Exit, Failure> {
    let images = named(&arguments.images)?;
    let client = Client::new(&arguments.server)?;
    let resolver = ask::Resolver::new(overrides, &arguments)?;
    let questions =
        images.into_iter().map(|(image, named)| ask::ask(&client, &resolver, &arguments, image, named));
    let answers: Vec<Result<Asked, Failure>> = stream::iter(questions).buffered(AT_ONCE).collect().await;
    let asked = answers.into_iter().collect::<Result<Vec<Asked>, Failure>>()?;
    let document = match arguments.format {
        CheckFormat::Text => text::render(&asked),
        CheckFormat::Json => asked.iter().map(|one| format!("{}\n", as_json(one))).collect(),
        CheckFormat::Sarif => sarif::render(&client, &asked).await?,
        CheckFormat::Junit => as_junit(&asked),
    };
    std::io::stdout().write_all(document.as_bytes()).context("cannot write the verdicts")?;
    let worst = asked.iter().map(|one| one.answer.exit()).fold(Exit::Pass, worse);
    if let Some(actions) = github::Actions::here() {
        actions.tell(&asked, worst, arguments.format)?;
    }
    Ok(worst)
}

/// Every argument is understood before anybody is asked anything.
fn named(images: &[String]) -> Result<Vec<(String, Named)>, Failure> {
    let understood = images.iter().map(|image| {
        let named = match image.parse() {
            Ok(digest) => Named::Digest(digest),
            Err(_) => {
                Named::Image(image.parse().map_err(|error| Failure::usage(anyhow!("{image}: {error}")))?)
            }
        };
        Ok((image.clone(), named))
    });
    understood.collect()
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

/// `registry/repository@digest`, where both are known.
fn pinned(asked: &Asked) -> Option<String> {
    Some(asked.name.as_ref()?.at(asked.digest.as_ref()?))
}

fn as_json(asked: &Asked) -> Value {
    let mut line = json!({
        "image": asked.image,
        "reference": pinned(asked),
        "digest": asked.digest,
        "state": asked.answer.state(),
        "exit_code": asked.answer.exit().code(),
    });
    match asked.answer.verdict() {
        Ok(verdict) => line["verdict"] = json!(verdict),
        Err(why) => line["reason"] = json!(why),
    }
    line
}

fn as_junit(asked: &[Asked]) -> String {
    let checked: Vec<Checked<'_>> = asked
        .iter()
        .map(|one| Checked {
            image: &one.image,
            digest: one.digest.as_ref(),
            answer: one.answer.verdict().map_or_else(Answered::Nothing, Answered::Judged),
            took: one.took,
        })
        .collect();
    String::from_utf8_lossy(&junit::render(&checked, jiff::Timestamp::now())).into_owned()
}
