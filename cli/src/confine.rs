//! What a process that reads hostile images gives up before it reads the first one.
//!
//! A parser that is taken over can then start no program, write no file outside of the data folder, trace no other
//! process and mount nothing. All of it holds for the whole process and cannot be undone, so it has to happen before
//! any thread is started. Kernels differ in what they offer: what was got is said, and `worker.confinement = "required"`
//! makes a start fail that does not get all of it.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use shared::config::{Config, Confinement, QueueConfig, StoreConfig};
use shared::registry::Credentials;

use crate::Failure;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod system_calls;

#[cfg(not(target_os = "linux"))]
use elsewhere as linux;

/// What a process still has to be able to do.
struct Needs {
    /// Folders in which it writes.
    writes: Vec<PathBuf>,
    /// Whether it starts other programs.
    programs: Programs,
}

/// Whether other programs are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Programs {
    /// None.
    None,
    /// Helpers that hold the credentials of registries; a site has to ask for them by name.
    CredentialHelpers,
}

/// What one measure came to.
#[derive(Debug)]
enum Got {
    /// All of it.
    Full,
    /// A part, and which.
    Part(&'static str),
    /// Nothing, and why.
    Nothing(String),
}

/// Every measure and what it came to, for the log.
#[derive(Debug)]
pub(crate) struct Confined {
    measures: Vec<(&'static str, Got)>,
}

/// Confines this process as its configuration says; `None` where that says not to.
///
/// Has to be called before other threads are started.
pub(crate) fn confine(config: &Config) -> Result<Option<Confined>, Failure> {
    if config.worker.confinement == Confinement::Off {
        return Ok(None);
    }
    let needs = Needs::of(config);
    needs.make_folders()?;
    let confined = Confined { measures: linux::confine(&needs) };
    if config.worker.confinement == Confinement::Required && !confined.is_full() {
        return Err(Failure::usage(anyhow::anyhow!(
            "worker.confinement is \"required\", and this is what there is: {confined}; use a newer kernel, or \"best-effort\""
        )));
    }
    Ok(Some(confined))
}

impl Needs {
    fn of(config: &Config) -> Self {
        let mut files = Vec::new();
        if let QueueConfig::Embedded { file, .. } = &config.queue {
            files.push(file);
        }
        if let StoreConfig::Embedded { file } = &config.store {
            files.push(file);
        }
        let writes = files.into_iter().filter_map(|file| file.parent().map(PathBuf::from)).collect();
        let has_helper = config
            .registries
            .iter()
            .any(|registry| matches!(registry.client.credentials, Credentials::Helper { .. }));
        Self { writes, programs: if has_helper { Programs::CredentialHelpers } else { Programs::None } }
    }
}

impl Needs {
    /// Afterwards no folder can be made beside those that are allowed.
    fn make_folders(&self) -> Result<(), Failure> {
        for folder in &self.writes {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the data folder {}", folder.display()))
                .map_err(Failure::usage)?;
        }
        Ok(())
    }
}

impl Confined {
    fn is_full(&self) -> bool {
        self.measures.iter().all(|(_, got)| matches!(got, Got::Full))
    }

    /// Tells the log.
    pub(crate) fn report(&self) {
        if self.is_full() {
            tracing::info!(confinement = %self, "confined");
        } else {
            tracing::warn!(confinement = %self, "confined only in part: the kernel offers no more");
        }
    }
}

impl fmt::Display for Confined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (measure, got)) in self.measures.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            match got {
                Got::Full => write!(f, "{separator}{measure}: yes")?,
                Got::Part(which) => write!(f, "{separator}{measure}: {which}")?,
                Got::Nothing(why) => write!(f, "{separator}{measure}: no ({why})")?,
            }
        }
        Ok(())
    }
}
