//! `GET /v1/verdicts/{digest}` beside a bare handler that returns the same bytes.

use std::time::Duration;

use anyhow::Result;
use tests::image::{Image, VULNERABLE};
use tests::servers::amqp_url;
use tests::site::Site;

use crate::bare;
use crate::load::{CONNECTIONS, most, paced, with_cost};
use crate::scan::JSON_LOGS;
use crate::statistics::{median, percentile, shown};
use crate::table::{Budget, Table};

const ROUNDS: usize = 5;
const PACED: Duration = Duration::from_secs(10);

/// The rate, and the 99th percentile at half of it.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "bench/queried", "1")?;
    site.verdict(&digest).await?;
    let path = format!("/v1/verdicts/{digest}");
    let body = reqwest::get(format!("{}{path}", site.url)).await?.bytes().await?;
    let file = site.folder.path().join("body.json");
    std::fs::write(&file, &body)?;
    let (bare_server, bare_port) = bare::start(site.folder.path(), &file)?;
    let bare_url = format!("http://127.0.0.1:{bare_port}{path}");
    let our_url = format!("{}{path}", site.url);

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut own_costs, mut bare_costs) = (Vec::new(), Vec::new());
    // Once for nothing: connections, pages and branch predictors.
    most(&bare_url, 1, None)?;
    most(&our_url, 1, None)?;
    for _ in 0..ROUNDS {
        let (bare, cost) = with_cost(&bare_url, bare_server.id(), None)?;
        bare_costs.push(cost);
        let (own, cost) = with_cost(&our_url, site.front.id(), None)?;
        own_costs.push(cost);
        ratios.push(own / bare);
        ours.push(own);
        theirs.push(bare);
    }
    let (own, bare) = (median(&mut ours), median(&mut theirs));
    table.judged(
        "verdict queries, rate",
        median(&mut ratios),
        format!(
            "a bare handler of the same {} bytes: {own:.0}/s of {bare:.0}/s, {CONNECTIONS} connections",
            body.len()
        ),
        Budget::AtLeast(0.8, "×"),
    );
    table.told(
        "verdict queries, processor time of the server for each",
        format!("{:.1} µs; the bare handler {:.1} µs", median(&mut own_costs), median(&mut bare_costs)),
    );
    let mut own_times = paced(site.port()?, &path, None, own / 2.0, PACED).await?;
    let mut bare_times = paced(bare_port, &path, None, own / 2.0, PACED).await?;
    table.judged(
        "verdict queries, p99 at half of that rate",
        percentile(&mut own_times, 0.99).as_secs_f64() * 1e3,
        format!(
            "p50 {}; the bare handler at the same rate: p50 {}, p99 {}",
            shown(percentile(&mut own_times, 0.5)),
            shown(percentile(&mut bare_times, 0.5)),
            shown(percentile(&mut bare_times, 0.99))
        ),
        Budget::AtMost(2.0, "ms"),
    );
    Ok(())
}
