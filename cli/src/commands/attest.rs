//! `attest`: verifies signed verdicts where they lie, in the registry, and makes keys.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use shared::attest::artifact::{self, ARTIFACT_TYPE};
use shared::attest::keys::{PrivateKey, PublicKey};
use shared::attest::summary::Summary;
use shared::attest::vulnerability::Vulnerabilities;
use shared::config::{Config, Overrides};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference, Target};
use shared::model::verdict::{Effect, Mode, Outcome, PolicyName};
use shared::registry::{RegistryClient, RegistryError, Transport};
use shared::telemetry::chain;

use crate::args::{AnswerFormat, AttestCommand, VerifyArguments};
use crate::{Exit, Failure, site};

/// How many artifacts of one image are read.
const MOST_ARTIFACTS: usize = 8;

pub(crate) async fn run(overrides: &Overrides, command: AttestCommand) -> Result<Exit, Failure> {
    match command {
        AttestCommand::Verify(arguments) => verify(overrides, &arguments).await,
        AttestCommand::Key { output } => make_key(&output),
    }
}

/// Everything that was found about one digest.
#[derive(Serialize)]
struct Findings {
    image: String,
    digest: Digest,
    verdicts: Vec<Stated>,
    vulnerability_attestations: Vec<Vulnerabilities>,
    refused: Vec<Refused>,
}

/// A trusted verdict, and whether it counts now.
#[derive(Serialize)]
struct Stated {
    state: State,
    #[serde(flatten)]
    summary: Summary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Current,
    /// Past its own `valid_until`.
    Expired,
    /// Older than what was asked for.
    TooOld,
}

/// Something that is attached and not believed.
#[derive(Serialize)]
struct Refused {
    what: String,
    why: String,
}

async fn verify(overrides: &Overrides, arguments: &VerifyArguments) -> Result<Exit, Failure> {
    let config = site::configuration(overrides)?;
    let keys = keys(&config, &arguments.keys)?;
    let image = &arguments.image;
    let reference: Reference = image.parse().map_err(|error| Failure::usage(anyhow!("{image}: {error}")))?;
    let transport = if arguments.plain_http { Transport::PlainHttp } else { Transport::Https };
    let (client, name) = site::registry_for(&config, &reference.name, transport)?;
    let unanswered = |error: RegistryError| Failure::no_verdict(anyhow!("{image}: {}", chain(&error)));
    let digest = match reference.target {
        Target::Digest(digest) => digest,
        Target::Tag(tag) => client.resolve(&name, &tag).await.map_err(unanswered)?,
    };
    let found = found(&client, &name, digest, &keys, arguments).await.map_err(unanswered)?;
    match arguments.format {
        AnswerFormat::Json => println!("{}", serde_json::to_string(&found).context("cannot write JSON")?),
        AnswerFormat::Text => print!("{}", text(&found, arguments)),
    }
    Ok(exit(&found, arguments))
}

/// The keys that were named, or those of the configuration.
fn keys(config: &Config, files: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the key {}", path.display()))
            .map_err(Failure::usage)?;
        PublicKey::from_pem(&text).map_err(|error| Failure::usage(anyhow!(error.about(path))))
    };
    let mut keys = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        keys.extend(config.attest.trust().into_iter().flat_map(|trust| trust.keys.iter().cloned()));
    }
    if keys.is_empty() {
        return Err(Failure::usage(anyhow!(
            "nobody is believed: name a public key with --key FILE, or set attest.trusted_keys"
        )));
    }
    Ok(keys)
}

async fn found(
    client: &RegistryClient,
    name: &ImageName,
    digest: Digest,
    keys: &[PublicKey],
    arguments: &VerifyArguments,
) -> Result<Findings, RegistryError> {
    let (newest, mut refused) = newest(client, name, &digest, keys).await?;
    let now = Timestamp::now();
    let wanted = |summary: &Summary| arguments.policy.as_ref().is_none_or(|name| *name == summary.policy);
    let limit = arguments.max_age.and_then(|limit| jiff::SignedDuration::try_from(limit).ok());
    let state = |summary: &Summary| {
        let age = now.duration_since(summary.verified_at);
        if !summary.holds_at(now) {
            State::Expired
        } else if limit.is_some_and(|limit| age > limit) {
            State::TooOld
        } else {
            State::Current
        }
    };
    let verdicts = newest.into_values().filter(wanted);
    let verdicts = verdicts.map(|summary| Stated { state: state(&summary), summary }).collect();
    let mut vulnerability_attestations = Vec::new();
    for found in client.vulnerabilities(name, &digest, keys).await? {
        match found {
            Ok(found) => vulnerability_attestations.push(found),
            Err(error) => refused.push(Refused { what: "vuln attestation".to_owned(), why: chain(&error) }),
        }
    }
    Ok(Findings { image: name.at(&digest), digest, verdicts, vulnerability_attestations, refused })
}

/// Each policy's newest trusted statement, and what was not believed.
async fn newest(
    client: &RegistryClient,
    name: &ImageName,
    digest: &Digest,
    keys: &[PublicKey],
) -> Result<(BTreeMap<PolicyName, Summary>, Vec<Refused>), RegistryError> {
    let (mut newest, mut refused) = (BTreeMap::<PolicyName, Summary>::new(), Vec::new());
    let listed = client.referrers(name, digest, ARTIFACT_TYPE).await?;
    for referrer in artifact::newest_first(listed).into_iter().take(MOST_ARTIFACTS) {
        let believed = match client.believed(name, digest, &referrer.digest, keys).await {
            Ok(believed) => believed,
            Err(error) => {
                refused.push(Refused { what: referrer.digest.to_string(), why: chain(&error) });
                continue;
            }
        };
        // What was signed says when it was said; annotations are anybody's.
        for summary in believed.summaries {
            let known = newest.get(&summary.policy);
            if known.is_none_or(|known| known.verified_at < summary.verified_at) {
                newest.insert(summary.policy.clone(), summary);
            }
        }
    }
    Ok((newest, refused))
}

