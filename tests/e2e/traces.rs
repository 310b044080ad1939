//! Traces, as a collector gets them: one from the webhook that told of a push to its verdict, whatever processes lie
//! between, and nothing but spans lost when the collector is away.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image};
use tests::site::{Site, WEBHOOK_TOKEN, run};

use crate::collector::{Collector, Seen};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Announces a push as the registry would, within the caller's trace.
async fn announce(site: &Site, repository: &str, digest: &Digest) -> Result<()> {
    let event = json!({"events": [{
        "id": "1", "timestamp": "2026-03-02T09:30:37.1Z", "action": "push",
        "target": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "repository": repository, "tag": "1.0"},
        "request": {"host": site.registry.host()},
    }]});
    let request = reqwest::Client::new().post(format!("{}/webhooks/distribution", site.url));
    let request = request
        .header("authorization", format!("Bearer {WEBHOOK_TOKEN}"))
        .header("content-type", "application/vnd.docker.distribution.events.v2+json")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("tracestate", "vendor=value");
    let answer = request.body(event.to_string()).send().await?;
    assert_eq!(answer.status(), reqwest::StatusCode::ACCEPTED);
    Ok(())
}

/// The only span of a name.
fn one<'a>(spans: &'a [Seen], name: &str) -> Result<&'a Seen> {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    anyhow::ensure!(found.len() == 1, "{} spans {name} among {spans:#?}", found.len());
    Ok(found[0])
}

/// Every span but the first has its parent in the trace; returns names with their parents' names.
fn parents(spans: &[Seen]) -> Result<BTreeMap<String, String>> {
    let by_id: BTreeMap<&str, &Seen> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let parent = |span: &Seen| match (by_id.get(span.parent.as_str()), span.parent.as_str()) {
        (Some(parent), _) => Ok(parent.name.clone()),
        (None, CALLER) => Ok("the caller".to_owned()),
        (None, _) => anyhow::bail!("{span:?} hangs in the air among {spans:#?}"),
    };
    spans.iter().map(|span| Ok((span.name.clone(), parent(span)?))).collect()
}

