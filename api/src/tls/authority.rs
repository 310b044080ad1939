//! Whose clients are certified: `server.tls.client_ca`, as the file says now.
//!
//! Clients may show a certificate and need not: most routes ask for a token. One that is shown has to be good. A client
//! that resumes a session is not asked again (RFC 8446 §4.6.1), so sessions are forgotten together with the authority
//! under which they began; connections that are open stay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Look, TlsError, certificates, provider};

/// How many sessions can be resumed; what the library takes by default.
const SESSIONS: usize = 256;

/// The authority, and the sessions that began under it.
#[derive(Debug)]
pub(super) struct Authority {
    path: PathBuf,
    current: ArcSwap<Standing>,
}

#[derive(Debug)]
struct Standing {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
    sessions: Arc<ServerSessionMemoryCache>,
}

impl Authority {
    pub(super) fn open(path: &Path) -> Result<Self, TlsError> {
        let certificates = certificates("client_ca", path)?;
        let current = ArcSwap::from_pointee(Standing::of(path, certificates)?);
        Ok(Self { path: path.to_owned(), current })
    }

    /// Looks at the file again.
    pub(super) fn renew(&self) -> Result<Look, TlsError> {
        let certificates = certificates("client_ca", &self.path)?;
        if certificates == self.current.load().certificates {
            return Ok(Look::Same);
        }
        self.current.store(Arc::new(Standing::of(&self.path, certificates)?));
        Ok(Look::Renewed)
    }
}

impl Standing {
    fn of(path: &Path, certificates: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(TlsError::Unusable)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|source| TlsError::ClientAuthority { path: path.to_owned(), source })?;
        Ok(Self { certificates, verifier, sessions: ServerSessionMemoryCache::new(SESSIONS) })
    }
}

impl ClientCertVerifier for Authority {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: they are lent for as long as this lives, and a client would hold back a certificate of an authority
    /// that came later.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.current.load().verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}

impl StoresServerSessions for Authority {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.current.load().sessions.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.current.load().sessions.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.current.load().sessions.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}
