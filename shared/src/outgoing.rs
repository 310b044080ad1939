//! HTTP clients for servers that the operator named: registries, and endpoints that are told of verdicts.
//!
//! HTTP/1.1, no proxy but the one of the configuration, no redirect and no second attempt that nobody decided on, no
//! `Referer`. Certificates are checked against the system's authorities and further ones from PEM files. The
//! environment (`HTTPS_PROXY` and the like) changes nothing. [`Egress`] is where every client comes from.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, ClientBuilder};

mod bypass;
mod egress;
mod shown;

pub use bypass::{Bypass, BypassError};
pub use egress::{Egress, ForwardProxy, ProxyError, ProxyLogin};
pub use shown::Shown;

/// Who we say that we are.
const USER_AGENT: &str = concat!("tidewaiter/", env!("CARGO_PKG_VERSION"));

/// Why certificate authorities cannot be trusted as configured.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read.
    #[error("the CA certificates in {path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What looks like a certificate is none.
    #[error("the CA certificates in {path} are no PEM certificates")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: reqwest::Error,
    },
    /// There is none in it.
    #[error("{0} holds no PEM certificate")]
    Missing(String),
}

/// The beginning of a client that dials servers itself and also trusts the `authorities`.
fn direct<'a>(authorities: impl IntoIterator<Item = &'a PathBuf>) -> Result<ClientBuilder, AuthoritiesError> {
    // reqwest panics where no provider was chosen; whoever chose before us stays chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only();
    for path in authorities {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    Ok(builder)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, AuthoritiesError> {
    let shown = || path.display().to_string();
    let pem = std::fs::read(path).map_err(|source| AuthoritiesError::Read { path: shown(), source })?;
    let found = Certificate::from_pem_bundle(&pem);
    let found = found.map_err(|source| AuthoritiesError::Malformed { path: shown(), source })?;
    if found.is_empty() { Err(AuthoritiesError::Missing(shown())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let malformed = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        for path in [
            folder.path().join("absent.pem"),
            file("empty.pem", ""),
            file("key.pem", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"),
            file("malformed.pem", malformed),
        ] {
            let refused = direct([&path]).err().unwrap().to_string();
            assert!(refused.contains(&path.display().to_string()), "{refused}");
        }
        assert!(direct([]).unwrap().build().is_ok());
    }
}
