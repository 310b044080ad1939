//! Secrets handed over in environment variables, where every child process, crash report and `kubectl describe`
//! shows them.
//!
//! A literal value counts when its variable is named like a secret, or when it has the shape of a known kind of
//! token. A reference to a Secret (`valueFrom.secretKeyRef`, `envFrom.secretRef`) is weaker: the value is not in
//! the manifest, though it still is in the process's environment. Values are never repeated.

use super::{Weight, cut};
use crate::gates::kubernetes::json::Json;

/// A secret in a container's environment.
pub(super) struct Secret {
    pub(super) weight: Weight,
    /// What is the matter, to be read after the container's name.
    pub(super) what: String,
}

pub(super) fn secrets(container: Json<'_>) -> Vec<Secret> {
    let rows = |key| container.get(key).into_iter().flat_map(Json::items);
    let mut secrets = Vec::new();
    for variable in rows("env") {
        let name = variable.get("name").and_then(Json::as_str).unwrap_or_default();
        if variable.at(&["valueFrom", "secretKeyRef"]).and_then(Json::said).is_some() {
            let what = format!("takes {} from a secret into its environment; mount it as a file", cut(name));
            secrets.push(Secret { weight: Weight::Slight, what });
        } else if let Some(kind) =
            variable.get("value").and_then(Json::as_str).and_then(|value| kind(name, value))
        {
            let what = format!("sets {} in clear text, {kind}", cut(name));
            secrets.push(Secret { weight: Weight::Full, what });
        }
    }
    for source in rows("envFrom") {
        if let Some(reference) = source.get("secretRef").and_then(Json::said) {
            let name = reference.get("name").and_then(Json::as_str).unwrap_or_default();
            let what = format!("takes all of secret {} into its environment; mount it as files", cut(name));
            secrets.push(Secret { weight: Weight::Slight, what });
        }
    }
    secrets
}

/// What kind of secret a literal value is, if it is one.
fn kind(name: &str, value: &str) -> Option<&'static str> {
    let value = value.trim();
    if let Some((_, kind)) = SHAPES.iter().find(|(shape, _)| shape(value)) {
        return Some(kind);
    }
    (is_secret_name(name) && could_be_secret(value)).then_some("a secret by its name")
}

/// Words that a secret's name has, between underscores or the humps of camel case.
const WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
];
/// Two words that only together call it a secret.
const PAIRS: &[(&str, &str)] = &[
    ("API", "KEY"),
    ("ACCESS", "KEY"),
    ("PRIVATE", "KEY"),
    ("SECRET", "KEY"),
    ("ENCRYPTION", "KEY"),
    ("SIGNING", "KEY"),
    ("AUTH", "KEY"),
    ("VAULT", "KEY"),
    ("MASTER", "KEY"),
];
/// Last words that say where or how long a secret is, and not what it is.
const ABOUT: &[&str] = &[
    "FILE",
    "PATH",
    "DIR",
    "URL",
    "URI",
    "ENDPOINT",
    "NAME",
    "ID",
    "TTL",
    "EXPIRY",
    "EXPIRATION",
    "LENGTH",
    "HEADER",
    "ENABLED",
    "TYPE",
    "ISSUER",
    "AUDIENCE",
    "REF",
    "HOST",
    "PORT",
];

fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let is = |word: &str, known: &str| word.eq_ignore_ascii_case(known);
    if words.last().is_some_and(|last| ABOUT.iter().any(|known| is(last, known))) {
        return false;
    }
    // `PWD` alone is the working directory.
    let single =
        |word: &&str| WORDS.iter().any(|known| is(word, known)) && (!is(word, "PWD") || words.len() > 1);
    let pair = |pair: &[&str]| PAIRS.iter().any(|known| is(pair[0], known.0) && is(pair[1], known.1));
    words.iter().any(single) || words.windows(2).any(pair)
}

/// `dbPassword`, `DB_PASSWORD` and `db-password` are two words each, in whatever case.
fn words(name: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut begin = 0;
    let mut after_lower = false;
    for (at, one) in name.char_indices().take(256) {
        let hump = one.is_ascii_uppercase() && after_lower;
        let separates = !one.is_ascii_alphanumeric();
        if hump || separates {
            words.push(&name[begin..at]);
            begin = if separates { at + one.len_utf8() } else { at };
        }
        after_lower = one.is_ascii_lowercase() || one.is_ascii_digit();
    }
    let end = name.char_indices().nth(256).map_or(name.len(), |(at, _)| at);
    words.push(&name[begin..end]);
    words.retain(|word| !word.is_empty());
    words
}

/// Switches, numbers, paths and references to other variables are no secrets whatever they are called.
fn could_be_secret(value: &str) -> bool {
    let plain = ["", "true", "false", "yes", "no", "null", "none"];
    let is_path = value.starts_with('/') && !value.contains(char::is_whitespace);
    let is_reference = value.starts_with("$(") && value.ends_with(')');
    // Four digits and more may be a PIN or a password.
    let is_small_number = value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = plain.iter().any(|plain| value.eq_ignore_ascii_case(plain));
    !(is_plain || is_path || is_reference || is_small_number)
}

