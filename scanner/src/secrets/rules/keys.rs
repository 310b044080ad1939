//! Private keys.

use shared::model::report::Severity::{High, Low};

use super::super::check::Check;
use super::super::rule::Rule;
use super::token;

/// A key in PEM, also inside of a string with `\n` for its lines (RFC 7468, openssh's PROTOCOL.key).
const PEM: &str = r"(-----BEGIN (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----[\sA-Za-z0-9+/=,:.\\n-]{60,}?-----END (?:RSA |EC |DSA |OPENSSH |ENCRYPTED )?PRIVATE KEY-----)";

/// A private PGP key, also inside of a string. What its headers say is free text (RFC 4880, 6.2), as in
/// `Version: GnuPG v2 (GNU/Linux)`.
const PGP: &str = r"(-----BEGIN PGP PRIVATE KEY BLOCK-----(?:(?:\s|\\[nr])+(?:Version|Comment|MessageID|Hash|Charset):[^\r\n\\]{0,200})*[\sA-Za-z0-9+/=,:.\\-]{100,}?-----END PGP PRIVATE KEY BLOCK-----)";

pub(super) const RULES: &[Rule<'static>] = &[
    token("TW-SEC-PRIVATE-KEY", "A private key", High, &["PRIVATE KEY-----"], PEM).around(30, 16_000).checked(Check::OpenKey),
    token("TW-SEC-PROTECTED-KEY", "A private key that a passphrase protects", Low, &["PRIVATE KEY-----"], PEM).around(30, 16_000).checked(Check::ProtectedKey),
    token("TW-SEC-PGP-KEY", "A private PGP key", High, &["PGP PRIVATE KEY BLOCK-----"], PGP).around(30, 16_000).checked(Check::PgpKey),
    token("TW-SEC-PUTTY-KEY", "A private key of PuTTY", High, &["PuTTY-User-Key-File-"],
        r"(?s)(PuTTY-User-Key-File-[23]: [^\r\n]{1,60}[\r\n]+Encryption: none.+?Private-Lines: [0-9]+[\r\n]+[A-Za-z0-9+/=\r\n]{40,})").up_to(13000),
    token("TW-SEC-PROTECTED-KEY", "A private key that a passphrase protects", Low, &["PuTTY-User-Key-File-"],
        r"(?s)(PuTTY-User-Key-File-[23]: [^\r\n]{1,60}[\r\n]+Encryption: aes.+?Private-Lines: [0-9]+[\r\n]+[A-Za-z0-9+/=\r\n]{40,})").up_to(13000),
    // Members of an object may stand in any order, and who sorts them puts `d` first.
    token("TW-SEC-JWK", "A private key as JSON web key", High, &["\"kty\""], r#""kty"\s*:\s*"(?:RSA|EC|OKP)"[^{}]*?"d"\s*:\s*"([A-Za-z0-9_-]{30,})""#).up_to(6000).in_texts(),
    token("TW-SEC-JWK", "A private key as JSON web key", High, &["\"d\":\"", "\"d\": \""], r#""d": ?"([A-Za-z0-9_-]{30,})"[^{}]*?"kty"\s*:\s*"(?:RSA|EC|OKP)""#).up_to(6000).in_texts(),
];
