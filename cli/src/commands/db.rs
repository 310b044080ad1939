//! `db build` and `db status`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use scanner::advisories::compile::{self, BuildOptions};
use serde_json::json;
use shared::config::Overrides;

use crate::args::DbCommand;
use crate::{Exit, Failure, site};

pub(crate) fn run(overrides: &Overrides, command: DbCommand) -> Result<Exit, Failure> {
    match command {
        DbCommand::Build { inputs, output } => build(&inputs, &path(overrides, output)?),
        DbCommand::Status { database, json } => status(&path(overrides, database)?, json),
    }
}

fn path(overrides: &Overrides, named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(path) => Ok(path),
        None => Ok(site::configuration(overrides)?.advisories.database),
    }
}

fn build(inputs: &[PathBuf], output: &Path) -> Result<Exit, Failure> {
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let summary = compile::build(inputs, output, &BuildOptions::default()).map_err(Failure::usage)?;
    for skipped in &summary.skipped {
        eprintln!("skipped {}: {}", skipped.name, skipped.reason);
    }
    println!(
        "{}: {} advisories in {} ecosystems, {} known exploited, newest of {}, {} KiB, revision {}",
        output.display(),
        summary.advisories,
        summary.ecosystems,
        summary.known_exploited,
        summary.as_of,
        summary.file_bytes >> 10,
        summary.revision
    );
    if summary.skipped_count > 0 {
        println!("{} records could not be read and were left out", summary.skipped_count);
    }
    Ok(Exit::Pass)
}

fn status(path: &Path, json: bool) -> Result<Exit, Failure> {
    let database = site::database(path)?;
    let ecosystems = database.ecosystems();
    if json {
        let rows: Vec<_> = ecosystems
            .iter()
            .map(|row| json!({"name": row.name, "advisories": row.advisories, "newest": row.newest}))
            .collect();
        let status = json!({"revision": database.revision(), "as_of": database.as_of(), "ecosystems": rows});
        println!("{}", serde_json::to_string_pretty(&status).context("cannot print")?);
        return Ok(Exit::Pass);
    }
    println!("revision  {}\nas of     {}\n", database.revision(), database.as_of());
    println!("{:<28} {:>10}  NEWEST", "ECOSYSTEM", "ADVISORIES");
    for row in ecosystems {
        println!("{:<28} {:>10}  {}", row.name, row.advisories, row.newest);
    }
    Ok(Exit::Pass)
}
