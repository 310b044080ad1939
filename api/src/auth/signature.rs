//! Signatures of webhook bodies: HMACs in a header, as hex digits.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;

/// Where a sender puts its signature, and how it makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The header, lower case.
    pub header: &'static str,
    /// The hash under the HMAC.
    pub hash: Hash,
}

/// The hash under an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1: only Nexus, which knows nothing better. As an HMAC it still holds.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Signature {
    /// An HMAC-SHA256 in this header.
    pub const fn sha256(header: &'static str) -> Self {
        Self { header, hash: Hash::Sha256 }
    }

    /// An HMAC-SHA1 in this header.
    pub const fn sha1(header: &'static str) -> Self {
        Self { header, hash: Hash::Sha1 }
    }
}

/// Whether `signature`, hex with or without `sha256=` (`sha1=`) before it, is the HMAC of `body`.
pub fn is_signed(hash: Hash, secret: &SecretString, body: &[u8], signature: &[u8]) -> bool {
    let key = secret.expose_secret().as_bytes();
    match hash {
        Hash::Sha1 => {
            let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of every length");
            mac.update(body);
            digits::<20>(signature, b"sha1=").is_some_and(|shown| mac.verify_slice(&shown).is_ok())
        }
        Hash::Sha256 => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
            mac.update(body);
            digits::<32>(signature, b"sha256=").is_some_and(|shown| mac.verify_slice(&shown).is_ok())
        }
    }
}

fn digits<const LENGTH: usize>(signature: &[u8], prefix: &[u8]) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(signature.strip_prefix(prefix).unwrap_or(signature), &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_breaks_a_signature() {
        let secret = SecretString::from("key");
        let body = b"The quick brown fox jumps over the lazy dog";
        // The values are those of `openssl dgst -sha256 -hmac key` and `-sha1 -hmac key`.
        for (hash, prefix, signature) in [
            (Hash::Sha256, "sha256=", "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"),
            (Hash::Sha1, "sha1=", "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9"),
        ] {
            let prefixed = format!("{prefix}{signature}");
            assert!(is_signed(hash, &secret, body, signature.as_bytes()));
            assert!(is_signed(hash, &secret, body, prefixed.as_bytes()));
            assert!(!is_signed(
                hash,
                &secret,
                b"the quick brown fox jumps over the lazy dog",
                signature.as_bytes()
            ));
            assert!(!is_signed(hash, &SecretString::from("kez"), body, signature.as_bytes()));
            for wrong in ["", "sha256=00", "sha256=", &signature[1..], "sha512=00"] {
                assert!(!is_signed(hash, &secret, body, wrong.as_bytes()), "{wrong}");
            }
        }
    }
}
