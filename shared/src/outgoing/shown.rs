//! What a server was shown, taken out of what it says: error pages and debugging endpoints repeat whole requests, and
//! their words end up in logs, dead letters and answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::byte_serialize;

/// What stands in the place of a secret.
const WITHHELD: &str = "[redacted]";

/// Fewer characters are no secret, and everywhere.
const SHORTEST: usize = 4;

/// Secrets that a server was shown.
#[derive(Clone, Debug, Default)]
pub struct Shown(Vec<SecretString>);

impl Shown {
    /// One more secret, in the forms in which requests have it.
    pub fn secret(mut self, secret: &str) -> Self {
        let encoded: String = byte_serialize(secret.as_bytes()).collect();
        for form in [secret.to_owned(), encoded.to_lowercase(), encoded] {
            if form.len() >= SHORTEST && !self.0.iter().any(|known| known.expose_secret() == form) {
                self.0.push(SecretString::from(form));
            }
        }
        self
    }

    /// What is in an `Authorization` header besides its scheme, and a password in it.
    pub fn authorization(self, value: &HeaderValue) -> Self {
        let Some((_, credentials)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return self;
        };
        let pair = STANDARD.decode(credentials).ok().and_then(|pair| String::from_utf8(pair).ok());
        let password = pair.as_deref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
        match password {
            Some(password) => self.secret(credentials).secret(password),
            None => self.secret(credentials),
        }
    }

    /// A text without the secrets, also where it breaks off within one.
    pub fn without(&self, said: &str) -> String {
        let mut text = said.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.expose_secret(), WITHHELD);
        }
        for secret in &self.0 {
            let secret = secret.expose_secret();
            let lengths = (SHORTEST..secret.len()).rev().filter(|length| secret.is_char_boundary(*length));
            if let Some(begun) = lengths.map(|length| &secret[..length]).find(|begun| text.ends_with(*begun))
            {
                text.truncate(text.len() - begun.len());
                text.push_str(WITHHELD);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_repeats_its_request_says_no_secret() {
        let basic = HeaderValue::from_static("Basic dXNlcjpodW50ZXIy");
        let shown = Shown::default().authorization(&basic).secret("to/ken=");
        for (said, expected) in [
            ("denied", "denied"),
            ("you sent Basic dXNlcjpodW50ZXIy", "you sent Basic [redacted]"),
            ("user:hunter2!", "user:[redacted]!"),
            ("?key=to%2Fken%3D&a", "?key=[redacted]&a"),
            ("?key=to%2fken%3d", "?key=[redacted]"),
            ("cut off: hunt", "cut off: [redacted]"),
            ("cut off: to/k", "cut off: [redacted]"),
            ("to", "to"),
        ] {
            assert_eq!(shown.without(said), expected);
        }
        assert_eq!(Shown::default().secret("").secret("abc").without("abc"), "abc");
    }
}
