//! Builds the parts of a running Tidewaiter from its configuration: the one place where seams get their backends.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use scanner::advisories::Database;
use scanner::image::Engine;
use scanner::limits::Limits;
use scanner::malware::{Clamd, Detector, Malware, yara_rules};
use scanner::secrets::{Key, OwnRules, Secrets};
use secrecy::ExposeSecret;
use shared::announce::Announcer;
use shared::config::{
    AttestConfig, Config, MalwareConfig, Overrides, PoliciesConfig, QueueConfig, StoreConfig, WorkerConfig,
    unused_proxy_variables,
};
use shared::model::image::ImageName;
use shared::outgoing::Egress;
use shared::policy::PolicySet;
use shared::queue::JobQueue;
use shared::registry::{Credentials, LendingKey, LentCredentials, RegistryClient, RegistryConfig, Transport};
use shared::reload::{PolicyHealth, Reload};
use shared::store::Opened;
use shared::sweeps::Sweeps;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Failure;

/// The configuration, checked; what is wrong with it is the user's to repair.
pub(crate) fn configuration(overrides: &Overrides) -> Result<Config, Failure> {
    Config::load(overrides).map_err(Failure::usage)
}

/// Says by which way requests leave, and what of the environment changes nothing about it.
pub(crate) fn tell_of_egress(egress: &Egress) {
    if let Some(proxy) = egress.proxy() {
        tracing::info!(egress.proxy = proxy, "requests leave through a proxy");
        return;
    }
    let unused = unused_proxy_variables();
    if !unused.is_empty() {
        tracing::warn!(
            variables = unused.join(", "),
            "the environment names a proxy, which is not used; set egress.proxy to use one"
        );
    }
}

/// The policies of the configuration.
pub(crate) fn policies(config: &Config) -> Result<PolicySet, Failure> {
    let policies = match &config.policies.dir {
        Some(folder) => PolicySet::load(folder).map_err(Failure::usage)?,
        None => PolicySet::built_in(),
    };
    warn_of_expired(&policies);
    known_policies(&config.attest, &policies)?;
    Ok(policies)
}

/// Expired exceptions hold no longer, and that is all: time alone must not stop a server. People are told.
fn warn_of_expired(policies: &PolicySet) {
    let now = jiff::Timestamp::now();
    for policy in policies.iter() {
        for exception in policy.expired_exceptions(now) {
            tracing::warn!(
                policy.name = %policy.name,
                exception.owner = exception.owner,
                exception.expired = %exception.expires,
                exception.line = exception.position.line,
                "exception has expired and holds no longer"
            );
        }
    }
}

/// The queue of the configuration, and the exchange beside it.
pub(crate) async fn queue(config: &QueueConfig) -> Result<shared::queue::Opened, Failure> {
    Ok(shared::queue::open(config).await.context("cannot open the queue")?)
}

/// The store of the configuration.
pub(crate) async fn store(config: &StoreConfig) -> Result<Opened, Failure> {
    Ok(shared::store::open(config).await.context("cannot open the store")?)
}

/// The advisory database of the configuration.
pub(crate) fn database(path: &std::path::Path) -> Result<Database, Failure> {
    if !path.exists() {
        return Err(Failure::usage(anyhow::anyhow!(
            "there is no advisory database at {}; make one with `tidewaiter db build <OSV folder> -o {}`",
            path.display(),
            path.display()
        )));
    }
    let opened =
        Database::open(path).with_context(|| format!("cannot open advisory database {}", path.display()));
    opened.map_err(Failure::usage)
}

/// A client for one image's registry, and the image under that registry's canonical name: as configured, or for
/// a registry that the configuration does not name, with the user's own docker credentials.
pub(crate) fn registry_for(
    config: &Config,
    image: &ImageName,
    transport: Transport,
) -> Result<(RegistryClient, ImageName), Failure> {
    if let Some(canonical) = config.registries.canonical(image) {
        return Ok((config.registries.client().map_err(Failure::usage)?, canonical));
    }
    let mut registry = RegistryConfig::new(image.registry.clone());
    registry.transport = transport;
    registry.egress = config.egress.clone();
    if let Some(path) = docker_config() {
        registry.credentials = Credentials::DockerConfig { path };
    }
    let client = RegistryClient::new(vec![registry]).map_err(Failure::usage)?;
    Ok((client, image.clone()))
}

/// `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, if it is there.
fn docker_config() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(std::path::PathBuf::from);
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".docker")))?;
    Some(folder.join("config.json")).filter(|file| file.exists())
}

/// The configured limits.
pub(crate) fn limits(config: &WorkerConfig) -> Limits {
    Limits {
        capture_bytes: config.capture_bytes,
        layer_bytes: config.layer_bytes,
        image_time: config.image_time,
        ..Limits::default()
    }
}

/// What reads images, within the configured limits.
pub(crate) fn engine(config: &WorkerConfig) -> Result<Engine, Failure> {
    Ok(Engine::with_searches(limits(config), config.layers, secrets(config)?, malware(&config.malware)?))
}

/// Who searches for malware: rules that do not compile stop the start, a daemon that is away does not.
pub(crate) fn malware(config: &MalwareConfig) -> Result<Malware, Failure> {
    let mut detectors: Vec<Box<dyn Detector>> = Vec::new();
    if let Some(folder) = &config.rules {
        let rules = yara_rules(folder, config.file_bytes).context("worker.malware.rules");
        detectors.push(rules.map_err(Failure::usage)?);
    }
    if let Some(address) = &config.clamd {
        detectors.push(Box::new(Clamd::new(address.clone(), config.file_bytes)));
    }
    Ok(Malware::new(detectors))
}

