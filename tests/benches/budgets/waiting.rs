//! From the moment when a verdict is written to the answer of a gate that waits for it.
//!
//! No worker runs: this program stores the verdict, as a worker does, and so knows when it began to. The figure
//! therefore has the write in it, the news to the api, its look into the store, and the answer over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::config::{Config, Overrides};
use shared::model::digest::Digest;
use shared::model::report::Report;
use shared::policy::{Circumstances, DEFAULT_POLICY, Policy};
use shared::store::{Acquired, Opened};
use tests::site::{Site, eventually};

use crate::gates::review;
use crate::scan::JSON_LOGS;
use crate::statistics::{percentile, shown};
use crate::table::{Budget, Table};

const ROUNDS: usize = 300;
const LEASE: Duration = Duration::from_secs(30);
const PATH: &str = "/gates/kubernetes/validate?timeout=20s";

/// Many gates in turn that wait for a digest that nobody knows yet.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_unannounced(0, JSON_LOGS).await?;
    let file = Some(site.folder.path().join("tidewaiter.toml"));
    let config = Config::load(&Overrides { file, ..Overrides::default() })?;
    let store = shared::store::open(&config.store).await?;
    let policy = Policy::parse(DEFAULT_POLICY)?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let digest = Digest::of(format!("waited for, {round}").as_bytes());
        times.push(waited(&site, &store, &policy, &digest).await?);
    }
    table.judged(
        "verdict written to the answer of a waiting gate, p95",
        percentile(&mut times, 0.95).as_secs_f64() * 1e3,
        format!("p50 {} of {ROUNDS}, the write included", shown(percentile(&mut times, 0.5))),
        Budget::AtMost(20.0, "ms"),
    );
    Ok(())
}

async fn waited(site: &Site, store: &Opened, policy: &Policy, digest: &Digest) -> Result<Duration> {
    let image = site.name("bench/waited", digest);
    let limits = json!({"limits": {"cpu": "1", "memory": "64Mi"}});
    let container = json!({
        "name": "app", "image": image, "resources": limits, "securityContext": {"runAsNonRoot": true},
    });
    let question = review(&json!({"containers": [container]})).to_string();
    let asked = async {
        let (status, answer) = site.post_as("", PATH, "application/json", question).await?;
        anyhow::Ok((Instant::now(), status, answer))
    };
    let judged = async {
        let path = &format!("/v1/verdicts/{digest}");
        // It is pending as soon as the gate's own job is durable; then the gate begins to wait.
        eventually("the gate's job", || async move { Ok(site.get(path).await?.0 == StatusCode::ACCEPTED) })
            .await?;
        write(store, policy, digest).await
    };
    let ((answered_at, status, answer), began) = tokio::try_join!(asked, judged)?;
    let allowed = &answer["response"]["allowed"];
    ensure!(status == StatusCode::OK && *allowed == json!(true), "{status}: {answer:#}");
    answered_at.checked_duration_since(began).context("the gate answered before there was a verdict")
}

/// Stores a report without findings and its verdict; when that began.
async fn write(store: &Opened, policy: &Policy, digest: &Digest) -> Result<Instant> {
    let Acquired::Held(lease) = store.leases.acquire(digest, LEASE).await? else {
        anyhow::bail!("somebody else scans {digest}");
    };
    let now = Timestamp::now();
    let report = report(digest, now)?;
    let verdict = policy.judge(&report, &[], &Circumstances::anywhere(now));
    let began = Instant::now();
    store.verdicts.store(&report, &[verdict], &lease).await?;
    store.leases.release(lease).await?;
    Ok(began)
}

fn report(digest: &Digest, now: Timestamp) -> Result<Report> {
    let report: Value = json!({
        "digest": digest,
        "subject": {"kind": "image", "layers": [], "packages": []},
        "revisions": {"analyzer": "bench", "database": "bench", "database_as_of": now},
        "scanned_at": now, "findings": [], "problems": [], "coverage": [],
    });
    Ok(serde_json::from_value(report)?)
}
