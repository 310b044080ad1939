//! The connection to the broker: made, watched, and made again for as long as anybody needs it.
//!
//! One task, the keeper, owns the connection. When it breaks, everything that was under way on it fails at
//! once and the keeper dials again without end; whoever needs a channel waits for it here, under a
//! deadline of their own. The client library's own recovery is not used: it replays channels one after
//! the other and gives up on all of them when one cannot be replayed, keeps callers hanging until then,
//! and goes on for ever after its owner is gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connect as _, Connection, ConnectionProperties, Event};
use secrecy::ExposeSecret as _;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::super::{QueueError, RetryRules, meters};
use super::RabbitmqConfig;
use super::answered::{answered, limited};
use super::topology::{self, Names};

/// Heartbeat in seconds unless the URL asks for another: a frozen broker is noticed after two of them.
const HEARTBEAT: u16 = 10;

/// How long one attempt to connect may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits between attempts to connect: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often the connection is looked at when nothing is said about it.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The broker as its users see it: a source of channels.
pub(super) struct Broker {
    pub(super) names: Names,
    pub(super) rules: RetryRules,
    pub(super) delivery_limit: u32,
    /// Host, port and virtual host, for people.
    pub(super) place: String,
    link: watch::Receiver<Link>,
    suspect: Arc<Notify>,
    /// How often something that should exist was found missing, and up to which doubt it was declared.
    doubts: AtomicU64,
    settled: AtomicU64,
    /// Counts how often the topology was declared.
    declared: watch::Sender<u64>,
}

/// The connection, or why there is none.
#[derive(Clone)]
enum Link {
    Up(Arc<Connection>),
    Down(Arc<str>),
}

/// Where to dial and how.
struct Address {
    /// The nodes of one broker, each with its name for people; at least one.
    nodes: Vec<(String, AMQPUri)>,
    /// Which of them is to be tried first: the one that answered last.
    turn: AtomicUsize,
    tls: OwnedTLSConfig,
}

impl Broker {
    /// Connects once, declares the topology and starts the keeper.
    pub(super) async fn connect(config: &RabbitmqConfig) -> Result<Self, QueueError> {
        let urls = std::iter::once(&config.url).chain(&config.cluster);
        let nodes = urls.map(|url| parse_url(url.expose_secret())).collect::<Result<Vec<_>, _>>()?;
        let place = nodes.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>().join(", ");
        let unusable = |reason: String| QueueError::Unusable { place: place.clone(), reason };
        let names = Names::new(&config.prefix).map_err(|error| unusable(error.to_string()))?;
        let tls = trust(config).await.map_err(unusable)?;
        let address = Address { nodes, turn: AtomicUsize::new(0), tls };
        let connection = address.dial().await.map_err(|source| unavailable(&place, source))?;
        let suspect = Arc::new(Notify::new());
        let connection = Arc::new(connection);
        let (sender, link) = watch::channel(Link::Up(connection.clone()));
        tokio::spawn(keep(address, connection, sender, suspect.clone(), place.clone()));
        let broker = Self {
            names,
            rules: config.retry.clone(),
            delivery_limit: config.delivery_limit,
            place,
            link,
            suspect,
            doubts: AtomicU64::new(1),
            settled: AtomicU64::new(0),
            declared: watch::Sender::new(0),
        };
        match timeout(2 * DIAL_TIMEOUT, broker.channel()).await {
            Ok(opened) => opened.map(|_| broker),
            Err(_) => Err(broker.late(2 * DIAL_TIMEOUT)),
        }
    }

