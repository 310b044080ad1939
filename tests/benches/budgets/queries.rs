//! `GET /v1/verdicts/{digest}` beside a bare handler that returns the same bytes.

use anyhow::Result;
use tests::image::{Image, VULNERABLE};
use tests::servers::amqp_url;
use tests::site::Site;

use crate::beside_bare::{self, Contest};
use crate::scan::JSON_LOGS;
use crate::table::Table;

/// The rate, and the 99th percentile at half of it.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "bench/queried", "1")?;
    site.verdict(&digest).await?;
    let path = format!("/v1/verdicts/{digest}");
    let answer = reqwest::get(format!("{}{path}", site.url)).await?.bytes().await?;
    let contest = Contest {
        what: "verdict queries",
        path: &path,
        post: None,
        answer: &answer,
        least_rate: 0.8,
        most_millis: 2.0,
    };
    beside_bare::measure(table, &site, &contest).await
}
