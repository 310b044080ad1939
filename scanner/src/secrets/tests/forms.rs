//! What a kind of secret looks like besides its sample in [`samples`](super::samples): every prefix, order and notation
//! that its issuer or its users write, and what is close to it and none.

use super::rules;
use super::samples::{WORD, der, noise as n, pem};

const FILE: &str = "app/file.txt";

/// The text gives away exactly what these rules find, in the order in which they are asked.
fn check(path: &str, text: &str, expected: &[&str]) {
    assert_eq!(rules(path, text.as_bytes()), expected, "{path}: {text}");
}

#[test]
fn private_keys_of_every_notation() {
    let pgp = |headers: &str| {
        let block = ["-----BEGIN PGP PRIV", "ATE KEY BLOCK-----"].concat();
        format!("{block}\n{headers}\n{}\n=Ab1c\n{}\n", n(400, WORD), block.replace("BEGIN", "END"))
    };
    let putty = |encryption: &str| {
        format!(
            "PuTTY-User-{}: ssh-rsa\r\nEncryption: {encryption}\r\nComment: me\r\nPrivate-Lines: 1\r\n{}\r\n",
            "Key-File-3",
            n(60, WORD)
        )
    };
    let d = n(43, WORD);
    for (text, expected) in [
        (pgp(""), &["TW-SEC-PGP-KEY"][..]),
        (pgp("Version: GnuPG v2.0.22 (GNU/Linux)\n"), &["TW-SEC-PGP-KEY"]),
        (pgp("Version: Keybase OpenPGP v2\nComment: <https://keybase.io/crypto>\n"), &["TW-SEC-PGP-KEY"]),
        (pgp("Version: GnuPG v1 (Darwin)\n").replace('\n', "\\n"), &["TW-SEC-PGP-KEY"]),
        (pgp("print('this is code, and no key')\n"), &[]),
        (putty("none"), &["TW-SEC-PUTTY-KEY"]),
        (putty("aes256-cbc"), &["TW-SEC-PROTECTED-KEY"]),
        (format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"{d}\"}}"), &["TW-SEC-JWK"]),
        (format!("{{\"alg\":\"ES256\",\"d\":\"{d}\",\"kty\":\"EC\"}}"), &["TW-SEC-JWK"]),
        (format!("{{\n  \"d\": \"{d}\",\n  \"e\": \"AQAB\",\n  \"kty\": \"RSA\"\n}}"), &["TW-SEC-JWK"]),
        (format!("{{\"d\": \"{d}\"}}, {{\"kty\": \"RSA\"}}"), &[]),
        (pem("EC ", &der()).replace('\n', "\\n"), &["TW-SEC-PRIVATE-KEY"]),
    ] {
        check(FILE, &text, expected);
    }
}
