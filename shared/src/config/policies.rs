//! `policies`: where policies are.

use std::path::PathBuf;

use serde::Deserialize;

/// Where policies are.
#[derive(Debug, Clone, Default)]
pub struct PoliciesConfig {
    /// A folder of `*.yaml`; none means only the built-in default policy.
    pub dir: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicies {
    dir: Option<PathBuf>,
}

impl RawPolicies {
    pub(super) fn check(self) -> PoliciesConfig {
        PoliciesConfig { dir: self.dir }
    }
}
