//! Two kinds of load: as much as possible (`wrk`), and so many requests a second, each timed from the moment
//! at which it was due, so that a server that stalls cannot hide it by slowing its client down.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::kernel::processor_time;

/// Connections of both kinds of load.
pub(crate) const CONNECTIONS: u32 = 64;
/// How long the most that a server can do is measured at a time.
const SECONDS: u32 = 4;

/// Requests a second that `wrk` gets answered with 2xx; other answers are an error.
pub(crate) fn most(address: &str, seconds: u32, post: Option<&Post<'_>>) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--timeout", "10s"]);
    let mut script = tempfile::Builder::new().suffix(".lua").tempfile()?;
    if let Some(Post { body, authorization }) = post {
        // The long bracket has a level, for JSON may hold `]]`.
        writeln!(
            script,
            "wrk.method = 'POST'\nwrk.body = [==[{body}]==]\nwrk.headers['Content-Type'] = 'application/json'\nwrk.headers['Authorization'] = '{authorization}'"
        )?;
        command.arg("-s").arg(script.path());
    }
    let output = command.arg(address).output().context("wrk is missing; run `make bench`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        bail!("{address} did not answer every request: {text}");
    }
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(line.with_context(|| format!("wrk said {text}"))?.trim().parse()?)
}

/// The rate, and the microseconds of processor time that the server spent on each answer.
pub(crate) fn with_cost(address: &str, server: u32, post: Option<&Post<'_>>) -> Result<(f64, f64)> {
    let before = processor_time(server)?;
    let rate = most(address, SECONDS, post)?;
    let used = processor_time(server)?.saturating_sub(before);
    Ok((rate, used.as_secs_f64() * 1e6 / (rate * f64::from(SECONDS))))
}

/// What is posted.
pub(crate) struct Post<'a> {
    pub(crate) body: &'a str,
    pub(crate) authorization: &'a str,
}

/// A request as it goes over the line: a GET, or what is posted.
fn request(port: u16, path: &str, post: Option<&Post<'_>>) -> String {
    let target = format!("{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    match post {
        None => format!("GET {target}\r\n"),
        Some(Post { body, authorization }) => format!(
            "POST {target}Authorization: {authorization}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    }
}

/// Sends `rate` requests a second for a while; how long after its moment each was answered.
pub(crate) async fn paced(
    port: u16,
    path: &str,
    post: Option<&Post<'_>>,
    rate: f64,
    length: Duration,
) -> Result<Vec<Duration>> {
    let request = request(port, path, post);
    let interval = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
    let start = Instant::now() + Duration::from_millis(100);
    let lines = (0..CONNECTIONS).map(|line| {
        let first = start + interval.mul_f64(f64::from(line) / f64::from(CONNECTIONS));
        tokio::spawn(one_line(port, request.clone(), first, interval, start + length))
    });
    let lines: Vec<_> = lines.collect();
    let mut times = Vec::new();
    for line in lines {
        times.extend(line.await??);
    }
    Ok(times)
}

async fn one_line(
    port: u16,
    request: String,
    first: Instant,
    interval: Duration,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut line = TcpStream::connect(("127.0.0.1", port)).await?;
    line.set_nodelay(true)?;
    let (mut due, mut buffer, mut times) = (first, vec![0; 64 << 10], Vec::new());
    while due < end {
        sleep_until(due).await;
        line.write_all(request.as_bytes()).await?;
        read_answer(&mut line, &mut buffer).await?;
        times.push(due.elapsed());
        due += interval;
    }
    Ok(times)
}

/// Reads one answer with a `Content-Length` that fits the buffer.
async fn read_answer(line: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let read = line.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the server hung up, or its answer has no end within {} bytes", buffer.len());
        filled += read;
        let Some(head) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
        ensure!(text.starts_with("http/1.1 200"), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("no length in the answer")?.trim().parse()?;
        if filled >= head + 4 + length {
            return Ok(());
        }
    }
}
