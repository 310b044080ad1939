//! Values that are no secrets whatever they look like: examples of documentation, and what stands for a value.

/// Famous examples, as parts of a value.
const FAMOUS: &[&str] = &[
    // From AWS's documentation.
    "AKIAIOSFODNN7",
    "wJalrXUtnFEMI/K7MDENG",
    // From Stripe's documentation.
    "4eC39HqLyjWDarjtT1zdp7dc",
    // The claims of the token on jwt.io, and those in the documentation of PyJWT.
    "eyJzdWIiOiIxMjM0NTY3ODkwIi",
    "eyJzb21lIjoicGF5bG9hZCJ9",
    // Logins in headers: RFC 6749 and RFC 7617, and what became of the latter.
    "czZCaGRSa3F0Mz",
    "QWxhZGRpbjpvcGVu",
    "YWxhZGRpbjpvcGVu",
    // RFC 7517, appendix A.2.
    "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
];

/// Words that people write where a value belongs; compared in lower case.
const WORDS: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "your_",
    "your-",
    "yourpass",
    "yoursecret",
    "yourtoken",
    "xxxx",
    "dummy",
    "redacted",
    "notasecret",
    "not-a-secret",
    "insert",
    "replace",
    "todo",
    "fixme",
    "<",
    ">",
    "${",
    "{{",
    "}}",
    "$(",
    "%(",
    "%s",
    "...",
    "***",
    "•••",
];

/// Words that are the whole value, as in `http://user:password@host`.
const WHOLE: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "secret",
    "token",
    "user",
    "username",
    "mypassword",
    // From the `settings.xml` that Maven comes with.
    "repopwd",
];

/// Whether a value stands for a value instead of being one.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    if FAMOUS.iter().any(|famous| text.contains(famous)) {
        return true;
    }
    // A key is long enough to contain any short word by chance.
    if value.len() > 400 {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    WHOLE.contains(&lower.trim_matches(['"', '\'']))
        || WORDS.iter().any(|word| lower.contains(word))
        || is_variable(unquoted(value))
        || is_monotonous(value)
}

/// Without the quotes around it: three of them in Python.
fn unquoted(value: &[u8]) -> &[u8] {
    let is_quote = |byte: &&u8| matches!(byte, b'"' | b'\'');
    let begin = value.iter().take_while(is_quote).count();
    let end = value.iter().rev().take_while(is_quote).count();
    value.get(begin..value.len() - end).unwrap_or_default()
}

/// `%PASSWORD%`, as Windows and many templates write it, or `{password}`, as Python does.
fn is_variable(value: &[u8]) -> bool {
    let between = |open: &[u8], close: &[u8]| value.strip_prefix(open)?.strip_suffix(close);
    let name = between(b"%", b"%").or_else(|| between(b"{", b"}"));
    name.is_some_and(|name| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte)))
}

/// One character again and again, or the alphabet.
fn is_monotonous(value: &[u8]) -> bool {
    /// So many of a kind in a row are no accident.
    const RUN: usize = 10;
    let runs = |step: u8| {
        let mut longest = 1;
        let mut current = 1;
        for pair in value.windows(2) {
            current = if pair[1] == pair[0].wrapping_add(step) { current + 1 } else { 1 };
            longest = longest.max(current);
        }
        longest
    };
    runs(0) >= RUN || runs(1) >= RUN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_documentation_shows_is_no_secret() {
        for (value, expected) in [
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("my-changeme-1", true),
            ("${DB_PASSWORD}", true),
            ("%DB_PASSWORD%", true),
            ("{auth_token}", true),
            ("{auth_token}'''", true),
            ("{auth token}", false),
            ("'q8Zr0vB2nLwX'", false),
            ("''", false),
            ("\"PASSWORD\"", true),
            ("%41%42%zX9q%", false),
            ("0000000000000000", true),
            ("abcdefghijklmnop", true),
            ("password", true),
            ("Password", true),
            ("passwordly-9", false),
            ("hunter2hunter2", false),
            ("q8Zr0vB2nLwX", false),
        ] {
            assert_eq!(is_placeholder(value.as_bytes()), expected, "{value}");
        }
    }
}
