//! `doctor`: tries everything that a deployment needs, and says what is wrong and what to do.
//!
//! It reads the same configuration as `serve`, `api` and `worker`, and changes nothing. Embedded files belong to the process
//! that has them open, so of those only the server is asked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::config::{Config, Overrides, QueueConfig, RegistrySettings, StoreConfig, unused_proxy_variables};
use shared::model::bookmark::Bookmark;
use shared::model::image::{ImageName, Repository};
use shared::registry::{Access, Credentials, RegistryClient, Transport};
use shared::telemetry::chain;
use shared::telemetry::traces::{CollectorError, try_collector};

use crate::args::DoctorArguments;
use crate::{Exit, Failure, site};

/// How long each thing that is asked over a network may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Advisory data that is older than this misses what everybody else knows.
const STALE: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What came of one trial.
enum Health {
    /// It works.
    Well,
    /// It works, and somebody should know this.
    Odd(&'static str),
    /// It does not, and this is what to do.
    Ill(&'static str),
}

/// One trial: what was tried, what came of it, and what was seen.
struct Trial {
    what: String,
    health: Health,
    seen: String,
}

impl Trial {
    fn well(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { what: what.into(), health: Health::Well, seen: seen.into() }
    }

    fn odd(what: impl Into<String>, seen: impl Into<String>, advice: &'static str) -> Self {
        Self { what: what.into(), health: Health::Odd(advice), seen: seen.into() }
    }

    fn ill(what: impl Into<String>, seen: impl Into<String>, advice: &'static str) -> Self {
        Self { what: what.into(), health: Health::Ill(advice), seen: seen.into() }
    }

    fn print(&self) {
        let (mark, advice) = match self.health {
            Health::Well => ("ok  ", None),
            Health::Odd(advice) => ("look", Some(advice)),
            Health::Ill(advice) => ("FAIL", Some(advice)),
        };
        println!("{mark}  {}: {}", self.what, self.seen);
        if let Some(advice) = advice {
            println!("      -> {advice}");
        }
    }
}

pub(crate) async fn doctor(overrides: &Overrides, arguments: &DoctorArguments) -> Result<Exit, Failure> {
    let config = site::configuration(overrides)?;
    let mut ill = 0;
    let mut tell = |trials: Vec<Trial>| {
        for trial in trials {
            trial.print();
            ill += usize::from(matches!(trial.health, Health::Ill(_)));
        }
    };
    match &arguments.registry {
        Some(wanted) => tell(Box::pin(one_registry(&config, wanted)).await?),
        None => {
            tell(vec![settings(&config), advisories(&config)]);
            tell(queue(&config).await);
            tell(vec![store(&config).await]);
            tell(egress(&config).await);
            tell(registries(&config).await?);
            tell(traces(&config).await);
            tell(senders(&config));
            tell(vec![server(&config).await]);
        }
    }
    if ill == 0 {
        println!("\nnothing is in the way");
        return Ok(Exit::Pass);
    }
    println!("\n{ill} of these stand in the way");
    Ok(Exit::Fail)
}

/// What the processes would refuse to start with.
fn settings(config: &Config) -> Trial {
    let loaded = || -> Result<usize, Failure> {
        let policies = site::policies(config)?;
        site::endpoints(config)?;
        site::secrets(&config.worker)?;
        site::malware(&config.worker.malware)?;
        api::webhooks::check(&config.auth).map_err(Failure::usage)?;
        if let Some(tls) = &config.server.tls {
            api::tls::check(tls).map_err(Failure::usage)?;
        }
        Ok(policies.iter().count())
    };
    match loaded() {
        Ok(policies) => Trial::well("configuration", format!("sound, {policies} policies")),
        Err(error) => Trial::ill("configuration", error.to_string(), "repair it; no process starts with it"),
    }
}

fn advisories(config: &Config) -> Trial {
    const WHAT: &str = "advisories";
    let database = match site::database(&config.advisories.database) {
        Ok(database) => database,
        Err(error) => {
            return Trial::ill(
                WHAT,
                error.to_string(),
                "without advisories no flaw is known: build the database",
            );
        }
    };
    let age = Timestamp::now().duration_since(database.as_of());
    let seen = format!(
        "{} advisories in {} ecosystems, the newest {} days old",
        database.summary().advisories,
        database.ecosystems().len(),
        age.as_hours() / 24
    );
    match age > STALE {
        true => Trial::odd(WHAT, seen, "build it again from newer data: newer flaws are not known"),
        false => Trial::well(WHAT, seen),
    }
}

async fn queue(config: &Config) -> Vec<Trial> {
    const WHAT: &str = "queue";
    if let QueueConfig::Embedded { file, .. } = &config.queue {
        return vec![Trial::well(WHAT, format!("embedded in {}, the server's own", file.display()))];
    }
    let opened = match within(shared::queue::open(&config.queue)).await {
        Ok(opened) => opened,
        Err(seen) => {
            return vec![Trial::ill(
                WHAT,
                seen,
                "pushes are answered 503 until RabbitMQ can be reached: check queue.url",
            )];
        }
    };
    let asked = within(async { opened.jobs.ping().await }).await;
    if let Err(seen) = asked {
        return vec![Trial::ill(WHAT, seen, "RabbitMQ takes no jobs: look at its alarms and permissions")];
    }
    let status = match within(async { opened.jobs.status().await }).await {
        Ok(status) => status,
        Err(seen) => {
            return vec![Trial::odd(WHAT, seen, "jobs are taken, but the depths cannot be asked for")];
        }
    };
    let waiting: u64 = status.lanes.iter().map(|row| row.ready).sum();
    let consumers: Option<u64> = status.lanes.iter().map(|row| row.consumers).sum();
    let mut trials = vec![Trial::well(WHAT, format!("RabbitMQ takes jobs, {waiting} wait"))];
    if consumers == Some(0) {
        let seen = "nobody takes jobs";
        trials.push(Trial::odd("workers", seen, "start `tidewaiter worker`, or no image is ever scanned"));
    }
    if status.dead > 0 {
        let seen = format!("{} dead letters", status.dead);
        trials.push(Trial::odd(
            WHAT,
            seen,
            "`tidewaiter queue dead` says why; `queue requeue --all` tries again",
        ));
    }
    trials
}

async fn store(config: &Config) -> Trial {
    const WHAT: &str = "store";
    if let StoreConfig::Embedded { file } = &config.store {
        return Trial::well(WHAT, format!("embedded in {}, the server's own", file.display()));
    }
    let asked = within(async {
        let opened = shared::store::open(&config.store).await?;
        opened.verdicts.ping().await
    });
    match asked.await {
        Ok(()) => Trial::well(WHAT, "Redis can be read and written"),
        Err(seen) => Trial::ill(
            WHAT,
            seen,
            "gates answer by their fail modes until Redis can be used: check store.url",
        ),
    }
}

/// The way out: whether the proxy can be reached, and which variables name one that is not used. What it lets through
/// is tried by asking the registries.
async fn egress(config: &Config) -> Vec<Trial> {
    const WHAT: &str = "egress";
    let Some(url) = config.egress.proxy_url() else {
        let unused = unused_proxy_variables();
        if unused.is_empty() {
            return Vec::new();
        }
        let seen = format!("the environment sets {}, which is not used", unused.join(", "));
        return vec![Trial::odd(WHAT, seen, "requests leave directly: to use a proxy, set egress.proxy")];
    };
    let proxy = config.egress.proxy().unwrap_or_default();
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address = (host, url.port_or_known_default().unwrap_or_default());
    vec![match within(tokio::net::TcpStream::connect(address)).await {
        Ok(_) => Trial::well(WHAT, format!("the proxy {proxy} takes connections")),
        Err(seen) => Trial::ill(
            WHAT,
            format!("the proxy {proxy} cannot be reached: {seen}"),
            "nothing beyond egress.no_proxy can be asked: check egress.proxy and the network policies before it",
        ),
    }]
}

async fn registries(config: &Config) -> Result<Vec<Trial>, Failure> {
    if config.registries.iter().next().is_none() {
        let advice = "name one under [registries.<name>]: images of others are neither pulled nor judged";
        return Ok(vec![Trial::odd("registries", "none is configured", advice)]);
    }
    let client = config.registries.client().map_err(Failure::usage)?;
    let mut trials = Vec::new();
    for registry in config.registries.iter() {
        trials.extend(Box::pin(reception(&client, registry)).await);
    }
    Ok(trials)
}

/// How a registry receives us.
async fn reception(client: &RegistryClient, registry: &RegistrySettings) -> Vec<Trial> {
    let what = format!("registry {}", registry.client.host);
    let has_credentials = !matches!(registry.client.credentials, Credentials::Anonymous);
    let mut trials = vec![match Box::pin(within(client.check(&registry.client.host))).await {
        Ok(Access::LoggedIn(how)) => Trial::well(&what, format!("logged in: {how}")),
        Ok(Access::Anonymous) => Trial::well(&what, "lets everybody pull, without login"),
        Ok(Access::Open) if has_credentials => Trial::odd(
            &what,
            "asks nobody who they are, in spite of the credentials here",
            "whoever reaches it may read, and perhaps push: switch its authentication on",
        ),
        Ok(Access::Open) => Trial::odd(
            &what,
            "asks nobody who they are",
            "whoever reaches it may read, and perhaps push: guard the way to it, or switch its authentication on",
        ),
        Err(seen) => Trial::ill(
            &what,
            seen,
            "its images cannot be scanned: check host, credentials, certificates and the way there",
        ),
    }];
    let name = registry.client.host.to_string();
    let is_near = ["localhost", "127.", "[::1]"].iter().any(|near| name.starts_with(near));
    if registry.client.transport == Transport::PlainHttp && has_credentials && !is_near {
        let advice = "give it TLS: everybody on the way can read them";
        trials.push(Trial::odd(&what, "credentials travel in clear text", advice));
    }
    trials
}

/// `REGISTRY` or `REGISTRY/REPOSITORY`: the login, and whether that repository can be read.
async fn one_registry(config: &Config, wanted: &str) -> Result<Vec<Trial>, Failure> {
    let (name, repository) = match wanted.split_once('/') {
        Some((name, repository)) => {
            let parsed = repository.parse::<Repository>();
            (name, Some(parsed.map_err(|error| Failure::usage(anyhow::anyhow!("{wanted}: {error}")))?))
        }
        None => (wanted, None),
    };
    let registry = config.registries.named(name).ok_or_else(|| {
        Failure::usage(anyhow::anyhow!("registry {name} is not configured; add it under [registries]"))
    })?;
    let client = config.registries.client().map_err(Failure::usage)?;
    let mut trials = Box::pin(reception(&client, registry)).await;
    if let Some(repository) = repository {
        let image = ImageName { registry: registry.client.host.clone(), repository };
        let what = format!("repository {image}");
        trials.push(match within(client.tags(&image, &Bookmark::default(), 100)).await {
            Ok(tags) if tags.next.is_some() => Trial::well(what, "can be read, more than 100 tags"),
            Ok(tags) => Trial::well(what, format!("can be read, {} tags", tags.names.len())),
            Err(seen) => Trial::ill(
                what,
                seen,
                "its images cannot be scanned: does it exist, and may this user pull from it?",
            ),
        });
    }
    Ok(trials)
}

/// Whether the collector takes spans; nothing else waits for it.
async fn traces(config: &Config) -> Vec<Trial> {
    let Some(traces) = &config.telemetry.traces else { return Vec::new() };
    let endpoint = &traces.endpoint;
    let what = format!("traces to {endpoint}");
    let Err(error) = try_collector(traces).await else {
        return vec![Trial::well(what, "taken")];
    };
    let seen = chain(&error);
    vec![match error {
        CollectorError::CaCertificates(_) | CollectorError::Header(_) | CollectorError::Client(_) => {
            Trial::ill(what, seen, "repair it; no process starts with it")
        }
        CollectorError::Away(_) => Trial::odd(
            what,
            seen,
            "spans wait in memory and are lost when there are too many: check telemetry.traces.endpoint and the way there",
        ),
        CollectorError::Refused(_) => Trial::odd(
            what,
            seen,
            "every span is lost: check telemetry.traces.endpoint (OTLP over HTTP, mostly port 4318) and headers",
        ),
    }]
}

/// Who may announce pushes, and whether strangers may ask.
fn senders(config: &Config) -> Vec<Trial> {
    let mut trials = Vec::new();
    let sources: Vec<&str> = config.auth.webhooks.keys().map(String::as_str).collect();
    trials.push(match sources.is_empty() {
        true => Trial::odd(
            "webhooks",
            "nobody may announce pushes",
            "add [auth.webhooks.<source>] and point the registry's webhook at it; until then only sweeps find images",
        ),
        false => Trial::well("webhooks", format!("taken from {}", sources.join(", "))),
    });
    if config.auth.tokens.is_empty() {
        let advice = "add [auth.tokens.<name>] before it listens beyond this machine";
        trials.push(Trial::odd("api", "asks nobody for a token", advice));
    }
    trials
}

/// The server as others see it: where registries post and gates ask.
async fn server(config: &Config) -> Trial {
    let url = &config.server.public_url;
    let what = format!("server at {url}");
    let asked = async {
        let http = config.egress.client(&[])?.timeout(PATIENCE).build()?;
        let answer = http.get(url.join("readyz").expect("a base takes a path")).send().await?;
        let ready = answer.status().is_success();
        anyhow::Ok((ready, answer.text().await?))
    };
    match asked.await {
        Ok((true, _)) => Trial::well(what, "ready"),
        Ok((false, said)) => Trial::ill(what, said, "the server runs and cannot do its work: it says why"),
        Err(error) => Trial::odd(
            what,
            format!("{error:#}"),
            "nobody answers there from here: start it, or check server.public_url, which registries and gates are given",
        ),
    }
}

/// Waits for something that is asked over a network, and says in words why it failed.
async fn within<T, E: Into<anyhow::Error>>(asked: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{:#}", error.into())),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
