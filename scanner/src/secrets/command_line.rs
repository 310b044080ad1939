//! Passwords on command lines and in variables of an image's config: `curl -u`, `--password=`, `ENV DB_PASSWORD=…`.
//!
//! Their form says nothing, only the option or name before them does. That is enough here and nowhere else: these
//! texts are short, and whoever wrote them meant what they say. References (`$TOKEN`) are no values.

use std::sync::LazyLock;

use regex::bytes::Regex;
use shared::model::report::Severity;

use super::assignment::is_about_a_secret;
use super::placeholder::is_placeholder;
use super::rule::Kind;
use super::{Described, Secrets};
use crate::analyzers::FoundObservation;

const VARIABLE: Kind<'static> = Kind {
    id: "TW-CFG-ENV-SECRET",
    title: "A variable whose name promises a secret",
    severity: Severity::High,
};

const COMMAND: Kind<'static> =
    Kind { id: "TW-HIST-SECRET", title: "A password on a command line or in a build argument", ..VARIABLE };

/// Options and headers that passwords follow. The first group of each alternative is the value.
static OPTIONS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?ix-u)
        \bcurl\b[^|;&\n]{0,400}?\s(?:-u|--user)[\s=]*["']?[^\s:"'$]{1,100}:([^\s"'$]{3,200})
      | \s--?(?:password|passwd|http-password|token|auth-token|api-key|secret)(?:=|\s+)["']?([^\s"'$-][^\s"'$]{2,200})
      | \bsshpass\s+-p\s*["']?([^\s"'$]{3,200})
      | \b(?:docker|podman|buildah|skopeo|helm|oras)\s[^|;&\n]{0,100}?login\b[^|;&\n]{0,300}?\s-p\s*["']?([^\s"'$]{3,200})
      | \b(?:mysql|mysqladmin|mysqldump|mariadb)\b[^|;&\n]{0,400}?\s-p([^\s"'$]{3,200})
      | ["'\s][a-z_][a-z0-9_-]{0,31}:([^\s"'$|:]{3,200})["']?\s*\|\s*(?:sudo\s+)?(?:/usr/sbin/)?chpasswd\b
      | authorization:\s*(?:basic|bearer|token)\s+([^\s"'$]{6,2000})
      | ://[^\s:/@"'$]{1,80}:([^\s:/@"'$]{3,200})@[a-z0-9]"#;
    Regex::new(pattern).expect("a built-in expression")
});

/// Variables with telling names; a word such as `BYPASS` has none.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?ix-u)
        (?:^|[\s|"'])
        ((?:[a-z0-9]{1,40}_){0,8}
         (?:pass|pwd|[a-z0-9]{0,20}(?:passwd|password|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?))
         (?:_[a-z0-9]{1,40}){0,4})
        =(?:"([^"\n]{3,400})"|'([^'\n]{3,400})'|([^\s"'|]{3,400}))"#;
    Regex::new(pattern).expect("a built-in expression")
});

/// Where the values are in a text.
pub(super) fn places(text: &[u8], found: &mut dyn FnMut(usize, usize)) {
    for captures in OPTIONS.captures_iter(text) {
        let value = captures.iter().skip(1).flatten().next();
        if let Some(value) = value.filter(|value| !is_placeholder(value.as_bytes())) {
            found(value.start(), value.end());
        }
    }
    for captures in NAMED.captures_iter(text) {
        let value = captures.iter().skip(2).flatten().next();
        if let (Some(name), Some(value)) = (captures.get(1), value)
            && promises(name.as_bytes())
            && is_value(value.as_bytes())
        {
            found(value.start(), value.end());
        }
    }
}

/// More of them in one text say nothing new.
const MOST: usize = 8;

/// What the text gives away; each once, whatever number of times.
pub(super) fn search(secrets: &Secrets, described: &Described) -> Vec<FoundObservation> {
    let rule = match described.place.split(['[', '.']).next() {
        Some("history") => COMMAND,
        _ if described.place.starts_with("config.Env[") => VARIABLE,
        Some("annotations") => return Vec::new(),
        _ if described.place.starts_with("config.Labels[") => return Vec::new(),
        _ => COMMAND,
    };
    let text = described.text.as_bytes();
    let mut values: Vec<&[u8]> = Vec::new();
    places(text, &mut |begin, end| {
        let value = &text[begin..end];
        // The same value may be both an option's and a part of an address.
        let is_known = values.iter().any(|known| memchr::memmem::find(known, value).is_some());
        if values.len() < MOST && !is_known {
            values.push(value);
        }
    });
    values.into_iter().map(|value| secrets.observation(rule, value, None)).collect()
}

fn promises(name: &[u8]) -> bool {
    !is_about_a_secret(&String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// References, paths, switches and numbers are no secrets.
fn is_value(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let is_switch = [&b"true"[..], b"false", b"yes", b"no", b"none", b"null"].contains(&lower.as_slice());
    !is_switch
        && !matches!(value.first(), Some(b'$' | b'/' | b'{' | b'%' | b'<'))
        && !value.iter().all(u8::is_ascii_digit)
        && !is_placeholder(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options_give_passwords_away() {
        for (place, text, expected) in [
            ("config.Env[DB_PASSWORD]", "DB_PASSWORD=hunter2", Some("TW-CFG-ENV-SECRET")),
            ("config.Env[VAULT_KEY]", "K8S_API_KEY=k8s-goat-2912", Some("TW-CFG-ENV-SECRET")),
            ("config.Env[GPG_KEY]", "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", None),
            ("config.Env[GPG_KEYS]", "GPG_KEYS=0123abcd", None),
            ("config.Env[DB_PASSWORD_FILE]", "DB_PASSWORD_FILE=/run/secrets/db", None),
            ("config.Env[PASSWORD_MIN_POLICY]", "PASSWORD_MIN_POLICY=strict9", None),
            ("config.Env[ALLOW_EMPTY_PASSWORD]", "ALLOW_EMPTY_PASSWORD=yes", None),
            ("config.Env[PASSWORD_LENGTH]", "PASSWORD_LENGTH=12", None),
            ("config.Env[BYPASS]", "BYPASS=hunter2", None),
            ("config.Env[TOKEN]", "TOKEN=${TOKEN}", None),
            ("config.Env[TOKEN]", "TOKEN=changeme", None),
            ("config.Labels[x]", "DB_PASSWORD=hunter2", None),
            ("history[1]", "|1 TOKEN=abc9def /bin/sh -c make", Some("TW-HIST-SECRET")),
            ("history[1]", "|1 TOKEN= /bin/sh -c make", None),
            ("history[1]", "/bin/sh -c #(nop)  ENV MYSQL_ROOT_PASSWORD=s3cr9", Some("TW-HIST-SECRET")),
            (
                "history[1]",
                "RUN /bin/sh -c curl -fsS -u bob:s3cr9 https://x # buildkit",
                Some("TW-HIST-SECRET"),
            ),
            ("history[1]", "RUN /bin/sh -c curl -u $USER:$PASS https://x # buildkit", None),
            ("history[1]", "RUN git clone https://bob:t0k9n@example.org/x", Some("TW-HIST-SECRET")),
            ("history[1]", "RUN tool login --password s3cr9", Some("TW-HIST-SECRET")),
            ("history[1]", "RUN tool login --password $PASSWORD", None),
            ("history[1]", "RUN tool login --password-stdin --user x", None),
            ("config.Cmd", "server --token=s3cr9t", Some("TW-HIST-SECRET")),
            ("config.Env[TYPEFORM_TOKEN]", "TYPEFORM_TOKEN=s3cr9t", Some("TW-CFG-ENV-SECRET")),
            ("config.Env[SHUTTLE_PASSWORD]", "SHUTTLE_PASSWORD=s3cr9t", Some("TW-CFG-ENV-SECRET")),
            ("config.Env[TOKEN_TYPE]", "TOKEN_TYPE=Bearer9", None),
            ("config.Env[SECRET_TTL]", "SECRET_TTL=24h0m", None),
            ("config.Env[NEXT_PUBLIC_API_KEY]", "NEXT_PUBLIC_API_KEY=pk9abc", None),
            ("history[1]", "RUN /bin/sh -c echo 'root:s3cr9t' | chpasswd", Some("TW-HIST-SECRET")),
            ("history[1]", "RUN echo \"app:$PASS\" | chpasswd -e", None),
            ("history[1]", "RUN docker login -u bob -p s3cr9t r.example.org", Some("TW-HIST-SECRET")),
            ("history[1]", "RUN mysql -uroot -ps3cr9t < dump.sql", Some("TW-HIST-SECRET")),
            ("history[1]", "RUN docker run -p 80:80 x", None),
            ("history[1]", "RUN mkdir -p /srv/mysql -p", None),
            ("history[1]", "RUN /bin/sh -c useradd -u 1000:1000 x", None),
        ] {
            let described = Described { place: place.to_owned(), text: text.to_owned(), layer: None };
            let found = search(&Secrets::built_in(), &described);
            let rule = found.first().map(|found| found.rule.as_str());
            assert_eq!(rule, expected, "{place} {text}");
            let shown = format!("{found:?} {}", Secrets::built_in().without_secrets(text));
            let is_shown =
                ["hunter2", "s3cr9", "t0k9n", "abc9def"].iter().any(|secret| shown.contains(secret));
            assert!(!is_shown || expected.is_none(), "{shown}");
        }
    }

    #[test]
    fn every_password_of_a_line_is_told_of_once() {
        for (text, expected) in [
            ("|2 DB_PASSWORD=s3cr9 API_TOKEN=t0k9n /bin/sh -c make", 2),
            ("RUN A_TOKEN=s3cr9 x --token s3cr9", 1),
            ("RUN x --password s3cr9 && git clone https://bob:t0k9n@example.org/x", 2),
        ] {
            let described = Described { place: "history[0]".to_owned(), text: text.to_owned(), layer: None };
            assert_eq!(search(&Secrets::built_in(), &described).len(), expected, "{text}");
        }
        let many: String = (0..100).map(|number| format!(" A{number}_TOKEN=s3cr9{number:03}")).collect();
        let described = Described { place: "history[0]".to_owned(), text: many, layer: None };
        assert_eq!(search(&Secrets::built_in(), &described).len(), MOST);
    }
}
