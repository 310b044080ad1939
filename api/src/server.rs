//! Binds the listener and runs the routes until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use shared::config::{AuthConfig, ConfigError, Exposure, Registries, ServerConfig};
use shared::policy::PolicySet;
use shared::queue::JobQueue;
use shared::store::VerdictStore;
use tokio_util::sync::CancellationToken;
use utoipa_actix_web::AppExt;

use crate::auth::Tokens;
use crate::deliveries::Webhooks;
use crate::intake::Intake;
use crate::verdicts::Verdicts;
use crate::{requests, routes, webhooks};

/// Everything that an api is made of.
pub struct Parts {
    /// The listener.
    pub server: ServerConfig,
    /// Who may.
    pub auth: AuthConfig,
    /// The registries that are served.
    pub registries: Registries,
    /// Where jobs go.
    pub queue: Arc<dyn JobQueue>,
    /// Where verdicts are.
    pub store: Arc<dyn VerdictStore>,
    /// The policies; swapped while running.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
}

/// Why an api does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It would answer the whole network without asking anybody for a token.
    #[error(
        "refusing to listen on {0} without authentication: configure auth.tokens, listen on 127.0.0.1, or set server.allow_unauthenticated = true if something else guards it"
    )]
    Unauthenticated(SocketAddr),
    /// A webhook source is configured in a way that it cannot live up to.
    #[error(transparent)]
    Webhooks(#[from] ConfigError),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A bound server that does not answer yet.
pub struct Server {
    parts: Parts,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes the address. Refuses to answer beyond loopback without authentication unless told to.
    pub fn bind(parts: Parts) -> Result<Self, BindError> {
        webhooks::check(&parts.auth)?;
        let wanted = parts.server.listen;
        let guarded =
            !parts.auth.tokens.is_empty() || parts.server.exposure == Exposure::AllowUnauthenticated;
        if !wanted.ip().is_loopback() && !guarded {
            return Err(BindError::Unauthenticated(wanted));
        }
        let failed = |source| BindError::Listen { address: wanted, source };
        let listener = listen(wanted).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { parts, listener, address })
    }

    /// Where it listens; the port is the real one where the configuration said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`, then finishes what it has begun.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        let Parts { server, auth, registries, queue, store, policies, metrics } = self.parts;
        let tokens = web::Data::new(Tokens::new(&auth));
        let intake = web::Data::new(Intake::new(
            Arc::clone(&queue),
            Arc::clone(&store),
            registries,
            server.pending_ttl,
        ));
        let verdicts = web::Data::new(Verdicts::new(Arc::clone(&store), policies, &server));
        let webhooks = web::Data::new(Webhooks::new(&auth, &server));
        let queue = web::Data::from(queue);
        let store = web::Data::from(store);
        let metrics = web::Data::new(metrics);
        let running = HttpServer::new(move || {
            let (app, document) = App::new()
                .into_utoipa_app()
                .openapi(routes::document())
                .map(|app| {
                    app.wrap(from_fn(requests::observe))
                        .app_data(tokens.clone())
                        .app_data(intake.clone())
                        .app_data(verdicts.clone())
                        .app_data(webhooks.clone())
                        .app_data(queue.clone())
                        .app_data(store.clone())
                        .app_data(metrics.clone())
                        .configure(routes::extractor_errors)
                })
                .configure(routes::table)
                .split_for_parts();
            let document = web::Data::new(document);
            app.app_data(document)
                .route("/openapi.json", web::get().to(openapi))
                .default_service(web::to(routes::unmatched))
        })
        .listen(self.listener)?
        .disable_signals()
        .shutdown_timeout(10)
        .run();
        let handle = running.handle();
        let stopper = tokio::spawn(async move {
            shutdown.cancelled().await;
            handle.stop(true).await;
        });
        let ended = running.await;
        stopper.abort();
        ended
    }
}

async fn openapi(document: web::Data<utoipa::openapi::OpenApi>) -> HttpResponse {
    HttpResponse::Ok().json(document.get_ref())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
