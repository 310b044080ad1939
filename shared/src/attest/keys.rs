//! Keys and signatures: ECDSA over P-256 with SHA-256, as cosign and `openssl` make them.
//!
//! Private keys are PKCS#8 PEM (RFC 5958), public ones SPKI PEM (RFC 5280 §4.1); signatures are ASN.1 DER (RFC 3279
//! §2.2.3), and raw `r‖s` is accepted when verifying. A key's id is the SHA-256 of its SPKI bytes.

use std::fmt;

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature as Ecdsa, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use secrecy::{ExposeSecret, SecretString};

use crate::model::digest::Digest;

/// A PEM file with more bytes than this holds no key.
const LARGEST_PEM: usize = 64 << 10;

/// A signature as it travels, and the id of the key that is said to have made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// ASN.1 DER, or raw `r‖s` where others wrote it.
    pub bytes: Vec<u8>,
    /// A hint that anybody can write.
    pub key: Option<String>,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The private key is encrypted; this is what cosign makes.
    #[error(
        "the private key is encrypted by cosign; make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tidewaiter.key` instead, or export yours without a password"
    )]
    CosignEncrypted,
    /// The private key is encrypted PKCS#8.
    #[error(
        "the private key is encrypted; decrypt it with `openssl pkcs8 -in {{file}} -out tidewaiter.key` and protect the file"
    )]
    Encrypted,
    /// The private key has the older SEC 1 form.
    #[error(
        "the private key is not PKCS#8; convert it with `openssl pkcs8 -topk8 -nocrypt -in {{file}} -out tidewaiter.key`"
    )]
    Sec1,
    /// A private key where a public one belongs.
    #[error(
        "this is a private key; write its public half with `openssl pkey -in {{file}} -pubout -out tidewaiter.pub`"
    )]
    Private,
    /// Anything else.
    #[error(
        "this is no {0} in PEM with an ECDSA P-256 key, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes"
    )]
    Unusable(&'static str),
}

impl KeyError {
    /// What is wrong with the key in `file`, with the commands that repair it spelled out.
    pub fn about(&self, file: &std::path::Path) -> String {
        let file = file.display().to_string();
        format!("{file}: {}", self.to_string().replace("{file}", &file))
    }
}

/// A key that can sign.
#[derive(Clone)]
pub struct PrivateKey {
    key: SigningKey,
    public: PublicKey,
}

/// A key that can verify.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: String,
}

impl PrivateKey {
    /// Reads an unencrypted PKCS#8 PEM.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let text = pem.expose_secret();
        let unusable = KeyError::Unusable("private key (PKCS#8)");
        if text.len() > LARGEST_PEM {
            return Err(unusable);
        }
        if text.contains("ENCRYPTED COSIGN") || text.contains("ENCRYPTED SIGSTORE") {
            return Err(KeyError::CosignEncrypted);
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        if text.contains("BEGIN EC PRIVATE KEY") {
            return Err(KeyError::Sec1);
        }
        let key = SigningKey::from_pkcs8_pem(text.trim()).map_err(|_| unusable)?;
        Ok(Self::new(key))
    }

    /// A fresh key. Fails only where the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        // One draw in 2^32 is no scalar of the curve; eight such draws in a row do not happen.
        for _ in 0..8 {
            let mut bytes = [0_u8; 32];
            getrandom::fill(&mut bytes).map_err(|_| KeyError::Unusable("source of randomness"))?;
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                return Ok(Self::new(key));
            }
        }
        Err(KeyError::Unusable("source of randomness"))
    }

    fn new(key: SigningKey) -> Self {
        let public = PublicKey::new(*key.verifying_key());
        Self { key, public }
    }

    /// The PKCS#8 PEM.
    pub fn to_pem(&self) -> SecretString {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).expect("a P-256 key always has a PKCS#8 form");
        SecretString::from(pem.as_str())
    }

    /// The half that everybody may know.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A DER signature over SHA-256 of `message`; deterministic (RFC 6979).
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: Ecdsa = self.key.sign(message);
        let bytes = signature.to_der().as_bytes().to_vec();
        Signature { bytes, key: Some(self.public.id.clone()) }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey([REDACTED] of {})", self.public.id)
    }
}

impl PublicKey {
    /// Reads an SPKI PEM: `-----BEGIN PUBLIC KEY-----`.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let unusable = KeyError::Unusable("public key");
        if text.len() > LARGEST_PEM {
            return Err(unusable);
        }
        if text.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        VerifyingKey::from_public_key_pem(text.trim()).map(Self::new).map_err(|_| unusable)
    }

    fn new(key: VerifyingKey) -> Self {
        let spki = key.to_public_key_der().expect("a P-256 key always has an SPKI form");
        let id = Digest::of(spki.as_bytes()).encoded().to_owned();
        Self { key, id }
    }

    /// The SPKI PEM.
    pub fn to_pem(&self) -> String {
        self.key.to_public_key_pem(LineEnding::LF).expect("a P-256 key always has an SPKI form")
    }

    /// SHA-256 of the SPKI bytes, in hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether this key made `signature` over `message`.
    pub fn has_signed(&self, message: &[u8], signature: &Signature) -> bool {
        let der = Ecdsa::from_der(&signature.bytes).ok();
        let raw = Ecdsa::from_slice(&signature.bytes).ok();
        [der, raw].into_iter().flatten().any(|signature| self.key.verify(message, &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}
