//! Texts with secrets in them, put together when a test runs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::secrets::check::base62;

pub(super) const WORD: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(super) const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(super) const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(super) const HEX: &str = "0123456789abcdef";
pub(super) const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(super) const DIGITS: &str = "0123456789";

/// So many characters without order, always the same ones.
pub(super) fn noise(length: usize, alphabet: &str) -> String {
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
pub(super) fn summed(prefix: &str) -> String {
    let body = noise(30, WORD);
    let mut crc = flate2::Crc::new();
    crc.update(body.as_bytes());
    format!("{prefix}{body}{}", String::from_utf8_lossy(&base62(crc.sum())))
}

pub(super) fn pem(kind: &str, body: &[u8]) -> String {
    let text = STANDARD.encode(body);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----\n", lines.join("\n"))
}

/// The beginning of a DER key, and bytes.
pub(super) fn der() -> Vec<u8> {
    [b"\x30\x82\x02\x5c".as_slice(), noise(600, WORD).as_bytes()].concat()
}

pub(super) fn jwt(algorithm: &str) -> String {
    jwt_with(algorithm, "{\"sub\":\"build\",\"admin\":true}")
}

pub(super) fn jwt_with(algorithm: &str, claims: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{algorithm}\",\"typ\":\"JWT\"}}"));
    let claims = URL_SAFE_NO_PAD.encode(claims);
    format!("{header}.{claims}.{}", noise(43, WORD))
}

/// For every rule a text that it finds something in.
pub(super) fn samples() -> Vec<(&'static str, String)> {
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
        ("TW-SEC-IBM", format!("IBMCLOUD_API_KEY={}", n(44, WORD))),
        ("TW-SEC-TENCENT-KEY-ID", format!("{}{}", "AKI", "D".to_owned() + &n(32, WORD))),
        ("TW-SEC-GITHUB-TOKEN", format!("token {}", summed(&format!("gh{}", "p_")))),
        ("TW-SEC-GITHUB-REFRESH", format!("{}{}", "ghr", "_".to_owned() + &n(76, WORD))),
        ("TW-SEC-GITHUB-APP", format!("{}{}_{}", "ghs", "_123456", jwt("RS256"))),
        (
            "TW-SEC-GITHUB-FINE-GRAINED",
            format!("{}{}_{}", "github_pat", "_".to_owned() + &n(22, WORD), n(59, WORD)),
        ),
        ("TW-SEC-GITLAB-TOKEN", format!("{}{}", "glpat", "-".to_owned() + &n(20, WORD))),
        ("TW-SEC-GITEA", format!("GITEA_TOKEN={}", n(40, HEX))),
        ("TW-SEC-GITLAB-RUNNER", format!("{}{}", "GR134", "8941".to_owned() + &n(20, WORD))),
        ("TW-SEC-BITBUCKET", format!("{}{}", "ATB", "B".to_owned() + &n(32, WORD))),
        (
            "TW-SEC-ATLASSIAN",
            format!("{}{}={}", "ATATT", "3".to_owned() + &n(180, WORD), n(8, "0123456789ABCDEF")),
        ),
        ("TW-SEC-SOURCEGRAPH", format!("{}{}", "sgp", "_".to_owned() + &n(40, HEX))),
        ("TW-SEC-NPM-TOKEN", summed(&format!("np{}", "m_"))),
        ("TW-SEC-NPMRC-LEGACY", format!("_auth = {}=", n(31, WORD))),
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
        (
            "TW-SEC-KUBERNETES-TOKEN",
            jwt_with("RS256", "{\"kubernetes.io/serviceaccount/namespace\":\"default\",\"sub\":\"build\"}"),
        ),
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
        ("TW-SEC-TWILIO-AUTH", format!("TWILIO_AUTH_TOKEN={}", n(32, HEX))),
        ("TW-SEC-NGROK", format!("authtoken: 2{}_7{}", n(26, WORD), n(20, WORD))),
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
        ("TW-SEC-DATADOG", format!("datadog:\n  api_key: {}", n(32, HEX))),
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
                "PuTTY-User-{}: ssh-ed25519\nEncryption: none\nComment: x\nPrivate-Lines: 1\n{}\n",
                "Key-File-3",
                n(60, WORD)
            ),
        ),
        ("TW-SEC-JWK", format!("{{\"kty\": \"EC\", \"crv\": \"P-256\", \"d\": \"{}\"}}", n(43, WORD))),
        ("TW-SEC-URL-PASSWORD", format!("postgres://app:{}@db.internal/app", n(14, WORD))),
        ("TW-SEC-URL-COMMON-PASSWORD", "redis://:rabbitmq@db/0".to_owned()),
        ("TW-SEC-JWT", jwt("HS256")),
        ("TW-SEC-JWT-EXPIRED", jwt_with("RS256", "{\"sub\":\"build\",\"exp\":1516239022}")),
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
        (
            "TW-SEC-DJANGO-INSECURE",
            format!("SECRET_KEY = '{}{}'", "django-insecure", "-".to_owned() + &n(50, WORD)),
        ),
        ("TW-SEC-LARAVEL", format!("APP_KEY=base64:{}=", n(43, WORD))),
        ("TW-SEC-REDIS", format!("SET SESSION_SECRET \"{}\"", n(32, WORD))),
        ("TW-SEC-WORDPRESS", format!("define('DB_PASSWORD', '{}');", n(14, WORD))),
        ("TW-SEC-WORDPRESS-SALT", format!("define('AUTH_KEY', '{}');", n(64, WORD))),
        ("TW-SEC-SYMFONY", format!("secret: {}", ["ThisTokenIs", "NotSoSecretChangeIt"].concat())),
    ]
}
