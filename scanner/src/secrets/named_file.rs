//! Small files whose name or folder promises a secret, and that hold something random: `root/secret.txt`, `secrets/db`.
//!
//! The last resort for secrets of no known form: only where no rule knows better, and not in other people's folders.

use std::sync::LazyLock;

use regex::bytes::Regex;
use shared::model::report::Severity;

use super::Secrets;
use super::assignment::{is_of_others, is_sealed};
use super::check::entropy;
use super::placeholder::is_placeholder;
use super::rule::Kind;
use crate::analyzers::FoundObservation;

/// A secret and a few words around it.
const LARGEST: u64 = 4096;

const NAMES: &[&str] = &[
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "credentials",
    "passphrase",
    "password",
    "passwords",
    "secret",
    "secrets",
    "token",
    "tokens",
];

const FOLDERS: &[&str] = &["credentials", "secret", "secrets"];

const RULE: Kind<'static> = Kind {
    id: "TW-SEC-NAMED-FILE",
    title: "A random value in a file whose name promises a secret",
    severity: Severity::Medium,
};

static WORD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u)[A-Za-z0-9+/=_.-]{16,1000}").expect("a built-in expression"));

/// Whether the file's name promises a secret. Programs about secrets have other endings.
pub(super) fn promises(path: &[u8], size: u64) -> bool {
    let path = String::from_utf8_lossy(path).to_ascii_lowercase();
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let stem = name.strip_suffix(".txt").unwrap_or(name);
    let is_named = NAMES.contains(&stem.trim_start_matches('.'));
    let is_filed = FOLDERS.contains(&folder.rsplit('/').next().unwrap_or_default()) && !stem.contains('.');
    size <= LARGEST && (is_named || is_filed) && !is_of_others(&path)
}

/// Searches a whole file.
pub(super) fn search(secrets: &Secrets, text: &[u8], found: &mut dyn FnMut(FoundObservation)) {
    if is_sealed(text) {
        return;
    }
    for word in WORD.find_iter(text) {
        let value = word.as_bytes();
        if entropy(value) >= 3.5 && value.iter().any(u8::is_ascii_digit) && !is_placeholder(value) {
            let line = memchr::memchr_iter(b'\n', &text[..word.start()]).count();
            found(secrets.observation(RULE, value, u32::try_from(line + 1).ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_disorder_make_a_secret() {
        const VALUE: &str = "flag-7fa5b1c3d9e84620af13";
        const BASE64: &str = r#"{"data": "ZmxhZy03ZmE1YjFjM2Q5ZTg0NjIwYWYxMw=="}"#;
        for (path, text, expected) in [
            ("root/secret.txt", VALUE, 1),
            ("root/.Secret", VALUE, 1),
            ("srv/latest/secrets/demo", BASE64, 1),
            ("srv/latest/secrets/demo.py", BASE64, 0),
            ("usr/lib/python3/secrets/demo", BASE64, 0),
            ("root/secret.txt", "there is nothing secret in here at all", 0),
            ("root/notes.txt", VALUE, 0),
            ("root/token", "your_token_goes_here_123", 0),
            (
                "srv/secrets/vault",
                "$ANSIBLE_VAULT;1.1;AES256\n66386439653236336462626566653063336164663966303231363934653561\n",
                0,
            ),
        ] {
            let secrets = Secrets::built_in();
            let mut search = secrets.search(path.as_bytes(), text.len() as u64);
            search.feed(text.as_bytes());
            let found = search.finish().found;
            let found: Vec<_> = found.iter().filter(|one| one.rule == RULE.id).collect();
            assert_eq!(found.len(), expected, "{path} {text}");
        }
    }
}
