//! What was measured on: figures without a machine mean nothing.

use std::fs::read_to_string;

/// Says on which machine this runs, and how busy it is with other things.
pub(crate) fn describe() {
    let processors = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = value_of(&processors, "model name").unwrap_or("unknown processor");
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = value_of(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let flags = value_of(&processors, "flags").unwrap_or_default();
    let sha = if flags.split(' ').any(|flag| flag == "sha_ni") { "SHA-NI" } else { "no SHA-NI" };
    println!("{model}, {cores} cores, {sha}, {} GiB; load before the run: {load}", kib >> 20);
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}
