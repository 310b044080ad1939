//! Keys as `openssl` makes them, and what is said about those that cannot be used.

use std::path::Path;
use std::process::Command;

use secrecy::{ExposeSecret, SecretString};

use super::super::dsse::pre_authentication_encoding;
use super::super::keys::{KeyError, PrivateKey, PublicKey};

/// Runs `openssl` in `folder`; fails the test if it fails.
fn openssl(folder: &Path, arguments: &str) -> String {
    let made = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
    let made = made.expect("openssl must be installed");
    assert!(made.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).into_owned()
}

fn private(folder: &Path, file: &str) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_pem(&SecretString::from(std::fs::read_to_string(folder.join(file)).unwrap()))
}

const MAKE: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.key";

#[test]
fn openssl_verifies_what_we_sign_with_the_key_that_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    openssl(path, MAKE);
    openssl(path, "pkey -in signing.key -pubout -out signing.pub");
    let key = private(path, "signing.key").unwrap();
    let public = std::fs::read_to_string(path.join("signing.pub")).unwrap();
    assert_eq!(*key.public(), PublicKey::from_pem(&public).unwrap());
    assert_eq!(key.public().to_pem(), public);

    let message = pre_authentication_encoding("application/vnd.in-toto+json", b"{\"a\":1}");
    std::fs::write(path.join("message"), &message).unwrap();
    std::fs::write(path.join("signature"), key.sign(&message).bytes).unwrap();
    openssl(path, "dgst -sha256 -verify signing.pub -signature signature message");

    openssl(path, "pkey -pubin -in signing.pub -outform DER -out signing.der");
    let der = std::fs::read(path.join("signing.der")).unwrap();
    assert_eq!(key.public().id(), crate::model::digest::Digest::of(&der).encoded());
}

#[test]
fn openssl_reads_the_key_that_we_made() {
    let folder = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate().unwrap();
    std::fs::write(folder.path().join("own.key"), key.to_pem().expose_secret()).unwrap();
    assert_eq!(openssl(folder.path(), "pkey -in own.key -pubout"), key.public().to_pem());
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_the_command_that_repairs_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    openssl(path, MAKE);
    openssl(path, "pkcs8 -topk8 -in signing.key -passout pass:x -out encrypted.key");
    openssl(path, "ecparam -name prime256v1 -genkey -noout -out sec1.key");
    openssl(path, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key");
    std::fs::write(path.join("cosign.key"), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n").unwrap();
    std::fs::write(path.join("empty.key"), "").unwrap();
    for (file, expected, command) in [
        ("encrypted.key", KeyError::Encrypted, "openssl pkcs8 -in"),
        ("sec1.key", KeyError::Sec1, "openssl pkcs8 -topk8 -nocrypt"),
        ("cosign.key", KeyError::CosignEncrypted, "openssl genpkey"),
        ("p384.key", KeyError::Unusable("private key (PKCS#8)"), "P-256"),
        ("empty.key", KeyError::Unusable("private key (PKCS#8)"), "P-256"),
    ] {
        let error = private(path, file).expect_err(file);
        assert_eq!(error, expected, "{file}");
        let told = error.about(Path::new(file));
        assert!(told.contains(command) && told.starts_with(file) && !told.contains("{file}"), "{told}");
    }
    // The commands do what they promise.
    openssl(path, "pkcs8 -in encrypted.key -passin pass:x -out decrypted.key");
    openssl(path, "pkcs8 -topk8 -nocrypt -in sec1.key -out converted.key");
    private(path, "decrypted.key").unwrap();
    private(path, "converted.key").unwrap();
    let private_half = std::fs::read_to_string(path.join("signing.key")).unwrap();
    assert_eq!(PublicKey::from_pem(&private_half), Err(KeyError::Private));
}
