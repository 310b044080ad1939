//! What a match must be besides its form: checksums that tokens carry, structure, enough disorder.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::published::is_published;

/// The further test of a match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Check {
    /// The form is enough.
    None,
    /// GitHub and npm: the last six characters are the CRC-32 of what stands between the first `_` and them, in base 62.
    Crc32Base62,
    /// At least so many bits of Shannon entropy a character.
    Entropy(f64),
    /// As the last, and nothing that could be the name of something in code.
    NoIdentifier(f64),
    /// As [`Check::Entropy`], with capitals, small letters and digits, which checksums in hex and paths are not made of.
    Mixed(f64),
    /// As [`Check::Entropy`], of Django's keys: one that it made for a project to begin with says so.
    DjangoKey(f64),
    /// As [`Check::Entropy`], and none of those that everybody tries first.
    Password(f64),
    /// One of those.
    CommonPassword,
    /// A JSON web token whose header names an algorithm, and that may be valid still.
    Jwt,
    /// One that says that it is not.
    ExpiredJwt,
    /// As [`Check::Jwt`], made by Kubernetes for a service account.
    ServiceAccountJwt,
    /// A private key in PEM whose body decodes, and that no passphrase protects.
    OpenKey,
    /// A private key in PEM that a passphrase protects.
    ProtectedKey,
    /// A private PGP key in armour.
    PgpKey,
    /// `user:password` in base64.
    BasicAuth,
    /// Settings of Docker in base64, with a login in them.
    DockerConfig,
}

/// Passwords that software comes with and people begin with; compared in lower case.
const COMMON_PASSWORDS: &[&str] = &[
    "1234",
    "12345",
    "123456",
    "12345678",
    "admin",
    "changeit",
    "demo",
    "guest",
    "letmein",
    "mariadb",
    "masterkey",
    "mongo",
    "mongodb",
    "mysql",
    "opensesame",
    "p4ssw0rd",
    "passw0rd",
    "password1",
    "password2",
    "password3",
    "postgres",
    "postgresql",
    "qwerty",
    "rabbitmq",
    "redis",
    "root",
    "test",
    "toor",
];

impl Check {
    /// Whether the match is what it looks like.
    pub(super) fn holds(self, secret: &[u8]) -> bool {
        match self {
            Self::None => true,
            Self::Crc32Base62 => crc32_base62(secret),
            Self::Entropy(least) => entropy(secret) >= least,
            Self::NoIdentifier(least) => {
                let is_of_no_name = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'/' | b'=');
                secret.iter().any(is_of_no_name) && entropy(secret) >= least
            }
            Self::Mixed(least) => {
                let kinds = [u8::is_ascii_uppercase, u8::is_ascii_lowercase, u8::is_ascii_digit];
                kinds.iter().all(|kind| secret.iter().any(kind)) && entropy(secret) >= least
            }
            Self::DjangoKey(least) => !secret.starts_with(b"django-insecure-") && entropy(secret) >= least,
            Self::Password(least) => !is_common(secret) && entropy(secret) >= least,
            Self::CommonPassword => is_common(secret),
            Self::Jwt => Jwt::of(secret) == Some(Jwt::Open),
            Self::ExpiredJwt => Jwt::of(secret) == Some(Jwt::Expired),
            Self::ServiceAccountJwt => Jwt::of(secret) == Some(Jwt::ServiceAccount),
            Self::OpenKey => Key::of(secret) == Some(Key::Open),
            Self::ProtectedKey => Key::of(secret) == Some(Key::Protected),
            Self::PgpKey => !Armoured::of(secret).is_some_and(|key| is_published(&key.content)),
            Self::BasicAuth => is_basic_auth(secret),
            Self::DockerConfig => {
                decoded(secret).is_ok_and(|text| memchr::memmem::find(&text, b"\"auth\"").is_some())
            }
        }
    }
}

/// Shannon's entropy in bits a byte.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let length = text.len().max(1) as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

fn is_common(password: &[u8]) -> bool {
    COMMON_PASSWORDS.iter().any(|common| password.eq_ignore_ascii_case(common.as_bytes()))
}

fn crc32_base62(token: &[u8]) -> bool {
    let Some(underscore) = token.iter().position(|byte| *byte == b'_') else { return false };
    let Some(split) = token.len().checked_sub(6).filter(|split| *split > underscore) else { return false };
    let mut crc = flate2::Crc::new();
    crc.update(&token[underscore + 1..split]);
    base62(crc.sum()) == token[split..]
}

