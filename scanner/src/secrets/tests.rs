//! Every rule finds its kind and nothing that looks like it; nothing depends on where blocks are cut.
//!
//! Samples are put together when a test runs: no file of this repository has anything that looks like a secret.

use std::collections::BTreeSet;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use shared::model::report::Severity;

use super::check::base62;
use super::*;

const WORD: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const HEX: &str = "0123456789abcdef";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: &str = "0123456789";

/// So many characters without order, always the same ones.
fn noise(length: usize, alphabet: &str) -> String {
    let alphabet = alphabet.as_bytes();
    let mut state = 0x2545_F491_4F6C_DD1D_u64 ^ (length as u64) << 7 ^ alphabet.len() as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(alphabet[(state >> 33) as usize % alphabet.len()])
    };
    (0..length).map(|_| next()).collect()
}

/// A token of GitHub's form: the body's checksum at its end.
fn summed(prefix: &str) -> String {
    let body = noise(30, WORD);
    let mut crc = flate2::Crc::new();
    crc.update(body.as_bytes());
    format!("{prefix}{body}{}", String::from_utf8_lossy(&base62(crc.sum())))
}

fn pem(kind: &str, body: &[u8]) -> String {
    let text = STANDARD.encode(body);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----\n", lines.join("\n"))
}

/// The beginning of a DER key, and bytes.
fn der() -> Vec<u8> {
    [b"\x30\x82\x02\x5c".as_slice(), noise(600, WORD).as_bytes()].concat()
}

fn jwt(algorithm: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"));
    let claims = URL_SAFE_NO_PAD.encode("{\"sub\":\"build\",\"admin\":true}");
    format!("{header}.{claims}.{}", noise(43, WORD))
}

