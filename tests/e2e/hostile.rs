//! Hostile input as it arrives: every case is pushed to the real registry, a real worker of its own process reads it, and
//! gives the verdict that the table says; then it serves an image that is fine, and never needed more memory than allowed.
//!
//! `cases` is the table; `layers` makes layers that no honest tool would make; `upload` pushes without a tool that might object.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image};
use tests::site::Site;

mod archives;
mod cases;
mod databases;
mod layers;
mod upload;

use cases::Case;

/// What a worker may need at its peak, in KiB: what the process is at rest, `worker.capture_bytes`, two layers with
/// their buffers, and what a debug build costs more.
const MOST_MEMORY_KIB: u64 = 400 << 10;
/// From the push of the last image to the verdict about it, everything before it included.
const PATIENCE: Duration = Duration::from_secs(240);

/// Limits that the larger cases reach in a second instead of a minute.
const LIMITS: &str = "[worker]\nconcurrency = 2\nlayers = 2\nlayer_bytes = \"300MiB\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn i7_every_hostile_image_has_its_verdict_and_the_worker_lives_on() -> Result<()> {
    let mut site = Site::distributed_unannounced(1, LIMITS).await?;
    let mut pushed: Vec<(Case, Digest)> = Vec::new();
    for case in cases::all()? {
        let digest = upload::push(&site, &format!("hostile/{}", case.name), &case.image).await;
        let digest = digest.with_context(|| case.name.to_owned())?;
        upload::announce(&site, &format!("hostile/{}", case.name), &digest, &case.image).await?;
        pushed.push((case, digest));
    }
    let begun = Instant::now();
    let mut wrong = Vec::new();
    for (case, digest) in &pushed {
        let verdict = site.verdict(digest).await.with_context(|| case.name.to_owned())?;
        eprintln!("{:>6} ms {}", begun.elapsed().as_millis(), case.name);
        if let Err(error) = case.expected.met_by(&verdict) {
            wrong.push(format!("{}: {error}", case.name));
        }
        ensure!(begun.elapsed() < PATIENCE, "{} took too long", case.name);
    }
    ensure!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));

    let clean = site.push(&Image::debian_with_python(HARMLESS), "team/clean", "1.0")?;
    upload::announce_digest(&site, "team/clean", &clean).await?;
    let verdict = site.verdict(&clean).await?;
    ensure!(verdict["digest"] == serde_json::json!(clean), "{verdict:#}");
    let worker = &mut site.workers[0];
    ensure!(worker.is_running(), "the worker ended:\n{}", worker.log());
    let peak = peak_memory_kib(worker.id())?;
    eprintln!("the worker needed {peak} KiB at its peak");
    ensure!(peak < MOST_MEMORY_KIB, "the worker needed {peak} KiB");
    Ok(())
}

/// `VmHWM` of proc_pid_status(5).
fn peak_memory_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()).context("there is no VmHWM")?;
    Ok(number.parse()?)
}
