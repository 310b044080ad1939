//! Who signs: [`KeyFile`], a key in this process, or [`Hook`], a service that keeps the key and hands out signatures.
//!
//! `contract` in the tests is the contract as tests; both run it.

mod hook;

use async_trait::async_trait;

use super::keys::{PrivateKey, PublicKey, Signature};
use crate::outgoing::AuthoritiesError;

pub use hook::{Hook, HookSettings};

/// Makes signatures with one key.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The public half of the key.
    fn public_key(&self) -> &PublicKey;

    /// A DER signature over SHA-256 of `message`, which [`Signer::public_key`] has been seen to verify.
    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The statement cannot be written as JSON.
    #[error("the statement cannot be written")]
    Statement(#[source] serde_json::Error),
    /// The service cannot be reached, or did not answer in time.
    #[error("the signing hook did not answer: {0}")]
    Unavailable(String),
    /// The certificate authorities by which the service is known cannot be used.
    #[error("attest.hook_ca_certificates cannot be used")]
    CaCertificates(#[source] AuthoritiesError),
    /// The service answered, and not with a signature.
    #[error("the signing hook refused: {0}")]
    Refused(String),
    /// The service signed with another key than the one that is configured.
    #[error("the signature of the signing hook does not verify with attest.hook_public_key_file (key {0})")]
    WrongKey(String),
    /// The token of the service cannot be read.
    #[error("the token of the signing hook cannot be read from {path}")]
    Token {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A private key in memory.
#[derive(Debug)]
pub struct KeyFile(PrivateKey);

impl KeyFile {
    /// Signs with this key.
    pub fn new(key: PrivateKey) -> Self {
        Self(key)
    }
}

#[async_trait]
impl Signer for KeyFile {
    fn public_key(&self) -> &PublicKey {
        self.0.public()
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(self.0.sign(message))
    }
}
