//! Durable ingest: webhooks answered with 202 beside what the broker confirms with as many in flight.
//!
//! No worker runs: this is about the way in. The digests are all the same, so every webhook is one job. The broker's
//! clients have nothing else to do, while beside the api the load and Redis want processors as well: on a machine
//! with few of them the ratio says how those are divided, and the processor time is what the api can be blamed for.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use shared::model::digest::Digest;
use shared::model::image::Reference;
use shared::model::job::{Job, Lane};
use tests::servers::amqp_url;
use tests::site::{Site, WEBHOOK_TOKEN};

use crate::broker::Broker;
use crate::journey::{known_image, webhook};
use crate::kernel::processor_time;
use crate::load::{CONNECTIONS, Post, most, with_cost};
use crate::scan::JSON_LOGS;
use crate::statistics::median;
use crate::table::{Budget, Table};

const ROUNDS: usize = 3;
const LENGTH: Duration = Duration::from_secs(4);

/// The rate of accepted webhooks.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(0, &amqp_url()?, JSON_LOGS).await?;
    let broker = Broker::connect(&amqp_url()?).await?;
    let digest = Digest::of(b"an image that nobody has");
    let body = webhook(&site, &digest);
    let authorization = format!("Bearer {WEBHOOK_TOKEN}");
    let post = Post { body: &body, authorization: &authorization };
    let address = format!("{}/webhooks/generic", site.url);
    let Reference { name, .. } = known_image(&site).parse()?;
    let job = Job::scan(name, digest, Some("1".parse()?), Lane::Push, Timestamp::now());
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut own_costs, mut client_costs) = (Vec::new(), Vec::new());
    // Once for nothing, both.
    most(&address, 1, Some(&post))?;
    broker.confirmed_rate(&job, LENGTH / 4).await?;
    for _ in 0..ROUNDS {
        let before = processor_time(std::process::id())?;
        let confirmed = broker.confirmed_rate(&job, LENGTH).await?;
        let used = processor_time(std::process::id())?.saturating_sub(before);
        client_costs.push(used.as_secs_f64() * 1e6 / (confirmed * LENGTH.as_secs_f64()));
        let (accepted, cost) = with_cost(&address, site.front.id(), Some(&post))?;
        own_costs.push(cost);
        ratios.push(accepted / confirmed);
        ours.push(accepted);
        theirs.push(confirmed);
    }
    broker.remove().await?;
    table.judged(
        "webhook ingest, durable",
        median(&mut ratios),
        format!(
            "the broker's confirmed publishes of the same jobs, {CONNECTIONS} in flight: {:.0}/s of {:.0}/s",
            median(&mut ours),
            median(&mut theirs)
        ),
        Budget::AtLeast(0.7, "×"),
    );
    table.told(
        "webhook ingest, processor time of the api for each",
        format!(
            "{:.1} µs; the client that does nothing but publish {:.1} µs",
            median(&mut own_costs),
            median(&mut client_costs)
        ),
    );
    Ok(())
}
