//! Measures the budgets and prints one table: `make bench`.
//!
//! Every figure that is compared with a budget is a ratio of two things measured in the same run on the same
//! machine; absolute figures are printed beside them for whoever wants to know, and mean nothing elsewhere.
//! Everything goes through doors that users have: the release binary, HTTP, skopeo, RabbitMQ and Redis.
//!
//! `cargo bench --workspace --bench budgets -- [start] [queries] [gates] [waiting] [ingest] [journey] [scan]
//! [memory] [images]` measures only those.

mod bare;
mod beside_bare;
mod broker;
mod engine;
mod gates;
mod images;
mod ingest;
mod journey;
mod kernel;
mod load;
mod machine;
mod material;
mod queries;
mod required_work;
mod scan;
mod start;
mod statistics;
mod table;
mod waiting;

use anyhow::{Context, Result, ensure};
use table::Table;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| !one.starts_with("--")).collect();
    if let [role, port, body] = arguments.as_slice()
        && role == bare::ROLE
    {
        return bare::serve(port.parse().context("the port")?, body.as_ref());
    }
    ensure!(
        !cfg!(debug_assertions),
        "a load generator that is not optimised measures itself: use `cargo bench`"
    );
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|one| one == part);
    let mut table = Table::default();
    machine::describe();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if wanted("start") {
            start::measure(&mut table).await?;
        }
        if wanted("queries") {
            queries::measure(&mut table).await?;
        }
        if wanted("gates") {
            gates::measure(&mut table).await?;
        }
        if wanted("waiting") {
            waiting::measure(&mut table).await?;
        }
        if wanted("ingest") {
            ingest::measure(&mut table).await?;
        }
        if wanted("journey") {
            journey::measure(&mut table).await?;
        }
        if wanted("scan") {
            scan::measure(&mut table).await?;
        }
        if wanted("memory") {
            scan::measure_memory(&mut table).await?;
        }
        // Only by name: its images are made of packages from their registries.
        if arguments.iter().any(|one| one == "images") {
            images::measure(&mut table).await?;
        }
        anyhow::Ok(())
    })?;
    engine::collect(&mut table);
    table.print();
    Ok(())
}
