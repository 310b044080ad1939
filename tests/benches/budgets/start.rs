//! From starting a process to its `/readyz`, with a compiled advisory database.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::process::{Process, free_port};
use tests::servers::amqp_url;
use tests::site::{Site, binary};

use crate::scan::JSON_LOGS;
use crate::statistics::{percentile, shown};
use crate::table::{Budget, Table};

const STARTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// The api's and the worker's start.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(0, &amqp_url()?, JSON_LOGS).await?;
    for role in ["api", "worker"] {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(start(&site, role).await?);
        }
        table.judged(
            &format!("start-up to ready, {role}"),
            percentile(&mut times, 0.5).as_secs_f64() * 1e3,
            format!("p95 {} of {STARTS} starts", shown(percentile(&mut times, 0.95))),
            Budget::AtMost(300.0, "ms"),
        );
    }
    Ok(())
}

async fn start(site: &Site, role: &str) -> Result<Duration> {
    let port = free_port()?;
    let key = if role == "api" { "server.listen" } else { "worker.probes" };
    let mut command = Command::new(binary());
    command.arg("--config").arg(site.folder.path().join("tidewaiter.toml"));
    command.args(["--set", &format!("{key}=127.0.0.1:{port}"), role]);
    let began = Instant::now();
    let process = Process::start(&format!("started-{role}"), &mut command, site.folder.path())?;
    let address = format!("http://127.0.0.1:{port}/readyz");
    loop {
        if let Ok(answer) = reqwest::get(&address).await
            && answer.status().is_success()
        {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < PATIENCE, "{role} is not ready: {}", process.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
