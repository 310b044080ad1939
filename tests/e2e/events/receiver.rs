//! An endpoint under `notify`: a small HTTP server that can be away for a while, and verifies what it gets.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{SOON, free_port};

/// The key of the signatures.
pub(super) const SECRET: &str = "the-key-of-the-signatures";

/// Head and body of a request.
type Request = (String, Vec<u8>);

pub(super) struct Receiver {
    port: u16,
    answer: Arc<Mutex<&'static str>>,
    arrived: mpsc::UnboundedSender<Request>,
    requests: mpsc::UnboundedReceiver<Request>,
    accepting: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that is not there yet.
    pub(super) fn new() -> Result<Self> {
        let answer = Arc::new(Mutex::new("204 No Content"));
        let (arrived, requests) = mpsc::unbounded_channel();
        Ok(Self { port: free_port()?, answer, arrived, requests, accepting: None })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// What it answers from now on.
    pub(super) fn answer(&self, status: &'static str) {
        *self.answer.lock().expect("nothing panics while it holds the answer") = status;
    }

    pub(super) async fn open(&mut self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        let (answer, out) = (Arc::clone(&self.answer), self.arrived.clone());
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = *answer.lock().expect("nothing panics while it holds the answer");
                tokio::spawn(serve(stream, answer, out.clone()));
            }
        }));
        Ok(())
    }

    /// Connections are refused from now on.
    pub(super) fn close(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    /// The next event, if its signature is right.
    pub(super) async fn event(&mut self) -> Result<Value> {
        let next = tokio::time::timeout(SOON, self.requests.recv()).await.context("no event in time")?;
        let (head, body) = next.context("the receiver is there")?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        ensure!(header("content-type") == Some("application/cloudevents+json"), "{head}");
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        mac.update(&body);
        let expected = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        ensure!(header("x-signature") == Some(expected.as_str()), "{head}");
        Ok(serde_json::from_slice(&body)?)
    }

    /// Whether nothing came that was not looked at.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
    }
}

async fn serve(mut stream: TcpStream, answer: &str, out: mpsc::UnboundedSender<Request>) -> Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the request ended early");
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect())?;
        }
    };
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let length: usize = length.context("events have a length")?;
    while bytes.len() < length {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the body ended early");
    }
    stream
        .write_all(format!("HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").as_bytes())
        .await?;
    // Seen only when it was answered: until then it may come again.
    out.send((head, bytes))?;
    Ok(())
}