    /// A new channel, as soon as there is a connection. Waits without end: bound it.
    ///
    /// Fails only when the topology cannot be declared.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        let mut link = self.link.clone();
        loop {
            let connection = match &*link.borrow_and_update() {
                Link::Up(connection) => Some(connection.clone()),
                Link::Down(_) => None,
            };
            if let Some(connection) = connection {
                // Whatever the library forgets to fail ends with the connection.
                let opened = tokio::select! {
                    opened = self.open(&connection) => Some(opened),
                    _ = link.changed() => None,
                };
                match opened {
                    Some(Ok(channel)) => return Ok(channel),
                    Some(Err(source)) => match self.failed(source) {
                        error @ QueueError::Unusable { .. } => return Err(error),
                        error => tracing::debug!(%error, "no channel"),
                    },
                    None => continue,
                }
                self.suspect();
            }
            // The interval covers a connection that refuses channels and yet does not count as broken.
            let _ = timeout(WATCH_INTERVAL, link.changed()).await;
        }
    }

    /// A channel on `connection`; declares the topology first if somebody doubted it.
    async fn open(&self, connection: &Connection) -> lapin::Result<Channel> {
        let doubts = self.doubts.load(Ordering::Acquire);
        if self.settled.load(Ordering::Acquire) != doubts {
            let channel = limited(connection.create_channel()).await?;
            let declared = topology::declare(&channel, &self.names, &self.rules, self.delivery_limit);
            answered(&channel, declared).await?;
            limited(channel.close(200, "declared".into())).await?;
            self.settled.store(doubts, Ordering::Release);
            self.declared.send_modify(|times| *times = times.wrapping_add(1));
        }
        limited(connection.create_channel()).await
    }

    /// Changes whenever the topology was declared again, so that a queue may be another one of its name.
    pub(super) fn declarations(&self) -> watch::Receiver<u64> {
        self.declared.subscribe()
    }

    /// Something that should exist on the broker was missing: the next channel declares it again.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
    }

    /// A channel failed: look whether the connection did, and whether everything is there.
    pub(super) fn suspect(&self) {
        self.doubt();
        self.suspect.notify_one();
    }

    /// Why something took longer than `waited`.
    pub(super) fn late(&self, waited: Duration) -> QueueError {
        match &*self.link.borrow() {
            Link::Up(_) => QueueError::NotConfirmed(waited),
            Link::Down(reason) => unavailable(&self.place, reason.to_string()),
        }
    }

    /// Whether the broker would not take a publish now, although it is connected.
    pub(super) fn blocked(&self) -> bool {
        match &*self.link.borrow() {
            Link::Up(connection) => connection.status().blocked(),
            Link::Down(_) => false,
        }
    }

    /// The error of an operation that failed with `source`.
    pub(super) fn failed(&self, source: lapin::Error) -> QueueError {
        let refused = match source.kind() {
            lapin::ErrorKind::ProtocolError(error) => Some(error.clone()),
            _ => None,
        };
        // 403 and 406: waiting will not help, somebody has to change something.
        match refused.filter(|error| matches!(error.get_id(), 403 | 406)) {
            Some(error) => QueueError::Unusable {
                place: self.place.clone(),
                reason: format!(
                    "{}; delete what has other settings, grant the permission, or use another prefix",
                    error.get_message()
                ),
            },
            None => unavailable(&self.place, source),
        }
    }
}

/// Watches `connection` and replaces it when it breaks, until nobody is left who could use it.
async fn keep(
    address: Address,
    mut connection: Arc<Connection>,
    link: watch::Sender<Link>,
    suspect: Arc<Notify>,
    place: String,
) {
    loop {
        let error = tokio::select! {
            () = link.closed() => break,
            error = broken(&connection, &suspect) => error,
        };
        let since = Instant::now();
        tracing::warn!(queue.place = place, error, "connection to the broker lost");
        link.send_replace(Link::Down("the connection broke".into()));
        let dialled = tokio::select! {
            () = link.closed() => return,
            dialled = redial(&address, &link, &place) => dialled,
        };
        connection = Arc::new(dialled);
        meters::recovered();
        let away_ms = since.elapsed().as_millis();
        tracing::info!(queue.place = place, away_ms, "connected to the broker again");
        link.send_replace(Link::Up(connection.clone()));
    }
    // Whoever still holds a channel keeps the connection open; nobody does who waits for this.
    let _ = limited(connection.close(200, "done".into())).await;
}

/// Returns when `connection` is no longer connected, with what the client library knows of it.
async fn broken(connection: &Connection, suspect: &Notify) -> Option<String> {
    let mut events = connection.events_listener();
    let mut last = None;
    while connection.status().connected() {
        let event = tokio::select! {
            event = events.next() => event,
            () = suspect.notified() => None,
            () = sleep(WATCH_INTERVAL) => None,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(reason, "the broker takes no messages for now");
            }
            Some(Event::ConnectionUnblocked) => tracing::info!("the broker takes messages again"),
            Some(Event::Error(error)) => last = Some(error.to_string()),
            Some(_) | None => {}
        }
    }
    last
}

