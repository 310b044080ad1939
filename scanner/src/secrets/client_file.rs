//! Files that a program keeps its passwords in, in a form of its own: their name says what is read in them.
//!
//! Each row is a file name and the expression whose groups are the secrets, one at most for each match. Formats: PostgreSQL, "The
//! Password File"; MySQL, "Using Option Files"; Bundler, "bundle config"; Cargo, "Credentials"; Composer,
//! "Authentication"; Rails, "Custom Credentials"; curl, "The .netrc file format"; Kubernetes, "Organizing Cluster Access Using kubeconfig
//! Files"; Maven, "Password Encryption"; shadow(5) and gshadow(5); the histories are what somebody typed.

use std::sync::LazyLock;

use regex::bytes::Regex;
use shared::model::report::Severity::{self, Critical, High, Medium};

use super::placeholder::is_placeholder;
use super::rule::Kind;
use super::{Secrets, command_line};
use crate::analyzers::FoundObservation;

/// Larger files of these names are something else.
const LARGEST: u64 = 64 << 10;

/// What a kind of file is called, and where its secrets are.
pub(super) struct Form {
    /// Ends of paths at a `/`; several names of one form.
    names: &'static [&'static str],
    kind: Kind<'static>,
    places: Places,
}

/// Where secrets are in a text.
enum Places {
    /// In groups of an expression.
    Groups(LazyLock<Regex>),
    /// Where the command lines of a config have them, and in those of databases besides.
    Commands(LazyLock<Regex>),
}

macro_rules! expression {
    ($pattern:literal) => {
        LazyLock::new(|| Regex::new($pattern).expect("a built-in expression"))
    };
}

const fn kind(id: &'static str, title: &'static str, severity: Severity) -> Kind<'static> {
    Kind { id, title, severity }
}

