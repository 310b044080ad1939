//! Values under telling names in files of settings: `DB_PASSWORD=…`, `"apiKey": "…"`, `<password>…</password>`.
//!
//! A name proves little, so this is looked for only where settings are written, and rated by what the value is like.

use std::sync::LazyLock;

use regex::bytes::Regex;
use shared::model::report::Severity;

use super::Secrets;
use super::check::entropy;
use super::placeholder::is_placeholder;
use super::rule::Kind;
use crate::analyzers::FoundObservation;

/// Larger files are data, not settings.
const LARGEST: u64 = 1 << 20;

const EXTENSIONS: &[&str] = &[
    "cfg",
    "cnf",
    "conf",
    "config",
    "env",
    "ini",
    "json",
    "properties",
    "sh",
    "tf",
    "tfvars",
    "toml",
    "xml",
    "yaml",
    "yml",
];

/// Of programs: there a name stands before many things that are no values.
const CODE: &[&str] = &["js", "php", "py", "rb"];

/// How a file assigns values to names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// With or without quotes.
    Settings,
    /// A text in quotes.
    Code,
}

/// Directories full of other people's files: their examples are no secrets of this image.
const OTHERS: &[&str] = &[
    "node_modules/",
    "site-packages/",
    "dist-packages/",
    "usr/share/",
    "usr/lib/",
    "usr/include/",
    "vendor/",
    "usr/local/lib/",
    "usr/local/share/",
    "gems/",
    "go/pkg/mod/",
    "usr/local/go/",
    "registry/src/",
    "etc/ssl/",
    "var/lib/dpkg/",
    "lib/apk/",
];

/// How a file in which people write settings, or code, does so.
pub(super) fn style(path: &[u8], size: u64) -> Option<Style> {
    let path = String::from_utf8_lossy(path);
    if size > LARGEST || is_of_others(&path) {
        return None;
    }
    let name = path.rsplit('/').next().unwrap_or(&path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // Copies have an ending of their own behind it: `.env.bak`, `terraform.tfstate.backup`.
    let is_settings = name.starts_with('.') && !name.ends_with(".md")
        || name.contains(".env")
        || name.contains(".tfstate")
        || EXTENSIONS.contains(&extension);
    if is_settings {
        return Some(Style::Settings);
    }
    CODE.contains(&extension).then_some(Style::Code)
}

/// Whether a file lies among other people's.
pub(super) fn is_of_others(path: &str) -> bool {
    OTHERS.iter().any(|folder| path.starts_with(folder) || path.contains(&format!("/{folder}")))
}

static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?i-u)(?:^|[\s"'<{,;])([a-z0-9_.-]{0,60}(?:passwd|password|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[a-z0-9_.-]{0,30})["']?\s*(?:=|:|>)\s*["']?([^\s"'<>,;]{8,200})"#;
    Regex::new(pattern).expect("a built-in expression")
});

/// What the word for a secret in a name ends with.
const PROMISES: &[&str] = &["pass", "pwd", "secret", "token", "key", "credential"];

/// What makes a name one about a secret, where it stands behind that word.
const ABOUT: &[&str] = &[
    "_file", "-file", ".file", "_path", "_url", "_uri", "policy", "_name", "_id", "type", "length", "expir",
    "ttl",
];

/// Whether a name, in lower case, is about a secret and holds none: `password_file`, `tokentype`, but not
/// `typeform_token`; or holds one that everybody may know.
pub(super) fn is_about_a_secret(name: &str) -> bool {
    let ends = PROMISES.iter().filter_map(|word| name.rfind(word).map(|at| at + word.len()));
    let behind = &name[ends.max().unwrap_or(0)..];
    name.contains("public") || ABOUT.iter().any(|part| behind.contains(part))
}

const WEAK: Kind<'static> = Kind {
    id: "TW-SEC-ASSIGNMENT",
    title: "A value under a name that promises a secret",
    severity: Severity::Low,
};

/// Disorder that words do not have.
const STRONG: Kind<'static> =
    Kind { title: "A random value under a name that promises a secret", severity: Severity::Medium, ..WEAK };

