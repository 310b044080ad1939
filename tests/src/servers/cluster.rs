//! A cluster of RabbitMQ nodes of one's own, on one machine: each has a port, a name and data of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;

use super::Broker;

/// Nodes that share their queues.
pub struct Cluster {
    /// Each of them; the first was there first.
    pub nodes: Vec<Broker>,
}

impl Cluster {
    /// Starts so many nodes in folders below `folder` and has each join the first.
    pub fn start(folder: &Path, nodes: usize) -> Result<Self> {
        let mut cluster = Self { nodes: Vec::new() };
        for number in 0..nodes {
            let place = folder.join(format!("node-{number}"));
            share_secret(&place.join("rabbitmq"))?;
            cluster.nodes.push(Broker::start(&place)?);
        }
        let [first, others @ ..] = cluster.nodes.as_slice() else { return Ok(cluster) };
        for node in others {
            node.control(&["await_startup"])?;
            node.control(&["stop_app"])?;
            node.control(&["join_cluster", &first.node()])?;
            node.control(&["start_app"])?;
        }
        // A queue gets members on the nodes that run when it is declared, in the eyes of the one that declares it.
        for node in &cluster.nodes {
            node.control(&["await_online_nodes", &nodes.to_string()])?;
        }
        Ok(cluster)
    }

    /// Sees to it that every queue there is has a member on every node, as an operator does who is not sure that all
    /// ran when the queues were declared.
    pub fn spread_queues(&self) -> Result<()> {
        let Some(first) = self.nodes.first() else { return Ok(()) };
        self.nodes
            .iter()
            .try_for_each(|node| first.tool("rabbitmq-queues", &["grow", &node.node(), "all"]).map(drop))
    }

    /// What the first node that answers says of the queues: for a test that failed.
    pub fn queues(&self) -> String {
        let columns = ["name", "leader", "online", "messages_ready", "messages_unacknowledged", "consumers"];
        let asked = [&["--timeout", "20", "list_queues"], columns.as_slice()].concat();
        let told = self.nodes.iter().find_map(|node| node.tool("rabbitmqctl", &asked).ok());
        told.unwrap_or_else(|| "no node answers".to_owned())
    }
}

/// Nodes talk to those who have the same secret, which lies in their home.
fn share_secret(home: &Path) -> Result<()> {
    fs::create_dir_all(home)?;
    let cookie = home.join(".erlang.cookie");
    fs::write(&cookie, "TIDEWAITERTEST")?;
    Ok(fs::set_permissions(cookie, fs::Permissions::from_mode(0o400))?)
}
