//! Content digests: `algorithm:encoded`, the identity of everything that Tidewaiter judges.
//!
//! Grammar and registered algorithms: OCI image-spec, descriptor.md, "Digests".

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// A digest in its canonical text form, for example `sha256:` and 64 lower-case hex digits.
///
/// Only the algorithms that can be verified here exist as values: sha256 and sha512. A copy shares the text: one is
/// made wherever something is known by its digest.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")]
pub struct Digest(Arc<str>);

/// A hash function that a [`Digest`] may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256, the one that everybody uses.
    Sha256,
    /// SHA-512, registered and rare.
    Sha512,
}

/// Why a text is not a digest that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` between algorithm and value.
    #[error("digest {0:?} has no algorithm; expected sha256:<64 hex digits>")]
    NoAlgorithm(String),
    /// The algorithm is unknown here, so content could not be verified against it.
    #[error("digest algorithm {0:?} is not supported; expected sha256 or sha512")]
    UnsupportedAlgorithm(String),
    /// The value has the wrong length or characters for its algorithm.
    #[error("digest {text:?} must have {expected} lower-case hex digits after {algorithm}:")]
    Malformed {
        /// The text as it came, cut to a length that can be shown.
        text: String,
        /// The algorithm that it names.
        algorithm: Algorithm,
        /// How many hex digits that algorithm has.
        expected: usize,
    },
}

impl Algorithm {
    /// The number of hex digits of a value.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        })
    }
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Which hash function the value was made with.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// The hex digits after the colon.
    pub fn encoded(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, encoded)| encoded)
    }

    /// The whole text, `algorithm:encoded`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hex digits: for people, never for look-ups.
    pub fn short(&self) -> &str {
        &self.encoded()[..12]
    }

    /// Whether `bytes` hash to this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.algorithm());
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.chars().take(160).collect::<String>();
        let (algorithm, encoded) = text.split_once(':').ok_or_else(|| DigestError::NoAlgorithm(shown()))?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            other => {
                return Err(DigestError::UnsupportedAlgorithm(other.chars().take(40).collect()));
            }
        };
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        // Every byte is looked at, many at a time: most digests are legal, and gates read several a request.
        let all_hex = || encoded.bytes().fold(true, |legal, byte| legal & lower_hex(byte));
        if encoded.len() != algorithm.hex_len() || !all_hex() {
            return Err(DigestError::Malformed { text: shown(), algorithm, expected: algorithm.hex_len() });
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0.as_ref().to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes a stream piece by piece into a [`Digest`].
#[derive(Clone)]
pub enum Hasher {
    /// A running SHA-256.
    Sha256(Sha256),
    /// A running SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// An empty hash of the given kind.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Adds the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of everything that was added.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest(format!("sha256:{}", hex::encode(hasher.finalize())).into()),
            Self::Sha512(hasher) => Digest(format!("sha512:{}", hex::encode(hasher.finalize())).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn only_canonical_digests_parse() {
        for (text, accepted) in [
            (format!("sha256:{HEX}"), true),
            (format!("sha512:{HEX}{HEX}"), true),
            (format!("SHA256:{HEX}"), false),
            (format!("sha256:{}", HEX.to_uppercase()), false),
            (format!("sha256:{}", &HEX[1..]), false),
            (format!("sha512:{HEX}"), false),
            (format!("blake3:{HEX}"), false),
            (format!("sha256:{HEX} "), false),
            (HEX.to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<Digest>().is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn a_digest_knows_its_content() {
        let digest = Digest::of(b"{}");
        assert_eq!(digest.as_str(), format!("sha256:{HEX}"));
        assert!(digest.matches(b"{}"));
        assert!(!digest.matches(b"{ }"));
    }
}
