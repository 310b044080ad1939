//! A running Tidewaiter with everything around it, and the ways in which users meet it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::StatusCode;
use serde_json::Value;
use shared::model::digest::Digest;
use tempfile::TempDir;

use crate::image::{Image, Layout};
use crate::process::{Process, free_port, wait_until};
use crate::servers::{Registry, amqp_url, redis_url};

/// The secret that the registry shows.
pub const WEBHOOK_TOKEN: &str = "webhook-token-of-the-tests";

/// One Tidewaiter, its registry, and its folder.
pub struct Site {
    /// `serve`, or the api.
    pub front: Process,
    /// Worker processes, if they are apart.
    pub workers: Vec<Process>,
    /// Where images are pushed.
    pub registry: Registry,
    /// Everything that they write; fields go in this order, and logs are read until the processes are gone.
    pub folder: TempDir,
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    http: reqwest::Client,
    layouts: std::cell::Cell<u32>,
}

/// The binary under test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TIDEWAITER_BIN") {
        return path.into();
    }
    // target/<profile>/deps/e2e-… → target/<profile>/tidewaiter
    let test = std::env::current_exe().expect("a running test has a path");
    let profile =
        test.parent().and_then(Path::parent).expect("tests live two levels below the target folder");
    profile.join("tidewaiter")
}

/// The repository's own advisories.
pub fn advisories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../advisories")
}

impl Site {
    /// `tidewaiter serve` on its embedded default.
    pub async fn embedded() -> Result<Self> {
        Self::embedded_with("").await
    }

