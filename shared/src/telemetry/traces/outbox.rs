//! Ended spans on their way out: kept in memory, as many as there is room for, and sent in batches.
//!
//! Whoever ends a span never waits. While the collector is away spans wait for it, and the newest are dropped once
//! there are too many; the log hears of it once, and once again when it is over.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::collector::{Answer, Collector};

/// How many ended spans wait at most; about 4 MB.
const ROOM: usize = 8192;

/// How many go into one request.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(1);

/// Between two attempts to send a batch: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Where spans go when they end.
#[derive(Debug)]
pub(super) struct Outbox(Sender<SpanData>);

impl Outbox {
    /// An outbox, and what comes out of it.
    pub(super) fn new() -> (Self, Receiver<SpanData>) {
        let (spans, waiting) = mpsc::channel(ROOM);
        (Self(spans), waiting)
    }
}

impl SpanProcessor for Outbox {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.0.try_send(span).is_err() {
            lost(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// Ending is the business of whoever empties the box.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, _resource: &Resource) {}
}

/// Sends what comes out of the box until `closing`, then the rest of it, once.
pub(super) async fn send_all(
    mut spans: Receiver<SpanData>,
    collector: Collector,
    closing: CancellationToken,
) {
    let mut post = Post { collector, closing, trouble: Trouble::None };
    loop {
        let mut batch = Vec::new();
        let began = tokio::select! {
            () = post.closing.cancelled(), if !spans.is_closed() => {
                spans.close();
                continue;
            }
            count = spans.recv_many(&mut batch, BATCH) => count,
        };
        if began == 0 {
            return;
        }
        post.gather(&mut spans, &mut batch).await;
        post.send(batch).await;
    }
}

/// Whoever empties the box.
struct Post {
    collector: Collector,
    closing: CancellationToken,
    trouble: Trouble,
}

/// How it went lately.
enum Trouble {
    None,
    /// Said already.
    Known,
}

impl Post {
    /// The spans of one trace end one after the other; most of them shall travel together.
    async fn gather(&self, spans: &mut Receiver<SpanData>, batch: &mut Vec<SpanData>) {
        let until = Instant::now() + GATHERING;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                more = spans.recv_many(batch, room) => if more == 0 { return },
                () = sleep_until(until) => return,
                () = self.closing.cancelled(), if !spans.is_closed() => return,
            }
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let body = self.collector.written(batch);
        let mut pause = PAUSES.0;
        loop {
            match self.collector.post(body.clone()).await {
                Answer::Taken { refused } => {
                    self.went_well();
                    lost(refused.min(count));
                    metrics::counter!("tidewaiter_trace_spans_total", "result" => "sent")
                        .increment(count.saturating_sub(refused));
                    return;
                }
                Answer::Refused(error) => {
                    self.went_wrong(&error, "traces are refused");
                    return lost(count);
                }
                Answer::NotNow(error) => self.went_wrong(&error, "traces cannot be sent"),
            }
            if self.closing.is_cancelled() {
                return lost(count);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.closing.cancelled() => {}
            }
            pause = PAUSES.1.min(pause * 2);
        }
    }

    fn went_well(&mut self) {
        if let Trouble::Known = std::mem::replace(&mut self.trouble, Trouble::None) {
            tracing::info!("traces are sent again");
        }
    }

    fn went_wrong(&mut self, error: &str, message: &'static str) {
        if let Trouble::None = std::mem::replace(&mut self.trouble, Trouble::Known) {
            tracing::warn!(error, "{message}; they wait in memory, and are dropped when there are too many");
        }
    }
}

fn lost(spans: u64) {
    if spans > 0 {
        metrics::counter!("tidewaiter_trace_spans_total", "result" => "lost").increment(spans);
    }
}
