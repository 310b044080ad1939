//! The loop: take a job when a place is free, carry it out in a task of its own, settle it last (I2).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared::queue::{Delivery, QueueError, Settlement};
use shared::telemetry::{Throttle, traces};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use crate::Parts;
use crate::job::{Carried, Carrier, Past};

pub(crate) async fn consume(parts: Parts, shutdown: CancellationToken) -> Result<(), QueueError> {
    let places = parts.concurrency.get();
    let prefetch = u16::try_from(places).unwrap_or(u16::MAX);
    let mut consumer = parts.queue.consume(prefetch).await?;
    let grace = parts.grace;
    let carrier = Arc::new(Carrier::new(parts));
    let abandon = CancellationToken::new();
    let mut running = JoinSet::new();
    metrics::gauge!("tidewaiter_jobs_capacity").set(f64::from(prefetch));
    tracing::info!(worker.concurrency = places, "worker ready");
    loop {
        // A settled job frees its place; the join set keeps no results.
        while running.len() >= places {
            tokio::select! {
                _ = running.join_next() => {}
                () = shutdown.cancelled() => break,
            }
        }
        let delivery = tokio::select! {
            delivery = consumer.next(), if running.len() < places => delivery,
            Some(_) = running.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let Some(delivery) = delivery else { break };
        running.spawn(work(Arc::clone(&carrier), delivery, abandon.clone()));
    }
    consumer.stop().await;
    tracing::info!(worker.running = running.len(), "worker stopping");
    let finish = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finish).await.is_err() {
        abandon.cancel();
        while running.join_next().await.is_some() {}
    }
    tracing::info!("worker stopped");
    Ok(())
}

/// Carries out one job and settles it. A job that panics costs only itself (I7).
async fn work(carrier: Arc<Carrier>, delivery: Delivery, abandon: CancellationToken) {
    let span = tracing::info_span!(
        "job",
        job.id = %delivery.job.id,
        job.attempt = delivery.attempt,
        job.lane = %delivery.job.lane,
        job.subject = delivery.job.subject(),
        trace_id = Empty,
    );
    let trace = traces::process(&delivery.job, delivery.attempt, &delivery.origin);
    if let Some(id) = trace.trace_id() {
        span.record("trace_id", id);
    }
    let trace = Arc::new(trace);
    async {
        let began = std::time::Instant::now();
        let lane = delivery.job.lane;
        metrics::gauge!("tidewaiter_jobs_running").increment(1.0);
        if delivery.attempt == 1 && delivery.postponed == 0 {
            let waited = Timestamp::now().duration_since(delivery.job.enqueued_at);
            metrics::histogram!("tidewaiter_queue_wait_seconds", "lane" => lane.name())
                .record(waited.as_secs_f64().max(0.0));
        }
        let (job, past) = (delivery.job.clone(), Past::of(&delivery));
        let within = Arc::clone(&trace);
        let task = tokio::spawn(
            async move {
                let work = async {
                    tokio::select! {
                        carried = carrier.carry_out(&job, &past) => carried,
                        () = abandon.cancelled() => Carried::HandedBack,
                    }
                };
                within.around(work).await
            }
            .in_current_span(),
        );
        let carried =
            task.await.unwrap_or_else(|panic| Carried::Failed { error: format!("panicked: {panic}") });
        let result = carried.label();
        trace.set("tidewaiter.job.result", result);
        if let Carried::Failed { .. } | Carried::Hopeless { .. } = carried {
            trace.failed(result);
        }
        let took = began.elapsed();
        match &carried {
            Carried::Done => tracing::info!(duration_ms = took.as_millis(), "job done"),
            Carried::Failed { error } => tracing::warn!(error, "job failed, to be tried again"),
            Carried::Hopeless { error } => tracing::error!(error, "job buried"),
            Carried::Postponed { error, .. } => tracing::info!(error, "job put off"),
            Carried::Away { error } => tell_of_store(error),
            Carried::HandedBack => tracing::info!("job handed back"),
        }
        metrics::counter!("tidewaiter_jobs_total", "lane" => lane.name(), "result" => result).increment(1);
        metrics::histogram!("tidewaiter_job_seconds", "lane" => lane.name()).record(took.as_secs_f64());
        metrics::gauge!("tidewaiter_jobs_running").decrement(1.0);
        if let Err(error) = trace.around(delivery.settle(carried.into())).await {
            // The queue delivers it again; the verdict is stored, so that costs a look-up.
            tracing::warn!(error = %error, "job not settled");
        }
    }
    .instrument(span)
    .await;
}

/// While the store is away every job comes back each second or so, each with the same words.
fn tell_of_store(error: &str) {
    static AWAY: Throttle = Throttle::new();
    match AWAY.pass() {
        Some(others) => tracing::warn!(error, others, "job put off until the store can be used"),
        None => tracing::debug!(error, "job put off until the store can be used"),
    }
}

impl From<Carried> for Settlement {
    fn from(carried: Carried) -> Self {
        match carried {
            Carried::Done => Self::Done,
            Carried::Failed { error } => Self::Retry { error },
            Carried::Hopeless { error } => Self::Bury { error },
            Carried::Postponed { wait, error } => Self::Postpone { wait, error },
            Carried::Away { error } => Self::Postpone { wait: Duration::ZERO, error },
            Carried::HandedBack => Self::HandBack,
        }
    }
}