async fn one_trace(site: &Site, collector: &Collector, services: [&str; 2], places: [&str; 2]) -> Result<()> {
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    announce(site, "team/app", &digest).await?;
    let verdict = site.verdict(&digest).await?;
    let process = format!("process {}", places[1]);
    let publish = format!("publish {}", places[0]);
    let spans = collector.trace_with(TRACE, &process).await?;
    let parents = parents(&spans)?;
    let webhook = "POST /webhooks/{source}";
    for (name, parent) in [
        (webhook, "the caller"),
        (&publish, webhook),
        (&process, &publish),
        ("examine", &process),
        ("manifest", "examine"),
        ("layer", "examine"),
        ("match", &process),
        ("judge", &process),
        ("store", &process),
    ] {
        assert_eq!(parents.get(name).map(String::as_str), Some(parent), "{name} in {parents:#?}");
    }
    let (server, producer, consumer) =
        (one(&spans, webhook)?, one(&spans, &publish)?, one(&spans, &process)?);
    assert_eq!((server.kind, producer.kind, consumer.kind), (2, 4, 5));
    assert_eq!([&*producer.service, &*consumer.service], services);
    assert_eq!(server.attributes["http.response.status_code"], "202");
    assert_eq!(server.attributes["http.route"], "/webhooks/{source}");
    assert_eq!(consumer.attributes["messaging.message.id"], producer.attributes["messaging.message.id"]);
    assert_eq!(consumer.attributes["oci.manifest.digest"], digest.to_string());
    assert_eq!(consumer.attributes["container.image.name"], format!("{}/team/app", site.registry.host()));
    assert_eq!(consumer.attributes["tidewaiter.job.result"], "done");
    let outcome = verdict["outcome"].as_str().context("a verdict has an outcome")?;
    assert_eq!(one(&spans, "judge")?.attributes["tidewaiter.verdicts"], format!("default={outcome}"));
    let exchanges: Vec<_> = spans.iter().filter(|span| span.name == "GET").collect();
    assert!(exchanges.iter().all(|span| span.kind == 3 && span.attributes["server.address"] == "127.0.0.1"));
    assert!(exchanges.len() > 2, "a manifest, a config and a layer: {exchanges:#?}");
    assert!(!spans.iter().any(|span| span.failed), "{spans:#?}");
    assert_eq!(collector.strangers(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_webhook_over_the_broker_to_the_verdict() -> Result<()> {
    let collector = Collector::start()?;
    let mut site = Site::distributed_unannounced(1, &collector.section()).await?;
    let prefix = site.prefix()?;
    let places = [format!("{prefix}.jobs:push"), format!("{prefix}.jobs.push")];
    let services = ["tidewaiter-api", "tidewaiter-worker"];
    one_trace(&site, &collector, services, [&places[0], &places[1]]).await?;
    let instances: std::collections::BTreeSet<_> =
        collector.spans().into_iter().map(|span| (span.service, span.instance)).collect();
    assert_eq!(instances.len(), 2, "{instances:?}");

    // Nobody asked for it: no trace of probes. And whoever reads a log line finds its trace.
    assert!(collector.spans().iter().all(|span| !span.name.contains("readyz")));
    let log = site.workers[0].log();
    let line = log.lines().find(|line| line.contains("verdict stored")).context("the verdict is logged")?;
    assert!(line.contains(&format!("trace_id=\"{TRACE}\"")), "{line}");

    // A question has a trace of its own, and what ended last is sent before the process is gone.
    site.get("/v1/verdicts/sha256:none").await?;
    assert!(site.front.terminate(Duration::from_secs(20))?.success());
    let mut asked = collector.spans().into_iter().filter(|span| span.name == "GET /v1/verdicts/{digest}");
    let asked = asked.next_back().context("the last span was sent")?;
    assert_eq!((asked.attributes["http.response.status_code"].as_str(), asked.parent.as_str()), ("422", ""));
    assert_ne!(asked.trace, TRACE);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_through_serve() -> Result<()> {
    let collector = Collector::start()?;
    let site = Site::unannounced(&collector.section()).await?;
    one_trace(&site, &collector, ["tidewaiter", "tidewaiter"], ["push", "push"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_decides_that_his_trace_is_kept_only_where_callers_are_followed() -> Result<()> {
    let [sampled, followed] = [Collector::start()?, Collector::start()?];
    for (collector, callers) in [(&sampled, ""), (&followed, "callers = \"followed\"\n")] {
        let section = format!("{}sample_ratio = 0.0\n{callers}", collector.section());
        let mut site = Site::unannounced(&section).await?;
        let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
        announce(&site, "team/app", &digest).await?;
        site.verdict(&digest).await?;
        // What ended last is sent before the process is gone. The log has the trace in any case.
        assert!(site.front.terminate(Duration::from_secs(20))?.success());
        assert!(site.front.log().contains(TRACE), "{}", site.front.log());
    }
    assert!(sampled.spans().is_empty(), "a stranger had them kept: {:#?}", sampled.spans());
    assert!(followed.spans().iter().any(|span| span.name == "judge"), "{:#?}", followed.spans());
    assert!(followed.spans().iter().all(|span| span.trace == TRACE), "{:#?}", followed.spans());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tries_the_collector() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (taking, absent) = (Collector::start()?, Collector::absent()?);
    let stranger = taking.section().replace("Bearer ", "Bearer not-");
    for (section, expected) in [
        (taking.section(), "ok    traces to http://127.0.0.1"),
        (stranger, "the collector answered 401 Unauthorized"),
        (absent.section(), "spans wait in memory"),
    ] {
        std::fs::write(folder.path().join("tidewaiter.toml"), &section)?;
        let done = run(folder.path(), &["doctor"])?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.contains(expected) && !said.contains("the-key-of-the-collector"), "{section}{said}");
    }
    assert!(taking.spans().is_empty(), "it changes nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_at_a_job_is_in_the_trace_of_its_push() -> Result<()> {
    let collector = Collector::start()?;
    let site = Site::distributed_unannounced(1, &collector.section()).await?;
    // Nobody pushed it: the first attempt fails, and the second finds that it is so.
    let digest = Digest::of(b"nothing has this digest");
    announce(&site, "team/app", &digest).await?;
    let prefix = site.prefix()?;
    let process = format!("process {prefix}.jobs.push");
    let second = |span: &Seen| span.name == process && span.attributes["tidewaiter.job.attempt"] == "2";
    tests::site::eventually("the second attempt", || async { Ok(collector.spans().iter().any(second)) })
        .await?;
    let spans = collector.trace_with(TRACE, &process).await?;
    parents(&spans)?;
    let publish = one(&spans, &format!("publish {prefix}.jobs:push"))?;
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == process).collect();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|attempt| attempt.parent == publish.id));
    assert!(attempts.iter().any(|attempt| attempt.failed && attempt.attributes["error.type"] == "failed"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_of_once_and_gets_everything_later() -> Result<()> {
    let mut collector = Collector::absent()?;
    let site = Site::unannounced(&collector.section()).await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    announce(&site, "team/app", &digest).await?;
    site.verdict(&digest).await?;
    let said = |words: &str| site.front.log().matches(words).count();
    tests::site::eventually_here("the log says so", || said("traces cannot be sent") > 0)?;
    let before = site.front.cpu_seconds()?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(said("traces cannot be sent"), 1, "{}", site.front.log());
    assert!(site.front.cpu_seconds()? - before < 1.0, "nothing is tried over and over");
    collector.open()?;
    let spans = collector.trace_with(TRACE, "process push").await?;
    parents(&spans)?;
    assert_eq!((said("traces cannot be sent"), said("traces are sent again")), (1, 1));
    assert!(site.metric("tidewaiter_trace_spans_total", "sent").await? > 5.0);
    Ok(())
}
