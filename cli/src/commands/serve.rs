//! `serve`, `api` and `worker`: the processes that stay.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use shared::config::{Config, Overrides, QueueConfig, StoreConfig};
use shared::policy::PolicySet;
use shared::queue::JobQueue;
use shared::store::Opened;
use shared::sweeps::Sweeps;
use shared::telemetry;

use crate::{Exit, Failure, site};

/// What every staying process has.
struct Process {
    config: Config,
    policies: Arc<ArcSwap<PolicySet>>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
}

fn process(overrides: &Overrides) -> Result<Process, Failure> {
    let config = site::configuration(overrides)?;
    telemetry::start_logging(&config.telemetry).map_err(Failure::usage)?;
    let metrics = telemetry::start_metrics().context("cannot collect metrics")?;
    let policies = Arc::new(ArcSwap::from_pointee(site::policies(&config)?));
    Ok(Process { config, policies, metrics })
}

/// Api and worker in one process.
pub(crate) async fn serve(overrides: &Overrides) -> Result<Exit, Failure> {
    let process = process(overrides)?;
    let shutdown = site::shutdown_on_signal()?;
    let queue = site::queue(&process.config.queue).await?;
    let store = site::store(&process.config.store).await?;
    let parts = site::worker(&process.config, Arc::clone(&queue), &store, Arc::clone(&process.policies))?;
    let server = bind(process, queue, &store)?;
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
    let process = process(overrides)?;
    needs_servers(&process.config, "api")?;
    let shutdown = site::shutdown_on_signal()?;
    let queue = site::queue(&process.config.queue).await?;
    let store = site::store(&process.config.store).await?;
    bind(process, queue, &store)?.run(shutdown).await.context("the server failed")?;
    Ok(Exit::Pass)
}

/// One worker alone.
pub(crate) async fn worker(overrides: &Overrides) -> Result<Exit, Failure> {
    let process = process(overrides)?;
    needs_servers(&process.config, "worker")?;
    let shutdown = site::shutdown_on_signal()?;
    let queue = site::queue(&process.config.queue).await?;
    let store = site::store(&process.config.store).await?;
    let parts = site::worker(&process.config, Arc::clone(&queue), &store, process.policies)?;
    let Some(listen) = process.config.worker.probes else {
        worker::run(parts, shutdown).await.context("the worker failed")?;
        return Ok(Exit::Pass);
    };
    let probes = api::Probes { listen, queue, store: store.verdicts, metrics: process.metrics };
    let probing = probes.run(shutdown.clone());
    let working = worker::run(parts, shutdown.clone());
    tokio::select! {
        worked = working => worked.context("the worker failed")?,
        probed = probing => probed.with_context(|| format!("cannot answer probes on {listen}"))?,
    }
    Ok(Exit::Pass)
}

fn bind(process: Process, queue: Arc<dyn JobQueue>, store: &Opened) -> Result<api::Server, Failure> {
    let Process { config, policies, metrics } = process;
    let sweeps = Sweeps::new(Arc::clone(&queue), Arc::clone(&store.notes));
    let server = api::Server::bind(api::Parts {
        server: config.server,
        auth: config.auth,
        registries: config.registries,
        queue,
        store: Arc::clone(&store.verdicts),
        sweeps,
        policies,
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
