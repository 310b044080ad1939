//! Makes connections to Redis in each of its topologies.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    Pipeline, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{RedisConfig, Topology};

/// How many commands may wait for their turn on one connection before callers wait too.
const COMMANDS_UNDER_WAY: usize = 1024;

/// A connection that many tasks use at once.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server.
    One(MultiplexedConnection),
    /// To all nodes of a cluster.
    Cluster(ClusterConnection),
}

/// Knows where the servers are now.
pub(super) enum Dialer {
    Single(Client),
    Sentinel(Box<SentinelClient>),
    Cluster {
        client: Box<ClusterClient>,
        /// For subscriptions: any node will do, so another one is tried each time.
        nodes: Vec<Client>,
        turn: usize,
    },
}

impl Dialer {
    /// Checks the configuration; contacts nobody.
    pub(super) fn new(config: &RedisConfig) -> RedisResult<Self> {
        let authorities = config
            .ca_certificates
            .as_ref()
            .map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) });
        if authorities.is_some() && !is_tls(&info(&config.url)?) {
            return Err(refused("certificate authorities need a rediss:// URL"));
        }
        match &config.topology {
            Topology::Single => client(&config.url, authorities).map(Self::Single),
            Topology::Cluster { urls } => {
                let urls = || std::iter::once(&config.url).chain(urls);
                let nodes = urls().map(|url| client(url, authorities.clone()));
                let nodes = nodes.collect::<RedisResult<_>>()?;
                let mut builder = ClusterClient::builder(urls().map(SecretString::expose_secret))
                    .connection_timeout(config.timeout)
                    .response_timeout(config.timeout);
                if let Some(authorities) = authorities {
                    builder = builder.certs(authorities);
                }
                Ok(Self::Cluster { client: Box::new(builder.build()?), nodes, turn: 0 })
            }
            Topology::Sentinel { urls, master } => {
                let client = sentinel(&info(&config.url)?, urls, master, authorities)?;
                Ok(Self::Sentinel(Box::new(client)))
            }
        }
    }

    /// A new connection to where the data may be written now.
    pub(super) async fn connect(&mut self, timeout: Duration) -> RedisResult<Connection> {
        // No limit for single answers here: whoever asks has a deadline of its own.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(COMMANDS_UNDER_WAY);
        match self {
            Self::Single(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&config);
                made.await.map(Connection::One)
            }
            Self::Sentinel(client) => {
                let made = client.get_async_connection_with_config(&config);
                made.await.map(Connection::One)
            }
            Self::Cluster { client, .. } => client.get_async_connection().await.map(Connection::Cluster),
        }
    }

    /// A new connection that can only listen. In a cluster every node hears what is published at any.
    pub(super) async fn subscriber(&mut self) -> RedisResult<PubSub> {
        match self {
            Self::Single(client) => client.get_async_pubsub().await,
            Self::Sentinel(client) => client.async_get_client().await?.get_async_pubsub().await,
            Self::Cluster { nodes, turn, .. } => {
                *turn = (*turn + 1) % nodes.len();
                nodes[*turn].get_async_pubsub().await
            }
        }
    }
}

fn client(url: &SecretString, authorities: Option<TlsCertificates>) -> RedisResult<Client> {
    match authorities {
        Some(authorities) => Client::build_with_tls(info(url)?, authorities),
        None => Client::open(info(url)?),
    }
}

fn sentinel(
    servers: &ConnectionInfo,
    sentinels: &[SecretString],
    master: &str,
    authorities: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let sentinels = sentinels.iter().map(info).collect::<RedisResult<Vec<_>>>()?;
    let Some(first) = sentinels.first().map(ConnectionInfo::redis_settings) else {
        return Err(refused("no sentinel is named"));
    };
    let credentials = |settings: &RedisConnectionInfo| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        (owned(settings.username()), owned(settings.password()))
    };
    let differs = |other: &ConnectionInfo| credentials(other.redis_settings()) != credentials(first);
    if sentinels.iter().any(differs) {
        return Err(refused("all sentinels must share one user and password"));
    }
    let addresses = sentinels.iter().map(|sentinel| sentinel.addr().clone());
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_db(servers.redis_settings().db())
        .set_client_to_redis_protocol(servers.redis_settings().protocol());
    if let (Some(user), _) = credentials(first) {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let (_, Some(password)) = credentials(first) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let (Some(user), _) = credentials(servers.redis_settings()) {
        builder = builder.set_client_to_redis_username(user);
    }
    if let (_, Some(password)) = credentials(servers.redis_settings()) {
        builder = builder.set_client_to_redis_password(password);
    }
    if is_tls(servers) {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(authorities) = authorities {
        if sentinels.iter().all(is_tls) {
            builder = builder.set_client_to_sentinel_certificates(authorities.clone());
        }
        builder = builder.set_client_to_redis_certificates(authorities);
    }
    builder.build()
}

fn info(url: &SecretString) -> RedisResult<ConnectionInfo> {
    url.expose_secret().into_connection_info()
}

fn refused(reason: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, reason).into()
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
