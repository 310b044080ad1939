//! The real servers: a CNCF Distribution registry for each site; the shared RabbitMQ and Redis of the test
//! run; a RabbitMQ of one's own for tests that kill it; and a Squid as the only way out.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{Process, free_port, listens, wait_until};

mod cluster;
mod squid;

pub use cluster::Cluster;
pub use squid::{BEHIND_PROXY, PROXY_USER, Squid};

/// A CNCF Distribution registry that notifies one webhook.
pub struct Registry {
    /// Its port on 127.0.0.1.
    pub port: u16,
    _process: Process,
}

impl Registry {
    /// Starts one that posts to `webhook` with a bearer token.
    pub fn start(folder: &Path, webhook: &str, token: &str) -> Result<Self> {
        Self::start_with(
            folder,
            &format!(
                "notifications:\n  endpoints:\n    - name: tidewaiter\n      url: {webhook}\n      headers: {{Authorization: [\"Bearer {token}\"]}}\n      timeout: 5s\n      threshold: 1000\n      backoff: 200ms\n"
            ),
        )
    }

    /// Starts one that announces nothing.
    pub fn start_silent(folder: &Path) -> Result<Self> {
        Self::start_with(folder, "")
    }

    /// Starts one that announces nothing and speaks only TLS, under this certificate and key in PEM.
    pub fn start_tls(folder: &Path, certificate: &str, key: &str) -> Result<Self> {
        let (crt, pem) = (folder.join("registry.crt"), folder.join("registry.key"));
        std::fs::write(&crt, certificate)?;
        std::fs::write(&pem, key)?;
        let tls = format!("tls: {{certificate: {}, key: {}}}", crt.display(), pem.display());
        Self::start_as(folder, &tls, "")
    }

    fn start_with(folder: &Path, notifications: &str) -> Result<Self> {
        Self::start_as(folder, "", notifications)
    }

    fn start_as(folder: &Path, tls: &str, notifications: &str) -> Result<Self> {
        let port = free_port()?;
        let storage = folder.join("registry");
        std::fs::create_dir_all(&storage)?;
        let config = folder.join("registry.yml");
        let comma = if tls.is_empty() { "" } else { ", " };
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"127.0.0.1:{port}\"{comma}{tls}}}\n{notifications}",
            storage.display()
        );
        std::fs::write(&config, text)?;
        let process =
            Process::start("registry", Command::new("docker-registry").arg("serve").arg(&config), folder)?;
        wait_until("registry", Duration::from_secs(20), || listens(port))?;
        Ok(Self { port, _process: process })
    }

    /// `127.0.0.1:<port>`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A Redis of one's own that keeps nothing, to be stopped and started.
pub struct Cache {
    /// Its port on 127.0.0.1.
    pub port: u16,
    folder: std::path::PathBuf,
    process: Option<Process>,
}