/// For every rule a text that it finds something in.
fn samples() -> Vec<(&'static str, String)> {
    let n = noise;
    vec![
        ("TW-SEC-AWS-KEY-ID", format!("id {}{}", "AKI", "A".to_owned() + &n(16, BASE32))),
        ("TW-SEC-AWS-SECRET", format!("aws_secret_access_key = {}", n(40, WORD))),
        ("TW-SEC-AWS-BEDROCK", format!("{}{}", "ABS", "K".to_owned() + &n(120, WORD))),
        (
            "TW-SEC-GCP-SERVICE-ACCOUNT",
            format!(
                "{{\"type\": \"service_account\", \"project_id\": \"p\", \"private_key\": \"{}\"}}",
                pem("", &der()).replace('\n', "\\n")
            ),
        ),
        (
            "TW-SEC-GCP-SERVICE-ACCOUNT-BASE64",
            STANDARD.encode(format!("{{\n  \"type\": \"service_account\", \"x\": \"{}\"}}", n(300, WORD))),
        ),
        ("TW-SEC-GCP-API-KEY", format!("key={}{}", "AIz", "a".to_owned() + &n(35, WORD))),
        ("TW-SEC-GCP-CLIENT-SECRET", format!("{}{}", "GOCSPX", "-".to_owned() + &n(28, WORD))),
        ("TW-SEC-GCP-OAUTH", format!("{}{}", "ya29", ".".to_owned() + &n(100, WORD))),
        ("TW-SEC-AZURE-STORAGE-KEY", format!("{}{}==", "AccountKey", "=".to_owned() + &n(86, WORD))),
        (
            "TW-SEC-AZURE-SHARED-ACCESS-KEY",
            format!("{}{}=", "SharedAccessKey", "=".to_owned() + &n(43, WORD)),
        ),
        ("TW-SEC-AZURE-CLIENT-SECRET", format!("secret: {}8Q{}{}", n(3, WORD), "~", n(32, WORD))),
        ("TW-SEC-AZURE-KEY", format!("{}{}{}", n(52, WORD), "JQQJ99", n(26, WORD))),
        ("TW-SEC-AZURE-DEVOPS", format!("{}{}{}", n(76, WORD), "AZDO", n(4, WORD))),
        ("TW-SEC-ALIBABA-KEY-ID", format!("{}{}", "LTA", "I".to_owned() + &n(20, WORD))),
        ("TW-SEC-DIGITALOCEAN", format!("{}{}", "dop_v1", "_".to_owned() + &n(64, HEX))),
        ("TW-SEC-AZURE-MARKED-KEY", format!("key={}{}{}==", n(76, WORD), "AC".to_owned() + "Db", n(6, WORD))),
        (
            "TW-SEC-AZURE-SAS",
            format!("https://x.blob.core.windows.net/c?sv=2024-01-01&sp=r&{}={}%3D", "sig", n(43, WORD)),
        ),
        ("TW-SEC-GCP-USER", format!("{{\"refresh_token\": \"{}{}\"}}", "1/", "/".to_owned() + &n(90, WORD))),
        ("TW-SEC-GCP-HMAC-ID", format!("{}{}", "GOOG", "1".to_owned() + &n(56, UPPER))),
        ("TW-SEC-SCALEWAY-KEY-ID", format!("key={}{}", "SC", "W".to_owned() + &n(17, UPPER))),
        ("TW-SEC-HEROKU", format!("{}{}", "HRKU", "-".to_owned() + &n(40, WORD))),
        ("TW-SEC-CLOUDFLARE-ORIGIN", format!("{}{}-{}", "v1.0", "-".to_owned() + &n(24, HEX), n(146, HEX))),
        ("TW-SEC-FLY", format!("{}{}", "fm2", "_".to_owned() + &n(80, WORD))),
        ("TW-SEC-TENCENT-KEY-ID", format!("{}{}", "AKI", "D".to_owned() + &n(32, WORD))),
        ("TW-SEC-GITHUB-TOKEN", format!("token {}", summed(&format!("gh{}", "p_")))),
        ("TW-SEC-GITHUB-REFRESH", format!("{}{}", "ghr", "_".to_owned() + &n(76, WORD))),
        ("TW-SEC-GITHUB-APP", format!("{}{}_{}", "ghs", "_123456", jwt("RS256"))),
        (
            "TW-SEC-GITHUB-FINE-GRAINED",
            format!("{}{}_{}", "github_pat", "_".to_owned() + &n(22, WORD), n(59, WORD)),
        ),
        ("TW-SEC-GITLAB-TOKEN", format!("{}{}", "glpat", "-".to_owned() + &n(20, WORD))),
        ("TW-SEC-GITLAB-RUNNER", format!("{}{}", "GR134", "8941".to_owned() + &n(20, WORD))),
        ("TW-SEC-BITBUCKET", format!("{}{}", "ATB", "B".to_owned() + &n(32, WORD))),
        (
            "TW-SEC-ATLASSIAN",
            format!("{}{}={}", "ATATT", "3".to_owned() + &n(180, WORD), n(8, "0123456789ABCDEF")),
        ),
        ("TW-SEC-SOURCEGRAPH", format!("{}{}", "sgp", "_".to_owned() + &n(40, HEX))),
        ("TW-SEC-NPM-TOKEN", summed(&format!("np{}", "m_"))),
        ("TW-SEC-NPMRC", format!("//registry.example.com/:_auth{}={}", "Token", n(36, WORD))),
        ("TW-SEC-PYPI-TOKEN", format!("{}{}", "pypi-", "AgE".to_owned() + &n(150, WORD))),
        ("TW-SEC-RUBYGEMS", format!("{}{}", "rubygems", "_".to_owned() + &n(48, HEX))),
        ("TW-SEC-NUGET", format!("key {}{}", "oy", "2".to_owned() + &n(43, LOWER))),
        ("TW-SEC-CRATES-IO", format!("token = \"{}{}\"", "ci", "o".to_owned() + &n(32, WORD))),
        ("TW-SEC-DOCKER-HUB", format!("{}{}", "dckr_pat", "_".to_owned() + &n(27, WORD))),
        ("TW-SEC-JFROG", format!("{}{}", "AKC", "p".to_owned() + &n(69, WORD))),
        ("TW-SEC-JFROG-REFERENCE", format!("{}{}", "cmVm", "d".to_owned() + &n(59, WORD))),
        ("TW-SEC-PACKAGIST", format!("{}{}", "packagist", "_ack_".to_owned() + &n(60, HEX))),
        ("TW-SEC-CLOJARS", format!("{}{}", "CLOJARS", "_".to_owned() + &n(60, HEX))),
        (
            "TW-SEC-CONDA",
            format!(
                "https://conda.anaconda.org/t/me-{}-{}-{}-{}-{}/team",
                n(8, HEX),
                n(4, HEX),
                n(4, HEX),
                n(4, HEX),
                n(12, HEX)
            ),
        ),
        ("TW-SEC-PYPIRC", format!("[pypi]\nusername = me\npassword = {}\n", n(14, WORD))),
        ("TW-SEC-MAVEN-SETTINGS", format!("<server><id>x</id><password>{}</password></server>", n(14, WORD))),
        ("TW-SEC-NUGET-CONFIG", format!("<add key=\"ClearTextPassword\" value=\"7{}\" />", n(20, WORD))),
        (
            "TW-SEC-DOCKER-CONFIG",
            format!(
                "{{\"auths\": {{\"r.example.com\": {{\"auth\": \"{}\"}}}}}}",
                STANDARD.encode(format!("me:{}", n(20, WORD)))
            ),
        ),
        ("TW-SEC-DOCKER-IDENTITY-TOKEN", format!("{{\"identitytoken\": \"{}\"}}", n(60, WORD))),
        ("TW-SEC-KUBECONFIG-KEY", format!("    client-key-data: {}", n(400, WORD))),
        ("TW-SEC-KUBECONFIG-TOKEN", format!("users:\n- name: me\n  user:\n    token: {}", n(60, WORD))),
        ("TW-SEC-KUBEADM", format!("kubeadm join --token {}.{}", n(6, LOWER), n(16, LOWER))),
        ("TW-SEC-TERRAFORM-CLOUD", format!("{}{}{}", n(14, WORD), ".atlasv1.", n(64, WORD))),
        ("TW-SEC-VAULT", format!("{}{}", "hvs", ".".to_owned() + &n(95, WORD))),
        ("TW-SEC-VAULT-OLD", format!("VAULT_TOKEN={}{}", "s", ".".to_owned() + &n(24, WORD))),
        ("TW-SEC-AGE", format!("{}{}", "AGE-SECRET-KEY", "-1".to_owned() + &n(58, UPPER))),
        (
            "TW-SEC-TERRAFORM-STATE",
            format!(
                "{{\"terraform_version\": \"1.9\", \"resources\": [{{\"password\": \"{}\"}}]}}",
                n(20, WORD)
            ),
        ),
        (
            "TW-SEC-CONSUL",
            format!(
                "CONSUL_HTTP_TOKEN={}-{}-{}-{}-{}",
                n(8, HEX),
                n(4, HEX),
                n(4, HEX),
                n(4, HEX),
                n(12, HEX)
            ),
        ),
        ("TW-SEC-SLACK-TOKEN", format!("{}{}-{}", "xoxb", "-".to_owned() + &n(12, DIGITS), n(24, WORD))),
        (
            "TW-SEC-SLACK-WEBHOOK",
            format!(
                "https://{}{}/{}/{}",
                "hooks.slack.com",
                "/services/T".to_owned() + &n(8, UPPER),
                "B".to_owned() + &n(8, UPPER),
                n(24, WORD)
            ),
        ),
        ("TW-SEC-STRIPE", format!("{}{}", "sk_live", "_".to_owned() + &n(24, WORD))),
        ("TW-SEC-STRIPE-TEST", format!("{}{}", "sk_test", "_".to_owned() + &n(24, WORD))),
        ("TW-SEC-STRIPE-WEBHOOK", format!("{}{}", "whsec", "_".to_owned() + &n(32, WORD))),
        ("TW-SEC-OPENAI", format!("sk-{}{}{}", n(20, WORD), "T3Blbk".to_owned() + "FJ", n(20, WORD))),
        ("TW-SEC-ANTHROPIC", format!("{}{}AA", "sk-ant", "-api03-".to_owned() + &n(93, WORD))),
        ("TW-SEC-HUGGING-FACE", format!("{}{}", "hf", "_".to_owned() + &n(34, LETTERS))),
        ("TW-SEC-SENDGRID", format!("{}{}.{}", "SG", ".".to_owned() + &n(22, WORD), n(43, WORD))),
        ("TW-SEC-TWILIO", format!("twilio_key = {}{}", "S", "K".to_owned() + &n(32, HEX))),
        ("TW-SEC-MAILGUN", format!("{}{}", "key", "-".to_owned() + &n(32, HEX))),
        ("TW-SEC-MAILCHIMP", format!("{}{}", n(32, HEX), "-us".to_owned() + "12")),
        ("TW-SEC-GRAFANA", format!("{}{}_{}", "glsa", "_".to_owned() + &n(32, WORD), n(8, HEX))),
        (
            "TW-SEC-GRAFANA-API-KEY",
            STANDARD.encode(format!("{{\"k\":\"{}\",\"n\":\"build\",\"id\":1}}", n(40, WORD))),
        ),
        ("TW-SEC-DISCORD", format!("discord = '{}{}.{}.{}'", "M", n(24, WORD), n(6, WORD), n(38, WORD))),
        (
            "TW-SEC-DISCORD-WEBHOOK",
            format!(
                "https://{}/{}/{}",
                "discord.com/api".to_owned() + "/webhooks",
                n(18, DIGITS),
                n(68, WORD)
            ),
        ),
        ("TW-SEC-OKTA", format!("Authorization: SSWS {}{}", "0", "0".to_owned() + &n(40, WORD))),
        ("TW-SEC-DATADOG", format!("datadog_key: {}", n(32, HEX))),
        (
            "TW-SEC-SNYK",
            format!("SNYK_TOKEN={}-{}-{}-{}-{}", n(8, HEX), n(4, HEX), n(4, HEX), n(4, HEX), n(12, HEX)),
        ),
        ("TW-SEC-DATABRICKS", format!("{}{}", "dap", "i".to_owned() + &n(32, HEX))),
        ("TW-SEC-PULUMI", format!("{}{}", "pul", "-".to_owned() + &n(40, HEX))),
        ("TW-SEC-POSTMAN", format!("{}{}-{}", "PMAK", "-".to_owned() + &n(24, HEX), n(34, HEX))),
        ("TW-SEC-CIRCLECI", format!("{}{}_{}", "CCIPAT", "_".to_owned() + &n(22, WORD), n(40, HEX))),
        ("TW-SEC-SENTRY", format!("{}{}", "sntrys", "_".to_owned() + &n(100, WORD))),
        ("TW-SEC-TELEGRAM", format!("{}{}{}", n(9, DIGITS), ":A", "A".to_owned() + &n(33, WORD))),
        ("TW-SEC-LINEAR", format!("{}{}", "lin_api", "_".to_owned() + &n(40, WORD))),
        ("TW-SEC-SHOPIFY", format!("{}{}", "shpat", "_".to_owned() + &n(32, HEX))),
        ("TW-SEC-NEW-RELIC", format!("{}{}", "NRAK", "-".to_owned() + &n(27, UPPER))),
        ("TW-SEC-1PASSWORD", format!("{}{}", "ops_", "eyJ".to_owned() + &n(300, WORD))),
        (
            "TW-SEC-1PASSWORD-KEY",
            format!(
                "key {}{}-{}-{}-{}-{}",
                "A3",
                "-".to_owned() + &n(6, UPPER),
                n(11, UPPER),
                n(5, UPPER),
                n(5, UPPER),
                n(5, UPPER)
            ),
        ),
        ("TW-SEC-DOPPLER", format!("{}{}", "dp.pt", ".".to_owned() + &n(43, WORD))),
        ("TW-SEC-PLANETSCALE", format!("{}{}", "pscale_tkn", "_".to_owned() + &n(43, WORD))),
        ("TW-SEC-SUPABASE", format!("{}{}", "sbp", "_".to_owned() + &n(40, HEX))),
        ("TW-SEC-AIRTABLE", format!("key {}{}.{}", "pa", "t".to_owned() + &n(14, WORD), n(64, HEX))),
        ("TW-SEC-NOTION", format!("{}{}{}", "ntn", "_".to_owned() + &n(11, DIGITS), n(35, WORD))),
        ("TW-SEC-NOTION-OLD", format!("{}{}", "secret", "_".to_owned() + &n(43, WORD))),
        ("TW-SEC-FIGMA", format!("{}{}", "figd", "_".to_owned() + &n(40, WORD))),
        ("TW-SEC-TYPEFORM", format!("{}{}", "tfp", "_".to_owned() + &n(59, WORD))),
        ("TW-SEC-SONAR", format!("{}{}", "squ", "_".to_owned() + &n(40, HEX))),
        ("TW-SEC-TAILSCALE", format!("{}{}-{}", "tskey", "-auth-".to_owned() + &n(12, WORD), n(32, WORD))),
        ("TW-SEC-DYNATRACE", format!("{}{}.{}", "dt0c01", ".".to_owned() + &n(24, UPPER), n(64, UPPER))),
        ("TW-SEC-SQUARE", format!("{}{}", "sq0csp", "-".to_owned() + &n(43, WORD))),
        ("TW-SEC-SQUARE-TOKEN", format!("{}{}", "EAA", "A".to_owned() + &n(60, WORD))),
        (
            "TW-SEC-BRAINTREE",
            format!("{}{}${}", "access_token$production", "$".to_owned() + &n(16, LOWER), n(32, HEX)),
        ),
        ("TW-SEC-PRIVATE-KEY", pem("RSA ", &der())),
        ("TW-SEC-PROTECTED-KEY", pem("ENCRYPTED ", &der())),
        (
            "TW-SEC-PGP-KEY",
            format!(
                "-----BEGIN PGP {0} KEY BLOCK-----\n\n{1}\n-----END PGP {0} KEY BLOCK-----",
                "PRIVATE",
                n(400, WORD)
            ),
        ),
        (
            "TW-SEC-PUTTY-KEY",
            format!(
                "PuTTY-User-{}: ssh-ed25519\nComment: x\nPrivate-Lines: 1\n{}\n",
                "Key-File-3",
                n(60, WORD)
            ),
        ),
        ("TW-SEC-JWK", format!("{{\"kty\": \"EC\", \"crv\": \"P-256\", \"d\": \"{}\"}}", n(43, WORD))),
        ("TW-SEC-URL-PASSWORD", format!("postgres://app:{}@db.internal/app", n(14, WORD))),
        ("TW-SEC-JWT", jwt("HS256")),
        ("TW-SEC-NETRC", format!("machine api.internal login me password {}", n(14, WORD))),
        ("TW-SEC-AUTHORIZATION", format!("curl -H 'Authorization: Bearer {}'", n(40, WORD))),
        ("TW-SEC-SHADOW-EMPTY", "me::19000:0:99999:7:::".to_owned()),
        ("TW-SEC-SHADOW-WEAK", format!("root:$1${}${}:19000:0:99999:7:::", n(8, WORD), n(22, WORD))),
        ("TW-SEC-SHADOW", format!("root:$6${}${}:19000:0:99999:7:::", n(8, WORD), n(86, WORD))),
        ("TW-SEC-HTPASSWD", format!("me:$apr1${}${}\n", n(8, WORD), n(22, WORD))),
        (
            "TW-SEC-JUPYTER",
            format!("\"argon2:$argon2id$v=19$m=10240,t=10,p=8${}${}\"", n(22, WORD), n(43, WORD)),
        ),
        ("TW-SEC-RAILS", format!("  secret_key_base: {}", n(128, HEX))),
        ("TW-SEC-DJANGO", format!("SECRET_KEY = '{}'", n(50, WORD))),
        ("TW-SEC-LARAVEL", format!("APP_KEY=base64:{}=", n(43, WORD))),
        ("TW-SEC-REDIS", format!("SET SESSION_SECRET \"{}\"", n(32, WORD))),
        ("TW-SEC-WORDPRESS", format!("define('DB_PASSWORD', '{}');", n(14, WORD))),
        ("TW-SEC-WORDPRESS-SALT", format!("define('AUTH_KEY', '{}');", n(64, WORD))),
        ("TW-SEC-SYMFONY", format!("secret: {}", ["ThisTokenIs", "NotSoSecretChangeIt"].concat())),
    ]
}