static FORMS: [Form; 12] = [
    Form {
        names: &[".netrc", "_netrc"],
        kind: kind("TW-SEC-NETRC", "A password in a .netrc", High),
        places: Places::Groups(expression!(r#"(?m-u)\bpassword\s+["']?([^\s"'#]{3,200})"#)),
    },
    Form {
        names: &[
            ".kube/config",
            "kubeconfig",
            "kubeconfig.json",
            "kubeconfig.yaml",
            "kubeconfig.yml",
            "kubernetes/admin.conf",
            "kubernetes/bootstrap-kubelet.conf",
            "kubernetes/controller-manager.conf",
            "kubernetes/kubelet.conf",
            "kubernetes/scheduler.conf",
            "kubernetes/super-admin.conf",
        ],
        kind: kind("TW-SEC-KUBECONFIG-TOKEN", "A user's token of a Kubernetes cluster", Critical),
        places: Places::Groups(expression!(
            r#"(?m-u)(?:^|[\s{,])["']?(?:token|password|id-token|refresh-token)["']?\s*:\s*["']?([^\s"',}]{4,4000})"#
        )),
    },
    Form {
        names: &["settings-security.xml"],
        kind: kind(
            "TW-SEC-MAVEN-MASTER",
            "The password by which those in Maven's settings are decrypted",
            High,
        ),
        places: Places::Groups(expression!(r"(?-u)<master>\s*(\{?[A-Za-z0-9+/=]{16,200}\}?)\s*</master>")),
    },
    // Of their other hashes rules know the beginning, wherever they stand.
    Form {
        names: &["etc/shadow", "etc/shadow-", "etc/gshadow", "etc/gshadow-"],
        kind: kind("TW-SEC-SHADOW-WEAK", "A password hash that is broken in minutes", High),
        places: Places::Groups(expression!(
            r"(?m-u)^[^:\s]{1,64}:(\$1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}|[A-Za-z0-9./]{13}):"
        )),
    },
    Form {
        names: &[".pgpass", "pgpass.conf"],
        kind: kind("TW-SEC-PGPASS", "A password of PostgreSQL's client", High),
        places: Places::Groups(expression!(
            r"(?m-u)^[^#:\s][^:\n]*:[^:\n]*:[^:\n]*:[^:\n]*:([^\s]{1,200})\s*$"
        )),
    },
    Form {
        names: &[".my.cnf", "my.cnf", "debian.cnf"],
        kind: kind("TW-SEC-MYSQL-CLIENT", "A password of MySQL's client", High),
        places: Places::Groups(expression!(r#"(?im-u)^\s*password\s*=\s*["']?([^\s"'#]{3,200})"#)),
    },
    Form {
        names: &[".bundle/config", "bundle/config"],
        kind: kind("TW-SEC-BUNDLER", "A password of Bundler", High),
        places: Places::Groups(expression!(
            r#"(?m-u)^BUNDLE_[A-Z0-9_]{1,100}__[A-Z0-9_]{1,60}:\s*["']?(?:[^\s"':/-][^\s"':/]{0,100}:([^\s"':/]{3,200})|([A-Za-z0-9_]{20,100}))["']?\s*$"#
        )),
    },
    Form {
        names: &[
            ".cargo/credentials",
            ".cargo/credentials.toml",
            "cargo/credentials",
            "cargo/credentials.toml",
        ],
        kind: kind("TW-SEC-CARGO", "A token of Cargo", High),
        places: Places::Groups(expression!(
            r#"(?m-u)^\s*(?:token|secret-key)\s*=\s*["']([^"'\s]{16,400})["']"#
        )),
    },
    Form {
        names: &["auth.json"],
        kind: kind("TW-SEC-COMPOSER", "A password of Composer", High),
        places: Places::Groups(expression!(
            r#"(?s-u)"http-basic"\s*:\s*\{.{0,2000}?"password"\s*:\s*"([^"]{3,200})"|"(?:bearer|gitlab-token|gitlab-oauth|github-oauth)"\s*:\s*\{\s*"[^"]{1,200}"\s*:\s*"([^"]{8,400})""#
        )),
    },
    Form {
        names: &["config/master.key", "config/credentials/production.key", "config/credentials/staging.key"],
        kind: kind("TW-SEC-RAILS-KEY", "The key of a Rails application's credentials", High),
        places: Places::Groups(expression!(r"\A\s*([a-f0-9]{32}|[a-f0-9]{64})\s*\z")),
    },
    Form {
        names: &[".vault-token"],
        kind: kind("TW-SEC-VAULT-CLIENT", "A token of Vault's client", Critical),
        places: Places::Groups(expression!(r"\A\s*([A-Za-z0-9._-]{20,200})\s*\z")),
    },
    Form {
        names: &[
            ".ash_history",
            ".bash_history",
            ".mysql_history",
            ".psql_history",
            ".sh_history",
            ".zsh_history",
        ],
        kind: kind("TW-SEC-HISTORY", "A password in a history of commands", Medium),
        places: Places::Commands(expression!(
            r#"(?i-u)\bidentified\s+by\s+["']([^"'\n]{3,200})["']|\b(?:user|role)\b[^;\n]{0,200}?\bpassword\s+'([^'\n]{3,200})'|\bmysql(?:dump|admin)?\s(?:[^|;&\n]{0,200}?\s)?-p([^\s"'$-][^\s"'$]{2,200})"#
        )),
    },
];

/// The form that a file of this name has.
pub(super) fn form(path: &[u8], size: u64) -> Option<&'static Form> {
    let is_called = |name: &&str| {
        let before = path.strip_suffix(name.as_bytes());
        before.is_some_and(|before| matches!(before.last(), None | Some(b'/')))
    };
    FORMS.iter().filter(|_| size <= LARGEST).find(|form| form.names.iter().any(is_called))
}

/// Searches a whole file.
pub(super) fn search(secrets: &Secrets, form: &Form, text: &[u8], found: &mut dyn FnMut(FoundObservation)) {
    let mut tell = |begin: usize, end: usize| {
        let secret = &text[begin..end];
        if !is_placeholder(secret) {
            let line = memchr::memchr_iter(b'\n', &text[..begin]).count();
            found(secrets.observation(form.kind, secret, u32::try_from(line + 1).ok()));
        }
    };
    let expression = match &form.places {
        Places::Groups(expression) => expression,
        Places::Commands(expression) => {
            command_line::places(text, &mut tell);
            expression
        }
    };
    for captures in expression.captures_iter(text) {
        if let Some(secret) = captures.iter().skip(1).flatten().next() {
            tell(secret.start(), secret.end());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(path: &str, text: &[u8]) -> Vec<String> {
        let secrets = Secrets::built_in();
        let mut search = secrets.search(path.as_bytes(), text.len() as u64);
        search.feed(text);
        let found = search.finish().found;
        found.into_iter().map(|one| format!("{} {}", one.rule, one.line.unwrap_or_default())).collect()
    }

    #[test]
    fn each_form_gives_its_secrets_away() {
        for (path, text, expected) in [
            ("root/.pgpass", "# host:port\ndb:5432:*:app:hunter2\n", &["TW-SEC-PGPASS 2"][..]),
            ("root/.pgpass", "db:5432:*:app:hunter2\r\ndb:5432:*:x:${PW}", &["TW-SEC-PGPASS 1"]),
            ("root/.my.cnf", "[client]\nuser=root\npassword = hunter2", &["TW-SEC-MYSQL-CLIENT 3"]),
            ("etc/mysql/my.cnf", "[client]\nport=3306\n# password = your_password\n", &[]),
            (
                "app/.bundle/config",
                "---\nBUNDLE_PATH: \"vendor\"\nBUNDLE_GEMS__EXAMPLE__ORG: \"me:hunter2\"\n",
                &["TW-SEC-BUNDLER 3"],
            ),
            ("app/.bundle/config", "BUNDLE_BUILD__NOKOGIRI: \"--use-system-libraries\"\n", &[]),
            (
                "root/.cargo/credentials",
                "[registry]\ntoken = \"a1b2c3d4e5f6a7b8c9d0\"\n",
                &["TW-SEC-CARGO 2"],
            ),
            (
                "app/auth.json",
                r#"{"http-basic": {"repo.internal": {"username": "me", "password": "hunter2"}}}"#,
                &["TW-SEC-COMPOSER 1"],
            ),
            ("app/auth.json", r#"{"password": "hunter2"}"#, &[]),
            ("app/config/master.key", "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n", &["TW-SEC-RAILS-KEY 1"]),
            ("app/config/other.key", "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n", &[]),
            ("root/.vault-token", "s.a1B2c3D4e5F6g7H8i9J0k1L2", &["TW-SEC-VAULT-CLIENT 1"]),
            (
                "root/.bash_history",
                "ls\ncurl -u me:hunter2 https://x\nmysql -uroot -phunter2 app\n",
                &["TW-SEC-HISTORY 2"],
            ),
            ("root/.mysql_history", "CREATE USER 'a'@'%' IDENTIFIED BY 'hunter2';\n", &["TW-SEC-HISTORY 1"]),
            ("root/.psql_history", "ALTER ROLE app PASSWORD 'hunter2';\n", &["TW-SEC-HISTORY 1"]),
            ("root/.bash_history", "mysql -p\nmysql -u root -p app\ncd /srv\n", &[]),
            ("root/x.pgpass", "db:5432:*:app:hunter2\n", &[]),
            ("root/.netrc", "machine a.internal\n  login me\n  password hunter2\n", &["TW-SEC-NETRC 3"]),
            ("root/.netrc", "default password hunter2\n", &["TW-SEC-NETRC 1"]),
            ("root/_netrc", "machine a.internal login me password ${PASSWORD}\n", &[]),
            (
                "root/.kube/config",
                "users:\n- name: a\n  user:\n    token: t0k3n-of-a\n- name: b\n  user:\n    username: b\n    password: hunter2\n    tokenFile: /run/token\n",
                &["TW-SEC-KUBECONFIG-TOKEN 4", "TW-SEC-KUBECONFIG-TOKEN 8"],
            ),
            (
                "etc/kubernetes/admin.conf",
                r#"{"users":[{"name":"a","user":{"token":"t0k3n-of-a"}}]}"#,
                &["TW-SEC-KUBECONFIG-TOKEN 1"],
            ),
            ("app/admin.conf", "token: t0k3n-of-a\n", &["TW-SEC-ASSIGNMENT 1"]),
            (
                "root/.m2/settings-security.xml",
                "<settingsSecurity>\n  <master>{q8Zr0vB2nLwXq8Zr0vB2nLwX=}</master>\n</settingsSecurity>",
                &["TW-SEC-MAVEN-MASTER 2"],
            ),
            (
                "root/.m2/settings-security.xml",
                "<relocation>/media/usb/settings-security.xml</relocation>",
                &[],
            ),
            ("etc/shadow", "root:aaKNIEDOaueR6:::::::\n", &["TW-SEC-SHADOW-WEAK 1"]),
            ("etc/gshadow-", "staff:aaKNIEDOaueR6:root:me\nbin:*::\nsys:!::\n", &["TW-SEC-SHADOW-WEAK 1"]),
            ("srv/shadow", "root:aaKNIEDOaueR6:::::::\n", &[]),
        ] {
            assert_eq!(rules(path, text.as_bytes()), expected, "{path}: {text}");
        }
    }

    #[test]
    fn a_large_file_of_such_a_name_is_something_else() {
        let text = [&b"db:5432:*:app:hunter2\n"[..], &vec![b' '; LARGEST as usize]].concat();
        assert_eq!(rules("root/.pgpass", &text), [""; 0]);
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>) {
            for form in &FORMS {
                rules(form.names[0], &content);
            }
        }
    }
}
