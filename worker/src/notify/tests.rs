//! What endpoints may rely on, over real HTTP, and what a bad one cannot do.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use shared::announce::Interest;
use shared::config::{ContentMode, EndpointConfig, StoreConfig};
use shared::outgoing::Egress;
use shared::store::Opened;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// A small HTTP server that answers each request with the next of its answers, and the last one for ever.
struct Receiver {
    url: String,
    requests: mpsc::UnboundedReceiver<Request>,
}

/// What it received.
#[derive(Debug)]
struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Receiver {
    async fn answering(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=hidden", listener.local_addr().unwrap());
        let (out, requests) = mpsc::unbounded_channel();
        let answers = answers.to_vec();
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answers[number.min(answers.len() - 1)];
                tokio::spawn(serve(stream, answer, out.clone()));
            }
        });
        Self { url, requests }
    }

    async fn request(&mut self) -> Request {
        let request = tokio::time::timeout(Duration::from_secs(20), self.requests.recv()).await;
        request.expect("a request should have come").unwrap()
    }
}

async fn serve(mut stream: TcpStream, answer: &'static str, out: mpsc::UnboundedSender<Request>) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the request ended early");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let request = Request { head: head.to_owned(), body: Vec::new() };
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            break (head.to_owned(), length);
        }
    };
    let begin = head.len() + 4;
    while bytes.len() < begin + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the body ended early");
    }
    out.send(Request { head, body: bytes.split_off(begin) }).unwrap();
    if answer == "silence" {
        return std::future::pending().await;
    }
    let text = match answer.split_once("endless") {
        Some((head, _)) => head.to_owned(),
        None => format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n"),
    };
    stream.write_all(text.as_bytes()).await.unwrap();
    // A body without end: whoever reads all of it never comes back.
    while answer.contains("endless") && stream.write_all(&[b'x'; 4096]).await.is_ok() {}
}

struct Site {
    store: Opened,
    endpoints: Endpoints,
    _folder: TempDir,
}

fn name() -> EndpointName {
    "ops".parse().unwrap()
}

impl Site {
    async fn new(url: &str, configure: impl FnOnce(&mut EndpointConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.redb");
        let store = shared::store::open(&StoreConfig::Embedded { file }).await.unwrap();
        let mut endpoint = EndpointConfig {
            url: SecretString::from(url.to_owned()),
            secret: Some(SecretString::from("signing-key")),
            token: None,
            interest: Interest::default(),
            mode: ContentMode::Structured,
            timeout: Duration::from_secs(10),
            give_up_after: Duration::from_secs(3600),
            ca_certificates: Vec::new(),
            egress: Egress::default(),
        };
        configure(&mut endpoint);
        let config = NotifyConfig { endpoints: [(name(), endpoint)].into() };
        let endpoints = Endpoints::new(&config, NonZeroUsize::new(2).unwrap()).unwrap();
        Self { store, endpoints, _folder: folder }
    }

    async fn tell(&self, postponed: u32, age: Duration) -> Carried {
        let tries = Tries { postponed, age };
        self.endpoints.tell(self.store.notes.as_ref(), &name(), &event(), tries).await
    }

    async fn try_again(&self) -> Carried {
        self.store.notes.forget(&note_of(&name())).await.unwrap();
        self.tell(1, Duration::from_secs(1)).await
    }
}

fn event() -> VerdictEvent {
    serde_json::from_slice(include_bytes!("event.json")).unwrap()
}

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"signing-key").unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn put_off(carried: Carried) -> (Duration, String) {
    match carried {
        Carried::Postponed { wait, error } => (wait, error),
        other => panic!("it should have been put off: {other:?}"),
    }
}

fn buried(carried: Carried) -> String {
    match carried {
        Carried::Hopeless { error } => error,
        other => panic!("it should have been buried: {other:?}"),
    }
}

#[tokio::test]
async fn an_event_arrives_whole_and_signed() {
    let mut receiver = Receiver::answering(&["202 Accepted"]).await;
    let site = Site::new(&receiver.url, |endpoint| endpoint.token = Some(SecretString::from("tok"))).await;
    assert_eq!(site.tell(0, Duration::ZERO).await, Carried::Done);
    let request = receiver.request().await;
    assert!(request.head.starts_with("POST /hook?key=hidden HTTP/1.1"), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(request.header("x-signature"), Some(signed(&request.body).as_str()));
    assert_eq!(request.header("authorization"), Some("Bearer tok"));
    assert_eq!(serde_json::from_slice::<VerdictEvent>(&request.body).unwrap(), event());
}

#[tokio::test]
async fn in_binary_mode_the_data_is_the_body_and_is_what_is_signed() {
    let mut receiver = Receiver::answering(&["200 OK"]).await;
    let site = Site::new(&receiver.url, |endpoint| endpoint.mode = ContentMode::Binary).await;
    assert_eq!(site.tell(0, Duration::ZERO).await, Carried::Done);
    let request = receiver.request().await;
    for (header, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "dev.tidewaiter.verdict.changed.v1"),
        ("ce-id", "9d8b0b5e3c8e4c559f9e6f9b2c1d7a01"),
        ("ce-source", "https://tidewaiter.example.com"),
        ("ce-time", "2026-03-02T09:31:40Z"),
        ("x-signature", &signed(&request.body)),
    ] {
        assert_eq!(request.header(header), Some(value), "{header}");
    }
    assert_eq!(request.body, event().data_to_json());
}

