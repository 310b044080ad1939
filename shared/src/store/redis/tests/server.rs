//! Redis servers for tests: the one that `make test` starts, and private ones that may be killed.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::store::contract::eventually;

/// The server that all tests share, each with a prefix of its own.
pub(super) fn shared_server() -> String {
    std::env::var("TIDEWAITER_TEST_REDIS_URL").expect(
        "TIDEWAITER_TEST_REDIS_URL names no Redis server; run the tests with `make test`, which starts one",
    )
}

/// A server of our own, gone with this value.
pub(super) struct Server {
    child: Child,
    port: u16,
    options: Vec<String>,
    directory: TempDir,
}

impl Server {
    /// Starts a server with these options and waits until it answers.
    pub(super) async fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, free_port(), options).await
    }

    /// The same with a directory and port that the options may refer to.
    pub(super) async fn start_in(directory: TempDir, port: u16, options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = spawn(&directory, port, &options);
        let server = Self { child, port, options, directory };
        server.answers().await;
        server
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub(super) async fn restart(&mut self) {
        self.child = spawn(&self.directory, self.port, &self.options);
        self.answers().await;
    }

    /// It keeps its connections and answers nobody.
    pub(super) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(super) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Any answer counts: it may well want a password.
    async fn answers(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        eventually("an answer of the server", async || {
            match client.get_multiplexed_async_connection().await {
                Ok(mut connection) => match redis::cmd("PING").exec_async(&mut connection).await {
                    Ok(()) => Some(()),
                    Err(error) => error.to_string().contains("NOAUTH").then_some(()),
                },
                Err(error) => error.to_string().contains("NOAUTH").then_some(()),
            }
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &TempDir, port: u16, options: &[String]) -> Child {
    // A configuration file, where there is one, comes first.
    let (file, options) = match options.split_first() {
        Some((file, rest)) if !file.starts_with("--") => (Some(file), rest),
        Some(_) | None => (None, options),
    };
    Command::new("redis-server")
        .args(file)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(directory.path())
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

/// A port that is free now; low enough that a cluster's bus port, 10,000 higher, exists too.
pub(super) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}
