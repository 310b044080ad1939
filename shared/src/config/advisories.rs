//! `advisories`: the advisory database.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The advisory database.
#[derive(Debug, Clone)]
pub struct AdvisoriesConfig {
    /// The compiled file; default `advisories.db` in the data directory.
    pub database: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdvisories {
    database: Option<PathBuf>,
}

impl RawAdvisories {
    pub(super) fn check(self, data_dir: &Path) -> AdvisoriesConfig {
        let database = self.database.unwrap_or_else(|| data_dir.join("advisories.db"));
        AdvisoriesConfig { database }
    }
}
