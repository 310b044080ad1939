//! The server's side of TLS: certificate and key from PEM files, TLS 1.2 and 1.3, rustls with ring.
//!
//! Whoever renews certificates replaces the files: they are looked at again and again, and what can be used takes the
//! place of what was there for the next connection. What cannot be used changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Extensions;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert, VerifierBuilderError};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::config::TlsConfig;
use shared::telemetry::chain;
use tokio_util::sync::CancellationToken;

mod authority;

use authority::Authority;

/// How often the files are looked at. Certificates are renewed days before they end.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM of that kind.
    #[error("server.tls.{key}: cannot read {}", path.display())]
    File {
        /// `certificate`, `key` or `client_ca`.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// A file of certificates has none.
    #[error("server.tls.{key}: {} has no certificate; expected PEM", path.display())]
    Empty {
        /// `certificate` or `client_ca`.
        key: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("server.tls: certificate and key cannot be used together")]
    Unusable(#[source] rustls::Error),
    /// What clients' certificates should be signed with cannot sign.
    #[error("server.tls.client_ca: {} cannot be used", path.display())]
    ClientAuthority {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
}

/// Who the server is, and whose clients are certified, as its files say now.
#[derive(Debug)]
pub(crate) struct Identity {
    files: TlsConfig,
    current: ArcSwap<CertifiedKey>,
    authority: Option<Arc<Authority>>,
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Identity {
    /// Follows the files until `shutdown`.
    pub(crate) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let (mut certificate, mut authority) = (News::new("certificate"), News::new("client_ca"));
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => return,
            }
            certificate.tell(self.renew());
            if let Some(clients) = &self.authority {
                authority.tell(clients.renew());
            }
        }
    }

    fn renew(&self) -> Result<Look, TlsError> {
        let key = certified_key(&self.files)?;
        if key.cert == self.current.load().cert {
            return Ok(Look::Same);
        }
        self.current.store(Arc::new(key));
        Ok(Look::Renewed)
    }
}

/// What a look at files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Same,
    Renewed,
}

/// What is told of files: two are never replaced at the same moment, so that what is wrong is told once, not at each look.
struct News {
    key: &'static str,
    failing: bool,
}

impl News {
    fn new(key: &'static str) -> Self {
        Self { key, failing: false }
    }

    fn tell(&mut self, look: Result<Look, TlsError>) {
        let key = self.key;
        match look {
            Ok(Look::Same) => self.failing = false,
            Ok(Look::Renewed) => {
                self.failing = false;
                tracing::info!("the new {key} is in use");
            }
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!(error = %chain(&error), "the new {key} cannot be used; the old one stays");
            }
            Err(_) => {}
        }
    }
}

/// A server that is who its certificate says.
pub(crate) fn server_config(config: &TlsConfig) -> Result<(ServerConfig, Arc<Identity>), TlsError> {
    let current = ArcSwap::from_pointee(certified_key(config)?);
    let authority = config.client_ca.as_deref().map(Authority::open).transpose()?.map(Arc::new);
    let identity = Arc::new(Identity { files: config.clone(), current, authority: authority.clone() });
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let server = match authority {
        None => server.with_no_client_auth().with_cert_resolver(Arc::clone(&identity) as _),
        Some(authority) => {
            let server = server.with_client_cert_verifier(Arc::clone(&authority) as _);
            let mut server = server.with_cert_resolver(Arc::clone(&identity) as _);
            server.session_storage = authority;
            server
        }
    };
    Ok((server, identity))
}

/// Whether a server could start with these files.
pub fn check(config: &TlsConfig) -> Result<(), TlsError> {
    server_config(config).map(drop)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certified_key(config: &TlsConfig) -> Result<CertifiedKey, TlsError> {
    let certificates = certificates("certificate", &config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|source| TlsError::File {
        key: "key",
        path: config.key.clone(),
        source,
    })?;
    CertifiedKey::from_der(certificates, key, &provider()).map_err(TlsError::Unusable)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::Empty { key, path: path.to_owned() }),
        Ok(found) => Ok(found),
        Err(source) => Err(TlsError::File { key, path: path.to_owned(), source }),
    }
}

/// The client of a connection has shown a certificate that `server.tls.client_ca` has signed.
pub(crate) struct CertifiedClient;

/// Notes on a connection whether its client is certified.
pub(crate) fn note_client(connection: &dyn std::any::Any, notes: &mut Extensions) {
    type Stream = actix_tls::accept::rustls_0_23::TlsStream<actix_web::rt::net::TcpStream>;
    let stream = connection.downcast_ref::<Stream>();
    if stream.is_some_and(|stream| stream.get_ref().1.peer_certificates().is_some()) {
        notes.insert(CertifiedClient);
    }
}
