//! What a worker that runs alone answers over HTTP: health, readiness, metrics, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;
use shared::queue::JobQueue;
use shared::reload::PolicyHealth;
use shared::store::VerdictStore;
use tokio_util::sync::CancellationToken;

use crate::health;

/// The parts of a probe listener.
pub struct Probes {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Asked by `/readyz`.
    pub queue: Arc<dyn JobQueue>,
    /// Asked by `/readyz`.
    pub store: Arc<dyn VerdictStore>,
    /// Told by `/readyz`.
    pub policy_health: PolicyHealth,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
}

impl Probes {
    /// Answers until `shutdown`. Fails if the address cannot be had.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        let queue = web::Data::from(self.queue);
        let store = web::Data::from(self.store);
        let policy_health = web::Data::new(self.policy_health);
        let metrics = web::Data::new(self.metrics);
        let running = HttpServer::new(move || {
            App::new()
                .app_data(queue.clone())
                .app_data(store.clone())
                .app_data(policy_health.clone())
                .app_data(metrics.clone())
                .service(health::healthz)
                .service(health::readyz)
                .service(health::serve_metrics)
        })
        .workers(1)
        .bind(self.listen)?
        .disable_signals()
        .run();
        let handle = running.handle();
        tokio::select! {
            ended = running => ended,
            () = shutdown.cancelled() => {
                handle.stop(false).await;
                Ok(())
            }
        }
    }
}
