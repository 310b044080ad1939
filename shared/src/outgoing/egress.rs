//! How requests leave: directly, or through the forward proxy of the configuration.
//!
//! An https server is reached by `CONNECT host:port` (RFC 9110 §9.3.6): the proxy hears host and port, and its own
//! login. A request to a plain http server is given to the proxy whole (RFC 9112 §3.2.2), which hears everything; who
//! has credentials for such a server asks [`Egress::tells_proxy`] first.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::header::HeaderValue;
use reqwest::{ClientBuilder, Proxy, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::{AuthoritiesError, Bypass, Shown, direct};
use crate::telemetry::chain;

/// How requests leave. Cheap to clone; the default is directly.
#[derive(Clone, Debug, Default)]
pub struct Egress(Option<Arc<ForwardProxy>>);

/// A forward proxy, and who does not go through it.
#[derive(Debug)]
pub struct ForwardProxy {
    /// `http://host:port` or `https://host:port`.
    pub url: Url,
    /// What it is shown, if it wants to know who asks.
    pub login: Option<ProxyLogin>,
    /// Hosts that are dialled directly.
    pub direct: Bypass,
    /// PEM files with the authority of an https proxy, or of one that inspects TLS: trusted by every client that may go
    /// through the proxy.
    pub ca_certificates: Vec<PathBuf>,
}

/// The login of a proxy, sent to it as `Proxy-Authorization: Basic …` and to nobody else.
#[derive(Debug)]
pub struct ProxyLogin {
    /// User name, without colon.
    pub user: String,
    /// Password.
    pub password: SecretString,
}

/// What the proxy did instead of passing a request on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// There is no connection with it.
    #[error("the proxy {proxy} of egress.proxy cannot be reached: {seen}")]
    Unreachable {
        /// `host:port` of the proxy.
        proxy: String,
        /// What happened.
        seen: String,
    },
    /// It answered 407.
    #[error(
        "the proxy {proxy} of egress.proxy wants another login: check egress.proxy_user and egress.proxy_password"
    )]
    Login {
        /// `host:port` of the proxy.
        proxy: String,
    },
    /// It answered `CONNECT` with something else than 200. The HTTP client does not say with what.
    #[error(
        "the proxy {proxy} of egress.proxy opens no way to {target}: it forbids it or cannot reach it, as its own log says; have it allowed there, or add the host to egress.no_proxy"
    )]
    NoWay {
        /// `host:port` of the proxy.
        proxy: String,
        /// `host:port` that was asked for.
        target: String,
    },
    /// It spoke no HTTP, or broke off.
    #[error("the proxy {proxy} of egress.proxy gave no usable answer: {seen}")]
    Garbled {
        /// `host:port` of the proxy.
        proxy: String,
        /// What happened.
        seen: String,
    },
}

impl ProxyError {
    /// Whether the same request may get through later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoWay { .. } | Self::Garbled { .. } => true,
            Self::Login { .. } => false,
        }
    }
}

impl Egress {
    /// Through a proxy.
    pub fn through(proxy: ForwardProxy) -> Self {
        Self(Some(Arc::new(proxy)))
    }

    /// The beginning of a client that also trusts the `authorities`. Time limits are the caller's.
    pub fn client(&self, authorities: &[PathBuf]) -> Result<ClientBuilder, AuthoritiesError> {
        let Some(proxy) = &self.0 else { return direct(authorities) };
        Ok(direct(authorities.iter().chain(&proxy.ca_certificates))?.proxy(proxy.rule()))
    }

    /// The proxy as `host:port`, if there is one.
    pub fn proxy(&self) -> Option<String> {
        self.0.as_ref().map(|proxy| authority(&proxy.url))
    }

    /// Where the proxy is, if there is one.
    pub fn proxy_url(&self) -> Option<&Url> {
        self.0.as_ref().map(|proxy| &proxy.url)
    }

    /// Whether a request to this URL goes through the proxy.
    pub fn is_proxied(&self, target: &Url) -> bool {
        self.proxy_to(target).is_some()
    }

    /// Whether the proxy reads whatever is sent to this URL, credentials included.
    pub fn tells_proxy(&self, target: &Url) -> bool {
        target.scheme() == "http" && self.is_proxied(target)
    }

