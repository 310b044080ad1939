//! Durable ingest: webhooks answered with 202 beside what the broker confirms with as many in flight.
//!
//! No worker runs: this is about the way in. The digests are all the same, so every webhook is one job.

use std::time::Duration;

use anyhow::Result;
use shared::model::digest::Digest;
use tests::servers::amqp_url;
use tests::site::{Site, WEBHOOK_TOKEN};

use crate::broker::Broker;
use crate::journey::webhook;
use crate::load::{CONNECTIONS, Post, most};
use crate::scan::JSON_LOGS;
use crate::statistics::median;
use crate::table::{Budget, Table};

const ROUNDS: usize = 3;
const SECONDS: u32 = 4;
/// About what a job takes as JSON.
const MESSAGE_BYTES: usize = 400;

/// The rate of accepted webhooks.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(0, &amqp_url()?, JSON_LOGS).await?;
    let broker = Broker::connect(&amqp_url()?).await?;
    let body = webhook(&site, &Digest::of(b"an image that nobody has"));
    let authorization = format!("Bearer {WEBHOOK_TOKEN}");
    let post = Post { body: &body, authorization: &authorization };
    let address = format!("{}/webhooks/generic", site.url);
    let message = vec![b'x'; MESSAGE_BYTES];
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    most(&address, 1, Some(&post))?;
    for _ in 0..ROUNDS {
        let confirmed = broker.confirmed_rate(&message, Duration::from_secs(u64::from(SECONDS))).await?;
        let accepted = most(&address, SECONDS, Some(&post))?;
        ratios.push(accepted / confirmed);
        ours.push(accepted);
        theirs.push(confirmed);
    }
    broker.remove().await?;
    table.judged(
        "webhook ingest, durable",
        median(&mut ratios),
        format!(
            "the broker's confirmed publishes, {CONNECTIONS} in flight: {:.0}/s of {:.0}/s",
            median(&mut ours),
            median(&mut theirs)
        ),
        Budget::AtLeast(0.7, "×"),
    );
    Ok(())
}
