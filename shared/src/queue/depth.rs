//! How full the queue is, as metrics: asked for now and then, because only the broker knows.

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tokio_util::sync::CancellationToken;

use super::{JobQueue, QueueStatus};

/// Metrics are scraped about as often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Shows the depths of `queue` until `shutdown`. While it cannot be asked they are no numbers: an old depth would
/// look like a calm queue.
pub async fn show_depth(queue: Arc<dyn JobQueue>, shutdown: CancellationToken) {
    let mut lanes = Vec::new();
    loop {
        match tokio::time::timeout(LOOK_EVERY, queue.status()).await {
            Ok(Ok(status)) => {
                show(&status);
                lanes = status.lanes.iter().map(|row| row.lane).collect();
            }
            Ok(Err(_)) | Err(_) => {
                for lane in &lanes {
                    gauge!("tidewaiter_queue_jobs", "lane" => lane.name(), "state" => "ready").set(f64::NAN);
                    gauge!("tidewaiter_queue_jobs", "lane" => lane.name(), "state" => "unsettled")
                        .set(f64::NAN);
                }
                gauge!("tidewaiter_queue_retrying").set(f64::NAN);
                gauge!("tidewaiter_queue_dead").set(f64::NAN);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn show(status: &QueueStatus) {
    for row in &status.lanes {
        let lane = row.lane.name();
        gauge!("tidewaiter_queue_jobs", "lane" => lane, "state" => "ready").set(number(row.ready));
        if let Some(unsettled) = row.unsettled {
            gauge!("tidewaiter_queue_jobs", "lane" => lane, "state" => "unsettled").set(number(unsettled));
        }
    }
    gauge!("tidewaiter_queue_retrying").set(number(status.retrying));
    gauge!("tidewaiter_queue_dead").set(number(status.dead));
}

#[expect(clippy::cast_precision_loss, reason = "no queue has 2^53 jobs")]
fn number(count: u64) -> f64 {
    count as f64
}