    fn proxy_to(&self, target: &Url) -> Option<&ForwardProxy> {
        self.0.as_deref().filter(|proxy| !proxy.direct.covers(target))
    }

    /// What the proxy is to blame for in a request that got no answer; `None` where it is the server, or nobody was
    /// between.
    pub fn blamed(&self, target: &Url, error: &reqwest::Error) -> Option<ProxyError> {
        let proxy = authority(&self.proxy_to(target)?.url);
        let causes = causes(error);
        let deepest = causes.last().cloned().unwrap_or_default();
        // The client has a type for these, which it keeps to itself.
        let tunnel = causes.iter().find_map(|text| text.strip_prefix("tunnel error: "));
        match tunnel {
            Some("proxy authorization required") => Some(ProxyError::Login { proxy }),
            Some("unsuccessful") => Some(ProxyError::NoWay { proxy, target: authority(target) }),
            Some("failed to create underlying connection") => {
                Some(ProxyError::Unreachable { proxy, seen: deepest })
            }
            Some(_) => Some(ProxyError::Garbled { proxy, seen: deepest }),
            None if target.scheme() == "http" && error.is_connect() => {
                Some(ProxyError::Unreachable { proxy, seen: deepest })
            }
            None => None,
        }
    }

    /// What the proxy is to blame for in an answer: 407 to a request that it was given whole.
    pub fn blamed_for(&self, target: &Url, status: StatusCode) -> Option<ProxyError> {
        let proxy = self.proxy_to(target).filter(|_| target.scheme() == "http")?;
        (status == StatusCode::PROXY_AUTHENTICATION_REQUIRED)
            .then(|| ProxyError::Login { proxy: authority(&proxy.url) })
    }

    /// Why a request got no answer, in one line that names the proxy where one was between, and no URL.
    pub fn told(&self, target: &Url, error: reqwest::Error) -> String {
        match self.blamed(target, &error) {
            Some(blamed) => blamed.to_string(),
            None => self.by_way(target, &chain(&error.without_url())),
        }
    }

    /// A text, and which way it was about where that is not the direct one.
    pub fn by_way(&self, target: &Url, text: &str) -> String {
        match self.proxy_to(target) {
            Some(proxy) => format!("{text} (through the proxy {} of egress.proxy)", authority(&proxy.url)),
            None => text.to_owned(),
        }
    }

    /// The same with what the proxy is shown, should it repeat it.
    pub fn shown(&self, shown: Shown) -> Shown {
        match self.0.as_ref().and_then(|proxy| proxy.login.as_ref()) {
            Some(login) => shown.authorization(&login.header()),
            None => shown,
        }
    }
}

impl ForwardProxy {
    fn rule(self: &Arc<Self>) -> Proxy {
        let proxy = Arc::clone(self);
        let rule = Proxy::custom(move |target| (!proxy.direct.covers(target)).then(|| proxy.url.clone()));
        match &self.login {
            Some(login) => rule.custom_http_auth(login.header()),
            None => rule,
        }
    }
}

impl ProxyLogin {
    fn header(&self) -> HeaderValue {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let pair = format!("{}:{}", self.user, self.password.expose_secret());
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
            .expect("base64 fits into a header");
        value.set_sensitive(true);
        value
    }
}

/// The texts of what led to an error, the deepest last.
fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts
}