/// Looks at a value without white space around it.
type Shape = fn(&str) -> bool;

/// Shapes of values that are secrets whatever their variable is called.
const SHAPES: &[(Shape, &str)] = &[
    (|value| value.contains("PRIVATE KEY-----"), "a private key"),
    (|value| token(value, &["AKIA", "ASIA"], 20, 20), "an access key of AWS"),
    (|value| token(value, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], 40, 255), "a token of GitHub"),
    (|value| token(value, &["github_pat_"], 40, 255), "a token of GitHub"),
    (|value| token(value, &["glpat-"], 20, 255), "a token of GitLab"),
    (|value| token(value, &["xoxb-", "xoxp-", "xoxa-", "xoxs-", "xapp-"], 20, 255), "a token of Slack"),
    (|value| token(value, &["sk_live_", "rk_live_"], 20, 255), "a key of Stripe"),
    (|value| token(value, &["AIza"], 39, 39), "an API key of Google"),
    (|value| token(value, &["npm_"], 40, 40), "a token of npm"),
    (|value| token(value, &["hvs.", "hvb."], 24, 512), "a token of Vault"),
    (|value| token(value, &["dckr_pat_"], 24, 255), "a token of Docker Hub"),
    (is_json_web_token, "a JSON web token"),
    (has_password_in_url, "a URL with a password"),
];

fn token(value: &str, beginnings: &[&str], least: usize, most: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (least..=most).contains(&value.len())
        && beginnings.iter().any(|beginning| value.starts_with(beginning))
        && value.bytes().all(legal)
}

fn is_json_web_token(value: &str) -> bool {
    if !value.starts_with("eyJ") {
        return false;
    }
    let parts: Vec<&str> = value.split('.').collect();
    let legal = |part: &&str| {
        part.len() >= 10 && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    matches!(parts.as_slice(), [header, payload, signature]
        if payload.starts_with("eyJ") && [header, payload, signature].into_iter().all(legal))
}

fn has_password_in_url(value: &str) -> bool {
    // Without it there is none, and most values are not worth to be taken apart.
    if !value.contains('@') {
        return false;
    }
    let Ok(url) = url::Url::parse(value) else { return false };
    // `$(PASSWORD)` is filled in from another variable.
    url.password().is_some_and(|password| !password.is_empty() && !value.contains("$("))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::kubernetes::json::Document;
    use serde_json::{Value, json};

    fn found(container: &Value) -> Vec<Secret> {
        secrets(Document::read(container.to_string().as_bytes()).unwrap().root())
    }

    #[test]
    fn secrets_in_clear_text_are_found_by_name_or_shape_and_nothing_else_is() {
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2", true),
            ("dbPassword", "hunter2", true),
            ("API_KEY", "0123456789", true),
            ("apiKey", "0123456789", true),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI", true),
            ("GITHUB_TOKEN", "abc123", true),
            ("MYSQL_PWD", "hunter2", true),
            ("HARMLESS", "ghp_0123456789012345678901234567890123456", true),
            ("HARMLESS", "AKIAIOSFODNN7EXAMPLE", true),
            ("HARMLESS", "-----BEGIN RSA PRIVATE KEY-----\nMIIE", true),
            ("DATABASE_URL", "postgres://app:hunter2@db/app", true),
            ("DATABASE_URL", "postgres://app:$(PASSWORD)@db/app", false),
            ("DATABASE_URL", "postgres://app@db/app", false),
            ("DB_PASSWORD_FILE", "/run/secrets/password", false),
            ("PASSWORD", "/run/secrets/password", false),
            ("DB_PASSWORD", "$(OTHER)", false),
            ("DB_PASSWORD", "", false),
            ("PASSWORD_RESET_ENABLED", "true", false),
            ("TOKEN_TTL", "3600", false),
            ("KEY", "value", false),
            ("PWD", "/app", false),
            ("PWD", "app", false),
            ("KEYBOARD", "qwertz", false),
            ("LOG_LEVEL", "info", false),
            ("SECRETARY", "Jane", false),
        ] {
            let container = json!({"env": [{"name": name, "value": value}]});
            let found = found(&container);
            assert_eq!(found.len(), usize::from(expected), "{name}={value}");
            assert!(
                found.iter().all(|secret| value.is_empty() || !secret.what.contains(value)),
                "never repeated"
            );
        }
    }

    #[test]
    fn references_to_secrets_are_slighter_and_other_sources_are_none() {
        let container = json!({
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "PASSWORD", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                {"name": null}, {}, 7,
            ],
            "envFrom": [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "c"}}, null],
        });
        let weights: Vec<Weight> = found(&container).iter().map(|secret| secret.weight).collect();
        assert_eq!(weights, [Weight::Slight, Weight::Slight]);
    }
}
