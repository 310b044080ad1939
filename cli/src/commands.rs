//! One subcommand a file, thin: arguments in, parts built, crates called, exit code out.

use clap::CommandFactory;

use crate::args::{Arguments, Command};
use crate::confine::Confined;
use crate::{Exit, Failure, confine, site};

mod attest;
mod check;
mod config;
mod db;
mod doctor;
mod policy;
mod queue;
mod ready;
mod scan;
mod serve;
mod simulate;
mod sweep;

/// Confines the processes that read images for others, and stay. Whoever scans on the command line is there to see.
pub(crate) fn confine(arguments: &Arguments) -> Result<Option<Confined>, Failure> {
    match arguments.command {
        Command::Serve | Command::Worker => {
            let config = site::configuration(&arguments.global.overrides())?;
            confine::confine(&config)
        }
        _ => Ok(None),
    }
}

pub(crate) async fn run(arguments: Arguments, confined: Option<Confined>) -> Result<Exit, Failure> {
    let overrides = arguments.global.overrides();
    match arguments.command {
        Command::Serve => serve::serve(&overrides, confined).await,
        Command::Api => serve::api(&overrides).await,
        Command::Worker => serve::worker(&overrides, confined).await,
        Command::Scan(scan) => scan::scan(&overrides, scan).await,
        Command::Check(check) => check::check(&overrides, check).await,
        Command::Sweep(sweep) => sweep::sweep(sweep).await,
        Command::Attest(command) => attest::run(&overrides, command).await,
        Command::Doctor(doctor) => doctor::doctor(&overrides, &doctor).await,
        Command::Ready(server) => ready::ready(&server).await,
        Command::Db(command) => db::run(&overrides, command),
        Command::Queue(command) => queue::run(command).await,
        Command::Policy(command) => policy::run(command).await,
        Command::Config(command) => config::run(&overrides, &command),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "tidewaiter", &mut std::io::stdout());
            Ok(Exit::Pass)
        }
    }
}
