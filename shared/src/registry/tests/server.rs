//! An HTTP server that answers exactly what a test says, byte by byte, and remembers what it heard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::model::image::RegistryHost;

/// What the server does with one connection, in order; then it closes it.
pub(super) enum Act {
    Send(Vec<u8>),
    /// The same bytes again and again until the client leaves, with a pause between.
    Repeat(Vec<u8>, Duration),
}

/// One request: its line and headers in lower case, and its body.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) head: String,
    pub(super) body: String,
}

impl Heard {
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(super) struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// Listens on loopback. `answer` sees each request, and how many came before it.
    pub(super) async fn start(answer: impl Fn(&Heard, usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", answer).await
    }

    /// Listens on another address of this machine, which is another host for whoever compares hosts.
    pub(super) async fn start_at(
        address: &str,
        answer: impl Fn(&Heard, usize) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&heard), Arc::new(answer));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &log, answer.as_ref()).await });
            }
        });
        Self { address, heard, serving }
    }

    pub(super) fn host(&self) -> RegistryHost {
        self.address.to_string().parse().unwrap()
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

/// One request and its answer. That the client hangs up in the middle is part of many tests.
async fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Heard>>,
    answer: &(dyn Fn(&Heard, usize) -> Vec<Act> + Send + Sync),
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).await.ok()? > 2 {}
    // Header names in lower case already; values keep their case.
    let mut request = Heard { head: head.replace("\r\n", "\n"), body: String::new() };
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).unwrap();
    let before = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    for act in answer(&request, before) {
        match act {
            Act::Send(bytes) => stream.write_all(&bytes).await.ok()?,
            Act::Repeat(bytes, pause) => {
                let mut ticks = tokio::time::interval(pause.max(Duration::from_micros(1)));
                loop {
                    ticks.tick().await;
                    stream.write_all(&bytes).await.ok()?;
                }
            }
        }
    }
    stream.shutdown().await.ok()
}

/// An answer with a length, that keeps its promise.
pub(super) fn say(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<Act> {
    let mut bytes = head(status, headers);
    let end = bytes.len() - 2;
    bytes.truncate(end);
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

/// The head of an answer alone.
pub(super) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} As Told\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}
