//! Binds the listener and runs the routes until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use shared::announce::Announcer;
use shared::config::{
    AuthConfig, ConfigError, Exposure, GateAccess, GateConfig, GatesConfig, Registries, ServerConfig,
};
use shared::policy::PolicySet;
use shared::queue::JobQueue;
use shared::registry::{LentCredentials, RegistryClient};
use shared::reload::PolicyHealth;
use shared::store::near::NearStore;
use shared::store::{History, Known, VerdictStore};
use shared::sweeps::Sweeps;
use tokio_util::sync::CancellationToken;
use utoipa_actix_web::AppExt;

use crate::auth::Tokens;
use crate::deliveries::Webhooks;
use crate::events::Events;
use crate::gates::{GateParts, Gates};
use crate::harbor::Harbor;
use crate::intake::Intake;
use crate::limit::Clients;
use crate::simulate::Simulations;
use crate::verdicts::Verdicts;
use crate::{document, limit, requests, routes, tls, webhooks};

/// Everything that an api is made of.
pub struct Parts {
    /// The listener.
    pub server: ServerConfig,
    /// Who may.
    pub auth: AuthConfig,
    /// Who may ask whether an image may run.
    pub gates: GatesConfig,
    /// Where credentials that are lent to a scan go.
    pub lent: Option<LentCredentials>,
    /// The registries that are served.
    pub registries: Registries,
    /// Where jobs go.
    pub queue: Arc<dyn JobQueue>,
    /// Where verdicts are.
    pub store: Arc<dyn VerdictStore>,
    /// What became of them.
    pub history: Arc<dyn History>,
    /// Every digest that has a report.
    pub known: Arc<dyn Known>,
    /// Who tells of changed verdicts.
    pub announcer: Arc<Announcer>,
    /// Where sweeps begin.
    pub sweeps: Sweeps,
    /// The policies; swapped while running.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What is wrong with their files; told by `/readyz`.
    pub policy_health: PolicyHealth,
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
    /// A gate would answer the whole network in clear text without asking anybody for a token.
    #[error(
        "refusing to answer gates.{gate} on {address} without authentication: set gates.{gate}.open = false and give its caller a token, configure server.tls, or set server.allow_unauthenticated = true if something else guards it"
    )]
    OpenGate {
        /// The gate's section.
        gate: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Nobody could show a certificate.
    #[error("gates.{0}.client_certificate needs server.tls.client_ca: whose certificates are meant")]
    NoAuthority(&'static str),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A registry cannot be contacted as it is configured.
    #[error("the registries cannot be used as they are configured")]
    Registries(#[source] shared::registry::RegistryError),
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
    client: RegistryClient,
    tls: Option<(rustls::ServerConfig, Arc<tls::Identity>)>,
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
        let unguarded = !wanted.ip().is_loopback()
            && parts.server.tls.is_none()
            && parts.server.exposure == Exposure::OnlyWithAuthentication;
        let open = |(_, gate): &(&str, &GateConfig)| gate.access == GateAccess::Open;
        if unguarded && let Some((gate, _)) = parts.gates.each().into_iter().find(open) {
            return Err(BindError::OpenGate { gate, address: wanted });
        }
        let certified = |(_, gate): &(&str, &GateConfig)| gate.access == GateAccess::Certificate;
        let has_authority = parts.server.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !has_authority && let Some((gate, _)) = parts.gates.each().into_iter().find(certified) {
            return Err(BindError::NoAuthority(gate));
        }
        let tls = parts.server.tls.as_ref().map(tls::server_config).transpose()?;
        let client = parts.registries.client().map_err(BindError::Registries)?;
        let failed = |source| BindError::Listen { address: wanted, source };
        let listener = listen(wanted).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { parts, client, tls, listener, address })
    }

    /// Where it listens; the port is the real one where the configuration said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown`, then finishes what it has begun.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        let Parts {
            server,
            auth,
            gates,
            lent,
            registries,
            queue,
            store,
            history,
            known,
            announcer,
            policies,
            sweeps,
            policy_health,
            metrics,
        } = self.parts;
        let tokens = web::Data::new(Tokens::new(&auth));
        let sweeps = web::Data::new(sweeps);
        let served = web::Data::new(registries.clone());
        let intake = web::Data::new(Intake::new(
            Arc::clone(&queue),
            Arc::clone(&store),
            registries.clone(),
            server.pending_ttl,
        ));
        let simulations = web::Data::new(Simulations::new(Arc::clone(&store), known, Arc::clone(&policies)));
        let describer = announcer.describer();
        let feed = Arc::clone(&history);
        let events = Events::new(feed, describer, server.event_subscribers, shutdown.clone());
        let events = web::Data::new(events);
        let near = Arc::new(NearStore::new(Arc::clone(&store)));
        let verdicts = web::Data::new(Verdicts::new(near, Arc::clone(&policies), announcer, &server));
        let harbor = web::Data::new(Harbor::new(lent, registries.clone(), Arc::clone(&policies)));
        let gates = web::Data::new(Gates::new(GateParts {
            config: gates,
            policies,
            verdicts: verdicts.clone().into_inner(),
            intake: intake.clone(),
            registries,
            client: self.client,
            public_url: server.public_url.clone(),
        }));
        let webhooks = web::Data::new(Webhooks::new(&auth, &server));
        let queue = web::Data::from(queue);
        let store = web::Data::from(store);
        let history = web::Data::from(history);
        let policy_health = web::Data::new(policy_health);
        let metrics = web::Data::new(metrics);
        let clients = web::Data::new(Clients::new(&server));
        let transport = if self.tls.is_some() { Transport::Tls } else { Transport::Clear };
        let running = HttpServer::new(move || {
            let (app, mut document) = App::new()
                .into_utoipa_app()
                .openapi(routes::begun_document())
                .map(|app| {
                    app.wrap(from_fn(limit::admit))
                        .wrap(security_headers(transport))
                        .wrap(from_fn(requests::observe))
                        .app_data(clients.clone())
                        .app_data(web::Data::new(requests::Meters::default()))
                        .app_data(tokens.clone())
                        .app_data(intake.clone())
                        .app_data(sweeps.clone())
                        .app_data(served.clone())
                        .app_data(verdicts.clone())
                        .app_data(gates.clone())
                        .app_data(harbor.clone())
                        .app_data(events.clone())
                        .app_data(webhooks.clone())
                        .app_data(queue.clone())
                        .app_data(store.clone())
                        .app_data(history.clone())
                        .app_data(simulations.clone())
                        .app_data(policy_health.clone())
                        .app_data(metrics.clone())
                        .configure(routes::extractor_errors)
                })
                .configure(routes::table)
                .split_for_parts();
            document::complete(&mut document);
            let document = web::Data::new(document);
            app.app_data(document)
                .route(routes::DOCUMENT, web::get().to(openapi))
                .default_service(web::to(routes::unmatched))
        })
        .on_connect(tls::note_client)
        .disable_signals()
        .shutdown_timeout(10);
        let running = match self.tls {
            Some((tls, identity)) => {
                tokio::spawn(identity.follow(shutdown.clone()));
                running.listen_rustls_0_23(self.listener, tls)?
            }
            None => running.listen(self.listener)?,
        }
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

/// How requests arrive.
#[derive(Clone, Copy)]
enum Transport {
    Clear,
    Tls,
}

/// What browsers are told about every answer: it is what it says, it is shown in no frame, and its links leak nothing.
fn security_headers(transport: Transport) -> DefaultHeaders {
    let headers = DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cache-Control", "no-store"));
    match transport {
        Transport::Tls => headers.add(("Strict-Transport-Security", "max-age=31536000")),
        Transport::Clear => headers,
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
