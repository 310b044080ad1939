//! The same promises in a cluster, and through a failover behind sentinels.

use super::server::free_port;
use super::*;

/// Two nodes that share the slots.
struct Cluster {
    nodes: [Server; 2],
}

impl Cluster {
    async fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let nodes = [Server::start(&options).await, Server::start(&options).await];
        for (node, (first, last)) in nodes.iter().zip([("0", "8191"), ("8192", "16383")]) {
            answer(&node.url(), &["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
        }
        // Each begins at epoch 0; two that claim the same one quarrel until one gives way.
        answer(&nodes[1].url(), &["CLUSTER", "SET-CONFIG-EPOCH", "2"]).await;
        let port = nodes[1].port().to_string();
        answer(&nodes[0].url(), &["CLUSTER", "MEET", "127.0.0.1", &port]).await;
        for node in &nodes {
            eventually("a whole cluster", async || {
                let told: String = from_redis_value(answer(&node.url(), &["CLUSTER", "INFO"]).await).unwrap();
                let whole = told.contains("cluster_state:ok") && told.contains("cluster_slots_ok:16384");
                whole.then_some(())
            })
            .await;
        }
        Self { nodes }
    }

    fn config(&self) -> RedisConfig {
        RedisConfig {
            topology: Topology::Cluster { urls: vec![SecretString::from(self.nodes[1].url())] },
            timeout: Duration::from_secs(5),
            ..config(&self.nodes[0].url())
        }
    }
}

#[tokio::test]
async fn every_promise_holds_on_a_cluster() {
    let cluster = Cluster::start().await;
    let stores = two(&cluster.config()).await;
    every_promise!(in_turn, &stores);
}

#[tokio::test]
async fn i13_a_restarted_node_of_a_cluster_is_used_again() {
    let mut cluster = Cluster::start().await;
    let store = connect(&cluster.config()).await;
    // Enough digests that each node has some of them.
    let digests: Vec<Digest> = (0..16).map(|_| fresh_digest()).collect();
    for digest in &digests {
        know(&*store, digest, &["default"]).await;
    }
    cluster.nodes[1].kill();
    cluster.nodes[1].restart().await;
    eventually("every digest stored again", async || {
        for digest in &digests {
            store.mark_pending(digest, pending_for(60_000)).await.ok()?;
        }
        Some(())
    })
    .await;
    store.lookup(&digests, &sample::policy("default")).await.unwrap();
}

#[tokio::test]
async fn i13_a_failover_is_followed_and_watchers_hear_the_new_master() {
    let mut master = Server::start(&[]).await;
    let master_port = master.port().to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &master_port]).await;
    eventually("a replica in step", async || {
        let told: String = from_redis_value(answer(&replica.url(), &["INFO", "replication"]).await).unwrap();
        told.contains("master_link_status:up").then_some(())
    })
    .await;
    let sentinel = start_sentinel(&master_port).await;
    let config = RedisConfig {
        topology: Topology::Sentinel {
            urls: vec![SecretString::from(sentinel.url())],
            master: "main".to_owned(),
        },
        ..config("redis://data.invalid")
    };
    let (one, other) = (connect(&config).await, connect(&config).await);
    know(&*one, &fresh_digest(), &["default"]).await;

    master.kill();
    let digest = fresh_digest();
    let mut watch = one.watch(&digest).await.unwrap();
    eventually("a new master", async || other.mark_pending(&digest, pending_for(60_000)).await.ok()).await;
    know(&*other, &digest, &["default"]).await;
    let heard = timeout(LONG, async {
        while !matches!(known(&*one, &digest, "default").await, Lookup::Known(_)) {
            watch.changed(Duration::from_secs(3600)).await;
        }
    });
    heard.await.expect("the watch follows too");
    let on_replica = Keys::new(&config.prefix).verdict(&digest);
    assert_eq!(number(&replica.url(), &["EXISTS", &on_replica]).await, 1);
}

async fn start_sentinel(master_port: &str) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sentinel.conf");
    let settings = format!(
        "sentinel monitor main 127.0.0.1 {master_port} 1\n\
         sentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 3000\n"
    );
    std::fs::write(&file, settings).unwrap();
    let file = file.display().to_string();
    let sentinel = Server::start_in(directory, free_port(), &[&file, "--sentinel"]).await;
    eventually("a sentinel that knows the replica", async || {
        let known = answer(&sentinel.url(), &["SENTINEL", "REPLICAS", "main"]).await;
        matches!(known, Value::Array(replicas) if !replicas.is_empty()).then_some(())
    })
    .await;
    sentinel
}
