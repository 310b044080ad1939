//! Headers whose values are secrets, as they are written: `Name: value`, one a line.

use secrecy::{ExposeSecret, SecretString};

/// A header that is sent along.
#[derive(Debug, Clone)]
pub struct SecretHeader {
    /// Its name; a token of RFC 9110 §5.6.2.
    pub name: String,
    /// Its value; visible characters and spaces.
    pub value: SecretString,
}

impl SecretHeader {
    /// All headers of a text. The reason for refusing one says which line, and repeats nothing of it.
    pub(super) fn all(text: &SecretString) -> Result<Vec<Self>, String> {
        let lines = text.expose_secret().lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(at, line)| {
                Self::of(line).ok_or_else(|| format!("line {} is no header; expected Name: value", at + 1))
            })
            .collect()
    }

    fn of(line: &str) -> Option<Self> {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.trim(), value.trim());
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        let is_value = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        (is_name && is_value).then(|| Self { name: name.to_owned(), value: SecretString::from(value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_line_and_a_bad_one_is_not_repeated() {
        let all = |text: &str| SecretHeader::all(&SecretString::from(text));
        let read = all("Authorization: Bearer a:b\r\n\nx-team:  \n").unwrap();
        let read: Vec<_> =
            read.iter().map(|header| (header.name.as_str(), header.value.expose_secret())).collect();
        assert_eq!(read, [("Authorization", "Bearer a:b"), ("x-team", "")]);
        for bad in ["hunter2", ": hunter2", "a b: hunter2", "a: hunter2\u{7f}", "a: hunter2\u{e9}"] {
            let refused = all(&format!("x: y\n{bad}")).unwrap_err();
            assert!(refused.contains("line 2") && !refused.contains("hunter2"), "{refused}");
        }
    }
}