fn found(path: &str, content: &[u8]) -> Vec<FoundObservation> {
    let secrets = Secrets::built_in();
    let mut search = secrets.search(path.as_bytes(), content.len() as u64);
    search.feed(content);
    search.finish().found
}

fn rules(path: &str, content: &[u8]) -> Vec<String> {
    found(path, content).into_iter().map(|found| found.rule).collect()
}

#[test]
fn every_rule_finds_its_kind() {
    let samples = samples();
    for (rule, sample) in &samples {
        assert!(rules("app/file.txt", sample.as_bytes()).contains(&(*rule).to_owned()), "{rule}: {sample}");
    }
    let sampled: BTreeSet<&str> = samples.iter().map(|(rule, _)| *rule).collect();
    let all: BTreeSet<&str> = rules::all().map(|rule| rule.kind.id).collect();
    assert_eq!(sampled, all, "a rule without a sample, or the other way round");
}

/// One character less, or another one in the middle of a word: no rule may take it for its kind.
#[test]
fn what_only_looks_like_a_secret_is_none() {
    let aws = format!("{}{}", "AKIA", "IOSFODNN7EXAMPLE");
    let jwt_unsigned = jwt("none");
    let key = pem("", b"not DER at all, only an example of what a key looks like, long enough to be one");
    let github = format!("gh{}{}000000", "p_", noise(30, WORD));
    for text in [
        aws.as_str(),
        &format!("x{}", summed(&format!("gh{}", "p_"))),
        &github,
        &jwt_unsigned,
        &key,
        "postgres://user:${PASSWORD}@db/app",
        "{\"credHelpers\": {\"gcr.io\": \"gcr\"}, \"auths\": {\"r.example.com\": {}}}",
        "root:*:19000:0:99999:7:::",
        "daemon:!:19000:0:99999:7:::",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        "https://example.com/path?x=1:2@3",
        "glpat-xxxxxxxxxxxxxxxxxxxx",
    ] {
        assert_eq!(rules("app/file.txt", text.as_bytes()), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_token_that_was_compiled_into_a_program_is_found() {
    let token = summed(&format!("gh{}", "p_"));
    let program = [b"\x7fELF\0\0\0\0".as_slice(), &[0; 5000], token.as_bytes(), &[0, 1, 2]].concat();
    let found = found("usr/bin/tool", &program);
    assert_eq!(found[0].rule, "TW-SEC-GITHUB-TOKEN");
    assert_eq!(found[0].line, None);
    let words = [b"\0".as_slice(), b"aws_secret_access_key = ", noise(40, WORD).as_bytes()].concat();
    assert_eq!(rules("usr/bin/tool", &words), Vec::<String>::new(), "names prove nothing in a program");
}

#[test]
fn text_of_two_bytes_a_character_is_read() {
    let token = summed(&format!("gh{}", "p_"));
    let text = format!("one\ntoken={token}\n");
    for (mark, low_first) in [([0xff, 0xfe], true), ([0xfe, 0xff], false)] {
        let units = text.bytes().flat_map(|byte| if low_first { [byte, 0] } else { [0, byte] });
        let wide: Vec<u8> = mark.into_iter().chain(units).collect();
        for piece in [wide.len(), 1, 3, 64, 67] {
            let found = in_pieces(&wide, piece);
            assert_eq!((found[0].rule.as_str(), found[0].line), ("TW-SEC-GITHUB-TOKEN", Some(2)));
        }
    }
}

#[test]
fn settings_files_give_away_what_stands_under_a_telling_name() {
    let strong = noise(24, WORD);
    for (path, text, expected) in [
        ("app/.env", format!("DB_PASSWORD={strong}\n"), Some(Severity::Medium)),
        ("app/.env", "DB_PASSWORD=Winter2024\n".to_owned(), Some(Severity::Low)),
        ("app/config.json", format!("{{\"apiKey\": \"{strong}\"}}"), Some(Severity::Medium)),
        ("app/settings.xml", format!("<password>{strong}</password>"), Some(Severity::Medium)),
        ("app/.env", "DB_PASSWORD_FILE=/run/secrets/db-password1\n".to_owned(), None),
        ("app/.env", "DB_PASSWORD=${DB_PASSWORD}\n".to_owned(), None),
        ("app/.env", "PASSWORD_POLICY=strict-and-long-1\n".to_owned(), None),
        ("app/main.py", format!("DB_PASSWORD = '{strong}'"), Some(Severity::Low)),
        ("app/main.php", "$password = 'Winter2024';".to_owned(), None),
        ("app/main.js", format!("token: {strong}.value,"), None),
        ("app/main.rs", format!("let password = \"{strong}\";"), None),
        ("usr/lib/node_modules/x/config.json", format!("{{\"apiKey\": \"{strong}\"}}"), None),
    ] {
        let severity = found(path, text.as_bytes()).first().map(|found| found.severity);
        assert_eq!(severity, expected, "{path}: {text}");
    }
}

#[test]
fn settings_that_come_in_pieces_are_looked_at_as_a_whole() {
    let text = format!("{}DB_PASSWORD={}\n", "# a comment\n".repeat(60_000), noise(24, WORD));
    let secrets = Secrets::built_in();
    let mut search = secrets.search(b"app/.env", text.len() as u64);
    text.as_bytes().chunks(1000).for_each(|piece| search.feed(piece));
    let found = search.finish().found;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].rule.as_str(), found[0].line), ("TW-SEC-ASSIGNMENT", Some(60_001)));
}

