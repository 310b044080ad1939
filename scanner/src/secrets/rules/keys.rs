//! Private keys.

use shared::model::report::Severity::{High, Low};

use super::super::check::Check;
use super::super::rule::Rule;
use super::token;

/// A key in PEM, also inside of a string with `\n` for its lines (RFC 7468, openssh's PROTOCOL.key).
const PEM: &str = r"(-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----[\sA-Za-z0-9+/=,:.\\n-]{60,}?-----END (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----)";

pub(super) const RULES: &[Rule<'static>] = &[
    token("TW-SEC-PRIVATE-KEY", "A private key", High, &["PRIVATE KEY-----"], PEM).around(30, 16_000).checked(Check::OpenKey),
    token("TW-SEC-PROTECTED-KEY", "A private key that a passphrase protects", Low, &["PRIVATE KEY-----"], PEM).around(30, 16_000).checked(Check::ProtectedKey),
    token("TW-SEC-PGP-KEY", "A private PGP key", High, &["PGP PRIVATE KEY BLOCK-----"], r"(-----BEGIN PGP PRIVATE KEY BLOCK-----[\sA-Za-z0-9+/=,:.-]{100,}?-----END PGP PRIVATE KEY BLOCK-----)").around(30, 16_000),
    token("TW-SEC-PUTTY-KEY", "A private key of PuTTY", High, &["PuTTY-User-Key-File-"], r"(?s)(PuTTY-User-Key-File-[23]: .{20,}?Private-Lines: [0-9]+[\r\n]+[A-Za-z0-9+/=\r\n]{40,})").up_to(13000),
    token("TW-SEC-JWK", "A private key as JSON web key", High, &["\"kty\""], r#"(?s)"kty"\s*:\s*"(?:RSA|EC|OKP)"[^{}]*?"d"\s*:\s*"([A-Za-z0-9_-]{30,})""#).up_to(6000).in_texts(),
];
