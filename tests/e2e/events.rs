//! Who is told of a changed verdict: listeners of `GET /v1/events`, endpoints under `notify`, queues bound to the
//! topic exchange. With the real registry, RabbitMQ, Redis and workers, and whoever is killed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Connect as _, Connection, ConnectionProperties};
use reqwest::StatusCode;
use serde_json::Value;
use tests::image::{Encoding, HARMLESS, Image, VULNERABLE};
use tests::process::free_port;
use tests::servers::{Broker, amqp_url};
use tests::site::{Site, eventually, eventually_here};

mod listener;
mod receiver;

use listener::Listener;
use receiver::Receiver;

/// How long something may take that must happen, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn harmless(marker: &str) -> Image {
    Image::debian_with_python(HARMLESS).layer([("marker", marker)])
}

fn notify(receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[notify.ops]\nurl = \"{url}\"\nplain_http = true\nsecret = \"{}\"\n{more}\n", receiver::SECRET)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_hears_every_change_and_after_a_break_exactly_what_it_missed() -> Result<()> {
    let site = Site::distributed(2).await?;
    let mut listener = Listener::open(&site.url, "", None).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let first = listener.verdict().await?;
    assert_eq!(first.data["type"], "dev.tidewaiter.verdict.changed.v1");
    assert_eq!(first.data["subject"], site.name("team/bad", &bad));
    assert_eq!(first.data["source"], site.url);
    let data = &first.data["data"];
    assert_eq!(
        (&data["verdict"], &data["previous"], &data["cause"]),
        (&"fail".into(), &"pending".into(), &"first_verdict".into())
    );
    assert!(data["counts"]["high"].as_u64() > Some(0), "{data:#}");
    assert!(data["reasons"][0]["purl"].as_str().is_some_and(|purl| purl.contains("urllib3")), "{data:#}");
    assert_eq!(data["tags"][0], "1.0");
    drop(listener);

    let mut missed = Vec::new();
    for number in 0..3 {
        let digest = site.push(&harmless(&number.to_string()), "team/good", &format!("v{number}"))?;
        site.verdict(&digest).await?;
        missed.push(digest.to_string());
    }
    let mut again = Listener::open(&site.url, "", Some(&first.id)).await?;
    for digest in &missed {
        assert_eq!(again.verdict().await?.data["data"]["digest"], *digest);
    }
    let later = site.push(&harmless("later"), "team/good", "later")?;
    assert_eq!(again.verdict().await?.data["data"]["digest"], later.to_string());

    let query = format!("?outcome=fail&repository={}/team/*&last_event_id=0-0", site.registry.host());
    let mut fails = Listener::open(&site.url, &query, None).await?;
    assert_eq!(fails.verdict().await?.id, first.id);
    let worse = Image::debian_with_python(VULNERABLE).layer([("marker", "worse")]);
    let worse = site.push(&worse, "team/bad", "2.0")?;
    assert_eq!(fails.verdict().await?.data["data"]["digest"], worse.to_string(), "passes are left out");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_what_is_no_longer_kept_is_told_of_the_gap_first() -> Result<()> {
    let site = Site::embedded().await?;
    let digest = site.push(&harmless("a"), "team/app", "1.0")?;
    site.verdict(&digest).await?;
    let mut listener = Listener::open(&site.url, "?last_event_id=1-0", None).await?;
    let gap = listener.next().await?;
    assert_eq!((gap.kind.as_str(), &gap.data["after"]), ("gap", &Value::from("1-0")));
    let kept = listener.verdict().await?;
    assert_eq!(kept.data["data"]["digest"], digest.to_string());
    assert_eq!(gap.data["oldest"], kept.id);
    for query in ["?last_event_id=yesterday", "?outcome=bad", "?repository=team", "?policy=A", "?polcy=a"] {
        let (status, problem) = site.get(&format!("/v1/events{query}")).await?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {problem:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_do_not_hold_up_a_shutdown_and_resume_at_the_next_process() -> Result<()> {
    let mut site = Site::embedded().await?;
    let file = site.folder.path().join("tidewaiter.toml");
    let text = std::fs::read_to_string(&file)?.replace("[server]\n", "[server]\nevent_subscribers = 2\n");
    std::fs::write(&file, text)?;
    assert!(site.front.terminate(SOON)?.success());
    site.restart_front("serve").await?;
    let mut listeners = Vec::new();
    for _ in 0..2 {
        listeners.push(Listener::open(&site.url, "", None).await?);
    }
    let (status, problem) = site.get("/v1/events").await?;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"urn:tidewaiter:problem:busy".into())
    );
    let digest = site.push(&harmless("a"), "team/app", "1.0")?;
    let seen = listeners[0].verdict().await?;
    assert_eq!(seen.data["data"]["digest"], digest.to_string());
    let began = Instant::now();
    assert!(site.front.terminate(Duration::from_secs(9))?.success());
    assert!(began.elapsed() < Duration::from_secs(5), "open streams held it up: {:?}", began.elapsed());
    listeners[1].verdict().await?;
    assert!(listeners[0].next().await.is_err() && listeners[1].next().await.is_err(), "streams end");
    site.restart_front("serve").await?;
    let mut again = Listener::open(&site.url, "", Some(&seen.id)).await?;
    let other = site.push(&harmless("b"), "team/app", "2.0")?;
    assert_eq!(again.verdict().await?.data["data"]["digest"], other.to_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_each_change_signed_also_those_of_while_it_was_down() -> Result<()> {
    let mut receiver = Receiver::new()?;
    receiver.open().await?;
    let site = Site::distributed_on(2, &amqp_url()?, &notify(&receiver, "")).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let told = receiver.event().await?;
    assert_eq!(told["subject"], site.name("team/bad", &bad));
    assert_eq!(told["data"]["verdict"], "fail");

    receiver.close();
    let mut missed = Vec::new();
    for number in 0..3 {
        let digest = site.push(&harmless(&number.to_string()), "team/good", &format!("v{number}"))?;
        site.verdict(&digest).await?;
        missed.push(digest.to_string());
    }
    eventually_here("it is found to be down", || {
        site.workers.iter().any(|worker| worker.log().contains("job put off"))
    })?;
    receiver.open().await?;
    let mut arrived = Vec::new();
    for _ in 0..3 {
        let told = receiver.event().await?;
        arrived.push(told["data"]["digest"].as_str().unwrap_or_default().to_owned());
    }
    missed.sort();
    arrived.sort();
    assert_eq!(arrived, missed);
    let (_, dead) = site.get("/v1/queue/dead").await?;
    assert_eq!(dead["dead"].as_array().map(Vec::len), Some(0), "{dead:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_hears_only_what_it_wants_and_what_it_never_takes_is_a_dead_letter() -> Result<()> {
    let mut receiver = Receiver::new()?;
    receiver.answer("410 Gone");
    receiver.open().await?;
    let site = Site::embedded_with(&notify(&receiver, "outcomes = [\"*->fail\"]")).await?;
    let good = site.push(&harmless("good"), "team/good", "1.0")?;
    site.verdict(&good).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    assert_eq!(receiver.event().await?["data"]["digest"], bad.to_string());
    eventually("it is buried", || async {
        let (_, queue) = site.get("/v1/queue/dead").await?;
        Ok(queue["dead"].as_array().is_some_and(|dead| dead.len() == 1))
    })
    .await?;
    let row = site.get("/v1/queue/dead").await?.1["dead"][0].clone();
    let text = row.to_string();
    assert!(text.contains("notify.ops answered 410") && text.contains("ops about"), "{row:#}");
    assert!(!text.contains(receiver::SECRET), "{row:#}");
    assert!(site.front.log().contains("endpoint is gone"), "nobody was told loudly");
    assert!(site.metric("tidewaiter_notify_attempts_total", "result=\"gone\"").await? >= 1.0);
    assert!(receiver.is_quiet(), "it was told of something that it did not want");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_bound_to_the_topic_get_what_their_pattern_says() -> Result<()> {
    let site = Site::distributed(1).await?;
    let connection = broker(&amqp_url()?).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    let registry = site.registry.host().replace('.', "_");
    let pattern = format!("verdict.fail.{registry}.team.#");
    let exchange = format!("{}.verdicts", site.prefix()?);
    let (name, none) = (queue.name().clone(), FieldTable::default());
    let bound =
        channel.queue_bind(name.clone(), exchange.into(), pattern.into(), QueueBindOptions::default(), none);
    bound.await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut messages = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;

    let good = site.push(&harmless("good"), "team/good", "1.0")?;
    site.verdict(&good).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let message = tokio::time::timeout(SOON, messages.next()).await?.context("the queue is there")??;
    let event: Value = serde_json::from_slice(&message.data)?;
    assert_eq!(event["data"]["digest"], bad.to_string(), "passes are not for this queue");
    let properties = &message.properties;
    assert_eq!(
        properties.content_type().as_ref().map(ShortString::as_str),
        Some("application/cloudevents+json")
    );
    assert_eq!(properties.message_id().as_ref().map(ShortString::as_str), event["id"].as_str());
    assert_eq!(message.routing_key.as_str(), format!("verdict.fail.{registry}.team.bad"));
    Ok(())
}

/// The broker is away when the verdict is stored, so the worker is killed between storing and announcing.
#[tokio::test(flavor = "multi_thread")]
async fn i2_a_worker_killed_between_storing_and_announcing_is_made_up_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let mut receiver = Receiver::new()?;
    receiver.open().await?;
    let extra = format!("[worker]\nlease = \"3s\"\n{}", notify(&receiver, ""));
    let mut site = Site::distributed_on(1, &broker.url(), &extra).await?;
    let mut listener = Listener::open(&site.url, "", None).await?;
    let noise: Vec<u8> = (0..96_u32 << 18).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    let image = Image::debian_with_python(VULNERABLE).layer_as(Encoding::Gzip, [("usr/share/noise", noise)]);
    let digest = site.push(&image, "team/large", "1.0")?;
    let victim = &mut site.workers[0];
    eventually_here("the worker reads the image", || victim.log().contains("examining"))?;
    broker.kill()?;
    eventually_here("the verdict is stored", || victim.log().contains("verdict stored"))?;
    victim.kill();
    assert!(!victim.log().contains("change announced"), "it was killed too late to prove anything");
    broker.run()?;
    site.add_worker()?;
    assert_eq!(listener.verdict().await?.data["data"]["digest"], digest.to_string());
    assert_eq!(receiver.event().await?["data"]["digest"], digest.to_string());
    Ok(())
}

async fn broker(url: &str) -> Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let properties = ConnectionProperties::default();
    Ok(url.connect_with_config(properties, lapin::tcp::OwnedTLSConfig::default(), runtime).await?)
}
