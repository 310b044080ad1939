//! The front: one request a connection, passed on to the real registry, unless it is time for a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong; the repository `faulty/<name>` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The line breaks in the middle of a layer, once.
    Reset,
    /// A layer is answered 500, once.
    InternalError,
    /// A layer is answered 429 with `Retry-After: 1`, once.
    TooManyRequests,
    /// The token is good for a manifest, and no longer when the layer is asked for.
    TokenExpires,
    /// Layers are somewhere else.
    ObjectStorage,
    /// An image's manifest, called an index.
    OtherContentType,
    /// A layer stops coming, and the line stays open, once.
    Stall,
    /// A layer is said to be at an address of the cloud's own.
    RedirectInside,
    /// So is the token.
    RealmInside,
    /// A layer has more bytes than its descriptor says.
    Longer,
    /// A layer has other bytes.
    WrongBytes,
    /// The manifest has other bytes.
    WrongManifest,
}

const ALL: [Fault; 12] = [
    Fault::Reset,
    Fault::InternalError,
    Fault::TooManyRequests,
    Fault::TokenExpires,
    Fault::ObjectStorage,
    Fault::OtherContentType,
    Fault::Stall,
    Fault::RedirectInside,
    Fault::RealmInside,
    Fault::Longer,
    Fault::WrongBytes,
    Fault::WrongManifest,
];

impl Fault {
    /// What its repository is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::InternalError => "internal-error",
            Self::TooManyRequests => "too-many-requests",
            Self::TokenExpires => "token-expires",
            Self::ObjectStorage => "object-storage",
            Self::OtherContentType => "other-content-type",
            Self::Stall => "stall",
            Self::RedirectInside => "redirect-inside",
            Self::RealmInside => "realm-inside",
            Self::Longer => "longer",
            Self::WrongBytes => "wrong-bytes",
            Self::WrongManifest => "wrong-manifest",
        }
    }
}

#[derive(Default)]
struct State {
    registry: u16,
    /// The layers that are affected.
    layers: BTreeSet<String>,
    met: BTreeMap<Fault, u32>,
    refused_at: Option<Instant>,
    pause: Duration,
    tokens: u32,
    credentials_at_the_storage: u32,
}

/// The front.
pub(super) struct Front {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Front {
    /// Takes a port.
    pub(super) async fn open() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let front = Self { port: listener.local_addr()?.port(), state: Arc::default() };
        let (port, state) = (front.port, Arc::clone(&front.state));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move { drop(serve(stream, port, &state).await) });
            }
        });
        Ok(front)
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Says where the real registry is.
    pub(super) fn before(&self, registry: u16) {
        lock(&self.state).registry = registry;
    }

    pub(super) fn fault_at_the_last_layer_of(&self, manifest: &[u8]) -> Result<()> {
        let manifest: Value = serde_json::from_slice(manifest)?;
        let layers = manifest["layers"].as_array().context("a manifest has layers")?;
        let last = layers.last().and_then(|layer| layer["digest"].as_str()).context("with digests")?;
        lock(&self.state).layers.insert(last.to_owned());
        Ok(())
    }

    /// Whether the fault happened.
    pub(super) fn met(&self, fault: Fault) -> bool {
        lock(&self.state).met.contains_key(&fault)
    }

    /// How long nobody asked again after 429.
    pub(super) fn pause_after_429(&self) -> Duration {
        lock(&self.state).pause
    }

    pub(super) fn credentials_at_the_storage(&self) -> u32 {
        lock(&self.state).credentials_at_the_storage
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nothing panics while it holds the state")
}

/// What the registry says.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { status, headers: headers.collect(), body: Vec::new() }
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} told\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }
}