/// How many reasons for one outage are told; each only once.
const MOST_REASONS: usize = 3;

/// Dials until it succeeds.
async fn redial(address: &Address, link: &watch::Sender<Link>, place: &str) -> Connection {
    let mut wait = BACKOFF.0;
    let mut told = HashSet::new();
    loop {
        match address.dial().await {
            Ok(connection) => return connection,
            Err(error) => {
                if told.len() < MOST_REASONS && told.insert(error.clone()) {
                    tracing::warn!(queue.place = place, error, "cannot connect to the broker yet");
                }
                link.send_replace(Link::Down(error.to_string().into()));
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

impl Address {
    /// Dials each node once, beginning with the one that answered last.
    async fn dial(&self) -> Result<Connection, String> {
        let first = self.turn.load(Ordering::Relaxed);
        let mut errors = Vec::new();
        for at in (0..self.nodes.len()).map(|offset| (first + offset) % self.nodes.len()) {
            let (place, uri) = &self.nodes[at];
            match self.dial_node(uri).await {
                Ok(connection) => {
                    self.turn.store(at, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) if self.nodes.len() == 1 => return Err(error),
                Err(error) => errors.push(format!("{place}: {error}")),
            }
        }
        Err(errors.join("; "))
    }

    async fn dial_node(&self, uri: &AMQPUri) -> Result<Connection, String> {
        let properties = ConnectionProperties::default().with_connection_name("tidewaiter".into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
        let dialled = uri.clone().connect_with_config(properties, self.tls.clone(), runtime);
        match timeout(DIAL_TIMEOUT, dialled).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", DIAL_TIMEOUT.as_secs())),
        }
    }
}

/// Host, port and virtual host for people, and the URL in the client library's terms.
fn parse_url(text: &str) -> Result<(String, AMQPUri), QueueError> {
    let unusable = |reason: &str| QueueError::Unusable {
        place: "the configured URL".to_owned(),
        reason: format!("{reason}; expected amqp://user:password@host:5672/vhost or amqps://…"),
    };
    // The causes are not shown: they may repeat the URL, and with it the password.
    let url = url::Url::parse(text).map_err(|_| unusable("it is not a URL"))?;
    let mut uri: AMQPUri = text.parse().map_err(|_| unusable("it is not a URL of a broker"))?;
    match url.host() {
        Some(url::Host::Domain("")) | None => return Err(unusable("it names no host")),
        // The client library reads an address in brackets as localhost.
        Some(url::Host::Ipv6(address)) => uri.authority.host = address.to_string(),
        Some(url::Host::Domain(_) | url::Host::Ipv4(_)) => {}
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    let host = url.host_str().unwrap_or_default();
    let place = format!("{host}:{}/{}", uri.authority.port, uri.vhost.trim_start_matches('/'));
    Ok((place, uri))
}

/// The certificate authorities to trust besides the system's.
async fn trust(config: &RabbitmqConfig) -> Result<OwnedTLSConfig, String> {
    let mut chain = String::new();
    for path in &config.ca_certificates {
        let pem = tokio::fs::read_to_string(path).await;
        let pem = pem.map_err(|error| format!("cannot read CA certificate {}: {error}", path.display()))?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(format!("{} holds no PEM certificate", path.display()));
        }
        chain.push_str(&pem);
        chain.push('\n');
    }
    Ok(OwnedTLSConfig { identity: None, cert_chain: (!chain.is_empty()).then_some(chain) })
}

/// The queue at `place` cannot be reached.
pub(super) fn unavailable(
    place: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> QueueError {
    QueueError::Unavailable { place: place.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, &str)>) {
        let parsed = parse_url(url);
        let shown = parsed.as_ref().map(|(place, uri)| (place.as_str(), uri.authority.host.as_str()));
        assert_eq!(shown.ok(), expected, "{url}");
        if let Err(error) = parsed {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        check("amqp://guest:secret@mq.example:5679/site", Some(("mq.example:5679/site", "mq.example")));
        check("amqp://mq.example", Some(("mq.example:5672/", "mq.example")));
        check("amqps://mq.example/%2f", Some(("mq.example:5671/", "mq.example")));
        check("amqp://[::1]:5679", Some(("[::1]:5679/", "::1")));
        check("http://guest:secret@mq.example", None);
        check("amqp://", None);
        check("guest:secret@mq.example", None);
    }
}