fn exit(found: &Findings, arguments: &VerifyArguments) -> Exit {
    let policy = arguments.policy.as_ref();
    let allows = |outcome: Outcome, mode: Mode| match (outcome, mode) {
        (Outcome::Pass | Outcome::Warn, _) | (Outcome::Fail, Mode::Audit) => true,
        (Outcome::Fail, Mode::Enforce) | (Outcome::Error | Outcome::NotAnImage, _) => false,
    };
    if !found.verdicts.is_empty() {
        let good = |stated: &Stated| {
            stated.state == State::Current && allows(stated.summary.outcome, stated.summary.mode)
        };
        return if found.verdicts.iter().all(good) { Exit::Pass } else { Exit::Fail };
    }
    // Only cosign's format is there: verdicts stand in it where a Tidewaiter wrote it.
    let now = Timestamp::now();
    let stated: Vec<_> = found
        .vulnerability_attestations
        .iter()
        .flat_map(|attestation| attestation.verdicts.iter().map(move |verdict| (attestation, verdict)))
        .filter(|(_, verdict)| policy.is_none_or(|name| *name == verdict.policy))
        .collect();
    if !stated.is_empty() {
        let good = stated.iter().all(|(attestation, verdict)| {
            !is_too_old(attestation, arguments.max_age, now)
                && verdict.valid_until.is_none_or(|until| now < until)
                && allows(verdict.outcome, verdict.mode)
        });
        return if good { Exit::Pass } else { Exit::Fail };
    }
    let untrusted = !found.refused.is_empty() && found.vulnerability_attestations.is_empty();
    if untrusted { Exit::Fail } else { Exit::NoVerdict }
}

/// Whether a `vuln` attestation is older than what was asked for. One that does not say when it was made is.
fn is_too_old(attestation: &Vulnerabilities, max_age: Option<Duration>, now: Timestamp) -> bool {
    let limit = max_age.and_then(|limit| jiff::SignedDuration::try_from(limit).ok());
    limit.is_some_and(|limit| attestation.finished_at.is_none_or(|made| now.duration_since(made) > limit))
}

fn text(found: &Findings, arguments: &VerifyArguments) -> String {
    let now = Timestamp::now();
    let mut lines = vec![found.image.clone()];
    for stated in &found.verdicts {
        lines.extend(verdict_lines(stated));
    }
    for attestation in &found.vulnerability_attestations {
        let version = attestation.version.as_deref().unwrap_or("unknown");
        let (scanner, version) = (shown(&attestation.scanner), shown(version));
        let old = if is_too_old(attestation, arguments.max_age, now) { " TOO OLD" } else { "" };
        lines
            .push(format!("vuln attestation{old} of {scanner} {version}, signed by key {}", attestation.key));
        lines.extend(attestation.verdicts.iter().map(|verdict| {
            let revision = shown(&verdict.policy_revision);
            format!("  {} by policy {} (revision {revision})", verdict.outcome, verdict.policy)
        }));
    }
    for refused in &found.refused {
        lines.push(format!("not believed: {}: {}", refused.what, shown(&refused.why)));
    }
    if let Some(policy) = &arguments.policy
        && found.verdicts.is_empty()
        && lines.len() > 1
    {
        lines.push(format!("no trusted summary is by policy {policy}"));
    }
    if lines.len() == 1 {
        lines.push("nothing is attached that could be verified".to_owned());
    }
    lines.join("\n") + "\n"
}

fn verdict_lines(Stated { state, summary }: &Stated) -> Vec<String> {
    let audit = match summary.mode {
        Mode::Audit => " (audit: not enforced)",
        Mode::Enforce => "",
    };
    let state = match state {
        State::Current => "",
        State::Expired => " EXPIRED",
        State::TooOld => " TOO OLD",
    };
    let (policy, revision) = (&summary.policy, shown(summary.policy_revision.as_str()));
    let until =
        summary.valid_until.map_or("until something else changes".to_owned(), |until| until.to_string());
    let revisions = &summary.revisions;
    let mut lines = vec![
        format!("{}{audit}{state} by policy {policy} (revision {revision})", summary.outcome),
        format!("  stated   {} by {}", summary.verified_at, shown(&summary.verifier)),
        format!("  valid    {until}"),
        format!(
            "  scanned  {} with analyzers {}, advisories {} of {}",
            summary.scanned_at,
            shown(revisions.analyzer.as_str()),
            shown(revisions.database.as_str()),
            revisions.database_as_of
        ),
        format!("  signed   by key {}", summary.key),
    ];
    lines.extend(summary.reasons.iter().map(|reason| match reason.effect {
        Effect::Deny => format!("  deny: {}", reason.message),
        Effect::Warn => format!("  warn: {}", reason.message),
    }));
    if summary.further_reasons > 0 {
        lines.push(format!("  and {} more", summary.further_reasons));
    }
    lines
}

/// Signed by somebody else, so still a stranger's text to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

fn make_key(folder: &Path) -> Result<Exit, Failure> {
    let key = PrivateKey::generate().map_err(|error| Failure::from(anyhow!(error)))?;
    let private = folder.join("tidewaiter.key");
    let public = folder.join("tidewaiter.pub");
    write_new(&private, 0o600, key.to_pem().expose_secret())?;
    write_new(&public, 0o644, &key.public().to_pem())?;
    println!("{} signs, {} verifies; key id {}", private.display(), public.display(), key.public().id());
    Ok(Exit::Pass)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display())).map_err(Failure::usage)
}