    /// The same with further configuration.
    pub async fn embedded_with(extra: &str) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let url = format!("http://127.0.0.1:{port}");
        let registry =
            Registry::start(folder.path(), &format!("{url}/webhooks/distribution"), WEBHOOK_TOKEN)?;
        configure(folder.path(), port, &registry, extra)?;
        let front = tidewaiter("serve", "serve", folder.path())?;
        Self::ready(folder, registry, front, Vec::new(), url).await
    }

    /// The same beside a registry that announces nothing.
    pub async fn unannounced(extra: &str) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let registry = Registry::start_silent(folder.path())?;
        configure(folder.path(), port, &registry, extra)?;
        let front = tidewaiter("serve", "serve", folder.path())?;
        Self::ready(folder, registry, front, Vec::new(), format!("http://127.0.0.1:{port}")).await
    }

    /// An api and so many workers on RabbitMQ and Redis.
    pub async fn distributed(workers: usize) -> Result<Self> {
        Self::distributed_on(workers, &amqp_url()?, "").await
    }

    /// The same on a broker of one's own, with further configuration.
    pub async fn distributed_on(workers: usize, amqp: &str, extra: &str) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let webhook = format!("http://127.0.0.1:{port}/webhooks/distribution");
        let registry = Registry::start(folder.path(), &webhook, WEBHOOK_TOKEN)?;
        Self::distributed_beside(registry, folder, port, workers, (amqp, &redis_url()?), extra).await
    }

    /// An api and so many workers on the shared broker, and on a Redis of one's own, with further configuration.
    pub async fn distributed_over(redis: &str, workers: usize, extra: &str) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let webhook = format!("http://127.0.0.1:{port}/webhooks/distribution");
        let registry = Registry::start(folder.path(), &webhook, WEBHOOK_TOKEN)?;
        Self::distributed_beside(registry, folder, port, workers, (&amqp_url()?, redis), extra).await
    }

    /// An api and so many workers on servers of one's own, beside a registry that announces nothing.
    pub async fn distributed_between(workers: usize, amqp: &str, redis: &str, extra: &str) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let registry = Registry::start_silent(folder.path())?;
        Self::distributed_beside(registry, folder, port, workers, (amqp, redis), extra).await
    }

    /// An api and so many workers beside a registry that announces nothing.
    pub async fn distributed_unannounced(workers: usize, extra: &str) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let registry = Registry::start_silent(folder.path())?;
        let servers = (amqp_url()?, redis_url()?);
        Self::distributed_beside(registry, folder, port, workers, (&servers.0, &servers.1), extra).await
    }

    async fn distributed_beside(
        registry: Registry,
        folder: TempDir,
        port: u16,
        workers: usize,
        (amqp, redis): (&str, &str),
        extra: &str,
    ) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        // The registry's port is free by definition, so it names this site on shared servers.
        let prefix = format!("test-{}-{}", std::process::id(), registry.port);
        let servers = format!(
            "[queue]\nurl = \"{amqp}\"\nprefix = \"{prefix}\"\nretry_after = [\"200ms\", \"1s\"]\n[store]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n"
        );
        // What is said about the registry comes first: its section is the open one.
        let (about_registry, rest) = match extra.find('[') {
            Some(section) => extra.split_at(section),
            None => (extra, ""),
        };
        let (rest, about_queue) = lifted(rest, "[queue]\n");
        let servers = servers.replacen("[queue]\n", &format!("[queue]\n{about_queue}"), 1);
        configure(folder.path(), port, &registry, &format!("{about_registry}{servers}{rest}"))?;
        let front = tidewaiter("api", "api", folder.path())?;
        let workers = (0..workers)
            .map(|number| tidewaiter("worker", &format!("worker-{number}"), folder.path()))
            .collect::<Result<Vec<_>>>()?;
        Self::ready(folder, registry, front, workers, url).await
    }

    async fn ready(
        folder: TempDir,
        registry: Registry,
        front: Process,
        workers: Vec<Process>,
        url: String,
    ) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().expect("nobody installed one before");
        });
        let http =
            reqwest::Client::builder().timeout(Duration::from_secs(90)).pool_max_idle_per_host(0).build()?;
        let mut site = Self { front, workers, registry, folder, url, http, layouts: 0.into() };
        site.wait_ready().await?;
        Ok(site)
    }

    /// Waits until `/readyz` says so.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for _ in 0..1500 {
            if let Ok(answer) = self.http.get(format!("{}/readyz", self.url)).send().await
                && answer.status() == StatusCode::OK
            {
                return Ok(());
            }
            if !self.front.is_running() {
                bail!("tidewaiter ended:\n{}", self.front.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("tidewaiter is not ready:\n{}", self.front.log())
    }

    /// Starts the front process again after it was killed.
    pub async fn restart_front(&mut self, role: &str) -> Result<()> {
        self.front = tidewaiter(role, role, self.folder.path())?;
        self.wait_ready().await
    }

    /// Starts one more worker.
    pub fn add_worker(&mut self) -> Result<()> {
        let name = format!("worker-{}", self.workers.len());
        self.workers.push(tidewaiter("worker", &name, self.folder.path())?);
        Ok(())
    }

    /// Starts a worker again after it was killed; its log goes on.
    pub fn restart_worker(&mut self, number: usize) -> Result<()> {
        self.workers[number] = tidewaiter("worker", &format!("worker-{number}"), self.folder.path())?;
        Ok(())
    }

    /// What all names of this site begin with, on the broker and in Redis.
    pub fn prefix(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.folder.path().join("tidewaiter.toml"))?;
        let line =
            text.lines().find_map(|line| line.strip_prefix("prefix = ")).context("there is a prefix")?;
        Ok(line.trim_matches('"').to_owned())
    }

    /// The port of the front.
    pub fn port(&self) -> Result<u16> {
        Ok(self.url.rsplit(':').next().context("the address has a port")?.parse()?)
    }

    /// A fresh layout to build images in.
    pub fn layout(&self) -> Result<Layout> {
        let number = self.layouts.replace(self.layouts.get() + 1);
        Layout::new(&self.folder.path().join(format!("layout-{number}")))
    }

    /// Builds an image and pushes it with skopeo; returns its digest.
    pub fn push(&self, image: &Image, repository: &str, tag: &str) -> Result<Digest> {
        let layout = self.layout()?;
        let descriptor = layout.image(image)?;
        self.push_layout(&layout, &descriptor, repository, tag)
    }

    /// Builds an index of images and pushes it whole with skopeo; returns its digest.
    pub fn push_index(&self, images: &[Image], repository: &str, tag: &str) -> Result<Digest> {
        let layout = self.layout()?;
        let descriptor = layout.index(images)?;
        self.push_layout(&layout, &descriptor, repository, tag)
    }

    /// Pushes what a layout holds with skopeo; returns its digest.
    pub fn push_layout(
        &self,
        layout: &Layout,
        descriptor: &Value,
        repository: &str,
        tag: &str,
    ) -> Result<Digest> {
        let digest = layout.tag(descriptor, tag)?;
        let from = format!("oci:{}:{tag}", layout.folder().display());
        let to = format!("docker://{}/{repository}:{tag}", self.registry.host());
        let pushed = Command::new("skopeo")
            .args(["copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false", &from, &to])
            .output()
            .context("skopeo is missing; run `make test`")?;
        if !pushed.status.success() {
            bail!("skopeo: {}", String::from_utf8_lossy(&pushed.stderr));
        }
        Ok(digest)
    }

    /// `registry/repository@digest`.
    pub fn name(&self, repository: &str, digest: &Digest) -> String {
        format!("{}/{repository}@{digest}", self.registry.host())
    }

    /// GET; status and JSON (`null` where the body is not JSON).
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        let status = answer.status();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    /// POST of a body with a content type, showing the webhook's secret.
    pub async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<(StatusCode, Value)> {
        self.post_as(&format!("Bearer {WEBHOOK_TOKEN}"), path, media_type, body).await
    }

    /// The same, with the whole answer.
    pub async fn send(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<reqwest::Response> {
        self.send_as(&format!("Bearer {WEBHOOK_TOKEN}"), path, media_type, body).await
    }

    /// POST with another `Authorization`.
    pub async fn post_as(
        &self,
        authorization: &str,
        path: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<(StatusCode, Value)> {
        let answer = self.send_as(authorization, path, media_type, body).await?;
        let status = answer.status();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    /// The same, with the whole answer.
    pub async fn send_as(
        &self,
        authorization: &str,
        path: &str,
        media_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.url));
        let request = request.header("content-type", media_type).header("authorization", authorization);
        Ok(request.body(body.into()).send().await?)
    }

    /// The verdict, waiting for it as a gate would.
    pub async fn verdict(&self, digest: &Digest) -> Result<Value> {
        for _ in 0..6 {
            let (status, body) = self.get(&format!("/v1/verdicts/{digest}?wait=20s")).await?;
            if status == StatusCode::OK {
                return Ok(body);
            }
        }
        let workers = self.workers.iter().map(|worker| format!("\na worker said:\n{}", worker.log()));
        let (front, workers) = (self.front.log(), workers.collect::<String>());
        bail!("no verdict about {digest} within two minutes; the front said:\n{front}{workers}")
    }

    /// The sum of a counter's samples whose labels contain `label`.
    pub async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let text = self.http.get(format!("{}/metrics", self.url)).send().await?.text().await?;
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Runs the binary with this site's configuration.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        run(self.folder.path(), arguments)
    }
}

