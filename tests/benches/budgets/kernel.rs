//! What the kernel says about a process. proc(5).

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks a second of `/proc/<pid>/stat`; sysconf(3) `_SC_CLK_TCK` is 100 on every Linux that matters here.
const TICKS: u64 = 100;

/// Most memory that the process ever had at once (`VmHWM`), in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number in VmHWM")?.parse()?;
    Ok(kib << 10)
}

/// Processor time that the process and its threads have used.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses that may hold anything.
    let rest = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("stat is short")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS))
}
