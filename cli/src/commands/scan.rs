//! `scan`: the same engine as a worker's, on one image, now.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use scanner::attached;
use scanner::scan::Scanned;
use scanner::source::ImageSource;
use scanner::source::argument::ImageArgument;
use shared::config::{Config, Overrides};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Reference};
use shared::model::verdict::{Outcome, PolicyName, Verdict};
use shared::output;
use shared::output::json::Document;
use shared::output::sarif::{self, Examined};
use shared::policy::{Circumstances, Policy, PolicySet};
use shared::registry::{RegistryClient, Transport};

use crate::args::{ScanArguments, ScanFormat};
use crate::{Exit, Failure, progress, site};

pub(crate) async fn scan(overrides: &Overrides, arguments: ScanArguments) -> Result<Exit, Failure> {
    let config = site::configuration(overrides)?;
    let database = site::database(arguments.database.as_deref().unwrap_or(&config.advisories.database))?;
    let policy = policy(&arguments)?;
    let engine = site::engine(&config.worker)?;
    let argument: ImageArgument = arguments.image.parse().map_err(Failure::usage)?;
    let name = match &argument {
        ImageArgument::Registry(reference) => Some(reference.name.clone()),
        ImageArgument::OciLayout { .. }
        | ImageArgument::OciArchive { .. }
        | ImageArgument::DockerArchive { .. } => None,
    };
    let Opened { source, digest, registry } = open(argument, &config, &arguments).await?;
    let wanted = arguments.platform.as_ref();
    let scanned = scanner::scan::scan(&engine, source, &digest, wanted, &database, progress::for_terminal())
        .await
        .map_err(Failure::no_verdict)?;
    let scanned = match registry {
        Some((client, name)) => {
            let most = engine.limits().packages;
            let claimed = attached::of_scanned(scanned, &client, &name, &database, most).await;
            claimed.map_err(Failure::no_verdict)?
        }
        None => scanned,
    };
    let verdict = judge(&policy, &scanned);
    let text = match arguments.format {
        ScanFormat::Table => table(&scanned, &verdict)?,
        ScanFormat::Json => json(&scanned)?,
        ScanFormat::Cyclonedx => document("cyclonedx", &scanned, name.as_ref())?,
        ScanFormat::Spdx => document("spdx", &scanned, name.as_ref())?,
        ScanFormat::Sarif => sarif(&scanned, name.as_ref()),
        ScanFormat::Openvex => document("openvex", &scanned, name.as_ref())?,
        ScanFormat::Markdown => document("markdown", &scanned, name.as_ref())?,
    };
    std::io::stdout().write_all(&text).context("cannot write the report")?;
    Ok(match verdict.outcome {
        Outcome::Pass | Outcome::Warn | Outcome::NotAnImage => Exit::Pass,
        Outcome::Fail => Exit::Fail,
        Outcome::Error => Exit::NoVerdict,
    })
}

fn policy(arguments: &ScanArguments) -> Result<Policy, Failure> {
    match &arguments.policy {
        Some(path) => Policy::load(path).map_err(Failure::usage),
        None => {
            let set = PolicySet::built_in();
            let policy = set.get(&PolicyName::default_policy()).context("there is no built-in policy")?;
            Ok(policy.as_ref().clone())
        }
    }
}

/// An image that is about to be scanned.
struct Opened {
    source: Arc<dyn ImageSource>,
    digest: Digest,
    /// Where something may be attached to it.
    registry: Option<(RegistryClient, ImageName)>,
}

async fn open(
    argument: ImageArgument,
    config: &Config,
    arguments: &ScanArguments,
) -> Result<Opened, Failure> {
    let limits = site::limits(&config.worker);
    let ImageArgument::Registry(reference) = argument else {
        // Files need no registry, so none may be contacted.
        let nobody = RegistryClient::new(Vec::new()).map_err(Failure::usage)?;
        let (source, digest) = argument.open(&nobody, &limits).await.map_err(Failure::usage)?;
        return Ok(Opened { source, digest, registry: None });
    };
    let transport = if arguments.plain_http { Transport::PlainHttp } else { Transport::Https };
    let Reference { name, target } = reference;
    let (client, name) = site::registry_for(config, &name, transport)?;
    let named = ImageArgument::Registry(Reference { name: name.clone(), target });
    let (source, digest) = named.open(&client, &limits).await.map_err(Failure::no_verdict)?;
    Ok(Opened { source, digest, registry: Some((client, name)) })
}

fn judge(policy: &Policy, scanned: &Scanned) -> Verdict {
    let circumstances = Circumstances::anywhere(jiff::Timestamp::now());
    let children: Vec<Verdict> =
        scanned.children.iter().map(|child| policy.judge(child, &[], &circumstances)).collect();
    match children.as_slice() {
        // Of an index one platform was asked for: its image is what matters.
        [only] if scanned.report.digest != only.digest => only.clone(),
        _ => policy.judge(&scanned.report, &children, &circumstances),
    }
}

fn table(scanned: &Scanned, verdict: &Verdict) -> anyhow::Result<Vec<u8>> {
    let format = output::by_name("table").context("the table format is gone")?;
    let mut text = format.render(&scanned.report);
    for child in &scanned.children {
        text.push(b'\n');
        text.extend(format.render(child));
    }
    writeln!(text, "\n{} by policy {}", verdict.outcome.name().to_uppercase(), verdict.policy)?;
    for reason in &verdict.reasons {
        writeln!(text, "  {}", reason.message)?;
    }
    if verdict.further_reasons > 0 {
        writeln!(text, "  and {} more", verdict.further_reasons)?;
    }
    Ok(text)
}

/// One image's document: these formats have no room for several images.
fn document(format: &str, scanned: &Scanned, name: Option<&ImageName>) -> Result<Vec<u8>, Failure> {
    let report = match scanned.children.as_slice() {
        [] => &scanned.report,
        [only] => only,
        [_, _, ..] => {
            let reason = "this is an index of several images; choose one with --platform os/architecture";
            return Err(Failure::usage(anyhow::anyhow!(reason)));
        }
    };
    let format = output::by_name(format).context("the format is gone")?;
    let mut text = match name {
        Some(name) => format.render_named(report, name),
        None => format.render(report),
    };
    text.push(b'\n');
    Ok(text)
}

/// The report; an index has those of its children under `images`.
fn json(scanned: &Scanned) -> anyhow::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(&Document::of(&scanned.report, &scanned.children))?;
    text.push(b'\n');
    Ok(text)
}

/// One run for the image, or for each image of an index.
fn sarif(scanned: &Scanned, name: Option<&ImageName>) -> Vec<u8> {
    let reports = match scanned.children.as_slice() {
        [] => std::slice::from_ref(&scanned.report),
        children => children,
    };
    let examined: Vec<Examined<'_>> = reports.iter().map(|report| Examined { report, name }).collect();
    let mut text = sarif::log(&examined, &[]);
    text.push(b'\n');
    text
}
