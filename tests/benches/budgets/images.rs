//! Images of what package managers install: read cold, and then further images on them as a known base.
//!
//! `scripts/accuracy` installs the packages; each image is a Debian root with one of the others on it, and the last one
//! is the 2 GB mix of this machine's files. Each has a Redis of its own, whose data set says what is kept.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use reqwest::StatusCode;
use serde_json::Value;
use shared::model::digest::Digest;
use tempfile::TempDir;
use tests::servers::{Redis, amqp_url};
use tests::site::Site;

use crate::kernel::{peak_memory, processor_time};
use crate::material::Stack;
use crate::required_work::at_once;
use crate::scan::{JSON_LOGS, examined, push};
use crate::statistics::{percentile, shown};
use crate::table::{Budget, Table};

/// Image → the roots that are its layers.
const IMAGES: [(&str, &[&str]); 6] = [
    ("debian", &["debian"]),
    ("python", &["debian", "python"]),
    ("node", &["debian", "node"]),
    ("java", &["debian", "java"]),
    ("go", &["debian", "go"]),
    ("rust", &["debian", "rust"]),
];
const FURTHER: usize = 9;

/// Every image: cold beside the work that nobody can save, and one small layer on it.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    for (name, roots) in IMAGES {
        one(table, name, &Stack::of_roots(name, roots)?).await?;
    }
    one(table, "mix", &Stack::of_this_machine("2-gb", 4, 2_000_000_000, Compression::fast())?).await
}

async fn one(table: &mut Table, name: &str, stack: &Stack) -> Result<()> {
    let folder = TempDir::new()?;
    let redis = Redis::start(folder.path())?;
    let site = Site::distributed_between(1, &amqp_url()?, &redis.url(), JSON_LOGS).await?;
    let floor = at_once(&stack.files())?;
    let worker = site.workers[0].id();
    let before = processor_time(worker)?;
    let digest = judged(&site, stack, "cold", None).await?;
    let used = processor_time(worker)?.saturating_sub(before);
    let (status, report) = site.get(&format!("/v1/reports/{digest}")).await?;
    ensure!(status == StatusCode::OK, "{status}: {report:#}");
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    let cold = examined(&site, &digest)?;
    table.told(
        &format!("{name}: {}", stack.described()),
        format!(
            "{} packages, {} findings; cold {}, worker's peak {} MB",
            count(&report["subject"]["packages"]),
            count(&report["findings"]),
            shown(cold),
            peak_memory(worker)? / 1_000_000,
        ),
    );
    table.judged(
        &format!("{name}: cold, wall clock, the registry included"),
        cold.as_secs_f64() / floor.wall.as_secs_f64(),
        "one thread a layer that inflates and hashes both sides",
        Budget::AtMost(1.3, "×"),
    );
    table.judged(
        &format!("{name}: cold, processor time of the worker"),
        used.as_secs_f64() / floor.processor.as_secs_f64(),
        "inflate + SHA-256 of both sides, same layers",
        Budget::AtMost(1.3, "×"),
    );
    // The first further one also pays for what is only made once.
    judged(&site, stack, "further", Some("print('first')\n")).await?;
    let stored = data_set(&redis)?;
    let mut times: Vec<Duration> = Vec::new();
    for number in 0..FURTHER {
        let text = format!("print({number})\n");
        let digest = judged(&site, stack, &format!("further {number}"), Some(&text)).await?;
        times.push(examined(&site, &digest)?);
    }
    let more = data_set(&redis)?.saturating_sub(stored) / FURTHER as u64;
    table.judged(
        &format!("{name}: one new layer on known ones, examined, p50"),
        percentile(&mut times, 0.5).as_secs_f64() * 1e3,
        format!("the registry's answers included; p95 {}", shown(percentile(&mut times, 0.95))),
        Budget::AtMost(20.0, "ms"),
    );
    table.judged(
        &format!("{name}: what that image adds to Redis"),
        more as f64 / 1e3,
        format!("mean of {FURTHER}"),
        Budget::AtMost(20.0, "KB"),
    );
    Ok(())
}

/// Pushes an image, announces it and waits for its verdict.
async fn judged(site: &Site, stack: &Stack, salt: &str, top: Option<&str>) -> Result<Digest> {
    let digest = push(site, stack, salt, top.map(str::as_bytes))?;
    let body = format!(r#"{{"image":"{}/bench/large:1","digest":"{digest}"}}"#, site.registry.host());
    let (status, answer) = site.post("/webhooks/generic", "application/json", body).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}: {answer:#}");
    site.verdict(&digest).await?;
    Ok(digest)
}

/// The bytes that values and keys take.
fn data_set(redis: &Redis) -> Result<u64> {
    let told = Command::new("redis-cli").args(["-u", &redis.url(), "info", "memory"]).output()?;
    let told = String::from_utf8(told.stdout)?;
    let line = told.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
    Ok(line.context("Redis does not tell its data set")?.trim().parse()?)
}

/// Where the packages of a root were installed.
pub(crate) fn root(name: &str) -> Result<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/accuracy").join(name).join("root");
    ensure!(root.is_dir(), "{} is missing: run scripts/accuracy first", root.display());
    Ok(root)
}
