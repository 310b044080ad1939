//! `tidewaiter`: the one binary. Parses the command line, runs one command, turns its result into an exit code.

mod args;
mod client;
mod commands;
mod confine;
mod memory;
mod progress;
mod site;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command came to; scripts and CI jobs go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It worked; for a verdict: pass or warn.
    Pass,
    /// The verdict is `fail`, or the command failed.
    Fail,
    /// The command line or the configuration is wrong.
    Usage,
    /// There is no verdict: unknown, pending past the wait, error.
    NoVerdict,
}

impl Exit {
    /// The number that scripts see.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::NoVerdict => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that already knows how the process should end.
#[derive(Debug, thiserror::Error)]
#[error("{source:#}")]
pub(crate) struct Failure {
    /// The exit code.
    exit: Exit,
    /// What happened.
    source: anyhow::Error,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, source: error.into() }
    }

    /// Whether the command line or the configuration is wrong.
    pub(crate) fn is_usage(&self) -> bool {
        self.exit == Exit::Usage
    }

    /// There is no verdict.
    pub(crate) fn no_verdict(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::NoVerdict, source: error.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(source: anyhow::Error) -> Self {
        Self { exit: Exit::Fail, source }
    }
}

/// Whoever has read enough (`… | head`) is no failure: the command ends without a word, as others do.
fn end_quietly_where_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            // As a shell reports a process that SIGPIPE has ended.
            std::process::exit(141);
        }
        usual(panic);
    }));
}

fn main() -> ExitCode {
    end_quietly_where_nobody_reads();
    let arguments = args::Arguments::parse();
    if arguments.command.reads_images() {
        memory::give_back_at_once();
    }
    // The choice of a TLS provider is global and has to come first; a second installation is impossible here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Before the runtime starts threads: they inherit it, and those that are there already would not.
    let confined = match commands::confine(&arguments) {
        Ok(confined) => confined,
        Err(failure) => return ended(&failure),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tidewaiter: cannot start the asynchronous runtime: {error}");
            return Exit::Fail.into();
        }
    };
    match runtime.block_on(commands::run(arguments, confined)) {
        Ok(exit) => exit.into(),
        Err(failure) => ended(&failure),
    }
}

fn ended(failure: &Failure) -> ExitCode {
    eprintln!("tidewaiter: {failure}");
    failure.exit.into()
}
