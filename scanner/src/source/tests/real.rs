//! One image by every way: as skopeo converts it, and through CNCF Distribution.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use shared::model::digest::Digest;
use shared::registry::{RegistryClient, RegistryConfig, RegistryError, Transport};

use super::super::SourceError;
use super::{gzip, layer, pull, write_layout};

fn skopeo_copy(from: &str, to: &str) {
    let done = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", from, to])
        .output()
        .expect("skopeo must be installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// An open registry with its own port and storage.
struct Registry {
    process: Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    fn start(directory: &Path) -> Self {
        (0..5).find_map(|_| Self::try_start(directory)).expect("docker-registry must start")
    }

    /// Somebody else may take the port before the registry does; then there is none.
    fn try_start(directory: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let config = directory.join("registry.yml");
        let storage = directory.join("storage");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        drop(free);
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry must be installed");
        let mut registry = Self { process, address: address.to_string() };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && registry.process.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(address).is_ok() {
                return Some(registry);
            }
            std::thread::yield_now();
        }
        None
    }

    fn client(&self) -> RegistryClient {
        let mut config = RegistryConfig::new(self.address.parse().unwrap());
        config.transport = Transport::PlainHttp;
        RegistryClient::new(vec![config]).unwrap()
    }
}

#[tokio::test]
async fn one_image_is_the_same_from_every_source() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    // The same layer twice: docker archives store it once and link to it.
    let layers = [layer("a", b"1"), layer("b", &[b'x'; 300_000]), layer("a", b"1")];
    let digest = write_layout(&directory.path().join("layout"), &layers);
    let registry = Registry::start(directory.path());
    let client = registry.client();

    let layout = format!("oci:{}:v1", at("layout"));
    let reference = format!("{}/team/app:v1", registry.address);
    let by_digest = format!("{}/team/app@{digest}", registry.address);
    let oci_archive = format!("oci-archive:{}:v1", at("oci.tar"));
    let docker_archive = format!("docker-archive:{}:team/app:v1", at("docker.tar"));
    skopeo_copy(&layout, &format!("docker://{reference}"));
    skopeo_copy(&layout, &oci_archive);
    skopeo_copy(&layout, &docker_archive);
    std::fs::write(at("docker.tar.gz"), gzip(&std::fs::read(at("docker.tar")).unwrap())).unwrap();
    let gzipped = format!("docker-archive:{}", at("docker.tar.gz"));

    for argument in [&layout, &reference, &by_digest, &oci_archive, &docker_archive, &gzipped] {
        let pulled = pull(argument, &client).await;
        let pulled = pulled.unwrap_or_else(|error| panic!("{argument}: {}", super::told(&error)));
        assert!(pulled.layers == layers, "{argument}");
        // A docker archive holds no manifest, so the one that is made for it has a digest of its own.
        assert_eq!(pulled.digest == digest, !argument.starts_with("docker-archive"), "{argument}");
    }
    let made = [pull(&docker_archive, &client).await, pull(&gzipped, &client).await];
    let made = made.map(|pulled| pulled.unwrap().digest);
    assert_eq!(made[0], made[1], "the digest of an archive depends on its content alone");
}

#[tokio::test]
async fn what_a_registry_refuses_keeps_its_meaning() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::start(directory.path());
    let client = registry.client();
    let missing = pull(&format!("{}/team/app:v1", registry.address), &client).await.err().unwrap();
    assert!(matches!(missing, SourceError::NotFound { .. }), "{missing:?}");
    let by_digest = format!("{}/team/app@{}", registry.address, Digest::of(b""));
    let missing = pull(&by_digest, &client).await.err().unwrap();
    assert!(matches!(missing, SourceError::NotFound { .. }), "{missing:?}");
    let foreign = pull("registry.invalid/team/app:v1", &client).await.err().unwrap();
    assert!(matches!(foreign, SourceError::Refused { .. }), "{foreign:?}");

    drop(registry);
    let gone = pull(&by_digest, &client).await.err().unwrap();
    let SourceError::Unavailable { source, .. } = &gone else {
        panic!("{gone:?}");
    };
    assert!(source.downcast_ref::<RegistryError>().is_some());
}
