//! Reads `WWW-Authenticate`: how a registry wants us to prove who we are.
//!
//! Grammar: RFC 9110 §11.6.1; the Bearer parameters are those of the distribution project's token
//! specification. The header comes from a stranger: its length and number of parameters are bounded.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token of the token service at `realm`.
    Bearer {
        realm: String,
        /// Repeated to the token service as it is.
        service: Option<String>,
    },
    /// User name and password, shown to the registry itself.
    Basic,
}

const LONGEST_HEADER: usize = 8 << 10;
const LONGEST_SERVICE: usize = 512;
const MOST_PARAMETERS: usize = 32;

/// The challenge to answer: Bearer if there is one, else Basic, else none that we understand.
pub(crate) fn parse(headers: &HeaderMap) -> Option<Challenge> {
    let challenges: Vec<Challenge> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| value.len() <= LONGEST_HEADER)
        .flat_map(parse_value)
        .collect();
    let bearer = challenges.iter().position(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    challenges.into_iter().nth(bearer.unwrap_or(0))
}

fn parse_value(value: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = value;
    let mut scheme = "";
    let mut parameters: Vec<(String, String)> = Vec::new();
    while parameters.len() < MOST_PARAMETERS {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let word_end = rest.find(|c: char| !is_token_char(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        if word.is_empty() {
            break;
        }
        // `name=value` belongs to the current scheme; a word alone begins the next one.
        if let Some(after) = after.trim_start().strip_prefix('=') {
            let Some((text, after)) = parse_parameter_value(after.trim_start()) else {
                break;
            };
            parameters.push((word.to_ascii_lowercase(), text));
            rest = after;
        } else {
            found.extend(challenge(scheme, &parameters));
            scheme = word;
            parameters.clear();
            rest = after;
        }
    }
    found.extend(challenge(scheme, &parameters));
    found
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let parameter = |name: &str| {
        let found = parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        Some(Challenge::Bearer {
            realm: parameter("realm")?,
            service: parameter("service").filter(|service| service.len() <= LONGEST_SERVICE),
        })
    } else if scheme.eq_ignore_ascii_case("basic") {
        Some(Challenge::Basic)
    } else {
        None
    }
}

/// A token or a quoted string, and what follows it. `None` for a quote that never closes.
fn parse_parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token_char(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    fn parsed(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        parse(&headers)
    }

    /// `expected` is the scheme, then realm and service separated by spaces; nothing for no challenge.
    fn check(values: &[&str], expected: &str) {
        let found = match parsed(values) {
            Some(Challenge::Bearer { realm, service }) => {
                format!("bearer {realm} {}", service.unwrap_or_default())
            }
            Some(Challenge::Basic) => "basic".to_owned(),
            None => String::new(),
        };
        assert_eq!(found.trim_end(), expected, "{values:?}");
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let distribution =
            r#"Bearer realm="https://a.io/token",service="a.io",scope="repository:x:pull,push""#;
        check(&[distribution], "bearer https://a.io/token a.io");
        check(&[r#"bearer realm=https://a.io/t , error="invalid""#], "bearer https://a.io/t");
        check(&[r#"Basic realm="x, Bearer realm=y""#], "basic");
        check(&[r#"Basic realm="x", Bearer realm="https://a.io/\"t""#], "bearer https://a.io/\"t");
        check(&["Basic", r#"Bearer realm="r""#], "bearer r");
        check(&["Negotiate", "Basic"], "basic");
        check(&["Negotiate abc=="], "");
        check(&["Bearer service=x"], "");
        check(&[r#"Bearer realm="never closed"#], "");
        check(&[], "");
    }

    proptest! {
        #[test]
        fn no_header_panics(value in "[ -~]{0,200}") {
            parsed(&[&value]);
        }

        #[test]
        fn any_realm_is_read_as_it_was_written(realm in "[ -~]{0,80}", service in "[ -~]{0,80}") {
            let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
            let value = format!("Bearer service=\"{}\", realm=\"{}\"", quoted(&service), quoted(&realm));
            let expected = Challenge::Bearer { realm, service: Some(service) };
            prop_assert_eq!(parsed(&[&value]), Some(expected));
        }
    }
}
