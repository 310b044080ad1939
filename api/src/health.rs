//! `/healthz`, `/readyz` and `/metrics`: for orchestrators and Prometheus, without a token.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use shared::queue::JobQueue;
use shared::reload::PolicyHealth;
use shared::store::VerdictStore;
use shared::telemetry::chain;

/// The process is alive.
#[utoipa::path(tag = "operation", responses((status = 200, description = "Alive", body = String)))]
#[get("/healthz")]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// What a process depends on, one row each.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// Whether a push could be taken now.
    pub queue: String,
    /// Whether a verdict could be found now.
    pub store: String,
    /// Whether the policy files are what is in force; if not, the last good ones are, and the process stays ready.
    pub policies: String,
}

/// A dependency has this long to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const OK: &str = "ok";

/// Whether pushes can be taken and verdicts be found, now.
#[utoipa::path(
    tag = "operation",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready; the body says what is wrong", body = Readiness),
    )
)]
#[get("/readyz")]
pub(crate) async fn readyz(
    queue: web::Data<dyn JobQueue>,
    store: web::Data<dyn VerdictStore>,
    policies: web::Data<PolicyHealth>,
) -> HttpResponse {
    let (queue, store) = futures_util::join!(answer(queue.ping()), answer(store.ping()));
    let ready = queue == OK && store == OK;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let policies = policies
        .broken()
        .map_or_else(|| OK.to_owned(), |error| format!("{error}; the policies loaded before stay in force"));
    HttpResponse::build(status).json(Readiness { queue, store, policies })
}

async fn answer<E: std::error::Error + 'static>(ping: impl Future<Output = Result<(), E>>) -> String {
    match tokio::time::timeout(PATIENCE, ping).await {
        Ok(Ok(())) => OK.to_owned(),
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    }
}

/// Metrics in the Prometheus text format.
#[utoipa::path(tag = "operation", responses((status = 200, description = "Metrics", body = String)))]
#[get("/metrics")]
pub(crate) async fn serve_metrics(recorder: web::Data<PrometheusHandle>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(recorder.render())
}