impl Cache {
    /// Starts one in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut cache = Self { port: free_port()?, folder: folder.to_owned(), process: None };
        cache.run()?;
        Ok(cache)
    }

    /// Starts it again on the same port, empty.
    pub fn run(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &self.port.to_string()]);
        command.arg("--dir").arg(&self.folder);
        self.process = Some(Process::start("redis", &mut command, &self.folder)?);
        let port = self.port;
        wait_until("redis", Duration::from_secs(20), || listens(port))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process = None;
        let port = self.port;
        wait_until("redis gone", Duration::from_secs(20), || !listens(port))
    }

    /// Has it carry out a command, as an operator would: the inline form of Redis's protocol.
    pub fn command(&self, command: &str) -> Result<()> {
        let mut server = TcpStream::connect(("127.0.0.1", self.port))?;
        server.set_read_timeout(Some(Duration::from_secs(10)))?;
        server.write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = [0_u8; 512];
        let count = server.read(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        ensure!(answer.starts_with("+OK"), "{command}: {answer}");
        Ok(())
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// The shared RabbitMQ of this test run.
pub fn amqp_url() -> Result<String> {
    required("TIDEWAITER_TEST_AMQP_URL")
}

/// The shared Redis of this test run.
pub fn redis_url() -> Result<String> {
    required("TIDEWAITER_TEST_REDIS_URL")
}

fn required(variable: &str) -> Result<String> {
    std::env::var(variable).with_context(|| {
        format!("{variable} is not set: run `make test`, or `scripts/servers start` and `eval \"$(scripts/servers env)\"`")
    })
}

/// A RabbitMQ of one's own, to be stopped and started.
pub struct Broker {
    /// Its port on 127.0.0.1.
    pub port: u16,
    folder: std::path::PathBuf,
    process: Option<Process>,
}

impl Broker {
    /// Starts one in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut broker = Self { port: free_port()?, folder: folder.join("rabbitmq"), process: None };
        std::fs::create_dir_all(&broker.folder)?;
        std::fs::write(broker.folder.join("plugins"), "[].\n")?;
        std::fs::write(broker.folder.join("rabbitmq.conf"), "disk_free_limit.absolute = 50MB\n")?;
        broker.run()?;
        Ok(broker)
    }

    /// Starts one in `folder` that speaks only TLS, under this certificate and key in PEM.
    pub fn start_tls(folder: &Path, certificate: &str, key: &str) -> Result<Self> {
        let mut broker = Self { port: free_port()?, folder: folder.join("rabbitmq"), process: None };
        std::fs::create_dir_all(&broker.folder)?;
        std::fs::write(broker.folder.join("plugins"), "[].\n")?;
        std::fs::write(broker.folder.join("tls.crt"), certificate)?;
        std::fs::write(broker.folder.join("tls.key"), key)?;
        let (place, port) = (broker.folder.display(), broker.port);
        let config = format!(
            "disk_free_limit.absolute = 50MB\nlisteners.tcp = none\nlisteners.ssl.default = 127.0.0.1:{port}\n\
             ssl_options.certfile = {place}/tls.crt\nssl_options.keyfile = {place}/tls.key\n\
             ssl_options.verify = verify_none\n"
        );
        std::fs::write(broker.folder.join("rabbitmq.conf"), config)?;
        broker.run()?;
        Ok(broker)
    }

    /// Starts it again on the same port with the same data.
    pub fn run(&mut self) -> Result<()> {
        let distribution = free_port()?;
        let folder = self.folder.display();
        let mut command = Command::new("setsid");
        command
            .arg("/usr/lib/rabbitmq/bin/rabbitmq-server")
            .env("HOME", &self.folder)
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", format!("{folder}/mnesia"))
            .env("RABBITMQ_LOG_BASE", format!("{folder}/log"))
            .env("RABBITMQ_CONFIG_FILE", format!("{folder}/rabbitmq"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", format!("{folder}/plugins"))
            .env("RABBITMQ_PID_FILE", format!("{folder}/pid"));
        // It would open a port in clear text, whatever the configuration says.
        if !self.folder.join("tls.crt").exists() {
            command.env("RABBITMQ_NODE_PORT", self.port.to_string());
        }
        self.process = Some(Process::start("rabbitmq", &mut command, &self.folder)?);
        let port = self.port;
        wait_until("rabbitmq", Duration::from_secs(180), || listens(port))
    }

    /// What other nodes call it.
    pub fn node(&self) -> String {
        format!("tidewaiter-own-{}@localhost", self.port)
    }

    /// Runs `rabbitmqctl` on it.
    pub fn control(&self, arguments: &[&str]) -> Result<()> {
        self.tool("rabbitmqctl", arguments).map(drop)
    }

    /// Runs one of RabbitMQ's tools on it: what it printed.
    pub(super) fn tool(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(Path::new("/usr/lib/rabbitmq/bin").join(tool));
        command.env("HOME", &self.folder).args(["-q", "-n", &self.node()]).args(arguments);
        let ran = command.output().with_context(|| format!("{tool} is missing; run `make test`"))?;
        let said =
            || String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{tool} {arguments:?}: {}", said());
        Ok(said())
    }

    /// Sets or clears an alarm, in the words of its module `rabbit_alarm`.
    pub fn alarm(&self, call: &str) -> Result<()> {
        self.control(&["eval", &format!("rabbit_alarm:{call}.")])
    }

    /// SIGKILL to the whole server: the Erlang machine and what it started.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill_group()?;
        let port = self.port;
        wait_until("rabbitmq gone", Duration::from_secs(20), || !listens(port))
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A Redis of one's own, to be stopped and started; it keeps nothing.
pub struct Redis {
    port: u16,
    folder: std::path::PathBuf,
    process: Option<Process>,
}

impl Redis {
    /// Starts one that logs into `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut redis = Self { port: free_port()?, folder: folder.to_owned(), process: None };
        redis.run()?;
        Ok(redis)
    }

    /// Starts it again on the same port, empty.
    pub fn run(&mut self) -> Result<()> {
        let port = self.port;
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--port",
            &port.to_string(),
        ]);
        self.process = Some(Process::start("redis", &mut command, &self.folder)?);
        wait_until("redis", Duration::from_secs(20), || listens(port))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
