//! TLS with an authority of our own, as companies have them.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::server::free_port;
use super::*;

/// An authority, and its certificate for a server at 127.0.0.1.
fn certify(directory: &Path) {
    let request = "req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let authority = "-subj /CN=authority -keyout authority-key.pem -out authority.pem";
    let server = "-subj /CN=redis -keyout key.pem -out certificate.pem \
        -CA authority.pem -CAkey authority-key.pem \
        -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    for what in [authority, server] {
        let made = Command::new("openssl")
            .args(request.split_whitespace().chain(what.split_whitespace()))
            .current_dir(directory)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

async fn secured() -> (Server, u16, Vec<u8>) {
    let directory: TempDir = tempfile::tempdir().unwrap();
    certify(directory.path());
    let authority = std::fs::read(directory.path().join("authority.pem")).unwrap();
    let port = free_port();
    let tls_port = port.to_string();
    let options = [
        ["--tls-port", &tls_port],
        ["--tls-cert-file", "certificate.pem"],
        ["--tls-key-file", "key.pem"],
        ["--tls-ca-cert-file", "authority.pem"],
        ["--tls-auth-clients", "no"],
    ];
    let server = Server::start_in(directory, free_port(), options.as_flattened()).await;
    (server, port, authority)
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named_and_only_then() {
    let (server, port, authority) = secured().await;
    let mut config = config(&format!("rediss://127.0.0.1:{port}"));
    config.timeout = Duration::from_millis(1500);
    let distrusted = RedisStore::connect(config.clone()).await.map(drop);
    assert!(matches!(distrusted, Err(StoreError::Unavailable { .. })), "{distrusted:?}");

    config.ca_certificates = Some(authority);
    let (one, other) = (connect(&config).await, connect(&config).await);
    let digest = fresh_digest();
    let mut watch = one.watch(&digest).await.unwrap();
    know(&*other, &digest, &["default"]).await;
    let heard = timeout(LONG, async {
        while known(&*one, &digest, "default").await == Lookup::Unknown {
            watch.changed(Duration::from_secs(3600)).await;
        }
    });
    heard.await.unwrap();

    config.url = SecretString::from(server.url());
    let contradiction = RedisStore::connect(config).await.map(drop);
    assert!(matches!(contradiction, Err(StoreError::Unusable { .. })), "{contradiction:?}");
}
