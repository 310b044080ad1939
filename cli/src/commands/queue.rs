//! `queue status|dead|requeue|drop`: what an operator sees of a server's queue.

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;

use crate::args::{QueueCommand, ServerArguments, Which};
use crate::client::Client;
use crate::{Exit, Failure};

pub(crate) async fn run(command: QueueCommand) -> Result<Exit, Failure> {
    match command {
        QueueCommand::Status { server, json } => status(&Client::new(&server)?, json).await?,
        QueueCommand::Dead { server, limit, json } => dead(&Client::new(&server)?, limit, json).await?,
        QueueCommand::Requeue { which, server } => {
            let jobs = change(&server, Method::POST, "/v1/queue/dead/requeue", &which).await?;
            println!("{jobs} jobs are back in their lanes");
        }
        QueueCommand::Drop { which, server } => {
            let jobs = change(&server, Method::DELETE, "/v1/queue/dead", &which).await?;
            println!("{jobs} dead letters forgotten");
        }
    }
    Ok(Exit::Pass)
}

async fn status(client: &Client, json: bool) -> anyhow::Result<()> {
    let answer: Value = client.get(Method::GET, "/v1/queue", &[]).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    println!("{:<12} {:>8} {:>10} {:>10}", "LANE", "READY", "UNSETTLED", "CONSUMERS");
    for lane in answer["lanes"].as_array().into_iter().flatten() {
        println!(
            "{:<12} {:>8} {:>10} {:>10}",
            lane["lane"].as_str().unwrap_or("?"),
            number(&lane["ready"]),
            number(&lane["unsettled"]),
            number(&lane["consumers"])
        );
    }
    println!("retrying {}, dead {}", number(&answer["retrying"]), number(&answer["dead"]));
    Ok(())
}

/// A number, or a dash where the backend cannot tell.
fn number(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string())
}

async fn dead(client: &Client, limit: usize, json: bool) -> anyhow::Result<()> {
    let answer: Value = client.get(Method::GET, "/v1/queue/dead", &[("limit", limit.to_string())]).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer["dead"])?);
        return Ok(());
    }
    let dead = answer["dead"].as_array().context("the server's answer is not what this version expects")?;
    for job in dead {
        let text = |key: &str| job[key].as_str().unwrap_or("-").to_owned();
        println!("{}  {}  {} attempts", text("id"), text("subject"), number(&job["attempts"]));
        println!("    {}  {}", text("died_at"), text("error"));
    }
    println!("{} dead letters", dead.len());
    Ok(())
}

async fn change(server: &ServerArguments, method: Method, path: &str, which: &Which) -> Result<u64, Failure> {
    let query = match which.id {
        Some(id) => ("id", id.to_string()),
        None => ("all", which.all.to_string()),
    };
    let answer: Value = Client::new(server)?.get(method, path, &[query]).await?;
    Ok(answer["jobs"].as_u64().unwrap_or_default())
}
