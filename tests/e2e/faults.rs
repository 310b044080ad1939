//! What survives: every accepted push has its verdict, whoever is killed.

use std::time::Duration;

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use shared::model::digest::Digest;
use tests::image::{Encoding, HARMLESS, Image, VULNERABLE};
use tests::servers::{Broker, Cache};
use tests::site::{Site, WEBHOOK_TOKEN, eventually, eventually_here};

/// An image with a layer that takes a while, so that somebody can be killed in the middle of it.
fn large() -> Image {
    let mut noise = vec![0_u8; 192 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for chunk in noise.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    Image::debian_with_python(VULNERABLE).layer_as(Encoding::Gzip, [("usr/share/noise", noise)])
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_worker_killed_in_the_middle_of_a_layer_loses_nothing() -> Result<()> {
    let extra = "[worker]\nlease = \"3s\"\n";
    let mut site = Site::distributed_on(1, &tests::servers::amqp_url()?, extra).await?;
    let digest = site.push(&large(), "team/large", "1.0")?;
    let victim = &mut site.workers[0];
    eventually_here("the worker reads the image", || victim.log().contains("examining"))?;
    victim.kill();
    assert!(!victim.log().contains("verdict stored"), "it was killed too late to prove anything");
    site.add_worker()?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_serve_killed_on_the_embedded_default_loses_nothing() -> Result<()> {
    let mut site = Site::embedded().await?;
    let digest = site.push(&large(), "team/large", "1.0")?;
    let front = &mut site.front;
    eventually_here("serve reads the image", || front.log().contains("examining"))?;
    front.kill();
    assert!(!front.log().contains("verdict stored"), "it was killed too late to prove anything");
    site.restart_front("serve").await?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_push_during_broker_restart_is_not_lost() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let site = Site::distributed_on(2, &broker.url(), "").await?;
    let mut digests = Vec::new();
    for number in 0..50 {
        if number == 15 {
            broker.kill()?;
        }
        if number == 35 {
            broker.run()?;
        }
        let marker = number.to_string();
        let image = Image::debian_with_python(HARMLESS).layer([("marker", marker.as_str())]);
        digests.push(site.push(&image, "team/fifty", &format!("v{number}"))?);
    }
    for digest in &digests {
        site.verdict(digest).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_pushes_wait_for_a_store_that_is_away_for_longer_than_all_attempts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut cache = Cache::start(folder.path())?;
    // Told to people once; each look is told to whoever wants to know more.
    let telling = "[telemetry]\nlog = \"info,worker=debug\"\n";
    let site = Site::distributed_over(&cache.url(), 1, telling).await?;
    cache.kill()?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/app", "1.0")?;
    let put_off = || site.workers[0].log().matches("job put off").count();
    eventually_here("more looks than attempts", || put_off() > 6)?;
    cache.run()?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    assert_eq!(site.get("/v1/queue").await?.1["dead"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_or_hands_back_within_the_grace_period() -> Result<()> {
    let extra = "[worker]\nlease = \"3s\"\ngrace = \"100ms\"\n";
    let mut site = Site::distributed_on(1, &tests::servers::amqp_url()?, extra).await?;
    let digest = site.push(&large(), "team/large", "1.0")?;
    let worker = &mut site.workers[0];
    eventually_here("the worker reads the image", || worker.log().contains("examining"))?;
    let ended = worker.terminate(Duration::from_secs(10))?;
    assert!(ended.success(), "{ended}");
    site.add_worker()?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_push_is_not_accepted_while_the_broker_cannot_confirm_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let generic = format!("[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n");
    let site = Site::distributed_on(1, &broker.url(), &generic).await?;
    let image = Image::debian_with_python(HARMLESS);
    let digest = site.push(&image, "team/app", "1.0")?;
    site.verdict(&digest).await?;
    broker.kill()?;

    let notice = json!({"image": site.name("team/app", &digest)}).to_string();
    let refused = site.send("/webhooks/generic", "application/json", notice.clone()).await?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(
        site.get(&format!("/v1/verdicts/{digest}")).await?.0,
        StatusCode::OK,
        "what is known stays known"
    );
    assert_eq!(site.get("/readyz").await?.0, StatusCode::SERVICE_UNAVAILABLE);

    broker.run()?;
    eventually("the push is taken again", || async {
        Ok(site.send("/webhooks/generic", "application/json", notice.clone()).await?.status()
            == StatusCode::ACCEPTED)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_what_cannot_be_fetched_ends_in_an_error_verdict_and_a_dead_letter_that_can_be_replayed()
-> Result<()> {
    let extra = format!(
        "[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n[queue]\nretry_after = [\"50ms\"]\nattempts = 2\n[registries.down]\nhost = \"127.0.0.1:1\"\nplain_http = true\nretries = 0\n"
    );
    let site = Site::embedded_with(&extra).await?;
    let digest = Digest::of(b"behind a registry that is down");
    let notice = json!({"image": format!("127.0.0.1:1/team/app@{digest}")}).to_string();
    let (status, answer) = site.post("/webhooks/generic", "application/json", notice).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
    let verdict = site.verdict(&digest).await?;
    assert_eq!(
        (&verdict["outcome"], &verdict["problems"][0]["kind"]),
        (&json!("error"), &json!("registry-unavailable"))
    );

    let dead = |wanted: usize| {
        let site = &site;
        move || async move {
            let (_, queue) = site.get("/v1/queue/dead").await?;
            Ok(queue["dead"].as_array().map(Vec::len) == Some(wanted))
        }
    };
    eventually("it is buried", dead(1)).await?;
    assert_eq!(site.metric("tidewaiter_queue_buried_total", "").await?, 1.0, "people can be alarmed");
    let listed = site.run(&["queue", "dead", "--server", &site.url])?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(digest.as_str()) && listed.contains("2 attempts"), "{listed}");

    let id = answer["jobs"][0]["id"].as_str().expect("a job has an id");
    assert!(site.run(&["queue", "requeue", id, "--server", &site.url])?.status.success());
    eventually("it is buried again", dead(1)).await?;
    let unknown =
        site.run(&["queue", "drop", "01939e2c-0000-7000-8000-000000000001", "--server", &site.url])?;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(site.run(&["queue", "drop", "--all", "--server", &site.url])?.status.success());
    eventually("it is forgotten", dead(0)).await
}