#[test]
fn a_token_under_a_telling_name_is_told_of_once() {
    let text = format!("TOKEN={}\n", summed(&format!("gh{}", "p_")));
    assert_eq!(rules("app/.env", text.as_bytes()), ["TW-SEC-GITHUB-TOKEN"]);
}

/// A path, what a text is packed into there, and what that is called: git's objects and packs, gzip.
fn packed(text: &str) -> [(String, Vec<u8>, &'static str); 3] {
    let deflate = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let object = deflate(format!("blob {}\0{text}", text.len()).as_bytes());
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x02".to_vec();
    pack.push(0x33);
    pack.extend(deflate(b"abc"));
    // A delta against an object by name.
    let size = text.len();
    pack.extend([0xf0 | (size & 0x0f) as u8, 0x80 | (size >> 4 & 0x7f) as u8, (size >> 11) as u8]);
    pack.extend([7; 20]);
    pack.extend(deflate(text.as_bytes()));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let name = noise(38, HEX);
    [
        (format!("app/.git/objects/ab/{name}"), object, "git object"),
        (format!("app/.git/objects/pack/pack-{name}.pack"), pack, "git pack"),
        ("var/log/old.log.gz".to_owned(), gzip, "gzip"),
    ]
}

#[test]
fn git_objects_packs_and_gzip_are_looked_into() {
    for (path, content, inner) in packed(&format!("export TOKEN={}\n", summed(&format!("gh{}", "p_")))) {
        let found = found(&path, &content);
        assert_eq!(found.first().map(|found| found.rule.as_str()), Some("TW-SEC-GITHUB-TOKEN"), "{path}");
        assert_eq!(found[0].inner_path.as_deref(), Some(inner));
        let cut = &content[..content.len() / 2];
        let _ = rules(&path, cut);
    }
}

#[test]
fn what_stands_before_damage_is_searched_however_the_bytes_come() {
    let text = format!("export TOKEN={}\n{}", summed(&format!("gh{}", "p_")), noise(3000, HEX));
    let secrets = Secrets::built_in();
    for (path, mut content, inner) in packed(&text) {
        let at = content.len() * 4 / 5;
        content[at..].fill(0xb3);
        for piece in [1, 100, content.len()] {
            let mut search = secrets.search(path.as_bytes(), content.len() as u64);
            content.chunks(piece).for_each(|piece| search.feed(piece));
            let found = search.finish().found;
            assert_eq!(found.len(), 1, "{inner}, {piece} bytes at a time");
        }
    }
}

#[test]
fn i7_a_bomb_in_a_git_object_is_unpacked_only_so_far() {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let path = format!(".git/objects/ab/{}", noise(38, HEX));
    let secrets = Secrets::built_in();
    let extent = |content: &[u8]| {
        let mut search = secrets.search(path.as_bytes(), content.len() as u64);
        content.chunks(4096).for_each(|piece| search.feed(piece));
        let searched = search.finish();
        assert!(searched.found.is_empty());
        searched.extent
    };
    assert_eq!(extent(&bomb), Extent::Part);
    assert_eq!(extent(&bomb[..1000]), Extent::Whole);
}

#[test]
fn the_same_secret_has_the_same_fingerprint_and_another_key_another_one() {
    let token = summed(&format!("gh{}", "p_"));
    let of = |secrets: &Secrets, text: &str| {
        let mut search = secrets.search(b"x", text.len() as u64);
        search.feed(text.as_bytes());
        search.finish().found[0].fingerprint.clone().unwrap()
    };
    let theirs = Secrets::new(Key::Site(b"theirs"), OwnRules::default());
    let ours = Secrets::new(Key::Site(b"ours"), OwnRules::default());
    assert_eq!(of(&ours, &token), of(&ours, &format!("elsewhere {token} ")));
    assert_ne!(of(&ours, &token), of(&theirs, &token));
    assert_ne!(ours.revision(), theirs.revision());
}

/// SCANNING 8, 145.
#[test]
fn no_observation_and_no_masked_text_has_the_secret() {
    for (rule, sample) in samples() {
        let shown = serde_json::to_string(&found("app/.env", sample.as_bytes())).unwrap();
        let masked = Secrets::built_in().without_secrets(&sample);
        // The longest word of a sample is its secret.
        let secret =
            sample.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len()).unwrap();
        if rule != "TW-SEC-SHADOW-EMPTY" {
            assert!(!shown.contains(secret), "{rule}: {shown}");
            assert!(!masked.contains(secret), "{rule}: {masked}");
        }
    }
}

