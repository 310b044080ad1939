//! What criterion measured inside the scanner and of policies, in the same run of `make bench`: read from its estimates.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::table::{Budget, Table};

/// criterion's `estimates.json`, as far as it is of interest.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    /// Nanoseconds.
    point_estimate: f64,
}

/// Adds a row for each figure that is there; none if that was not measured.
pub(crate) fn collect(table: &mut Table) {
    for (what, core) in [("on one core", "one-core"), ("on all cores", "all-cores")] {
        for layer in ["made up", "real files"] {
            let own = median(&format!("layer {layer}/analyze/{core}"));
            let floor = median(&format!("layer {layer}/inflate and hash/{core}"));
            if let (Some(own), Some(floor)) = (own, floor) {
                table.judged(
                    &format!("one layer, {layer}, {what}"),
                    own / floor,
                    format!(
                        "inflate + SHA-256 of both sides on one thread: {:.0} of {:.0} ms",
                        own / 1e6,
                        floor / 1e6
                    ),
                    Budget::AtMost(1.3, "×"),
                );
            }
        }
    }
    if let Some(open) = median("open the database/all-cores") {
        table.judged("advisory database, open", open / 1e6, "", Budget::AtMost(50.0, "ms"));
    }
    for kind in ["recent", "old"] {
        if let Some(time) = median(&format!("judge 300 {kind} packages/all-cores")) {
            let row = format!("300 {kind} packages matched");
            table.judged(&row, time / 1e6, "database in the page cache", Budget::AtMost(3.0, "ms"));
        }
        if let Some(time) = median(&format!("judge 300 {kind} packages once more/all-cores")) {
            table.told(
                &format!("300 {kind} packages matched once more"),
                format!("{:.0}/s per core", 1e9 / time),
            );
        }
    }
    policies(table);
}

/// The default policy has a budget; the others show what exceptions and expressions add.
fn policies(table: &mut Table) {
    if let Some(time) = median("500 findings/default/all-cores") {
        let row = "500 findings judged by the default policy";
        table.judged(row, time / 1e3, "report and policy in memory", Budget::AtMost(200.0, "µs"));
    }
    for (what, name) in [("with 100 exceptions", "100 exceptions"), ("by a policy of CEL expressions", "cel")]
    {
        if let Some(time) = median(&format!("500 findings/{name}/all-cores")) {
            table.told(&format!("500 findings judged {what}"), format!("{:.0} µs", time / 1e3));
        }
    }
}

fn median(path: &str) -> Option<f64> {
    let file = criterion_folder()?.join(path).join("estimates.json");
    let estimates: Estimates = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(estimates.median.point_estimate)
}

/// `target/criterion`, two levels above this program's folder `target/release/deps`.
fn criterion_folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.ancestors().nth(3).unwrap_or(Path::new("target")).join("criterion"))
}
