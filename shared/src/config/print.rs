//! What `config print` shows: every setting that somebody made, where it came from, and no secret.

use ::config::{Value, ValueKind};

/// One setting that somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted key: `server.listen`.
    pub key: String,
    /// The value as text; secrets are `[redacted]`.
    pub value: String,
    /// The file or the environment; `None` for the command line.
    pub origin: Option<String>,
}

/// Keys whose values are secrets, by their last part.
const SECRET_KEYS: [&str; 7] =
    ["password", "token", "hmac_secret", "secret", "credentials_key", "secret_key", "headers"];
const REDACTED: &str = "[redacted]";

pub(super) fn settings(layers: &::config::Config) -> Vec<Setting> {
    let mut settings = Vec::new();
    flatten("", &layers.cache, &mut settings);
    settings.sort_by(|left, right| left.key.cmp(&right.key));
    settings
}

/// The configuration is as deep as its sections: the recursion follows our own structs, not foreign input.
fn flatten(key: &str, value: &Value, settings: &mut Vec<Setting>) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (part, inner) in table {
                let key = if key.is_empty() { part.clone() } else { format!("{key}.{part}") };
                flatten(&key, inner, settings);
            }
        }
        ValueKind::Array(items) if items.iter().any(|item| matches!(item.kind, ValueKind::Table(_))) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{key}[{at}]"), item, settings);
            }
        }
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(key, &item.to_string())).collect();
            settings.push(setting(key, format!("[{}]", items.join(", ")), value));
        }
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::String(_) => settings.push(setting(key, shown(key, &value.to_string()), value)),
    }
}

fn setting(key: &str, value: String, from: &Value) -> Setting {
    Setting { key: key.to_owned(), value, origin: from.origin().map(str::to_owned) }
}

fn shown(key: &str, text: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    match last {
        _ if SECRET_KEYS.contains(&last) => REDACTED.to_owned(),
        // Many receivers know their senders by a part of the path.
        "url" if key.starts_with("notify.") => host_alone(text),
        _ => without_userinfo(text),
    }
}

/// `https://hooks.example.com/services/T0/B0/key` shows as `https://hooks.example.com/[redacted]`.
fn host_alone(text: &str) -> String {
    match url::Url::parse(text).ok().as_ref().map(|url| (url.scheme(), url.host_str(), url.port())) {
        Some((scheme, Some(host), Some(port))) => format!("{scheme}://{host}:{port}/{REDACTED}"),
        Some((scheme, Some(host), None)) => format!("{scheme}://{host}/{REDACTED}"),
        Some((_, None, _)) | None => REDACTED.to_owned(),
    }
}

/// `amqp://user:password@host` shows as `amqp://[redacted]@host`.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.find('/').unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        for (key, text, expected) in [
            ("queue.url", "amqp://user:p@ss@host:5672/vhost", "amqp://[redacted]@host:5672/vhost"),
            ("store.url", "redis://host:6379", "redis://host:6379"),
            ("registries.main.password", "hunter2", "[redacted]"),
            ("registries.main.password_file", "/run/secrets/x", "/run/secrets/x"),
            ("auth.tokens.ci.token", "abc", "[redacted]"),
            ("gates.harbor.credentials_key", "abc", "[redacted]"),
            ("worker.secret_key", "abc", "[redacted]"),
            ("worker.secret_rules", "rules.yaml", "rules.yaml"),
            ("notify.ops.url", "https://u:p@hooks.io:8443/T0/key?x=1", "https://hooks.io:8443/[redacted]"),
            ("telemetry.traces.headers", "authorization: Bearer abc", "[redacted]"),
            ("notify.ops.url", "not a url", "[redacted]"),
        ] {
            assert_eq!(shown(key, text), expected);
        }
    }
}
