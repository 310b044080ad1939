//! The server's side of TLS: certificate and key from PEM files, TLS 1.2 and 1.3, rustls with ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::config::TlsConfig;

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM of that kind.
    #[error("server.tls.{key}: cannot read {}", path.display())]
    File {
        /// `certificate` or `key`.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// The file of certificates has none.
    #[error("server.tls.certificate: {} has no certificate; expected PEM", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("server.tls: certificate and key cannot be used together")]
    Unusable(#[source] rustls::Error),
}

/// A server that is who its certificate says.
pub fn server_config(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let failed = |key: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { key, path, source }
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect)
        .map_err(failed("certificate", &config.certificate))?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(config.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(failed("key", &config.key))?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(TlsError::Unusable)
}
