//! `serve`, `api` and `worker`: the processes that stay.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use shared::announce::Announcer;
use shared::config::{Config, Overrides, QueueConfig, StoreConfig};
use shared::policy::PolicySet;
use shared::queue::{JobQueue, show_depth};
use shared::registry::LentCredentials;
use shared::reload::PolicyHealth;
use shared::store::Opened;
use shared::sweeps::Sweeps;
use shared::telemetry;
use tokio_util::sync::CancellationToken;

use crate::confine::Confined;
use crate::site::Household;
use crate::{Exit, Failure, site};

/// What every staying process has.
struct Process {
    config: Config,
    policies: Arc<ArcSwap<PolicySet>>,
    policy_health: PolicyHealth,
    shutdown: CancellationToken,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
}

/// Runs a process that stays, as `service` in traces; what it did last is in them too.
async fn traced(
    overrides: &Overrides,
    service: &'static str,
    run: impl AsyncFnOnce(Process) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let config = site::configuration(overrides)?;
    telemetry::start_logging(&config.telemetry).map_err(Failure::usage)?;
    site::tell_of_egress(&config.egress);
    let traces = telemetry::start_traces(&config.telemetry, service).map_err(Failure::usage)?;
    let ended = match process(config) {
        Ok(process) => Box::pin(run(process)).await,
        Err(failure) => Err(failure),
    };
    traces.finish().await;
    ended
}

fn process(config: Config) -> Result<Process, Failure> {
    let metrics = telemetry::start_metrics().context("cannot collect metrics")?;
    let policies = Arc::new(ArcSwap::from_pointee(site::policies(&config)?));
    let shutdown = site::shutdown_on_signal()?;
    let policy_health = site::follow_policies(&config.policies, Arc::clone(&policies), shutdown.clone())?;
    Ok(Process { config, policies, policy_health, shutdown, metrics })
}

fn report(confined: Option<Confined>) {
    match confined {
        Some(confined) => confined.report(),
        None => tracing::warn!("not confined: worker.confinement is off"),
    }
}

/// Api and worker in one process.
pub(crate) async fn serve(overrides: &Overrides, confined: Option<Confined>) -> Result<Exit, Failure> {
    traced(overrides, "tidewaiter", async |process| together(process, confined).await).await
}

async fn together(process: Process, confined: Option<Confined>) -> Result<Exit, Failure> {
    report(confined);
    let shutdown = process.shutdown.clone();
    let queue = site::queue(&process.config.queue).await?;
    let store = site::store(&process.config.store).await?;
    let lent = site::lent(&process.config, &store, Household::Together)?;
    let announcer = site::announcer(&process.config, &queue, &store, &shutdown);
    let (jobs, policies) = (Arc::clone(&queue.jobs), Arc::clone(&process.policies));
    let parts = site::worker(&process.config, jobs, &store, lent.clone(), Arc::clone(&announcer), policies)?;
    let server = bind(process, queue.jobs, &store, lent, announcer)?;
    // Either ending ends the other: half a Tidewaiter would look healthy and judge nothing.
    let working = tokio::spawn(worker::run(parts, shutdown.clone()));
    let served = server.run(shutdown.clone()).await;
    shutdown.cancel();
    let worked = working.await.context("the worker panicked")?;
    served.context("the server failed")?;
    worked.context("the worker failed")?;
    Ok(Exit::Pass)
}

/// The api alone.
pub(crate) async fn api(overrides: &Overrides) -> Result<Exit, Failure> {
    traced(overrides, "tidewaiter-api", only_api).await
}

async fn only_api(process: Process) -> Result<Exit, Failure> {
    needs_servers(&process.config, "api")?;
    let shutdown = process.shutdown.clone();
    let queue = site::queue(&process.config.queue).await?;
    let store = site::store(&process.config.store).await?;
    let lent = site::lent(&process.config, &store, Household::Apart)?;
    let announcer = site::announcer(&process.config, &queue, &store, &shutdown);
    bind(process, queue.jobs, &store, lent, announcer)?.run(shutdown).await.context("the server failed")?;
    Ok(Exit::Pass)
}

/// One worker alone.
pub(crate) async fn worker(overrides: &Overrides, confined: Option<Confined>) -> Result<Exit, Failure> {
    traced(overrides, "tidewaiter-worker", async |process| only_worker(process, confined).await).await
}

async fn only_worker(process: Process, confined: Option<Confined>) -> Result<Exit, Failure> {
    report(confined);
    needs_servers(&process.config, "worker")?;
    let shutdown = process.shutdown.clone();
    let queue = site::queue(&process.config.queue).await?;
    let store = site::store(&process.config.store).await?;
    let lent = site::lent(&process.config, &store, Household::Apart)?;
    let announcer = site::announcer(&process.config, &queue, &store, &shutdown);
    let jobs = Arc::clone(&queue.jobs);
    let parts = site::worker(&process.config, jobs, &store, lent, announcer, process.policies)?;
    let Some(listen) = process.config.worker.probes else {
        worker::run(parts, shutdown).await.context("the worker failed")?;
        return Ok(Exit::Pass);
    };
    let probes = api::Probes {
        listen,
        queue: queue.jobs,
        store: store.verdicts,
        policy_health: process.policy_health,
        metrics: process.metrics,
    };
    let probing = probes.run(shutdown.clone());
    let working = worker::run(parts, shutdown.clone());
    tokio::select! {
        worked = working => worked.context("the worker failed")?,
        probed = probing => probed.with_context(|| format!("cannot answer probes on {listen}"))?,
    }
    Ok(Exit::Pass)
}

fn bind(
    process: Process,
    queue: Arc<dyn JobQueue>,
    store: &Opened,
    lent: Option<LentCredentials>,
    announcer: Arc<Announcer>,
) -> Result<api::Server, Failure> {
    let Process { config, policies, policy_health, shutdown, metrics } = process;
    tokio::spawn(show_depth(Arc::clone(&queue), shutdown));
    let sweeps = Sweeps::new(Arc::clone(&queue), Arc::clone(&store.notes));
    let server = api::Server::bind(api::Parts {
        server: config.server,
        auth: config.auth,
        gates: config.gates,
        lent,
        registries: config.registries,
        queue,
        store: Arc::clone(&store.verdicts),
        history: Arc::clone(&store.history),
        known: Arc::clone(&store.known),
        announcer,
        sweeps,
        policies,
        policy_health,
        metrics,
    })
    .map_err(Failure::usage)?;
    tracing::info!(server.address = %server.address(), "listening");
    Ok(server)
}

/// Embedded files belong to one process: an api and a worker that each had their own would never meet.
fn needs_servers(config: &Config, role: &str) -> Result<(), Failure> {
    let missing = match (&config.queue, &config.store) {
        (QueueConfig::Rabbitmq(_), StoreConfig::Redis(_)) => return Ok(()),
        (QueueConfig::Embedded { .. }, _) => "queue.url (amqp://…)",
        (QueueConfig::Rabbitmq(_), StoreConfig::Embedded { .. }) => "store.url (redis://…)",
    };
    Err(Failure::usage(anyhow!(
        "`tidewaiter {role}` shares its queue and store with other processes, and embedded ones cannot be shared: set {missing}, or run `tidewaiter serve`"
    )))
}
