//! Broker and cache restarted, frozen, slow, full and read-only: webhooks answer 202 or 503 and never lie, `/readyz` says
//! what is wrong, nothing busy-loops, the log is short, and everything goes on without a restart (I1, I2, I3, I13).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::StatusCode;
use serde_json::json;
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image, Layout};
use tests::proxy::{Line, Proxy};
use tests::servers::{Broker, Cache, Cluster, amqp_url, redis_url};
use tests::site::{Site, WEBHOOK_TOKEN, eventually};
use tests::upload::Uploader;

/// A site whose servers fail, and what it was told of so far.
struct Trial {
    site: Site,
    layout: Layout,
    uploader: Uploader,
    pushed: usize,
    accepted: Vec<Digest>,
}

/// What an outage is held against.
struct Watched {
    began: Instant,
    cpu: Vec<f64>,
    lines: Vec<usize>,
    requests: usize,
}

impl Trial {
    async fn over(amqp: &str, redis: &str) -> Result<Self> {
        Self::over_with(amqp, redis, "").await
    }

    /// The same with further configuration.
    async fn over_with(amqp: &str, redis: &str, further: &str) -> Result<Self> {
        let extra = format!(
            "[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n[worker]\nlease = \"3s\"\nconcurrency = 1\n{further}"
        );
        let site = Site::distributed_between(1, amqp, redis, &extra).await?;
        let layout = site.layout()?;
        let uploader = Uploader::new(&site.registry.host(), "team/outage")?;
        Ok(Self { site, layout, uploader, pushed: 0, accepted: Vec::new() })
    }

    /// Pushes one more image and tells of it once.
    async fn push(&mut self) -> Result<StatusCode> {
        self.push_with("").await
    }

    /// The same with a text to look through.
    async fn push_with(&mut self, text: &str) -> Result<StatusCode> {
        self.pushed += 1;
        let marker = self.pushed.to_string();
        let image = Image::debian_with_python(HARMLESS).layer([("marker", marker.as_str()), ("text", text)]);
        let digest = self.uploader.push(&self.layout, &image, &format!("v{marker}")).await?;
        let notice = json!({"image": self.site.name("team/outage", &digest)}).to_string();
        let answer = self.site.send("/webhooks/generic", "application/json", notice).await?;
        let status = answer.status();
        match status {
            StatusCode::ACCEPTED => self.accepted.push(digest),
            StatusCode::SERVICE_UNAVAILABLE => ensure!(answer.headers().contains_key("retry-after")),
            other => ensure!(false, "neither 202 nor 503: {other}"),
        }
        Ok(status)
    }

    /// Begins to watch what the processes do.
    fn watch(&self) -> Result<Watched> {
        let processes = || std::iter::once(&self.site.front).chain(&self.site.workers);
        Ok(Watched {
            began: Instant::now(),
            cpu: processes().map(tests::process::Process::cpu_seconds).collect::<Result<_>>()?,
            lines: processes().map(|process| process.log().lines().count()).collect(),
            requests: self.pushed,
        })
    }

    /// Nobody was busy, and nobody wrote more than `most` lines and some for each push.
    fn was_calm(&self, what: &str, before: &Watched, most: usize) -> Result<()> {
        let (after, took) = (self.watch()?, before.began.elapsed().as_secs_f64());
        let requests = self.pushed - before.requests;
        for (at, name) in ["api", "worker"].into_iter().enumerate() {
            let cpu = (after.cpu[at] - before.cpu[at]) / took;
            let lines = after.lines[at] - before.lines[at];
            eprintln!(
                "{what}: {name} used {:.1} % of a core and wrote {lines} lines in {took:.0} s",
                cpu * 100.0
            );
            // An unoptimised build that answers some requests is far below; a loop without a wait is at 100 %.
            assert!(cpu < 0.4, "{what}: {name} is busy: {:.0} % of a core", cpu * 100.0);
            let most = most + 4 * requests;
            let log = [&self.site.front, &self.site.workers[0]][at].log();
            assert!(lines <= most, "{what}: {name} wrote {lines} lines:\n{log}");
            assert!(!log.contains("lapin"), "{what}: {name} repeats what the client library says:\n{log}");
        }
        Ok(())
    }

    /// `/readyz` answers 503 and names what is wrong.
    async fn not_ready(&self, part: &str, reason: &str) -> Result<()> {
        let what = format!("/readyz says {reason:?} of the {part}");
        let told = eventually(&what, || async {
            let (status, ready) = self.site.get("/readyz").await?;
            let said = ready[part].as_str().unwrap_or_default().to_lowercase();
            Ok(status == StatusCode::SERVICE_UNAVAILABLE && said.contains(reason))
        });
        if let Err(error) = told.await {
            let (status, ready) = self.site.get("/readyz").await?;
            bail!("{error}; it says {status} {ready}, and the log:\n{}", self.site.front.log());
        }
        Ok(())
    }

