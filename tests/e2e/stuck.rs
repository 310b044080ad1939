//! Nothing is stuck (I3): what was lost with its queue is queued again, what kills its workers is judged and buried.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lapin::options::QueuePurgeOptions;
use lapin::{Connect as _, ConnectionProperties};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{Encoding, HARMLESS, Image, VULNERABLE};
use tests::servers::amqp_url;
use tests::site::{Site, WEBHOOK_TOKEN, eventually, eventually_here};

fn generic(more: &str) -> String {
    format!("[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n{more}")
}

/// Tells of a push as a registry would.
async fn tell(site: &Site, repository: &str, digest: &Digest) -> Result<StatusCode> {
    let notice = json!({"image": site.name(repository, digest)}).to_string();
    Ok(site.post("/webhooks/generic", "application/json", notice).await?.0)
}

/// Throws away what waits in the push lane, as a broker does that lost its disk.
async fn lose_pushes(site: &Site) -> Result<u32> {
    let connection = amqp_url()?.connect(ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let lane = format!("{}.jobs.push", site.prefix()?);
    let lost = channel.queue_purge(lane.into(), QueuePurgeOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    Ok(lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_push_whose_job_was_lost_by_the_broker_is_queued_again() -> Result<()> {
    let extra = generic("[server]\npending_ttl = \"3s\"\n");
    let mut site = Site::distributed_unannounced(0, &extra).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/app", "1.0")?;
    assert_eq!(tell(&site, "team/app", &digest).await?, StatusCode::ACCEPTED);
    assert_eq!(lose_pushes(&site).await?, 1);
    assert_eq!(site.get(&format!("/v1/verdicts/{digest}")).await?.0, StatusCode::ACCEPTED, "it is pending");
    site.add_worker()?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    assert!(site.workers[0].log().contains("waited for in vain: queued again"));
    let (_, queue) = site.get("/v1/queue").await?;
    assert_eq!((&queue["lanes"][1]["ready"], &queue["dead"]), (&json!(0), &json!(0)), "{queue:#}");
    Ok(())
}

/// An image that takes long enough to be killed at.
fn poison() -> Image {
    let noise: Vec<u8> = (0..24_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Image::debian_with_python(VULNERABLE).layer_as(Encoding::Gzip, [("usr/share/noise", noise)])
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_an_image_that_kills_every_worker_is_judged_unreadable_and_buried() -> Result<()> {
    let extra = generic("[worker]\nlease = \"3s\"\nconcurrency = 1\n");
    let mut site = Site::distributed_unannounced(1, &extra).await?;
    let poison = site.push(&poison(), "team/poison", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    tell(&site, "team/poison", &poison).await?;
    // Five attempts, and every one of them costs a worker its life.
    for attempt in 1..=5 {
        let worker = &mut site.workers[0];
        let reached = || worker.log().matches("examining").count() >= attempt;
        eventually_here(&format!("attempt {attempt}"), reached)?;
        worker.kill();
        site.restart_worker(0)?;
    }
    tell(&site, "team/good", &good).await?;
    assert_ne!(site.verdict(&good).await?["outcome"], "fail", "the queue goes on");

    let verdict = site.verdict(&poison).await?;
    assert_eq!(
        (&verdict["outcome"], &verdict["problems"][0]["kind"]),
        (&json!("error"), &json!("analyzer-failed")),
        "{verdict:#}"
    );
    let told = verdict["problems"][0]["detail"].as_str().unwrap_or_default();
    assert!(told.contains("none of them came to an end"), "{verdict:#}");
    let (_, dead) = site.get("/v1/queue/dead").await?;
    let letter = &dead["dead"][0];
    assert_eq!((&letter["attempts"], &letter["lane"]), (&json!(5), &json!("push")), "{dead:#}");
    assert!(letter["error"].as_str().is_some_and(|error| error.contains("it may have killed its worker")));
    let listed = site.run(&["queue", "dead", "--server", &site.url])?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for part in [poison.as_str(), "5 attempts", "it may have killed its worker"] {
        assert!(listed.contains(part), "{part:?} is not told: {listed}");
    }
    let status = site.run(&["queue", "status", "--server", &site.url])?;
    assert!(String::from_utf8_lossy(&status.stdout).contains("dead"), "{status:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_a_push_of_what_is_known_leaves_its_verdict_standing() -> Result<()> {
    let mut site = Site::distributed_unannounced(1, &generic("")).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/app", "1.0")?;
    tell(&site, "team/app", &digest).await?;
    let before = site.verdict(&digest).await?;
    site.workers[0].kill();
    assert_eq!(tell(&site, "team/app", &digest).await?, StatusCode::ACCEPTED);
    let queued = |queue: &Value| queue["lanes"][1]["ready"].as_u64() >= Some(1);
    eventually("it waits for a worker", || async { Ok(queued(&site.get("/v1/queue").await?.1)) }).await?;
    let began = Instant::now();
    let (status, now) = site.get(&format!("/v1/verdicts/{digest}?wait=10s")).await?;
    assert_eq!(status, StatusCode::OK, "{now:#}");
    assert_eq!(now, before);
    ensure!(began.elapsed() < Duration::from_secs(5), "nobody waits for what is known");
    Ok(())
}
