//! Names with passwords: in addresses and in the files of clients; tokens; frameworks' keys.

use shared::model::report::Severity::{High, Low, Medium};

use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::Rule;
use super::{JWT, text, token};

pub(super) const RULES: &[Rule<'static>] = &[
    // Redis knows passwords without a user.
    text("TW-SEC-URL-PASSWORD", "A password in an address", High, &["://"],
        r#"(?i)\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|ldaps?|smtps?|mssql|ftp|https?)://[^\s:/@"'<>]{0,80}:([^\s:/@"'<>$\{\[\]]{6,})@[A-Za-z0-9.-]{2,}"#)
        .guarded(Guard::Address(300))
        .checked(Check::Password(2.5)),
    text("TW-SEC-URL-COMMON-PASSWORD", "A password that everybody tries first, in an address", Low, &["://"],
        r#"(?i)\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|ldaps?|smtps?|mssql|ftp|https?)://[^\s:/@"'<>]{0,80}:([A-Za-z0-9]{4,10})@[A-Za-z0-9.-]{2,}"#)
        .guarded(Guard::Address(300))
        .checked(Check::CommonPassword),
    token("TW-SEC-JWT", "A JSON web token", Medium, &["eyJ", "eyAi"], JWT).up_to(9000).in_texts().guarded(Guard::Run(13)).checked(Check::Jwt),
    token("TW-SEC-JWT-EXPIRED", "A JSON web token that has expired", Low, &["eyJ", "eyAi"], JWT).up_to(9000).in_texts().guarded(Guard::Run(13)).checked(Check::ExpiredJwt),
    // No host has a backslash, but those in the source of a manual page have: `example\&.org`.
    text("TW-SEC-NETRC", "A password in a .netrc", High, &["machine"], r"(?m)^\s*machine\s+[^\s\\]+\s+login\s+\S+\s+password\s+(\S{6,})").guarded(Guard::Host(7))
        .checked(Check::Password(2.5)),
    text("TW-SEC-AUTHORIZATION", "A login in a request's header", High, &["uthorization: B"], r"(?i)authorization: b(?:asic|earer) ([A-Za-z0-9+/=_.-]{16,})").checked(Check::Entropy(3.0)),
    // The days may be missing, as where Alpine let root in: `root:::0:::::` (CVE-2019-5021); if not, the first is of
    // 2013 or later.
    text("TW-SEC-SHADOW-EMPTY", "A user who needs no password", High, &[":99999:", ":::0", "::::", "::16", "::17", "::18", "::19", "::20", "::21"],
        r"(?m)^([A-Za-z_][A-Za-z0-9_.-]{0,31}::[0-9]{0,6}:[0-9]{0,6}:[0-9]{0,6}:[0-9]{0,6}:[0-9]{0,6}:[0-9]{0,6}:[^\n:]{0,32})$").around(100, 200),
    text("TW-SEC-SHADOW-WEAK", "A password hash that is broken in minutes", High, &[":$1$", ":99999:"], r"(?m)^[A-Za-z_][A-Za-z0-9_.-]{0,31}:(\$1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}|[A-Za-z0-9./]{13}):[0-9]*:[0-9]{0,6}:"),
    text("TW-SEC-SHADOW", "A password hash", Medium, &[":$5$", ":$6$", ":$y$", ":$2a$", ":$2b$", ":$2y$", ":$7$", ":$gy$"],
        // In the file of groups their administrators follow.
        r"(?m)^[A-Za-z_][A-Za-z0-9_.-]{0,31}:(\$(?:5|6|y|2[aby]|7|gy)\$[A-Za-z0-9./=$]{20,}):[A-Za-z0-9_.,-]*:"),
    text("TW-SEC-HTPASSWD", "A password hash of a web server", Medium, &[":$apr1$", ":{SHA}", ":$2a$", ":$2b$", ":$2y$"],
        r"(?m)^[^\s:]{1,64}:(\$apr1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}|\{SHA\}[A-Za-z0-9+/]{27}=|\$2[aby]\$[0-9]{2}\$[A-Za-z0-9./]{53})\s*$"),
    text("TW-SEC-JUPYTER", "A password hash of Jupyter", Medium, &["argon2:$argon2id$"], r"(argon2:\$argon2id\$v=[0-9]{1,3}\$[A-Za-z0-9=,]{1,60}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{20,})"),
    token("TW-SEC-JUPYTER", "A password hash of Jupyter", Medium, &["sha1:"], r"(sha1:[a-f0-9]{12}:[a-f0-9]{40})\b").in_texts(),
    text("TW-SEC-RAILS", "A Rails secret key base", High, &["secret_key_base"], r#"secret_key_base["']?\s*[:=]\s*["']?([a-f0-9]{64,})"#),
    text("TW-SEC-DJANGO", "A Django secret key", Medium, &["SECRET_KEY"], r#"\bSECRET_KEY\s*=\s*["']([^"'\n]{30,})["']"#).checked(Check::DjangoKey(3.5)),
    token("TW-SEC-DJANGO-INSECURE", "A Django secret key that a project begins with", Low, &["django-insecure-"], r#"(django-insecure-[^\s"']{30,60})"#).in_texts(),
    text("TW-SEC-LARAVEL", "A Laravel application key", High, &["APP_KEY=base64:"], r"APP_KEY=base64:([A-Za-z0-9+/]{43}=)"),
    text("TW-SEC-WORDPRESS", "A password in wp-config.php", High, &["DB_PASSWORD"], r#"define\(\s*['"]DB_PASSWORD['"]\s*,\s*['"]([^'"]{4,})['"]"#),
    // One of eight that are set together.
    text("TW-SEC-WORDPRESS-SALT", "What WordPress signs logins with", Medium, &["'AUTH_KEY'", "\"AUTH_KEY\""], r#"['"]AUTH_KEY['"]\s*,\s*['"]([^'"\n]{40,100})['"]"#)
        .checked(Check::Entropy(4.0)),
    text("TW-SEC-REDIS", "A secret that is loaded into Redis", High, &["SET ", "set "],
        r#"(?im)^\s*SET\s+["']?[a-z0-9_:.-]{0,60}(?:secret|token|passw(?:or)?d|api_?key|credential)[a-z0-9_:.-]{0,60}["']?\s+["']?([^\s"'=]{12,200})"#).guarded(Guard::OpensLine)
        .checked(Check::Entropy(3.0)),
    token("TW-SEC-SYMFONY", "Symfony's secret, left as it came", Low, &["ThisTokenIsNotSoSecretChangeIt"], r"(ThisTokenIsNotSoSecretChangeIt)"),
];
