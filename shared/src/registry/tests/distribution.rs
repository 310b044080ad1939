//! The client against CNCF Distribution, the registry that most others are made of.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tempfile::TempDir;

use super::super::{Access, Credentials, RegistryClient, RegistryConfig, RegistryError, Transport};
use super::{blob_of, client, config, read, told};
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, Document, IMAGE_CONFIG_TYPES, MANIFEST_TYPES};
use crate::model::image::{ImageName, RegistryHost};

/// `bob:s3cret`, bcrypt with its lowest cost.
const HTPASSWD: &str = "bob:$2b$04$4sZyo8zLFik8o0WP2VsMbOtjCpiqZUAqZWvGvR88LMSZCRSytsvyC\n";

/// A registry process of its own, with its own port and its own storage.
pub(super) struct Distribution {
    process: Child,
    pub(super) host: RegistryHost,
    directory: TempDir,
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whom the registry lets in, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    Password,
    PasswordAndTls,
}

impl Distribution {
    /// Starts one and waits until it answers. Somebody may take the port in between; then another is tried.
    pub(super) fn start(door: Door) -> Self {
        (0..5).find_map(|_| Self::try_start(door)).expect("docker-registry must be installed and start")
    }

    fn try_start(door: Door) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let mut text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp:\n  addr: {address}\n",
            file("storage")
        );
        if door == Door::PasswordAndTls {
            make_certificate(directory.path());
            text.push_str(&format!(
                "  tls: {{certificate: {}, key: {}}}\n",
                file("cert.pem"),
                file("key.pem")
            ));
        }
        if door != Door::Open {
            std::fs::write(file("htpasswd"), HTPASSWD).unwrap();
            text.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file("htpasswd")));
        }
        std::fs::write(file("config.yml"), text).unwrap();
        drop(free);
        let process = Command::new("docker-registry")
            .args(["serve", &file("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry must be installed");
        let mut registry = Self { process, host: address.to_string().parse().unwrap(), directory };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && registry.process.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(address).is_ok() {
                return Some(registry);
            }
            std::thread::yield_now();
        }
        None
    }

    pub(super) fn image(&self) -> ImageName {
        super::image(&self.host)
    }

    /// Pushes one layer, a config and a manifest under the tag `v1`; gives the manifest's bytes.
    pub(super) async fn push(&self, base: &str, http: &reqwest::Client, layer: &[u8]) -> Vec<u8> {
        for blob in [layer, b"{}"] {
            let begun = http.post(format!("{base}/v2/team/app/blobs/uploads/"));
            let begun = begun.basic_auth("bob", Some("s3cret")).send().await.unwrap();
            let location = begun.headers()["location"].to_str().unwrap();
            let mut url = begun.url().join(location).unwrap();
            url.query_pairs_mut().append_pair("digest", Digest::of(blob).as_str());
            let put = http.put(url).basic_auth("bob", Some("s3cret")).body(blob.to_vec());
            assert_eq!(put.send().await.unwrap().status(), 201);
        }
        let described =
            |bytes: &[u8], kind: &str| Descriptor { media_type: kind.to_owned(), ..blob_of(bytes) };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPES[0],
            "config": described(b"{}", IMAGE_CONFIG_TYPES[0]),
            "layers": [blob_of(layer)],
        });
        let bytes = manifest.to_string().into_bytes();
        let put = http
            .put(format!("{base}/v2/team/app/manifests/v1"))
            .basic_auth("bob", Some("s3cret"))
            .header("content-type", MANIFEST_TYPES[0])
            .body(bytes.clone());
        assert_eq!(put.send().await.unwrap().status(), 201);
        bytes
    }
}

fn make_certificate(directory: &Path) {
    let made = Command::new("openssl")
        .current_dir(directory)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl must be installed").success());
}

/// Pulls everything that was pushed, by every way there is.
async fn pull_all(client: &RegistryClient, name: &ImageName, manifest: &[u8], layer: &[u8]) {
    let digest = client.resolve(name, &"v1".parse().unwrap()).await.unwrap();
    assert_eq!(digest, Digest::of(manifest));
    let raw = client.raw_document(name, &digest).await.unwrap();
    assert_eq!((raw.bytes.as_slice(), raw.content_type.as_deref()), (manifest, Some(MANIFEST_TYPES[0])));
    let Document::Manifest(parsed) = client.document(name, &digest).await.unwrap() else {
        panic!("a manifest was taken for an index");
    };
    assert_eq!(client.small_blob(name, &parsed.config, 100).await.unwrap(), b"{}");
    assert!(read(client, name, &parsed.layers[0]).await.unwrap() == layer);
}

#[tokio::test]
async fn an_image_is_pulled_from_an_open_registry() {
    let registry = Distribution::start(Door::Open);
    let client = client(config(registry.host.as_str()));
    assert_eq!(client.check(&registry.host).await.unwrap(), Access::Open);
    let layer: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let base = format!("http://{}", registry.host);
    let manifest = registry.push(&base, &reqwest::Client::new(), &layer).await;
    pull_all(&client, &registry.image(), &manifest, &layer).await;

    let missing = client.resolve(&registry.image(), &"v2".parse().unwrap()).await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing:?}");
    let missing = client.document(&registry.image(), &Digest::of(b"x")).await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing:?}");
    let missing = read(&client, &registry.image(), &blob_of(b"x")).await.unwrap_err();
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing:?}");
}

#[tokio::test]
async fn an_image_is_pulled_with_a_password_over_tls() {
    let registry = Distribution::start(Door::PasswordAndTls);
    let certificate = registry.directory.path().join("cert.pem");
    let mut config = RegistryConfig::new(registry.host.clone());
    config.timeouts.backoff = Duration::from_millis(1);

    let untrusted = client(config.clone()).check(&registry.host).await.unwrap_err();
    assert!(told(&untrusted).to_lowercase().contains("certificate"), "{}", told(&untrusted));

    config.ca_certificates = vec![certificate.clone()];
    let nobody = client(config.clone()).check(&registry.host).await.unwrap_err();
    assert!(matches!(nobody, RegistryError::Unauthorized { .. }), "{nobody:?}");
    config.credentials = login("wrong".into());
    let wrong = client(config.clone()).check(&registry.host).await.unwrap_err();
    assert!(told(&wrong).contains("user \"bob\""), "{}", told(&wrong));

    config.credentials = login("s3cret".into());
    let client = client(config);
    let pem = std::fs::read(certificate).unwrap();
    let pusher = reqwest::Client::builder()
        .tls_certs_merge([reqwest::Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap();
    let base = format!("https://{}", registry.host);
    let manifest = registry.push(&base, &pusher, b"layer").await;
    pull_all(&client, &registry.image(), &manifest, b"layer").await;
    let access = client.check(&registry.host).await.unwrap();
    assert_eq!(access, Access::LoggedIn("user \"bob\"".to_owned()));
}

fn login(password: SecretString) -> Credentials {
    Credentials::Basic { username: "bob".to_owned(), password }
}

#[tokio::test]
async fn a_registry_is_known_by_one_name_and_reached_by_another() {
    let registry = Distribution::start(Door::Password);
    let mut config = RegistryConfig::new("registry.internal.example".parse().unwrap());
    config.transport = Transport::PlainHttp;
    config.endpoint = Some(registry.host.clone());
    config.credentials = login("s3cret".into());
    let base = format!("http://{}", registry.host);
    let client = client(config);
    let manifest = registry.push(&base, &reqwest::Client::new(), b"layer").await;
    let name = "registry.internal.example/team/app".parse().unwrap();
    pull_all(&client, &name, &manifest, b"layer").await;
}