/// Who searches for secrets: by the site's rules besides the built-in ones, and under its key.
pub(crate) fn secrets(config: &WorkerConfig) -> Result<Arc<Secrets>, Failure> {
    let own = match &config.secret_rules {
        Some(path) => OwnRules::load(path).context("worker.secret_rules").map_err(Failure::usage)?,
        None => OwnRules::default(),
    };
    let key = match &config.secret_key {
        Some(key) => Key::Site(key.expose_secret().as_bytes()),
        None => Key::Public,
    };
    Ok(Arc::new(Secrets::new(key, own)))
}

/// Whether an api and a worker share one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Household {
    /// `serve`.
    Together,
    /// `api` and `worker`.
    Apart,
}

/// Where credentials that Harbor lends to a scan are kept, sealed: under the configured key, or, where nobody
/// else has to open them, under one of this process alone.
pub(crate) fn lent(
    config: &Config,
    store: &Opened,
    household: Household,
) -> Result<Option<LentCredentials>, Failure> {
    let key = match (&config.gates.harbor.credentials_key, household) {
        (Some(secret), _) => LendingKey::new(secret),
        (None, Household::Together) => LendingKey::of_this_process().context("cannot make a key")?,
        (None, Household::Apart) => return Ok(None),
    };
    Ok(Some(LentCredentials::new(Arc::clone(&store.notes), key)))
}

/// Who tells of changed verdicts, at work until `shutdown`.
pub(crate) fn announcer(
    config: &Config,
    queue: &shared::queue::Opened,
    store: &Opened,
    shutdown: &CancellationToken,
) -> Arc<Announcer> {
    let (announcer, rounds) =
        Announcer::new(store, queue, &config.notify, &config.attest, &config.server.public_url);
    tokio::spawn(rounds.run(shutdown.clone()));
    announcer
}

/// A worker's parts.
pub(crate) fn worker(
    config: &Config,
    queue: Arc<dyn JobQueue>,
    store: &Opened,
    lent: Option<LentCredentials>,
    announcer: Arc<Announcer>,
    policies: Arc<ArcSwap<PolicySet>>,
) -> Result<worker::Parts, Failure> {
    let database = database(&config.advisories.database)?;
    tracing::info!(database.revision = %database.revision(), database.as_of = %database.as_of(), "advisory database open");
    let attempts = config.queue.retry().attempts;
    let sweeping = worker::Sweeping {
        sweeps: Sweeps::new(Arc::clone(&queue), Arc::clone(&store.notes)),
        registries: config.registries.clone(),
    };
    let attest = worker::Attestations::new(&config.attest, config.server.public_url.as_str());
    let shelf = worker::LayerShelf::new(Arc::clone(&store.layers), Arc::clone(&store.leases));
    let shelf = Arc::new(shelf);
    Ok(worker::Parts {
        queue,
        store: Arc::clone(&store.verdicts),
        leases: Arc::clone(&store.leases),
        notes: Arc::clone(&store.notes),
        bases: worker::Bases::new(Arc::clone(&store.notes), &config.worker.base_images),
        known: Arc::clone(&store.known),
        overdue: Arc::clone(&store.overdue),
        announcer,
        endpoints: endpoints(config)?,
        registries: config.registries.client().map_err(Failure::usage)?,
        lent,
        engine: engine(&config.worker)?.with_cache(shelf),
        database: Arc::new(ArcSwap::from_pointee(database)),
        policies,
        concurrency: config.worker.concurrency,
        lease: config.worker.lease,
        grace: config.worker.grace,
        attempts,
        pending_ttl: config.server.pending_ttl,
        sweeping,
        attest: attest.map_err(Failure::usage)?,
    })
}

/// The endpoints of the configuration.
pub(crate) fn endpoints(config: &Config) -> Result<worker::Endpoints, Failure> {
    worker::Endpoints::new(&config.notify, config.worker.concurrency).map_err(Failure::usage)
}

/// Keeps the policies of a staying process like the files in their folder, looking again at once on SIGHUP.
pub(crate) fn follow_policies(
    config: &PoliciesConfig,
    policies: Arc<ArcSwap<PolicySet>>,
    shutdown: CancellationToken,
) -> Result<PolicyHealth, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let health = PolicyHealth::default();
    let nudge = Arc::new(Notify::new());
    // Listened for even without a folder: the signal would end the process otherwise.
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let nudged = Arc::clone(&nudge);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            nudge.notify_one();
        }
    });
    if let Some(folder) = &config.dir {
        let reload = Reload::new(folder.clone(), policies, health.clone());
        tokio::spawn(reload.run(nudged, shutdown));
    }
    Ok(health)
}

/// A policy that is to be attested has to be there: a typing error must not mean that nothing is ever attached.
fn known_policies(attest: &AttestConfig, policies: &PolicySet) -> Result<(), Failure> {
    let AttestConfig::On(attesting) = attest else { return Ok(()) };
    match attesting.policies.iter().flatten().find(|name| policies.get(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Failure::usage(anyhow::anyhow!(
            "attest.policies: there is no policy named {name}; name one of policies.dir, or leave the setting out"
        ))),
    }
}

/// Cancelled by SIGTERM or Ctrl-C; a second signal ends the process at once.
pub(crate) fn shutdown_on_signal() -> Result<CancellationToken, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    tokio::spawn(async move {
        for round in 0_u8.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if round > 0 {
                std::process::exit(130);
            }
            tracing::info!("stopping");
            token.cancel();
        }
    });
    Ok(shutdown)
}
