//! Values with units and secrets, as they are written in a configuration file.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::ConfigError;

/// A span of time with its unit: `30s`, `5m`, `1h 30m`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refused = || {
            serde::de::Error::custom(format!(
                "{text:?} is not a duration; write it with a unit, like 30s or 5m"
            ))
        };
        let span: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
        Duration::try_from(span).map(Self).map_err(|_| refused())
    }
}

/// A number of bytes, with or without unit: `4096`, `64MiB`, `20GiB`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_bytes(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not a size; write it like 1048576, 64MiB or 20GiB"))
        })
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A secret given in place or as the path of a file; never both.
pub(super) fn secret(
    key: &str,
    in_place: Option<SecretString>,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    match (in_place, file) {
        (Some(_), Some(_)) => {
            Err(ConfigError::invalid(key, format!("{key} and {key}_file are both set; keep one")))
        }
        (Some(secret), None) => Ok(Some(secret)),
        (None, None) => Ok(None),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            // Files written by editors and `echo` end in a line feed that is no part of the secret.
            Ok(text) => Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n'])))),
            Err(source) => Err(ConfigError::SecretFile { key: format!("{key}_file"), path, source }),
        },
    }
}

/// A span, or so many seconds where nothing is said.
pub(super) fn seconds(span: Option<Span>, default: u64) -> Duration {
    span.map_or(Duration::from_secs(default), |span| span.0)
}

/// Refuses a URL of another kind without repeating it: it may hold a password.
pub(super) fn scheme(key: &str, url: &SecretString, allowed: &[&str]) -> Result<(), ConfigError> {
    let found = Url::parse(url.expose_secret()).ok().map(|url| url.scheme().to_owned());
    match found {
        Some(scheme) if allowed.contains(&scheme.as_str()) => Ok(()),
        Some(_) | None => Err(ConfigError::invalid(
            key,
            format!("expected a URL that begins with {}://", allowed.join(":// or ")),
        )),
    }
}

/// Texts as what they stand for; the first that stands for nothing names the key.
pub(super) fn parsed<T, E: std::error::Error>(
    key: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ConfigError> {
    texts
        .iter()
        .map(|text| parse(text).map_err(|error| ConfigError::invalid(key, error.to_string())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes_have_binary_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("64MiB", Some(64 << 20)),
            ("20 GiB", Some(20 << 30)),
            ("64MB", None),
            ("-1", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