/// Runs the binary with the configuration of a folder.
pub fn run(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary());
    command.arg("--config").arg(folder.join("tidewaiter.toml")).args(arguments);
    command.output().context("tidewaiter is not built; run `make test`")
}

fn tidewaiter(role: &str, name: &str, folder: &Path) -> Result<Process> {
    let mut command = Command::new(binary());
    command.arg("--config").arg(folder.join("tidewaiter.toml")).arg(role);
    Process::start(name, &mut command, folder)
}

/// Takes a section out of `text`: what is left, and what it said. A section may be opened once, and ours is open already.
fn lifted(text: &str, section: &str) -> (String, String) {
    let Some((before, rest)) = text.split_once(section) else { return (text.to_owned(), String::new()) };
    let end = rest.find("\n[").map_or(rest.len(), |end| end + 1);
    (format!("{before}{}", &rest[end..]), rest[..end].to_owned())
}

fn configure(folder: &Path, port: u16, registry: &Registry, extra: &str) -> Result<()> {
    let (extra, about_server) = lifted(extra, "[server]\n");
    let text = format!(
        "data_dir = \"{data}\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n{about_server}[auth.webhooks.distribution]\ntoken = \"{WEBHOOK_TOKEN}\"\n[registries.main]\nhost = \"{host}\"\nplain_http = true\n{sweeps}{extra}",
        data = folder.join("data").display(),
        host = registry.host(),
        // A sweep that nobody asked for would be one more job for whoever counts them.
        sweeps = if extra.contains("sweep_every") { "" } else { "sweep_every = \"off\"\n" },
    );
    std::fs::write(folder.join("tidewaiter.toml"), text)?;
    let advisories = advisories();
    let built = run(folder, &["db", "build", &advisories.display().to_string()])?;
    if !built.status.success() {
        bail!("db build: {}", String::from_utf8_lossy(&built.stderr));
    }
    Ok(())
}

/// Waits for a condition that only HTTP can tell.
pub async fn eventually<F: Future<Output = Result<bool>>>(
    what: &str,
    mut ready: impl FnMut() -> F,
) -> Result<()> {
    for _ in 0..1500 {
        if ready().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    bail!("{what}: not within a minute")
}

/// Waits for a condition that a file or process can tell.
pub fn eventually_here(what: &str, ready: impl FnMut() -> bool) -> Result<()> {
    wait_until(what, Duration::from_secs(60), ready)
}