#[test]
fn a_file_full_of_secrets_gives_a_bounded_number() {
    let text: String =
        (0..1000).map(|n| format!("postgres://a:{}{n}@h.example/d\n", noise(12, WORD))).collect();
    assert!(found("x.txt", text.as_bytes()).len() <= 100);
}

fn in_pieces(content: &[u8], piece: usize) -> Vec<FoundObservation> {
    let secrets = Secrets::built_in();
    let mut search = secrets.search(b"app/file.txt", content.len() as u64 + 1);
    content.chunks(piece.max(1)).for_each(|piece| search.feed(piece));
    search.finish().found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// SCANNING 8, 138.
    #[test]
    fn hits_do_not_depend_on_where_blocks_are_cut(
        before in 0_usize..400_000,
        behind in 0_usize..40_000,
        which in 0_usize..100,
        piece in 1_usize..300_000,
    ) {
        let samples = samples();
        let (_, sample) = &samples[which % samples.len()];
        let filler = |length: usize| "lorem ipsum\n".bytes().cycle().take(length).collect::<Vec<u8>>();
        let content = [filler(before), b"\n".to_vec(), sample.clone().into_bytes(), b"\n".to_vec(), filler(behind)].concat();
        let whole = found("app/file.txt", &content);
        prop_assert!(!whole.is_empty());
        prop_assert_eq!(in_pieces(&content, piece.max(997)), whole);
    }

    #[test]
    fn i7_no_bytes_panic(content in proptest::collection::vec(any::<u8>(), 0..4000), path in "[a-z./]{0,20}(\\.gz|\\.env|\\.git/objects/pack/x\\.pack)?") {
        let _ = rules(&path, &content);
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, content) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn files_of_archives_are_searched_under_their_own_names() {
    let token = summed(&format!("gh{}", "p_"));
    let text = format!("a\ntoken = {token}\n");
    let (stored, deflated) = (zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated);
    let class = [b"\xca\xfe\xba\xbe\0\0".as_slice(), &[7; 3000]].concat();
    let jar = zip(&[("A.class", &class), ("x.bin", &class), ("config/a.txt", text.as_bytes())], deflated);
    let spring = zip(&[("BOOT-INF/lib/in.jar", &jar), ("b.txt", b"nothing")], stored);
    let tar = tar(&[("empty", b""), ("srv/a.txt", text.as_bytes()), ("z", &class)]);
    let zstd = |content: &[u8]| zstd::encode_all(content, 3).unwrap();
    let nested = zip(&[("lib/in.jar", &jar)], deflated);
    let deep = zip(&[("logs/old.tar.gz", &gzip(&tar)), ("c.bin", &class)], deflated);
    let secrets = Secrets::built_in();
    for (path, content, inner) in [
        ("app/a.jar", jar, "config/a.txt"),
        ("app/b.jar", spring, "BOOT-INF/lib/in.jar!/config/a.txt"),
        ("app/c.zip", zip(&[("c", text.as_bytes())], stored), "c"),
        ("app/e.tgz", gzip(&tar), "srv/a.txt"),
        ("app/e.tar.bz2", bzip2(&tar), "srv/a.txt"),
        ("app/e.tar.xz", xz(&tar), "srv/a.txt"),
        ("app/e.tar.zst", zstd(&tar), "srv/a.txt"),
        ("app/d.tar", tar, "srv/a.txt"),
        ("app/f.txt.gz", gzip(text.as_bytes()), "gzip"),
        ("app/f.txt.bz2", bzip2(text.as_bytes()), "bzip2"),
        ("app/f.txt.xz", xz(text.as_bytes()), "xz"),
        ("app/f.txt.zst", zstd(text.as_bytes()), "zstd"),
        ("app/g.zip", nested, "lib/in.jar!/config/a.txt"),
        ("app/h.zip", deep, "logs/old.tar.gz!/srv/a.txt"),
    ] {
        for step in [1, 7, 1000, content.len()] {
            let mut search = secrets.search(path.as_bytes(), content.len() as u64);
            content.chunks(step).for_each(|piece| search.feed(piece));
            let found = search.finish().found;
            let places: Vec<_> =
                found.iter().map(|found| (found.inner_path.as_deref(), found.line)).collect();
            assert_eq!(places, [(Some(inner), Some(2))], "{path} by {step}");
        }
    }
}

/// What is beyond a limit is said, whatever it is packed in.
#[test]
fn i7_archives_in_archives_are_unpacked_only_so_far() {
    let stored = zip::CompressionMethod::Stored;
    let zeros = vec![0; 8 << 20];
    let many = vec![gzip(&zeros); 9];
    let names: Vec<String> = (0..many.len()).map(|number| format!("{number}.bin")).collect();
    let bombs: Vec<(&str, &[u8])> =
        names.iter().zip(&many).map(|(name, bomb)| (name.as_str(), bomb.as_slice())).collect();
    let onion = |layers: usize| (0..layers).fold(b"nothing".to_vec(), |inner, _| gzip(&inner));
    for (path, content, expected) in [
        ("a.zip", zip(&bombs, stored), Extent::Part),
        ("a.tar.gz", gzip(&tar(&bombs)), Extent::Part),
        ("a.gz", gzip(&gzip(&zeros)), Extent::Part),
        ("a.gz", onion(6), Extent::Whole),
        ("a.gz", onion(7), Extent::Part),
        ("a.gz", onion(60), Extent::Part),
    ] {
        let secrets = Secrets::built_in();
        let mut search = secrets.search(path.as_bytes(), content.len() as u64);
        search.feed(&content);
        assert_eq!(search.finish().extent, expected, "{path} of {}", content.len());
    }
}

#[test]
fn a_compressed_file_of_settings_is_looked_at_as_settings() {
    let settings = format!("DB_PASSWORD={}\n", noise(24, WORD));
    assert_eq!(rules("srv/app.env.gz", &gzip(settings.as_bytes())), ["TW-SEC-ASSIGNMENT"]);
    assert_eq!(rules("srv/app.txt.gz", &gzip(settings.as_bytes())), [""; 0]);
}

#[test]
fn settings_in_an_archive_are_looked_at_as_settings() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("BOOT-INF/classes/application.properties", zip::write::SimpleFileOptions::default())
        .unwrap();
    writer.write_all(b"spring.datasource.password=Xk29fLq81mZpT4\n").unwrap();
    let jar = writer.finish().unwrap().into_inner();
    let secrets = Secrets::built_in();
    let mut search = secrets.search(b"app/app.jar", jar.len() as u64);
    search.feed(&jar);
    let found = search.finish().found;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].inner_path.as_deref(), Some("BOOT-INF/classes/application.properties"));
}

proptest! {
    #[test]
    fn i7_damaged_archives_end(content in proptest::collection::vec(any::<u8>(), 0..3000), step in 1_usize..700) {
        let secrets = Secrets::built_in();
        for path in ["a.zip", "a.tar", "a.tgz", "a.xz"] {
            for start in [&b""[..], b"PK\x03\x04", b"PK\x03\x04\x14\0\0\0\x08\0", b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"] {
                let content = [start, &content].concat();
                let mut search = secrets.search(path.as_bytes(), content.len() as u64);
                content.chunks(step).for_each(|piece| search.feed(piece));
                search.finish();
            }
        }
    }
}