/// Six digits in the order of GitHub's alphabet, padded with zeros.
pub(super) fn base62(mut number: u32) -> [u8; 6] {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// What a JSON web token is.
#[derive(Debug, PartialEq, Eq)]
enum Jwt {
    Open,
    Expired,
    ServiceAccount,
}

impl Jwt {
    /// 2026-01-01, in seconds. A file has the same secrets whenever it is read, so nobody asks what day it is; but what
    /// ended before this line was written is over.
    const LONG_AGO: f64 = 1_767_225_600.0;

    /// `None` if it is none, or is not signed and gives nobody access.
    fn of(token: &[u8]) -> Option<Self> {
        let mut parts = token.split(|byte| *byte == b'.');
        let mut next = || {
            let part = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&part).ok()
        };
        let (header, claims) = (next()?, next()?);
        if header.get("alg")?.as_str()?.eq_ignore_ascii_case("none") {
            return None;
        }
        let ends = claims.get("exp").and_then(serde_json::Value::as_f64);
        if ends.is_some_and(|ends| ends < Self::LONG_AGO) {
            return Some(Self::Expired);
        }
        // `kubernetes.io` in those of a pod, `kubernetes.io/serviceaccount/…` in those that never end.
        let is_of_kubernetes = claims.keys().any(|name| name.split('/').next() == Some("kubernetes.io"));
        Some(if is_of_kubernetes { Self::ServiceAccount } else { Self::Open })
    }
}

/// What a text in base64 says, with or without padding.
fn decoded(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text))
}

fn is_basic_auth(text: &[u8]) -> bool {
    decoded(text).is_ok_and(|pair| match pair.iter().position(|byte| *byte == b':') {
        Some(colon) => colon > 0 && colon + 1 < pair.len() && pair.is_ascii(),
        None => false,
    })
}

/// What a private key in PEM is.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    Open,
    Protected,
}

impl Key {
    /// `None` if it is only an example of what one looks like, or one that everybody has.
    fn of(pem: &[u8]) -> Option<Self> {
        let Armoured { says_encrypted, content: decoded } = Armoured::of(pem)?;
        let mut protected = says_encrypted;
        // DER begins with SEQUENCE; what a passphrase protects is any bytes; OpenSSH has a magic of its own.
        if let Some(rest) = decoded.strip_prefix(b"openssh-key-v1\0") {
            protected |= !rest.starts_with(b"\0\0\0\x04none");
        } else if !protected && (decoded.first() != Some(&0x30) || decoded.len() < 40) {
            return None;
        }
        if is_published(&decoded) {
            return None;
        }
        Some(if protected { Self::Protected } else { Self::Open })
    }
}

/// What stands between the lines of dashes, in PEM (RFC 7468) and in PGP's armour (RFC 4880, 6.2), also inside of strings.
struct Armoured {
    /// Its first line or its headers say so.
    says_encrypted: bool,
    content: Vec<u8>,
}

impl Armoured {
    /// `None` if it does not decode.
    fn of(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.replace("\\n", "\n").replace("\\r", "");
        let mut lines = text.lines().map(str::trim);
        let mut says_encrypted = lines.next()?.contains("ENCRYPTED");
        let mut body = String::new();
        for line in lines.take_while(|line| !line.starts_with("-----END")) {
            if let Some((name, value)) = line.split_once(':') {
                says_encrypted |= name == "Proc-Type" && value.contains("ENCRYPTED");
            } else if !line.starts_with('=') {
                body.push_str(line.trim_matches(['"', '\'', ',', '\\', ' ']));
            }
        }
        Some(Self { says_encrypted, content: decoded(body.as_bytes()).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_counts_disorder() {
        assert_eq!(entropy(b""), 0.0);
        assert_eq!(entropy(b"aaaaaaaa"), 0.0);
        assert_eq!(entropy(b"abcdefgh"), 3.0);
    }

    #[test]
    fn the_checksum_of_a_token_is_read() {
        let body = "x".repeat(10) + &"Q7".repeat(10);
        let mut crc = flate2::Crc::new();
        crc.update(body.as_bytes());
        let sum = String::from_utf8(base62(crc.sum()).to_vec()).unwrap();
        assert!(Check::Crc32Base62.holds(format!("abc_{body}{sum}").as_bytes()));
        assert!(!Check::Crc32Base62.holds(format!("abc_{body}000000").as_bytes()));
        assert!(!Check::Crc32Base62.holds(b"short"));
    }
}