/// `host:port` of a URL.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or("a URL without host");
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Listens as a proxy that answers everybody with `answer`; what it hears comes out of the channel.
    async fn listening(answer: &'static [u8]) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, hearing) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let count = stream.read(&mut request).await.unwrap();
                let _ = heard.send(String::from_utf8_lossy(&request[..count]).into_owned());
                let _ = stream.write_all(answer).await;
            }
        });
        (port, hearing)
    }

    fn egress(port: u16, no_proxy: &str) -> Egress {
        Egress::through(ForwardProxy {
            url: Url::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
            login: Some(ProxyLogin {
                user: "us".to_owned(),
                password: SecretString::from("pass-of-the-proxy"),
            }),
            direct: Bypass::parse(&[no_proxy.to_owned()]).unwrap(),
            ca_certificates: Vec::new(),
        })
    }

    async fn ask(egress: &Egress, url: &str) -> Result<StatusCode, (Option<ProxyError>, String)> {
        let url = Url::parse(url).unwrap();
        let client = egress.client(&[]).unwrap().build().unwrap();
        let request = client.get(url.clone()).header("authorization", "Bearer for-the-registry");
        match request.send().await {
            Ok(answer) => Ok(answer.status()),
            Err(error) => Err((egress.blamed(&url, &error), egress.told(&url, error))),
        }
    }

    #[tokio::test]
    async fn i8_a_proxy_hears_host_and_port_and_its_own_login_and_no_others() {
        let (port, mut heard) = listening(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
        let refused = ask(&egress(port, ""), "https://registry.invalid/v2/?secret=1").await.unwrap_err();
        let request = heard.recv().await.unwrap().to_lowercase();
        assert!(request.starts_with("connect registry.invalid:443 http/1.1\r\n"), "{request}");
        assert!(request.contains("proxy-authorization: basic dxm6cgfzcy1vzi10agutchjvehk="), "{request}");
        assert!(!request.contains("for-the-registry") && !request.contains("secret"), "{request}");
        let target = "registry.invalid:443".to_owned();
        assert_eq!(refused.0, Some(ProxyError::NoWay { proxy: format!("127.0.0.1:{port}"), target }));
        assert!(!refused.1.contains("secret=1"), "{}", refused.1);
    }

    #[tokio::test]
    async fn what_a_proxy_does_wrong_is_said_of_it() {
        for (answer, retryable, told) in [
            (&b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..], false, "egress.proxy_password"),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", true, "opens no way to registry.invalid:443"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", true, "opens no way to registry.invalid:443"),
            (b"", true, "no usable answer"),
        ] {
            let (port, _heard) = listening(answer).await;
            let (blamed, text) = ask(&egress(port, ""), "https://registry.invalid/").await.unwrap_err();
            assert_eq!(blamed.map(|error| error.is_retryable()), Some(retryable), "{text}");
            assert!(text.contains(told) && text.contains("egress.proxy"), "{text}");
        }
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for url in ["https://registry.invalid/", "http://registry.invalid/"] {
            let (blamed, text) = ask(&egress(closed, ""), url).await.unwrap_err();
            assert!(matches!(blamed, Some(ProxyError::Unreachable { .. })), "{url}: {text}");
            assert!(text.contains("cannot be reached") && text.contains("refused"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_plain_request_is_given_to_the_proxy_whole_and_its_407_is_the_proxys() {
        let (port, mut heard) =
            listening(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
        let egress = egress(port, "");
        let url = "http://registry.invalid:5000/v2/";
        let status = ask(&egress, url).await.unwrap();
        let request = heard.recv().await.unwrap();
        assert!(request.starts_with("GET http://registry.invalid:5000/v2/ HTTP/1.1\r\n"), "{request}");
        let url = Url::parse(url).unwrap();
        assert!(egress.tells_proxy(&url) && !egress.tells_proxy(&Url::parse("https://r.invalid").unwrap()));
        assert!(matches!(egress.blamed_for(&url, status), Some(ProxyError::Login { .. })));
        assert_eq!(egress.blamed_for(&Url::parse("https://r.invalid").unwrap(), status), None);
    }

    #[tokio::test]
    async fn who_is_in_no_proxy_or_on_this_machine_is_dialled_and_hears_no_login_of_the_proxy() {
        let (server, mut heard) = listening(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let (port, mut unheard) = listening(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
        let egress = egress(port, "registry.invalid");
        assert_eq!(ask(&egress, &format!("http://127.0.0.1:{server}/")).await.unwrap(), StatusCode::OK);
        let request = heard.recv().await.unwrap().to_lowercase();
        assert!(
            request.contains("for-the-registry") && !request.contains("proxy-authorization"),
            "{request}"
        );
        // Nobody has that name: it was looked up here, not asked of the proxy.
        let (blamed, text) = ask(&egress, "https://registry.invalid/").await.unwrap_err();
        assert!(blamed.is_none() && !text.contains("egress.proxy"), "{text}");
        assert!(unheard.try_recv().is_err());
    }

    #[test]
    fn what_a_proxy_repeats_of_its_login_is_withheld() {
        let shown = egress(1, "").shown(Shown::default());
        let said = shown.without("you are dXM6cGFzcy1vZi10aGUtcHJveHk=, pass-of-the-proxy");
        assert_eq!(said, "you are [redacted], [redacted]");
    }
}
