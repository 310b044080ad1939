//! What an image's config says that a runtime would do, as far as policies judge it.
//!
//! Everything is the image author's claim. Of environment variables only the names are kept: values are
//! where secrets are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most entries of a list or table that are kept.
pub const MOST_ENTRIES: usize = 256;
/// The longest name or value that is kept, in characters.
pub const LONGEST_TEXT: usize = 512;

/// The judged part of an image's config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Settings {
    /// When it was built, as the builder says; many reproducible builds say nothing, or 1970.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created: Option<Timestamp>,
    /// `user|uid[:group|gid]` as written; empty means root.
    #[serde(default)]
    pub user: String,
    /// `80/tcp` …
    #[serde(default)]
    pub exposed_ports: Vec<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The names of environment variables.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Whether it says how to find out that it is healthy.
    #[serde(default)]
    pub healthcheck: bool,
    /// Something was longer than what is kept.
    #[serde(default)]
    pub shortened: bool,
}

impl Settings {
    /// Whether a runtime would start it as root: no user, the name `root` or the number 0.
    ///
    /// Another name may mean 0 in the image's own user table; only a number is sure.
    pub fn runs_as_root(&self) -> bool {
        let user = self.user.split(':').next().unwrap_or_default().trim();
        user.is_empty()
            || user == "root"
            || user.trim_start_matches(['+', '-']).bytes().all(|byte| byte == b'0')
    }
}

/// The image that this one was built on, as its builder says (OCI image-spec annotations), or as its history lets guess.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BaseImage {
    /// `org.opencontainers.image.base.name`.
    #[serde(default)]
    pub name: Option<String>,
    /// `org.opencontainers.image.base.digest`.
    #[serde(default)]
    pub digest: Option<String>,
    /// How many of the bottom layers are the base's, where the builder says it.
    #[serde(default)]
    pub layers: Option<u16>,
    /// How many of the bottom layers are probably the base's, going by the history, where the builder does not
    /// say it. A guess: shown, never judged by.
    #[serde(default)]
    pub guessed_layers: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_nobody_else_and_nobody_at_all() {
        for (user, root) in [
            ("", true),
            ("0", true),
            ("00", true),
            ("root", true),
            ("0:1000", true),
            ("root:root", true),
            (":1000", true),
            ("1000", false),
            ("1000:0", false),
            ("nobody", false),
        ] {
            let settings = Settings { user: user.to_owned(), ..Settings::default() };
            assert_eq!(settings.runs_as_root(), root, "{user:?}");
        }
    }
}