/// In code it may be anything that has to be random.
const IN_CODE: Kind<'static> =
    Kind { title: "A random value under a name that promises a secret, in code", ..WEAK };

/// Where the values of assignments are in a text.
pub(super) fn places(text: &[u8], found: &mut dyn FnMut(usize, usize)) {
    for captures in ASSIGNED.captures_iter(text) {
        if let (Some(name), Some(value)) = (captures.get(1), captures.get(2))
            && is_secret(name.as_bytes(), value.as_bytes())
            && !is_of_something_else(text, value.start(), value.end())
        {
            found(value.start(), value.end());
        }
    }
}

/// What a file begins with that is Ansible's vault as a whole.
const VAULT: &[u8] = b"$ANSIBLE_VAULT;";
/// What kind of document Bitnami's sealed secrets are.
const SEALED: (&[u8], &[u8]) = (b"kind: SealedSecret", b"\"kind\": \"SealedSecret\"");

/// Whether all that is secret in a file can only be read with a key that is not in it. A file that is sealed in part is
/// searched like any other: beside a sealed password may be one that is not.
pub(super) fn is_sealed(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    text.starts_with(VAULT) || has_only_sealed_documents(text)
}

fn has_only_sealed_documents(text: &[u8]) -> bool {
    let (in_yaml, in_json) = SEALED;
    if text.starts_with(b"{") {
        let count = |mark| memchr::memmem::find_iter(text, mark).count();
        return count(in_json) > 0 && count(in_json) == count(b"\"kind\"");
    }
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
    let says = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
    let documents = lines.split(|line| line.starts_with(b"---"));
    let mut documents = documents.filter(|lines| lines.iter().any(says)).peekable();
    documents.peek().is_some() && documents.all(|lines| lines.contains(&in_yaml))
}

/// Searches a whole file.
pub(super) fn search(secrets: &Secrets, style: Style, text: &[u8], found: &mut dyn FnMut(FoundObservation)) {
    if is_sealed(text) {
        return;
    }
    places(text, &mut |begin, end| {
        let secret = &text[begin..end];
        let is_random = entropy(secret) >= 3.5 && secret.len() >= 12;
        let rule = match style {
            Style::Settings if is_random => STRONG,
            Style::Settings => WEAK,
            Style::Code if is_random && is_quoted(text, begin, end) => IN_CODE,
            Style::Code => return,
        };
        let line = memchr::memchr_iter(b'\n', &text[..begin]).count();
        found(secrets.observation(rule, secret, u32::try_from(line + 1).ok()));
    });
}

/// Whether the same quote stands on both sides.
fn is_quoted(text: &[u8], begin: usize, end: usize) -> bool {
    let before = begin.checked_sub(1).and_then(|at| text.get(at));
    matches!(before, Some(b'"' | b'\'')) && before == text.get(end)
}

fn is_secret(name: &[u8], value: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    !is_about_a_secret(&name) && is_value(value) && !is_placeholder(value)
}

/// Whether what looks like a value is, without quotes before it, the name behind one that has no value of its own, as in
/// `secrets:` and a line below it `TOKEN:`, or the first word of a sentence, as in translations:
/// `getPassword.exception=Exception retrieving password for [{0}]`.
fn is_of_something_else(text: &[u8], begin: usize, end: usize) -> bool {
    let is_quoted = begin > 0 && matches!(text[begin - 1], b'"' | b'\'');
    let [first, rest @ ..] = &text[begin..end] else { return false };
    let is_name = rest.ends_with(b":");
    let is_capitalised = first.is_ascii_uppercase() && rest.iter().all(u8::is_ascii_lowercase);
    let begins_sentence = is_capitalised && text.get(end) == Some(&b' ');
    !is_quoted && (is_name || begins_sentence)
}

/// Code, paths, references and booleans are no values.
fn is_value(value: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_' || *byte == b'.' || *byte == b'-';
    let starts_as_reference = matches!(
        value.first(),
        Some(b'$' | b'/' | b'.' | b'(' | b'[' | b'{' | b'%' | b'@' | b'&' | b'*' | b'!')
    );
    let calls = value.contains(&b'(') || value.contains(&b'[');
    !starts_as_reference && !calls && !value.iter().all(is_word) && value.is_ascii()
}
