//! Secrets that are found again wherever they are, and the forms in which they may be there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sha2::{Digest as _, Sha256};

#[derive(Default)]
pub(super) struct Plants(Vec<(String, String)>);

impl Plants {
    /// A new secret, with characters that URLs and base64 write otherwise.
    pub(super) fn plant(&mut self, name: &str) -> String {
        let value = format!("{}/pl4nt+{}=", name.replace(' ', "~"), &random(name)[..16]);
        self.add(name, &value);
        value
    }

    /// A new secret that scanners recognise.
    pub(super) fn token(&mut self, name: &str) -> String {
        let value = format!("{}_{}", "ghp", &random(name)[..36]);
        self.add(name, &value);
        value
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn of(&self, name: &str) -> String {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.expect("it was planted").1.clone()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, value)| value.as_str())
    }

    /// Which secrets are in `bytes`, in which form, and what stands before them.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, value) in &self.0 {
            for (form, written) in forms(value) {
                if let Some(at) = position(bytes, written.as_bytes()) {
                    let around = &bytes[at.saturating_sub(160)..(at + written.len() + 20).min(bytes.len())];
                    found.push(format!("{name} as {form}: {}", String::from_utf8_lossy(around)));
                }
            }
        }
        found
    }
}

fn random(name: &str) -> String {
    hex::encode(Sha256::digest(format!("{name} {} {:?}", std::process::id(), std::time::Instant::now())))
}

/// RFC 3986 §2.1, everything but unreserved characters.
pub(super) fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn forms(value: &str) -> Vec<(String, String)> {
    let mut forms = vec![("it is".to_owned(), value.to_owned()), ("hex".to_owned(), hex::encode(value))];
    // A URL's own rules leave some of them as they are.
    let lenient = percent_encoded(value).replace("%2B", "+").replace("%3D", "=");
    for encoded in [percent_encoded(value), lenient] {
        forms.push(("percent-encoded".to_owned(), encoded.clone()));
        forms.push(("percent-encoded".to_owned(), encoded.to_lowercase()));
    }
    // As bytes in a row, the way Rust shows them.
    let listed: Vec<String> = value.bytes().map(|byte| byte.to_string()).collect();
    forms.push(("a list of bytes".to_owned(), listed.join(", ")));
    for before in 0..3 {
        let text = format!("{}{value}", "x".repeat(before));
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            let encoded = engine.encode(&text);
            let whole = text.len() * 8 / 6;
            let first = [0, 2, 3][before];
            forms.push((format!("{name}, {before} bytes in"), encoded[first..whole].to_owned()));
        }
    }
    forms
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(next) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + next;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