    /// All is well again, and what was accepted is judged.
    async fn recovered(&mut self) -> Result<()> {
        eventually("ready again", || async { Ok(self.site.get("/readyz").await?.0 == StatusCode::OK) })
            .await?;
        assert_eq!(self.push().await?, StatusCode::ACCEPTED);
        for digest in std::mem::take(&mut self.accepted) {
            assert_ne!(self.site.verdict(&digest).await?["outcome"], "error");
        }
        let (_, queue) = self.site.get("/v1/queue").await?;
        assert_eq!(queue["dead"], 0, "{queue:#}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i13_redis_gone_empty_frozen_slow_full_and_read_only_loses_no_push() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut cache = Cache::start(folder.path())?;
    let proxy = Proxy::before(cache.port).await?;
    let mut trial = Trial::over(&amqp_url()?, &format!("redis://127.0.0.1:{}", proxy.port)).await?;
    trial.recovered().await?;

    let watched = trial.watch()?;
    cache.kill()?;
    for _ in 0..5 {
        assert_eq!(trial.push().await?, StatusCode::ACCEPTED, "the queue has it");
    }
    trial.not_ready("store", "unavailable").await?;
    // Long enough for whatever waits longer each time to wait its longest.
    tokio::time::sleep(Duration::from_secs(60)).await;
    trial.was_calm("Redis gone for a minute", &watched, 12)?;
    cache.run()?;
    trial.recovered().await?;

    let watched = trial.watch()?;
    proxy.set(Line::Frozen);
    assert_eq!(trial.push().await?, StatusCode::ACCEPTED);
    trial.not_ready("store", "no answer").await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    trial.was_calm("Redis frozen", &watched, 6)?;
    proxy.set(Line::Open);
    trial.recovered().await?;

    proxy.set(Line::Slow(Duration::from_millis(100)));
    for _ in 0..2 {
        assert_eq!(trial.push().await?, StatusCode::ACCEPTED);
    }
    trial.recovered().await?;
    proxy.set(Line::Open);

    for (what, begin, end, reason) in [
        ("Redis full", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "oom"),
        ("Redis read-only", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "readonly"),
    ] {
        let watched = trial.watch()?;
        cache.command(begin)?;
        for _ in 0..3 {
            assert_eq!(trial.push().await?, StatusCode::ACCEPTED, "{what}: the queue has it");
        }
        trial.not_ready("store", reason).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        trial.was_calm(what, &watched, 6)?;
        cache.command(end)?;
        trial.recovered().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i2_rabbitmq_partitioned_alarmed_full_and_restarted_loses_no_push() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let proxy = Proxy::before(broker.port).await?;
    let mut trial =
        Trial::over(&format!("amqp://guest:guest@127.0.0.1:{}", proxy.port), &redis_url()?).await?;
    trial.recovered().await?;

    let watched = trial.watch()?;
    proxy.set(Line::Frozen);
    assert_eq!(trial.push().await?, StatusCode::SERVICE_UNAVAILABLE, "nobody confirms");
    trial.not_ready("queue", "").await?;
    // Longer than two heartbeats: the connection is given up and made again.
    tokio::time::sleep(Duration::from_secs(22)).await;
    trial.was_calm("RabbitMQ partitioned", &watched, 6)?;
    proxy.set(Line::Open);
    trial.recovered().await?;

    let watched = trial.watch()?;
    broker.alarm("set_alarm({{resource_limit, disk, node()}, []})")?;
    assert_eq!(trial.push().await?, StatusCode::SERVICE_UNAVAILABLE, "the broker takes nothing");
    trial.not_ready("queue", "short of memory or disk").await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    trial.was_calm("RabbitMQ's disk alarm", &watched, 6)?;
    broker.alarm("clear_alarm({resource_limit, disk, node()})")?;
    trial.recovered().await?;

    let watched = trial.watch()?;
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"])?;
    // It looks at its memory every few seconds, and tells only those who publish.
    let mut taken = 0;
    while trial.push().await? == StatusCode::ACCEPTED {
        taken += 1;
        ensure!(taken < 60, "the broker goes on taking jobs");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    trial.not_ready("queue", "short of memory or disk").await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    trial.was_calm("RabbitMQ's memory alarm", &watched, 6)?;
    broker.control(&["set_vm_memory_high_watermark", "0.4"])?;
    trial.recovered().await?;

    trial.site.workers[0].pause()?;
    let queue = format!("^{}\\.jobs\\.push$", trial.site.prefix()?.replace('.', "\\."));
    let limit = r#"{"max-length":2,"overflow":"reject-publish"}"#;
    broker.control(&["set_policy", "--apply-to", "queues", "limit", &queue, limit])?;
    let mut refused = 0;
    for _ in 0..12 {
        refused += usize::from(trial.push().await? == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(refused > 4 && trial.accepted.len() > 1, "{refused} refused, {} accepted", trial.accepted.len());
    trial.site.workers[0].resume()?;
    broker.control(&["clear_policy", "limit"])?;
    trial.recovered().await?;

    let watched = trial.watch()?;
    broker.kill()?;
    assert_eq!(trial.push().await?, StatusCode::SERVICE_UNAVAILABLE);
    trial.not_ready("queue", "unavailable").await?;
    broker.run()?;
    trial.was_calm("RabbitMQ restarted", &watched, 6)?;
    let back = Instant::now();
    trial.recovered().await?;
    eprintln!("judged again {:.1} s after the broker listened", back.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i2_a_cluster_of_brokers_without_its_leader_or_without_a_quorum_loses_no_push() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut cluster = Cluster::start(folder.path(), 3)?;
    let urls: Vec<String> = cluster.nodes.iter().map(Broker::url).collect();
    let others = format!("[queue]\ncluster = [\"{}\", \"{}\"]\n", urls[1], urls[2]);
    let mut trial = Trial::over_with(&urls[0], &redis_url()?, &others).await?;
    trial.recovered().await.with_context(|| cluster.queues())?;
    cluster.spread_queues()?;

    // Who declares a quorum queue is connected to its first leader: the leaders and every connection go at once.
    // With them goes who is at work: a quorum queue keeps a job of a cancelled consumer until that one's node is back.
    assert_eq!(trial.push_with(&".".repeat(64 << 20)).await?, StatusCode::ACCEPTED);
    let digest = trial.accepted.last().map(ToString::to_string).unwrap_or_default();
    let worker_said = |trial: &Trial, what: &str| {
        trial.site.workers[0].log().lines().any(|line| line.contains(what) && line.contains(&digest))
    };
    eventually("a long job is under way", || async { Ok(worker_said(&trial, "examining")) }).await?;
    trial.site.workers[0].pause()?;
    for _ in 0..5 {
        assert_eq!(trial.push().await?, StatusCode::ACCEPTED);
    }
    ensure!(!worker_said(&trial, "verdict stored"), "the long job was too short");
    cluster.nodes[0].kill()?;
    trial.site.workers[0].kill();
    trial.site.restart_worker(0)?;
    let (killed, mut refused) = (Instant::now(), 0);
    while trial.push().await? != StatusCode::ACCEPTED {
        refused += 1;
        let patience = Duration::from_secs(60);
        ensure!(killed.elapsed() < patience, "two of three are a majority:\n{}", trial.site.front.log());
    }
    let away = killed.elapsed().as_secs_f64();
    eprintln!("the leader killed: {refused} pushes refused, the next one taken {away:.1} s later");
    for _ in 0..5 {
        trial.push().await?;
    }
    let back = Instant::now();
    trial.recovered().await.with_context(|| cluster.queues())?;
    eprintln!("two of three: all judged {:.1} s after the last push", back.elapsed().as_secs_f64());

    cluster.nodes[0].run()?;
    cluster.nodes[0].control(&["await_startup"])?;
    trial.recovered().await.with_context(|| cluster.queues())?;

    let watched = trial.watch()?;
    cluster.nodes[1].kill()?;
    cluster.nodes[2].kill()?;
    // What the leader confirmed before it noticed is not lost either: the third node has it.
    for _ in 0..3 {
        assert_eq!(trial.push().await?, StatusCode::SERVICE_UNAVAILABLE, "one of three is no majority");
    }
    trial.not_ready("queue", "did not take the last job").await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(trial.push().await?, StatusCode::SERVICE_UNAVAILABLE);
    trial.not_ready("queue", "did not take the last job").await?;
    trial.was_calm("no quorum", &watched, 10)?;

    cluster.nodes[1].run()?;
    let back = Instant::now();
    trial.recovered().await.with_context(|| cluster.queues())?;
    eprintln!("a majority again: judged {:.1} s after it listened", back.elapsed().as_secs_f64());
    cluster.nodes[2].run()?;
    trial.recovered().await.with_context(|| cluster.queues())
}
