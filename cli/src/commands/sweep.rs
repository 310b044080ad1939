//! `sweep`: has a server compare a registry with what is known, and says what came out.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::json;
use shared::model::image::Repository;
use shared::model::sweep::{Progress, SweepState};

use crate::args::SweepArguments;
use crate::client::{Client, refused};
use crate::{Exit, Failure};

/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn sweep(arguments: SweepArguments) -> Result<Exit, Failure> {
    let (registry, repository) = target(&arguments.registry).map_err(Failure::usage)?;
    let client = Client::new(&arguments.server)?;
    let body = json!({"registry": registry, "repository": repository});
    let (status, answer) = client.ask(Method::POST, "/v1/sweeps", &[], Some(body), Duration::ZERO).await?;
    let progress = match status {
        StatusCode::ACCEPTED => read(&answer)?,
        StatusCode::UNPROCESSABLE_ENTITY => return Err(Failure::usage(refused(status, &answer))),
        _ => return Err(refused(status, &answer).into()),
    };
    if !arguments.wait {
        print(&progress, arguments.json)?;
        return Ok(Exit::Pass);
    }
    let progress = follow(&client, progress).await?;
    print(&progress, arguments.json)?;
    Ok(if progress.tally.errors.is_empty() { Exit::Pass } else { Exit::Fail })
}

/// `REGISTRY[/REPO]`, where the registry may be the name of its section or its host.
fn target(text: &str) -> anyhow::Result<(&str, Option<Repository>)> {
    match text.split_once('/') {
        Some((registry, repository)) => {
            let repository = repository.parse().map_err(|error| anyhow!("{text}: {error}"))?;
            Ok((registry, Some(repository)))
        }
        None => Ok((text, None)),
    }
}

fn read(answer: &[u8]) -> anyhow::Result<Progress> {
    serde_json::from_slice(answer).context("the server's answer is not what this version expects")
}

/// Asks until it is over. A server that is away for a moment is asked again: the sweep goes on without it.
async fn follow(client: &Client, mut progress: Progress) -> anyhow::Result<Progress> {
    let mut failures = 0_u32;
    let path = format!("/v1/sweeps/{}", progress.id);
    let mut rested = None;
    while !progress.is_over() {
        tokio::time::sleep(LOOK).await;
        match client.ask(Method::GET, &path, &[], None, Duration::ZERO).await {
            Ok((StatusCode::OK, answer)) => {
                (progress, failures) = (read(&answer)?, 0);
                show(&progress, &mut rested);
            }
            Ok((status, answer)) if !status.is_server_error() => return Err(refused(status, &answer)),
            Ok((status, answer)) if failures >= 30 => return Err(refused(status, &answer)),
            Err(error) if failures >= 30 => return Err(error),
            Ok(_) | Err(_) => failures += 1,
        }
    }
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    Ok(progress)
}

/// One line that is written over on a terminal; elsewhere a line for each rest, or nobody would know why it takes
/// so long.
fn show(progress: &Progress, rested: &mut Option<Timestamp>) {
    let is_terminal = std::io::stderr().is_terminal();
    if let SweepState::Resting { until, because } = &progress.state
        && *rested != Some(*until)
    {
        *rested = Some(*until);
        let clear = if is_terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}{} is left alone until {until}: {because}", progress.registry);
    }
    if !is_terminal {
        return;
    }
    eprint!("\r\x1b[K{}", sum(progress));
    let _ = std::io::stderr().flush();
}

fn sum(progress: &Progress) -> String {
    let tally = &progress.tally;
    format!(
        "{} of {} repositories, {} tags: {} enqueued, {} known, {} skipped, {} errors",
        tally.repositories_done,
        tally.repositories_seen,
        tally.tags,
        tally.enqueued,
        tally.known,
        tally.skipped,
        tally.errors.len() as u64 + tally.further_errors
    )
}

fn print(progress: &Progress, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(progress)?);
        return Ok(());
    }
    let state = match &progress.state {
        SweepState::Running => "is on its way".to_owned(),
        SweepState::Resting { until, because } => format!("rests until {until}: {because}"),
        SweepState::Finished { at } => format!("finished at {at}"),
    };
    println!("sweep {} of {} {state}", progress.id, progress.registry);
    println!("{}", sum(progress));
    for error in &progress.tally.errors {
        let about = error.repository.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        println!("  {about}{}", error.reason);
    }
    if progress.tally.further_errors > 0 {
        println!("  and {} more", progress.tally.further_errors);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_named_alone_or_with_one_repository() {
        for (text, expected) in [
            ("main", Some(("main", None))),
            ("r.io:5000/team/app", Some(("r.io:5000", Some("team/app")))),
            ("main/Team", None),
            ("main/", None),
        ] {
            let found =
                target(text).ok().map(|(registry, name)| (registry, name.map(|name| name.to_string())));
            assert_eq!(found, expected.map(|(registry, name)| (registry, name.map(str::to_owned))), "{text}");
        }
    }
}
