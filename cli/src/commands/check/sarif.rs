//! SARIF of the findings behind the verdicts: the reports are fetched, those of an index child by child.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::report::{Report, Subject};
use shared::output::sarif::{self, Examined, Unexamined};

use super::Asked;
use crate::Failure;
use crate::client::{Client, refused};

pub(super) async fn render(client: &Client, asked: &[Asked]) -> Result<String, Failure> {
    let mut reports: Vec<(Option<&ImageName>, Report)> = Vec::new();
    let mut unexamined = Vec::new();
    for one in asked {
        let name = one.name.as_ref();
        let verdict = match one.answer.verdict() {
            Ok(verdict) => verdict,
            Err(why) => {
                let repository = name.map(|name| name.repository.as_str());
                unexamined.push(Unexamined { image: &one.image, repository, why });
                continue;
            }
        };
        let report = fetch(client, &verdict.digest).await.map_err(Failure::no_verdict)?;
        match &report.subject {
            Subject::Index { children } => {
                for child in children {
                    let child = fetch(client, &child.digest).await.map_err(Failure::no_verdict)?;
                    reports.push((name, child));
                }
            }
            Subject::Image(_) | Subject::Artifact { .. } | Subject::Unreadable => {
                reports.push((name, report));
            }
        }
    }
    let examined: Vec<Examined<'_>> =
        reports.iter().map(|(name, report)| Examined { report, name: *name }).collect();
    Ok(format!("{}\n", String::from_utf8_lossy(&sarif::log(&examined, &unexamined))))
}

async fn fetch(client: &Client, digest: &Digest) -> anyhow::Result<Report> {
    let path = format!("/v1/reports/{digest}");
    let query = [("format", "json".to_owned())];
    let (status, body) = client.ask(Method::GET, &path, &query, None, std::time::Duration::ZERO).await?;
    match status {
        StatusCode::OK => {
            serde_json::from_slice(&body).with_context(|| format!("the report of {digest} cannot be read"))
        }
        other => Err(refused(other, &body).context(format!("there is no report of {digest}"))),
    }
}
