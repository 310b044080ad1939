//! A route beside the bare handler that answers the same bytes: the rate, what each answer costs the server, and how
//! long the slowest take at half of that rate.

use std::time::Duration;

use anyhow::Result;
use tests::site::Site;

use crate::bare;
use crate::load::{CONNECTIONS, Post, most, paced, with_cost};
use crate::statistics::{median, percentile, shown};
use crate::table::{Budget, Table};

const ROUNDS: usize = 5;
const PACED: Duration = Duration::from_secs(10);

/// A route, and what it has to live up to.
pub(crate) struct Contest<'a> {
    /// What it answers, for the table.
    pub(crate) what: &'a str,
    /// The route with its query.
    pub(crate) path: &'a str,
    /// What is posted to it, if it is not a GET.
    pub(crate) post: Option<&'a Post<'a>>,
    /// What it answers, each time.
    pub(crate) answer: &'a [u8],
    /// The least that its rate may be, in rates of the bare handler.
    pub(crate) least_rate: f64,
    /// The most that its 99th percentile may be, in milliseconds.
    pub(crate) most_millis: f64,
}

/// Measures the front of `site` and the bare handler in turn.
pub(crate) async fn measure(table: &mut Table, site: &Site, contest: &Contest<'_>) -> Result<()> {
    let Contest { what, path, post, answer, .. } = *contest;
    let file = site.folder.path().join("answer.json");
    std::fs::write(&file, answer)?;
    let (bare_server, bare_port) = bare::start(site.folder.path(), &file)?;
    let bare_url = format!("http://127.0.0.1:{bare_port}{path}");
    let our_url = format!("{}{path}", site.url);

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut own_costs, mut bare_costs) = (Vec::new(), Vec::new());
    // Once for nothing: connections, pages and branch predictors.
    most(&bare_url, 1, post)?;
    most(&our_url, 1, post)?;
    for _ in 0..ROUNDS {
        let (bare, cost) = with_cost(&bare_url, bare_server.id(), post)?;
        bare_costs.push(cost);
        let (own, cost) = with_cost(&our_url, site.front.id(), post)?;
        own_costs.push(cost);
        ratios.push(own / bare);
        ours.push(own);
        theirs.push(bare);
    }
    let (own, bare) = (median(&mut ours), median(&mut theirs));
    let asked = post.map_or_else(String::new, |post| format!("{} bytes in and ", post.body.len()));
    table.judged(
        &format!("{what}, rate"),
        median(&mut ratios),
        format!(
            "a bare handler of the same {asked}{} bytes out: {own:.0}/s of {bare:.0}/s, {CONNECTIONS} connections",
            answer.len()
        ),
        Budget::AtLeast(contest.least_rate, "×"),
    );
    table.told(
        &format!("{what}, processor time of the server for each"),
        format!("{:.1} µs; the bare handler {:.1} µs", median(&mut own_costs), median(&mut bare_costs)),
    );
    let mut own_times = paced(site.port()?, path, post, own / 2.0, PACED).await?;
    let mut bare_times = paced(bare_port, path, post, own / 2.0, PACED).await?;
    table.judged(
        &format!("{what}, p99 at half of that rate"),
        percentile(&mut own_times, 0.99).as_secs_f64() * 1e3,
        format!(
            "p50 {}; the bare handler at the same rate: p50 {}, p99 {}",
            shown(percentile(&mut own_times, 0.5)),
            shown(percentile(&mut bare_times, 0.5)),
            shown(percentile(&mut bare_times, 0.99))
        ),
        Budget::AtMost(contest.most_millis, "ms"),
    );
    Ok(())
}
