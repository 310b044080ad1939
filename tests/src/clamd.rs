//! ClamAV's daemon with one signature: the standard test file of EICAR.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::{Process, wait_until};

/// The standard test file, which everybody recognises and which does nothing. Put together when it is needed: scanners
/// shall not find this repository.
pub fn eicar() -> String {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR", "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

/// A daemon of one's own, to be stopped and started.
pub struct Clamd {
    folder: PathBuf,
    process: Option<Process>,
}

impl Clamd {
    /// One in `folder`; `None` where ClamAV is not installed, which is said.
    pub fn start(folder: &Path) -> Result<Option<Self>> {
        if Command::new("clamd").env("PATH", path()).arg("--version").output().is_err() {
            eprintln!("skipped: there is no clamd here; `scripts/install clamd=clamav-daemon` installs it");
            return Ok(None);
        }
        let mut clamd = Self { folder: folder.join("clamd"), process: None };
        let at = |name: &str| clamd.folder.join(name).display().to_string();
        std::fs::create_dir_all(at("db"))?;
        std::fs::write(at("db/own.ndb"), format!("Test.Eicar:0:*:{}\n", hex::encode(eicar())))?;
        let text = format!(
            "DatabaseDirectory {}\nLocalSocket {}\nTemporaryDirectory {}\nForeground yes\n",
            at("db"),
            at("clamd.ctl"),
            at("")
        );
        std::fs::write(at("clamd.conf"), text)?;
        clamd.again()?;
        Ok(Some(clamd))
    }

    /// What `worker.malware.clamd` says.
    pub fn address(&self) -> String {
        format!("unix:{}", self.folder.join("clamd.ctl").display())
    }

    /// SIGKILL.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
        let _ = std::fs::remove_file(self.folder.join("clamd.ctl"));
    }

    /// Starts it once more.
    pub fn again(&mut self) -> Result<()> {
        let configuration = self.folder.join("clamd.conf");
        let mut command = Command::new("clamd");
        command.env("PATH", path()).arg("-c").arg(configuration);
        self.process = Some(Process::start("clamd", &mut command, &self.folder)?);
        let socket = self.folder.join("clamd.ctl");
        wait_until("clamd", Duration::from_secs(60), || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })
    }
}

/// Servers live in sbin, which is not on every user's path.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
