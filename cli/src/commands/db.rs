//! `db build` and `db status`.

use std::path::PathBuf;

use anyhow::Context;
use scanner::advisories::compile;
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
