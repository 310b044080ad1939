//! A forward proxy: Squid, with a login, and a name that nobody else knows.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Process, free_port, listens, wait_until};

/// This machine, as Squid alone knows it: whoever asks for it directly finds nothing.
pub const BEHIND_PROXY: &str = "registry.behind-proxy.test";

/// The user who may go through it.
pub const PROXY_USER: &str = "tidewaiter";

/// A Squid that lets one user through to anywhere.
pub struct Squid {
    /// Its port on 127.0.0.1.
    pub port: u16,
    scheme: &'static str,
    folder: PathBuf,
    process: Option<Process>,
}

impl Squid {
    /// Starts one whose user has this password.
    pub fn start(folder: &Path, password: &str) -> Result<Self> {
        Self::start_with(folder, password, None)
    }

    /// Starts one that is itself spoken to by TLS, under this certificate and key in PEM.
    pub fn start_tls(folder: &Path, password: &str, certificate: &str, key: &str) -> Result<Self> {
        Self::start_with(folder, password, Some((certificate, key)))
    }

    fn start_with(folder: &Path, password: &str, tls: Option<(&str, &str)>) -> Result<Self> {
        let squid = folder.join("squid");
        std::fs::create_dir_all(&squid)?;
        // As root it becomes a user of its own, who has to get here and write.
        for (path, mode) in [(folder, 0o755), (&squid, 0o777)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        let file = |name: &str, text: &str, mode: u32| -> Result<String> {
            let path = squid.join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
            Ok(path.display().to_string())
        };
        let hosts = file("hosts", &format!("127.0.0.1 {BEHIND_PROXY}\n"), 0o644)?;
        // Squid asks such a program for each login: a line with user and password, OK or ERR as the answer.
        let login = file(
            "login",
            &format!(
                "#!/bin/sh\nwhile read -r user password; do\n  [ \"$user $password\" = '{PROXY_USER} {password}' ] && echo OK || echo ERR\ndone\n"
            ),
            0o755,
        )?;
        let port = free_port()?;
        let place = squid.display();
        let (scheme, listen) = match tls {
            None => ("http", format!("http_port 127.0.0.1:{port}")),
            Some((certificate, key)) => {
                let (crt, pem) = (file("tls.crt", certificate, 0o644)?, file("tls.key", key, 0o644)?);
                ("https", format!("https_port 127.0.0.1:{port} tls-cert={crt} tls-key={pem}"))
            }
        };
        let config = format!(
            "{listen}\nhosts_file {hosts}\nvisible_hostname proxy.test\n\
             auth_param basic program {login}\nauth_param basic children 1 startup=1\n\
             acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n\
             access_log stdio:{place}/access.log\ncache_log {place}/cache.log\ncache deny all\ncache_mem 1 MB\n\
             pid_filename {place}/pid\ncoredump_dir {place}\npinger_enable off\nshutdown_lifetime 0 seconds\n\
             via off\nforwarded_for delete\n"
        );
        file("squid.conf", &config, 0o644)?;
        let mut squid = Self { port, scheme, folder: squid, process: None };
        squid.run()?;
        Ok(squid)
    }

    /// Starts it again on the same port.
    pub fn run(&mut self) -> Result<()> {
        let _ = std::fs::remove_file(self.folder.join("pid"));
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("setsid");
        // A service name of its own: Squid names shared memory by it, and processes run side by side.
        let service = format!("tidewaiter{}", self.port);
        command.env("PATH", path).args(["squid", "-N", "-n", &service, "-f"]);
        command.arg(self.folder.join("squid.conf"));
        self.process = Some(Process::start("squid", &mut command, &self.folder)?);
        let port = self.port;
        wait_until("squid", Duration::from_secs(30), || listens(port))
            .with_context(|| self.process.as_ref().map(Process::log).unwrap_or_default())
    }

    /// SIGKILL, to the programs that it started too.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill_group()?;
        let port = self.port;
        wait_until("squid gone", Duration::from_secs(20), || !listens(port))
    }

    /// What was asked of it: a line for each request and each tunnel that has ended.
    pub fn asked(&self) -> String {
        std::fs::read_to_string(self.folder.join("access.log")).unwrap_or_default()
    }

    /// The section of the configuration by which requests go through it.
    pub fn section(&self, password: &str) -> String {
        format!(
            "[egress]\nproxy = \"{}://127.0.0.1:{}\"\nproxy_user = \"{PROXY_USER}\"\nproxy_password = \"{password}\"\n",
            self.scheme, self.port
        )
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
