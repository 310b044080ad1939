//! What `config print` shows: every setting that somebody made, where it came from, and no secret; and errors without
//! what they are about.

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
const SECRET_KEYS: [&str; 8] = [
    "password",
    "proxy_password",
    "token",
    "hmac_secret",
    "secret",
    "credentials_key",
    "secret_key",
    "headers",
];
const REDACTED: &str = "[redacted]";

/// Whether texts are shown; numbers and the like always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    Shown,
    Hidden,
}

/// What is shown of a text in a configuration that cannot be used.
const HIDDEN: &str = "[hidden until the configuration is sound: see tidewaiter config check]";

pub(super) fn settings(layers: &::config::Config, texts: Texts) -> Vec<Setting> {
    let mut settings = Vec::new();
    flatten("", &layers.cache, texts, &mut settings);
    settings.sort_by(|left, right| left.key.cmp(&right.key));
    settings
}

/// The configuration is as deep as its sections: the recursion follows our own structs, not foreign input.
fn flatten(key: &str, value: &Value, texts: Texts, settings: &mut Vec<Setting>) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (part, inner) in table {
                let key = if key.is_empty() { part.clone() } else { format!("{key}.{part}") };
                flatten(&key, inner, texts, settings);
            }
        }
        ValueKind::Array(items) if items.iter().any(|item| matches!(item.kind, ValueKind::Table(_))) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{key}[{at}]"), item, texts, settings);
            }
        }
        ValueKind::Array(_) | ValueKind::String(_) if texts == Texts::Hidden => {
            settings.push(setting(key, HIDDEN.to_owned(), value));
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

/// An error of the layers as it can be shown: without the lines of the file that it quotes (`3 | token = "…`), and
/// without texts that were found where something else belongs (`string "…"`).
pub(super) fn without_values(error: &str) -> String {
    let is_quoted = |line: &str| {
        let number = line.trim_start().trim_start_matches(|character: char| character.is_ascii_digit());
        number.trim_start().starts_with('|')
    };
    let lines = error.lines().filter(|line| !is_quoted(line) && !line.trim().is_empty());
    let lines: Vec<String> = lines.map(without_texts).collect();
    lines.join(": ")
}

/// A line without what was found instead of something else, and without names and passwords in what it quotes.
fn without_texts(line: &str) -> String {
    let found = without_found(line);
    let mut shown = String::new();
    for (at, part) in found.split('"').enumerate() {
        let is_quoted = at % 2 == 1;
        if at > 0 {
            shown.push('"');
        }
        match part.rfind('@').filter(|_| is_quoted) {
            Some(userinfo) => {
                shown.push_str(REDACTED);
                shown.push_str(&part[userinfo..]);
            }
            None => shown.push_str(part),
        }
    }
    shown
}

fn without_found(line: &str) -> String {
    let (mut shown, mut rest) = (String::new(), line);
    while let Some((before, text)) = rest.split_once("string \"") {
        shown.push_str(before);
        shown.push_str("a string");
        let mut escaped = false;
        let end = text.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        rest = end.map_or("", |end| &text[end + 1..]);
    }
    shown + rest
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
    fn an_error_repeats_no_value() {
        for (error, expected) in [
            (
                "TOML parse error at line 3, column 9\n  |\n3 | token = \"hunter2\n  |         ^\ninvalid basic string\n",
                "TOML parse error at line 3, column 9: invalid basic string",
            ),
            (
                "invalid type: string \"hunter2 \\\" \\\\\", expected a map for key `queue` in a.toml",
                "invalid type: a string, expected a map for key `queue` in a.toml",
            ),
            (
                "\"u:hunter2@r.io\" is no host; expected \"r.io\", not \"https://u:hunter2@[\"",
                "\"[redacted]@r.io\" is no host; expected \"r.io\", not \"[redacted]@[\"",
            ),
            ("unknown field `lissten`, expected a string", "unknown field `lissten`, expected a string"),
            ("invalid type: string \"hunter2", "invalid type: a string"),
        ] {
            assert_eq!(without_values(error), expected);
        }
    }

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
            ("egress.proxy", "http://u:p@proxy:3128", "http://[redacted]@proxy:3128"),
            ("egress.proxy_password", "abc", "[redacted]"),
            ("notify.ops.url", "not a url", "[redacted]"),
        ] {
            assert_eq!(shown(key, text), expected);
        }
    }
}
