//! Who we are at a registry: given values, a docker `config.json`, or a credential helper.
//!
//! Files and helpers are asked again whenever the registry wants a new authorization, so that rotated
//! secrets are picked up while running. Formats: docker's `config.json` (`auths`), and the
//! docker-credential-helpers protocol (`get`: server on stdin, JSON on stdout).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::model::image::RegistryHost;
use crate::outgoing::Shown;

/// Where the credentials of one registry come from.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// We are nobody.
    Anonymous,
    /// A user, or a robot account.
    Basic {
        /// The user's name.
        username: String,
        /// The password, or an access token that is used as one.
        password: SecretString,
    },
    /// A bearer token that the registry itself accepts; it is shown as it is.
    Token(SecretString),
    /// An identity (refresh) token, exchanged for a bearer token at the token service.
    IdentityToken(SecretString),
    /// A docker or podman `config.json`. Credential helpers that it names are *not* run: see `Helper`.
    DockerConfig {
        /// The file.
        path: PathBuf,
    },
    /// A credential helper: the program `docker-credential-<name>` is run, with our rights.
    Helper {
        /// What follows `docker-credential-`: letters, digits, `.`, `_`, `-`.
        name: String,
    },
}

/// Why credentials could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The file has another shape than a docker configuration, or is larger than 1 MiB.
    #[error("{0} is not a docker configuration file")]
    Shape(PathBuf),
    /// The file's entry for this registry cannot be used.
    #[error("the entry for this registry in {path} cannot be used: {reason}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The name would run another program than a helper.
    #[error("{0:?} is not the name of a credential helper")]
    HelperName(String),
    /// The helper cannot be started, or talked to.
    #[error("credential helper docker-credential-{name} cannot be run")]
    HelperRun {
        /// The helper.
        name: String,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The helper ran and gave nothing that could be used.
    #[error("credential helper docker-credential-{name} {reason}")]
    HelperAnswer {
        /// The helper.
        name: String,
        /// What it did.
        reason: &'static str,
    },
}

/// What the credentials say at this moment.
#[derive(Clone)]
pub(super) enum Login {
    Anonymous,
    Basic { username: String, password: SecretString },
    Token(SecretString),
    IdentityToken(SecretString),
}

impl Login {
    /// What a server hears of it.
    pub(super) fn shown(&self) -> Shown {
        match self {
            Self::Anonymous => Shown::default(),
            Self::Basic { username, password } => {
                let header = basic(username, password);
                let pair = header.trim_start_matches("Basic ");
                Shown::default().secret(password.expose_secret()).secret(pair)
            }
            Self::Token(token) | Self::IdentityToken(token) => Shown::default().secret(token.expose_secret()),
        }
    }
}

const LARGEST_CONFIG: u64 = 1 << 20;
const LARGEST_ANSWER: u64 = 1 << 16;
const HELPER_TIME: Duration = Duration::from_secs(30);

impl Credentials {
    /// Reads the credentials for `host`, anew at each call.
    pub(super) async fn login(&self, host: &RegistryHost) -> Result<Login, CredentialsError> {
        match self {
            Self::Anonymous => Ok(Login::Anonymous),
            Self::Basic { username, password } => {
                Ok(Login::Basic { username: username.clone(), password: password.clone() })
            }
            Self::Token(token) => Ok(Login::Token(token.clone())),
            Self::IdentityToken(token) => Ok(Login::IdentityToken(token.clone())),
            Self::DockerConfig { path } => login_from_config(path, host).await,
            Self::Helper { name } => login_from_helper(name, host).await,
        }
    }
}

/// Who we claim to be, for messages: never the secret.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("an anonymous client"),
            Self::Basic { username, .. } => write!(f, "user {username:?}"),
            Self::Token(_) => f.write_str("the configured token"),
            Self::IdentityToken(_) => f.write_str("the configured identity token"),
            Self::DockerConfig { path } => write!(f, "the credentials in {}", path.display()),
            Self::Helper { name } => write!(f, "the credentials of docker-credential-{name}"),
        }
    }
}

async fn login_from_config(path: &Path, host: &RegistryHost) -> Result<Login, CredentialsError> {
    let unreadable = |source| CredentialsError::File { path: path.to_owned(), source: Arc::new(source) };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(LARGEST_CONFIG + 1).read_to_end(&mut text).await.map_err(unreadable)?;
    if text.len() as u64 > LARGEST_CONFIG {
        return Err(CredentialsError::Shape(path.to_owned()));
    }
    parse_config(&text, path, host)
}

/// Looks the host up in `auths`. The names of helpers are taken out first: the parser would run them.
fn parse_config(text: &[u8], path: &Path, host: &RegistryHost) -> Result<Login, CredentialsError> {
    let shape = || CredentialsError::Shape(path.to_owned());
    let mut config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|_| shape())?;
    config.retain(|key, _| key == "auths");
    let auths = serde_json::to_vec(&config).expect("a JSON map is written as JSON");
    let entry = |reason| CredentialsError::Entry { path: path.to_owned(), reason };
    match docker_credential::get_credential_from_reader(auths.as_slice(), host.as_str()) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Login::Basic { username, password: password.into() })
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Login::IdentityToken(token.into())),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(Login::Anonymous),
        Err(CredentialRetrievalError::CredentialDecodingError) => {
            Err(entry("auth is not base64 of user:password"))
        }
        Err(CredentialRetrievalError::CredentialMismatchError) => {
            Err(entry("auth and username:password contradict one another"))
        }
        Err(
            CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::HelperCommunicationError
            | CredentialRetrievalError::MalformedHelperResponse
            | CredentialRetrievalError::HelperFailure { .. },
        ) => Err(shape()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: SecretString,
}

