//! Files that a site writes: the configuration and its own rules for secrets. Read or refused, with a reason.
//!
//! The first byte chooses which of them the rest is.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scanner::secrets::{Key, OwnRules, Secrets};
use shared::config::{Config, Overrides};
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("there is a place for files"));

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let file = FOLDER.path().join("file");
    std::fs::write(&file, text).expect("the folder is ours");
    if *choice == b'r' {
        if let Ok(rules) = OwnRules::load(&file) {
            let secrets = Secrets::new(Key::Public, rules);
            let _ = secrets.without_secrets(&String::from_utf8_lossy(text));
        }
        return;
    }
    let overrides = Overrides { file: Some(file), ..Overrides::default() };
    let shown = Config::settings(&overrides);
    if let Err(error) = Config::load(&overrides) {
        assert!(!error.to_string().is_empty());
    } else {
        assert!(shown.is_ok(), "what can be used can be shown");
    }
});