async fn serve(mut stream: TcpStream, port: u16, state: &Mutex<State>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 1 << 16 {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_whitespace();
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let header = |wanted: &str| {
        let found = head.lines().filter_map(|line| line.split_once(':'));
        let found = found.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_owned()).next()
    };
    if path.starts_with("/token") {
        let number = {
            let mut state = lock(state);
            state.tokens += 1;
            state.tokens
        };
        let mut answer = Answer::new(200, &[("content-type", "application/json")]);
        answer.body = format!("{{\"token\":\"t{number}\",\"expires_in\":300}}").into_bytes();
        return write(&mut stream, &method, answer).await;
    }
    if path.starts_with("/storage") && header("authorization").is_some() {
        lock(state).credentials_at_the_storage += 1;
    }
    let real = path.trim_start_matches("/storage").to_owned();
    let (layer, registry) = {
        let state = lock(state);
        (state.layers.iter().any(|layer| real.ends_with(layer.as_str())), state.registry)
    };
    let fault = ALL.into_iter().find(|fault| path.starts_with(&format!("/v2/faulty/{}/", fault.name())));
    let first = |fault: Fault| {
        let mut state = lock(state);
        let met = state.met.entry(fault).or_default();
        *met += 1;
        *met == 1
    };
    // What stands in the way of asking the registry at all.
    let own = format!("http://127.0.0.1:{port}");
    let challenge = |realm: &str| format!("Bearer realm=\"{realm}\",service=\"front\"");
    let instead = match fault {
        Some(Fault::TokenExpires) => {
            let wanted = if layer { "Bearer t1" } else { "" };
            match header("authorization") {
                None => Some(Answer::new(401, &[("www-authenticate", &challenge(&format!("{own}/token")))])),
                Some(token) if token == wanted => {
                    first(Fault::TokenExpires);
                    Some(Answer::new(401, &[("www-authenticate", &challenge(&format!("{own}/token")))]))
                }
                Some(_) => None,
            }
        }
        Some(Fault::RealmInside) => {
            first(Fault::RealmInside);
            Some(Answer::new(401, &[("www-authenticate", &challenge("http://169.254.169.254/token"))]))
        }
        Some(fault @ Fault::InternalError) if layer && first(fault) => Some(Answer::new(500, &[])),
        Some(fault @ Fault::TooManyRequests) if layer => {
            if first(fault) {
                lock(state).refused_at = Some(Instant::now());
                Some(Answer::new(429, &[("retry-after", "1")]))
            } else {
                let mut state = lock(state);
                state.pause = state.refused_at.map(|at| at.elapsed()).unwrap_or_default();
                state.refused_at = None;
                None
            }
        }
        Some(fault @ Fault::ObjectStorage) if layer => {
            first(fault);
            Some(Answer::new(307, &[("location", &format!("{own}/storage{path}"))]))
        }
        Some(fault @ Fault::RedirectInside) if layer => {
            first(fault);
            Some(Answer::new(307, &[("location", "http://169.254.169.254/latest/meta-data/")]))
        }
        _ => None,
    };
    if let Some(answer) = instead {
        return write(&mut stream, &method, answer).await;
    }
    let mut answer = ask(registry, &method, &real, header("accept"), header("range")).await?;
    let is_manifest = path.contains("/manifests/");
    let half = answer.body.len() / 2;
    match fault {
        Some(fault @ (Fault::Reset | Fault::Stall)) if layer && first(fault) => {
            answer.set("content-length", &answer.body.len().to_string());
            stream.write_all(answer.head().as_bytes()).await?;
            stream.write_all(&answer.body[..half]).await?;
            stream.flush().await?;
            if fault == Fault::Stall {
                // For as long as the other side has patience.
                let mut nothing = [0_u8; 1];
                let _ = stream.read(&mut nothing).await;
            }
            return Ok(());
        }
        Some(fault @ Fault::OtherContentType) if is_manifest => {
            first(fault);
            answer.set("content-type", "application/vnd.oci.image.index.v1+json");
        }
        Some(fault @ Fault::Longer) if layer => {
            first(fault);
            answer.body.extend_from_slice(&[0_u8; 4096]);
        }
        Some(fault @ Fault::WrongBytes) if layer && half > 0 => {
            first(fault);
            answer.body[half] ^= 0x55;
        }
        Some(fault @ Fault::WrongManifest) if is_manifest && half > 0 => {
            first(fault);
            answer.body.push(b' ');
        }
        _ => {}
    }
    write(&mut stream, &method, answer).await
}

async fn write(stream: &mut TcpStream, method: &str, mut answer: Answer) -> Result<()> {
    if method != "HEAD" {
        answer.set("content-length", &answer.body.len().to_string());
    }
    stream.write_all(answer.head().as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(&answer.body).await?;
    }
    stream.flush().await?;
    Ok(stream.shutdown().await?)
}

/// What the real registry says.
async fn ask(
    registry: u16,
    method: &str,
    path: &str,
    accept: Option<String>,
    range: Option<String>,
) -> Result<Answer> {
    let url = format!("http://127.0.0.1:{registry}{path}");
    let mut request = reqwest::Client::new().request(method.parse()?, url);
    for (name, value) in [("accept", accept), ("range", range)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let told = request.send().await?;
    let headers = told
        .headers()
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "connection" | "transfer-encoding"));
    let headers = headers.map(|(name, value)| Ok((name.to_string(), value.to_str()?.to_owned())));
    Ok(Answer {
        status: told.status().as_u16(),
        headers: headers.collect::<Result<_>>()?,
        body: told.bytes().await?.to_vec(),
    })
}
