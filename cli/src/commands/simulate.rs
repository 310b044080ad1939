//! `policy simulate`: what would change if a policy file were enforced, over everything that a server knows.

use std::time::Duration;

use anyhow::Context;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use shared::model::digest::Digest;
use shared::model::report::Revision;
use shared::model::verdict::{Outcome, PolicyName};
use shared::policy::Policy;

use crate::args::{AnswerFormat, SimulateArguments};
use crate::client::{Client, refused};
use crate::{Exit, Failure};

/// How long the server may work on one part.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many images of each kind are printed and kept; totals count all.
const MOST_IMAGES: usize = 50;

/// The server's answer, and the sum of its answers.
#[derive(Debug, Deserialize, Serialize)]
struct Simulation {
    policy: PolicyName,
    revision: Revision,
    against: Option<Revision>,
    examined: u64,
    out_of_scope: u64,
    unchanged: u64,
    newly_blocked: Differences,
    newly_allowed: Differences,
    newly_warned: Differences,
    no_longer_warned: Differences,
    #[serde(skip_serializing)]
    next: Option<Digest>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Differences {
    total: u64,
    images: Vec<DifferentImage>,
}

#[derive(Debug, Deserialize, Serialize)]
struct DifferentImage {
    digest: Digest,
    before: Option<Outcome>,
    after: Outcome,
    seen: Vec<String>,
    reasons: Vec<String>,
}

pub(crate) async fn run(arguments: SimulateArguments) -> Result<Exit, Failure> {
    let file = &arguments.file;
    // Read here first: what is wrong with it is told with line and column, and nobody else is asked.
    let policy = Policy::load(file).map_err(Failure::usage)?;
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .map_err(Failure::usage)?;
    let client = Client::new(&arguments.server)?;
    let simulation = simulate(&client, &policy.name, &text).await?;
    match arguments.format {
        AnswerFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&simulation).context("cannot print JSON")?);
        }
        AnswerFormat::Text => {
            let mut out = std::io::stdout().lock();
            print(&mut out, &simulation).context("cannot print")?;
        }
    }
    Ok(Exit::Pass)
}

/// Asks until everything was looked at.
async fn simulate(client: &Client, name: &PolicyName, text: &str) -> anyhow::Result<Simulation> {
    let path = format!("/v1/policies/{name}/simulate");
    let mut sum: Option<Simulation> = None;
    loop {
        let after = sum.as_ref().and_then(|sum| sum.next.clone());
        let query: Vec<(&str, String)> = after.iter().map(|after| ("after", after.to_string())).collect();
        let (status, body) =
            client.send_text(Method::POST, &path, &query, ("application/yaml", text), PATIENCE).await?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        let part: Simulation =
            serde_json::from_slice(&body).context("the server's answer is not what this version expects")?;
        let whole = match sum.take() {
            None => part,
            Some(before) => before.and(part),
        };
        if whole.next.is_none() {
            return Ok(whole);
        }
        sum = Some(whole);
    }
}

impl Simulation {
    fn and(self, later: Self) -> Self {
        Self {
            examined: self.examined + later.examined,
            out_of_scope: self.out_of_scope + later.out_of_scope,
            unchanged: self.unchanged + later.unchanged,
            newly_blocked: self.newly_blocked.and(later.newly_blocked),
            newly_allowed: self.newly_allowed.and(later.newly_allowed),
            newly_warned: self.newly_warned.and(later.newly_warned),
            no_longer_warned: self.no_longer_warned.and(later.no_longer_warned),
            ..later
        }
    }
}

impl Differences {
    fn and(mut self, later: Self) -> Self {
        self.total += later.total;
        self.images.extend(later.images);
        self.images.truncate(MOST_IMAGES);
        self
    }
}

fn print(out: &mut impl std::io::Write, simulation: &Simulation) -> std::io::Result<()> {
    let against = match &simulation.against {
        Some(revision) => format!("in the place of revision {revision}"),
        None => "as a new policy".to_owned(),
    };
    writeln!(
        out,
        "policy {} (revision {}) {against}: {} images judged, {} stay as they are{}",
        simulation.policy,
        simulation.revision,
        simulation.examined,
        simulation.unchanged,
        match simulation.out_of_scope {
            0 => String::new(),
            number => format!(", {number} out of its scope"),
        }
    )?;
    for (title, differences) in [
        ("newly blocked", &simulation.newly_blocked),
        ("newly allowed", &simulation.newly_allowed),
        ("newly warned", &simulation.newly_warned),
        ("no longer warned", &simulation.no_longer_warned),
    ] {
        writeln!(out, "\n{title}: {}", differences.total)?;
        for image in &differences.images {
            let seen = image.seen.first().map_or("never seen under a name", String::as_str);
            let before = image.before.map_or("none", Outcome::name);
            writeln!(out, "  {}  {seen}  {before} → {}", image.digest, image.after)?;
            for reason in &image.reasons {
                writeln!(out, "      {}", one_line(reason))?;
            }
        }
        let left = differences.total.saturating_sub(differences.images.len() as u64);
        if left > 0 {
            writeln!(out, "  and {left} more")?;
        }
    }
    Ok(())
}

/// What came from an image must not steer the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(next: Option<Digest>) -> Simulation {
        let image = |number: u32| DifferentImage {
            digest: Digest::of(&number.to_be_bytes()),
            before: Some(Outcome::Warn),
            after: Outcome::Fail,
            seen: vec!["r.io/team/app:1.0".to_owned()],
            reasons: vec!["bad\u{1b}[31m".to_owned()],
        };
        let none = || Differences { total: 0, images: Vec::new() };
        Simulation {
            policy: PolicyName::default_policy(),
            revision: Revision::new("new"),
            against: Some(Revision::new("old")),
            examined: 41,
            out_of_scope: 1,
            unchanged: 1,
            newly_blocked: Differences { total: 40, images: (0..40).map(image).collect() },
            newly_allowed: none(),
            newly_warned: none(),
            no_longer_warned: none(),
            next,
        }
    }

    #[test]
    fn parts_are_added_up_and_said_for_people() {
        let whole = part(Some(Digest::of(b"next"))).and(part(None));
        assert_eq!((whole.examined, whole.newly_blocked.total), (82, 80));
        assert_eq!(whole.next, None);
        let mut out = Vec::new();
        print(&mut out, &whole).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("policy default (revision new) in the place of revision old: 82 images judged, 2 stay as they are, 2 out of its scope\n"), "{text}");
        assert!(text.contains("newly blocked: 80\n") && text.contains("  and 30 more\n"), "{text}");
        assert!(text.contains("r.io/team/app:1.0  warn → fail\n      bad [31m\n"), "{text}");
        assert!(text.contains("newly allowed: 0\n"), "{text}");
    }
}
