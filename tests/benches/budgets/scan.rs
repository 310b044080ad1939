//! Cold scans of large images: how much a worker adds to the work that nobody can save, and its memory.
//!
//! The worker's own log says how long an image took (`image examined`); the floor is measured between the
//! scans over the very same layers. A scan also reads them from the registry over loopback, the floor does not.

use std::time::Duration;

use anyhow::{Context, Result};
use flate2::Compression;
use serde_json::Value;
use shared::model::digest::Digest;
use tests::servers::amqp_url;
use tests::site::Site;

use crate::kernel::{peak_memory, processor_time};
use crate::material::Stack;
use crate::required_work::{at_once, in_turn};
use crate::statistics::median;
use crate::table::{Budget, Table};

/// Machine-readable logs, and a source whose webhooks are easily written, with the token of the tests.
pub(crate) const JSON_LOGS: &str =
    "[telemetry]\nformat = \"json\"\n[auth.webhooks.generic]\ntoken = \"webhook-token-of-the-tests\"\n";
const ROUNDS: usize = 3;

/// The 500 MB image.
pub(crate) fn large() -> Result<Stack> {
    Stack::of_this_machine("500-mb", 4, 500_000_000, Compression::default())
}

/// A cold scan of the 500 MB image beside inflating and hashing its layers.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let stack = large()?;
    let files = stack.files();
    let (mut walls, mut processors, mut singles) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let floor = at_once(&files)?;
        let single = in_turn(&files)?;
        // A site of its own: whatever a worker remembers of layers, these are new to it.
        let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
        let worker = site.workers[0].id();
        let before = processor_time(worker)?;
        let digest = push(&site, &stack, &format!("round {round}"), None)?;
        site.verdict(&digest).await?;
        let used = processor_time(worker)?.saturating_sub(before);
        let took = examined(&site, &digest)?;
        walls.push(took.as_secs_f64() / floor.wall.as_secs_f64());
        processors.push(used.as_secs_f64() / floor.processor.as_secs_f64());
        singles.push(took.as_secs_f64() / single.wall.as_secs_f64());
    }
    let described = stack.described();
    table.judged(
        "cold scan, processor time of the worker",
        median(&mut processors),
        format!("inflate + SHA-256 of both sides, same layers ({described})"),
        Budget::AtMost(1.3, "×"),
    );
    table.judged(
        "cold scan, wall clock, registry included",
        median(&mut walls),
        "the same on one thread a layer, all at once",
        Budget::AtMost(1.3, "×"),
    );
    table.told("cold scan, wall clock, beside one thread", format!("{:.2} ×", median(&mut singles)));
    Ok(())
}

/// The most memory that a worker needs for a 2 GB image whose four layers it reads at once.
pub(crate) async fn measure_memory(table: &mut Table) -> Result<()> {
    let stack = Stack::of_this_machine("2-gb", 4, 2_000_000_000, Compression::fast())?;
    let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
    let worker = site.workers[0].id();
    let idle = peak_memory(worker)?;
    let digest = push(&site, &stack, "memory", None)?;
    site.verdict(&digest).await?;
    let took = examined(&site, &digest)?;
    table.judged(
        "worker memory, peak",
        peak_memory(worker)? as f64 / 1e6,
        format!(
            "{}; {:.0} MB before; read in {:.1} s",
            stack.described(),
            idle as f64 / 1e6,
            took.as_secs_f64()
        ),
        Budget::AtMost(150.0, "MB"),
    );
    Ok(())
}

/// Pushes a stack under a manifest of its own.
pub(crate) fn push(site: &Site, stack: &Stack, salt: &str, top: Option<&[u8]>) -> Result<Digest> {
    let manifest = stack.manifest(salt, top)?;
    site.push_layout(&stack.layout, &manifest, "bench/large", &salt.replace(' ', "-"))
}

/// How long the worker says that reading the image took.
pub(crate) fn examined(site: &Site, digest: &Digest) -> Result<Duration> {
    let logs = site.workers.iter().map(tests::process::Process::log).collect::<String>();
    let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut said =
        lines.filter(|line| line["message"] == "image examined" && line["image.digest"] == digest.as_str());
    let line = said.next().context("no worker says that it examined the image")?;
    let number = &line["duration_ms"];
    // tracing writes 128-bit numbers as text.
    let milliseconds = number.as_u64().or_else(|| number.as_str()?.parse().ok());
    Ok(Duration::from_millis(milliseconds.context("the log says no duration")?))
}