async fn login_from_helper(name: &str, host: &RegistryHost) -> Result<Login, CredentialsError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || !name.bytes().all(legal) {
        return Err(CredentialsError::HelperName(name.to_owned()));
    }
    let failed = |reason| CredentialsError::HelperAnswer { name: name.to_owned(), reason };
    let program = format!("docker-credential-{name}");
    let (succeeded, answer) = tokio::time::timeout(HELPER_TIME, run_helper(&program, helper_server(host)))
        .await
        .map_err(|_| failed("did not answer within 30 s"))?
        .map_err(|source| CredentialsError::HelperRun { name: name.to_owned(), source: Arc::new(source) })?;
    if !succeeded {
        return Err(failed("has no credentials for this registry, or failed"));
    }
    parse_answer(&answer).ok_or_else(|| failed("answered in an unknown format"))
}

/// What a helper printed; a user name of `<token>` means that the secret is an identity token.
fn parse_answer(answer: &[u8]) -> Option<Login> {
    let answer: HelperAnswer = serde_json::from_slice(answer).ok()?;
    Some(if answer.username == "<token>" {
        Login::IdentityToken(answer.secret)
    } else {
        Login::Basic { username: answer.username, password: answer.secret }
    })
}

/// The name under which helpers store a registry: Docker Hub has a historical one.
fn helper_server(host: &RegistryHost) -> &str {
    match host.as_str() {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

/// Runs a helper's `get`; says whether it succeeded, and what it printed.
async fn run_helper(program: &str, server: &str) -> io::Result<(bool, Vec<u8>)> {
    let mut child = tokio::process::Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    match stdin.write_all(server.as_bytes()).await {
        // It ended without listening; its exit status says what that means.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        Ok(()) | Err(_) => drop(stdin),
    }
    let mut answer = Vec::new();
    stdout.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok((child.wait().await?.success(), answer))
}

/// The value of an `Authorization: Basic` header.
pub(super) fn basic(username: &str, password: &SecretString) -> String {
    use base64::Engine as _;
    let pair = format!("{username}:{}", password.expose_secret());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(login: &Login) -> String {
        match login {
            Login::Anonymous => "anonymous".to_owned(),
            Login::Basic { username, password } => format!("{username}:{}", password.expose_secret()),
            Login::Token(token) => format!("token {}", token.expose_secret()),
            Login::IdentityToken(token) => format!("identity {}", token.expose_secret()),
        }
    }

    fn check(config: &str, host: &str, expected: &str) {
        let login = parse_config(config.as_bytes(), Path::new("c.json"), &host.parse().unwrap());
        let said = login.map_or_else(|error| error.to_string(), |login| shown(&login));
        assert_eq!(said, expected, "{config}");
    }

    #[test]
    fn docker_configurations_say_who_we_are() {
        let bob = r#"{"auths":{"r.example:5000":{"auth":"Ym9iOnMzOmNyZXQ="}}}"#;
        check(bob, "r.example:5000", "bob:s3:cret");
        check(bob, "other.example", "anonymous");
        check(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}"#, "docker.io", "a:b");
        check(r#"{"auths":{"r.io":{"identitytoken":"t"}}}"#, "r.io", "identity t");
        check("{}", "r.io", "anonymous");
        check("[]", "r.io", "c.json is not a docker configuration file");
        check(
            r#"{"auths":{"r.io":{"auth":"%"}}}"#,
            "r.io",
            "the entry for this registry in c.json cannot be used: auth is not base64 of user:password",
        );
    }

    #[test]
    fn helpers_named_by_a_file_are_never_run() {
        let text = r#"{"credsStore":"none-such","credHelpers":{"r.io":"none-such"}}"#;
        check(text, "r.io", "anonymous");
    }

    #[tokio::test]
    async fn a_helper_cannot_be_another_program() {
        for name in ["", "../../bin/sh", "a b", "x;y"] {
            let credentials = Credentials::Helper { name: name.to_owned() };
            let login = credentials.login(&"r.io".parse().unwrap()).await;
            assert!(matches!(login, Err(CredentialsError::HelperName(_))), "{name:?}");
        }
    }

    #[tokio::test]
    async fn helpers_are_run_and_their_answers_read() {
        assert_eq!(run_helper("echo", "r.io").await.unwrap(), (true, b"get\n".to_vec()));
        assert!(!run_helper("false", "r.io").await.unwrap().0);
        let missing = Credentials::Helper { name: "none-such-tidewaiter".to_owned() };
        let login = missing.login(&"r.io".parse().unwrap()).await;
        assert!(matches!(login, Err(CredentialsError::HelperRun { .. })));
        for (answer, expected) in [
            (r#"{"ServerURL":"r.io","Username":"bob","Secret":"s"}"#, Some("bob:s")),
            (r#"{"ServerURL":"r.io","Username":"<token>","Secret":"s"}"#, Some("identity s")),
            ("credentials not found", None),
        ] {
            let login = parse_answer(answer.as_bytes()).map(|login| shown(&login));
            assert_eq!(login.as_deref(), expected);
        }
    }

    #[test]
    fn what_is_printed_has_no_secret() {
        let password = SecretString::from("hunter2");
        for credentials in [
            Credentials::Token(password.clone()),
            Credentials::IdentityToken(password.clone()),
            Credentials::Basic { username: "bob".to_owned(), password },
        ] {
            assert!(!format!("{credentials} {credentials:?}").contains("hunter2"));
        }
    }
}
