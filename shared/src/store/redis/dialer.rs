//! Makes connections to Redis in each of its topologies.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, Pipeline,
    RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
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
        let certificates = config
            .ca_certificates
            .as_ref()
            .map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) });
        let client = |url: &SecretString| {
            let info = url.expose_secret().into_connection_info()?;
            match (&certificates, is_tls(&info)) {
                (Some(certificates), true) => Client::build_with_tls(info, certificates.clone()),
                (Some(_), false) | (None, true | false) => Client::open(info),
            }
        };
        match &config.topology {
            Topology::Single => Ok(Self::Single(client(&config.url)?)),
            Topology::Cluster { urls } => {
                let urls = || std::iter::once(&config.url).chain(urls);
                let mut builder = ClusterClient::builder(urls().map(SecretString::expose_secret))
                    .connection_timeout(config.timeout)
                    .response_timeout(config.timeout);
                if let Some(certificates) = certificates.clone() {
                    builder = builder.certs(certificates);
                }
                Ok(Self::Cluster {
                    client: Box::new(builder.build()?),
                    nodes: urls().map(client).collect::<RedisResult<_>>()?,
                    turn: 0,
                })
            }
            Topology::Sentinel { urls, master } => {
                let info = config.url.expose_secret().into_connection_info()?;
                let mut servers = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(info.redis_settings().clone());
                if is_tls(&info) {
                    servers = servers.set_tls_mode(TlsMode::Secure);
                }
                let sentinels = urls
                    .iter()
                    .map(|url| url.expose_secret().into_connection_info())
                    .collect::<RedisResult<Vec<_>>>()?;
                let kind = SentinelServerType::Master;
                let client = SentinelClient::build(sentinels, master, Some(servers), kind)?;
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