#[tokio::test]
async fn an_endpoint_that_fails_rests_and_gets_the_same_event_again() {
    let mut receiver = Receiver::answering(&["500 Oops", "204 No Content"]).await;
    let site = Site::new(&receiver.url, |_| {}).await;
    let (_, error) = put_off(site.tell(0, Duration::ZERO).await);
    assert_eq!(error, "notify.ops: answered 500 Internal Server Error");
    let (wait, error) = put_off(site.tell(0, Duration::ZERO).await);
    assert!(wait > Duration::ZERO && wait <= REST, "{wait:?}");
    assert!(error.contains("answered 500"), "{error}");
    assert_eq!(site.try_again().await, Carried::Done);
    let (first, second) = (receiver.request().await, receiver.request().await);
    assert_eq!((&first.body, first.header("x-signature")), (&second.body, second.header("x-signature")));
    assert!(receiver.requests.try_recv().is_err(), "it was asked while it rested");
}

#[tokio::test]
async fn retry_after_is_honoured_for_all_that_waits_for_the_endpoint() {
    let receiver = Receiver::answering(&["429 Slow Down\r\nRetry-After: 120"]).await;
    let site = Site::new(&receiver.url, |_| {}).await;
    let (wait, _) = put_off(site.tell(0, Duration::ZERO).await);
    assert_eq!(wait, Duration::from_secs(120));
    let (wait, error) = put_off(site.tell(7, Duration::ZERO).await);
    assert!(wait > Duration::from_secs(100), "{wait:?}");
    assert!(error.contains("429"), "{error}");
}

#[tokio::test]
async fn what_nobody_will_ever_take_is_buried_at_once_with_the_endpoint_s_name() {
    for (answer, said) in [
        ("410 Gone", "it wants no more events"),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", "redirects are not followed"),
        ("307 Temporary Redirect\r\nLocation: /elsewhere", "redirects are not followed"),
        ("400 Bad Request", "400"),
        ("413 Content Too Large", "413"),
    ] {
        let mut receiver = Receiver::answering(&[answer]).await;
        let site = Site::new(&receiver.url, |_| {}).await;
        let error = buried(site.tell(0, Duration::ZERO).await);
        assert!(error.starts_with("notify.ops") && error.contains(said), "{answer}: {error}");
        receiver.request().await;
        assert!(receiver.requests.try_recv().is_err(), "{answer} was followed");
    }
}

#[tokio::test]
async fn a_silent_endpoint_costs_its_timeout_and_no_more() {
    let receiver = Receiver::answering(&["silence"]).await;
    let site = Site::new(&receiver.url, |endpoint| endpoint.timeout = Duration::from_millis(200)).await;
    let (_, error) = put_off(site.tell(0, Duration::ZERO).await);
    assert!(!error.contains("hidden"), "{error}");
    let closed = Site::new("http://127.0.0.1:1/?key=hidden", |_| {}).await;
    let (_, error) = put_off(closed.tell(0, Duration::ZERO).await);
    assert!(error.contains("refused") && !error.contains("hidden"), "{error}");
}

#[tokio::test]
async fn of_an_endless_answer_only_the_beginning_is_read() {
    let endless = "HTTP/1.1 503 Busy\r\nContent-Length: 1000000000\r\n\r\n\x1b[31mendless";
    let receiver = Receiver::answering(&[endless]).await;
    let site = Site::new(&receiver.url, |_| {}).await;
    let (_, error) = put_off(site.tell(0, Duration::ZERO).await);
    assert!(error.contains("503") && error.len() < 300 && !error.contains('\x1b'), "{error:?}");
}

#[tokio::test]
async fn i3_what_nobody_took_in_time_is_a_dead_letter_that_says_whose_it_was() {
    let receiver = Receiver::answering(&["503 Busy"]).await;
    let site = Site::new(&receiver.url, |_| {}).await;
    let day = Duration::from_secs(24 * 3600);
    let error = buried(site.tell(40, day).await);
    assert!(
        error.starts_with("notify.ops: answered 503") && error.ends_with("given up after 24 h"),
        "{error}"
    );
    // Taken out of the dead letters it is as old as before, and yet tried again.
    put_off(site.tell(0, day).await);
}

#[tokio::test]
async fn an_endpoint_that_nobody_configured_is_waited_for_and_then_buried_by_name() {
    let site = Site::new("https://hooks.example.com/", |_| {}).await;
    let gone: EndpointName = "gone".parse().unwrap();
    let tell = async |tries| site.endpoints.tell(site.store.notes.as_ref(), &gone, &event(), tries).await;
    put_off(tell(Tries { postponed: 3, age: Duration::from_secs(5) }).await);
    let error = buried(tell(Tries { postponed: 9, age: ROLL_OUT }).await);
    assert!(error.starts_with("notify.gone is not configured here"), "{error}");
}

#[tokio::test]
async fn a_certificate_file_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = |path: &Path| {
        let endpoint = EndpointConfig {
            url: SecretString::from("https://hooks.example.com/"),
            secret: None,
            token: None,
            interest: Interest::default(),
            mode: ContentMode::Structured,
            timeout: Duration::from_secs(1),
            give_up_after: Duration::from_secs(1),
            ca_certificates: vec![path.to_owned()],
            egress: Egress::default(),
        };
        NotifyConfig { endpoints: [(name(), endpoint)].into() }
    };
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for path in [folder.path().join("missing.pem"), empty] {
        let refused = Endpoints::new(&config(&path), NonZeroUsize::MIN).err().unwrap().to_string();
        assert!(refused.starts_with("notify.ops.ca_certificates"), "{refused}");
    }
}
